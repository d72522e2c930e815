"""`estimate` on a GPU and on the CPU of the same machine: `KERAS_BACKEND=jax python -m tests.benchmarks.bench_gpu`.

It takes less than 8 minutes. Without a GPU it says so and ends. `--cpu` runs the smallest picture on the CPU alone.
"""

import sys
import time
from typing import Any

import keras
from rich.console import Console

from defocus_edge import BlurEstimator
from defocus_edge.networks.devices import find_devices
from tests.benchmarks.bench_estimate import PRESETS, STAGES, count_time, tile_photo
from tests.benchmarks.measuring import describe_machine, print_table

#: Height and width in px of the pictures for a GPU; a CPU only gets the first one, which takes it half a minute.
SIZES = ((1000, 1000), (2000, 2000), (4000, 6000))
_ENGINE = {
    "maps": ("defocus_edge.networks.edge.keras_engine", "KerasEngine.make_maps"),
    "heads": ("defocus_edge.networks.edge.keras_engine", "KerasEngine.predict"),
}


def run(device: str, sizes: tuple[tuple[int, int], ...]) -> list[dict[str, Any]]:
    """One row for each preset and size: a warm estimate. JAX does not wait for maps: `heads` holds their time, too."""
    rows = []
    spent = {stage: count_time(*place) for stage, place in (STAGES | _ENGINE).items()}
    for preset in PRESETS:
        estimator = BlurEstimator(preset, device=device, engine="keras")
        for height, width in sizes:
            photo = tile_photo(height, width)
            estimator.estimate(photo)  # compiles
            before = {stage: total[0] for stage, total in spent.items()}
            start = time.perf_counter()
            estimator.estimate(photo)
            seconds = time.perf_counter() - start
            shares = {stage: (total[0] - before[stage]) / seconds for stage, total in spent.items()}
            row = {
                "device": device,
                "preset": preset,
                "picture": f"{height}×{width}",
                "s": round(seconds, 2),
                "s per megapixel": round(seconds / (height * width / 1e6), 2),
                "peak memory of the GPU MB": _find_peak(),
                "share of time": ", ".join(f"{stage} {share:.0%}" for stage, share in shares.items()),
            }
            sys.stderr.write(f"{row}\n")  # what is measured is said at once: the machine may be lent for minutes
            rows.append(row)
    return rows


def _find_peak() -> int | None:
    """Largest memory in use on the first device so far, if its backend tells."""
    if keras.backend.backend() != "jax":
        return None
    import jax

    told = jax.local_devices()[0].memory_stats()
    return round(told["peak_bytes_in_use"] / 1e6) if told else None


if __name__ == "__main__":
    on_cpu = sys.argv[1:] == ["--cpu"]
    backend, devices = find_devices()
    if not on_cpu and "gpu:0" not in devices:
        sys.exit(f"{backend} sees no GPU, only {devices}.")
    rows = [] if on_cpu else run("gpu:0", SIZES)
    Console().print(describe_machine())
    print_table("BlurEstimator.estimate, warm", rows + run("cpu", SIZES[:1]))
