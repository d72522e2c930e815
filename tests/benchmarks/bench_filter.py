"""Speed of the domain-transform filter against OpenCV's C++ and a NumPy loop; run as a script.

Ours and OpenCV's run on all their threads, NumPy's on one. The sides alternate within one process.
"""

from typing import Any

import cv2
import numpy as np

from defocus_edge.propagation.domain_transform import domain_transform_filter
from defocus_edge.propagation.kernels import count_threads
from tests.benchmarks.measuring import measure_medians, print_table
from tests.defocus_edge.propagation.recursive_filter_oracle import numpy_recursive_filter

SHAPES = [(1000, 1000), (1024, 1024), (3000, 4000), (3072, 4096)]
CHANNELS = [1, 2, 3]  # 2: value and weight
ITERATIONS = 3
SIGMA_R = 0.5
#: Below this many px more rounds are run.
SMALL = 4_000_000


def run() -> list[dict[str, Any]]:
    """One row for each size and number of channels: milliseconds of each side and ratios to ours."""
    rng = np.random.default_rng(0)
    rows = []
    for height, width in SHAPES:
        guide = cv2.GaussianBlur(rng.random((height, width, 3), dtype=np.float32), (0, 0), 3.0)
        for channels in CHANNELS:
            image = rng.random((height, width, channels), dtype=np.float32)
            rounds = (15, 5) if height * width < SMALL else (9, 3)
            times = measure_sides(image, guide, *rounds)
            rows.append(
                {
                    "size": f"{height}×{width}",
                    "channels": channels,
                    **{f"{name} ms": round(1000 * value, 1) for name, value in times.items()},
                    "OpenCV / ours": round(times["OpenCV"] / times["ours"], 2),
                    "NumPy / ours": round(times["NumPy"] / times["ours"], 1),
                    "threads": f"{count_threads()} / {cv2.getNumThreads()} / 1",
                }
            )
    return rows


def measure_sides(image: np.ndarray, guide: np.ndarray, fast_rounds: int, slow_rounds: int) -> dict[str, float]:
    """Median seconds of our filter, OpenCV's and NumPy's."""
    sigma_s = image.shape[0] / 8
    numbers = {"sigma_s": sigma_s, "sigma_r": SIGMA_R, "iterations": ITERATIONS}
    flags = {"mode": cv2.ximgproc.DTF_RF, "numIters": ITERATIONS}
    fast = {
        "ours": lambda: domain_transform_filter(image, guide, **numbers),
        "OpenCV": lambda: cv2.ximgproc.dtFilter(guide, image, sigma_s, SIGMA_R, **flags),
    }
    slow = {"NumPy": lambda: numpy_recursive_filter(image, guide, dtype=np.float32, **numbers)}
    return measure_medians(fast, fast_rounds) | measure_medians(slow, slow_rounds)


if __name__ == "__main__":
    print_table(f"Recursive filter, {ITERATIONS} iterations, RGB guide, float32", run())
