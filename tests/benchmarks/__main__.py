"""`make bench`: all tables of speed and memory."""

from rich.console import Console

from tests.benchmarks import (
    bench_batch,
    bench_crops,
    bench_deblur,
    bench_dense,
    bench_engines,
    bench_estimate,
    bench_filter,
    bench_long,
    bench_masks,
    bench_peers,
    bench_training,
)
from tests.benchmarks.measuring import describe_machine, print_table

if __name__ == "__main__":
    Console().print(describe_machine())
    print_table("Both networks at the edge points of one picture", bench_dense.run())
    print_table("Engines of the edge networks, default preset unless named, warm", bench_engines.run())
    print_table("defocus-edge estimate from a cold process", bench_engines.run_cold())
    print_table("Recursive filter, 3 iterations, RGB guide, float32", bench_filter.run())
    print_table("BlurEstimator.estimate; the first call, of 360×360 px, loads and compiles", bench_estimate.run())
    print_table("BlurEstimator.estimate of strong blur, default preset", bench_estimate.run_strong_blur())
    print_table("Our estimate and other methods", bench_peers.run())
    print_table("Crops for the training, rendered in one process and read from a store", bench_crops.run())
    print_table("Training steps of B-NET on dense crops and on patches", bench_training.run())
    print_table("Each method of detect_blur", bench_masks.run())
    print_table("deblur, map at hand: a third sharp, a third of 2 px, a third from 2 to 6 px", bench_deblur.run())
    print_table(
        f"defocus-edge batch, {bench_batch.COUNT} pictures of {bench_batch.SIDE}×{bench_batch.SIDE}, default preset",
        bench_batch.run(),
    )
    print_table(
        f"{bench_long.COUNT} pictures of {bench_long.SIDE}×{bench_long.SIDE} in one process, {bench_long.PRESET}",
        bench_long.run(),
    )
