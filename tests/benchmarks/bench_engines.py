"""The engines that run the edge networks, and squares instead of points: time of an estimate and of a cold start."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import skimage.data

from defocus_edge import BlurEstimator
from tests.benchmarks.bench_estimate import tile_photo
from tests.benchmarks.measuring import print_table

#: Height and width in px of the picture that is estimated, and of the one of the cold start.
SIZE, SMALL = (1000, 1000), (200, 300)
ROUNDS = 2
SIDES: dict[str, dict[str, Any]] = {
    "keras": {"engine": "keras"},
    "onnxruntime": {"engine": "onnxruntime"},
    "onnxruntime, squares": {"engine": "onnxruntime", "grid_step": 3},
    "onnxruntime, edge-fast": {"engine": "onnxruntime", "preset": "edge-fast"},
}
_COLD = "import sys; from defocus_edge.cli.app import main; sys.exit(main(sys.argv[1:]))"


def run() -> list[dict[str, Any]]:
    """One row for each way: seconds of the processor and of the clock per megapixel, alternating; a warm estimate."""
    photo = tile_photo(*SIZE)
    megapixels = photo.shape[0] * photo.shape[1] / 1e6
    estimators = {name: BlurEstimator(**options) for name, options in SIDES.items()}
    for estimator in estimators.values():
        estimator.estimate(photo[:360, :360])
    spent = {name: [0.0, 0.0] for name in SIDES}
    for _ in range(ROUNDS):
        for name, estimator in estimators.items():
            cpu, wall = time.process_time(), time.perf_counter()
            estimator.estimate(photo)
            spent[name][0] += (time.process_time() - cpu) / megapixels / ROUNDS
            spent[name][1] += (time.perf_counter() - wall) / megapixels / ROUNDS
    first = spent["keras"][0]
    return [
        {
            "engine": name,
            "CPU s per megapixel": round(cpu, 1),
            "s per megapixel": round(wall, 1),
            "times as fast": round(first / cpu, 2),
        }
        for name, (cpu, wall) in spent.items()
    ]


def run_cold() -> list[dict[str, Any]]:
    """One row for each engine: `defocus-edge estimate` of a small picture in a new process."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.png")
        cv2.imwrite(str(path), skimage.data.chelsea()[: SMALL[0], : SMALL[1], ::-1])
        for name, forced in {"keras": {"KERAS_BACKEND": "tensorflow"}, "onnxruntime": {}}.items():
            plain = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
            command = [sys.executable, "-c", _COLD, "estimate", str(path), "--out", folder]
            start = time.perf_counter()
            subprocess.run(command, env=plain | forced, capture_output=True, check=True)
            rows.append({"engine": name, "picture": f"{SMALL[0]}×{SMALL[1]}", "s": time.perf_counter() - start})
    return [row | {"s": round(row["s"], 1), "times as fast": round(rows[0]["s"] / row["s"], 2)} for row in rows]


if __name__ == "__main__":
    print_table("Engines of the edge networks, default preset unless named, warm", run())
    print_table("defocus-edge estimate from a cold process", run_cold())
