"""Dense evaluation of the edge networks against the patch path; run as a script."""

from typing import Any

import numpy as np

from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.edge.networks import build_edge_networks
from tests.benchmarks.measuring import measure_medians, print_table
from tests.defocus_edge.networks.edge.patch_oracle import PatchEvaluator

SIDE = 360
#: Share of edge points of the authors' sample photograph: 21 406 in 360×360.
EDGE_SHARE = 0.165
ROUNDS = 3


def run() -> list[dict[str, Any]]:
    """One row: seconds of both paths, their ratio and the largest difference of their softmax."""
    rng = np.random.default_rng(0)
    image = rng.random((SIDE, SIDE, 3), dtype=np.float32)
    points = np.argwhere(rng.random((SIDE, SIDE)) < EDGE_SHARE)
    networks = build_edge_networks()
    dense, patches = DenseEvaluator(KerasEngine(networks)), PatchEvaluator(networks)
    difference = np.abs(dense.predict(image, points).blur - patches.predict(image, points).blur).max()
    times = measure_medians(
        {"dense": lambda: dense.predict(image, points), "patches": lambda: patches.predict(image, points)}, ROUNDS
    )
    return [
        {
            "picture": f"{SIDE}×{SIDE}",
            "edge points": len(points),
            "dense s": round(times["dense"], 2),
            "patches s": round(times["patches"], 2),
            "patches / dense": round(times["patches"] / times["dense"], 1),
            "largest difference": f"{difference:.1e}",
        }
    ]


if __name__ == "__main__":
    print_table("Both networks at the edge points of one picture", run())
