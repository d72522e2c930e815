"""Speed of the domain-transform filter against OpenCV's C++ and a NumPy loop; run as a script.

The sides alternate within one process, OpenCV and ours on all cores, NumPy on the one it can use. Medians are
compared, and the fastest rounds too: on a busy machine they come closest to what the sides can do.
"""

from typing import Any

import cv2
import numpy as np

from defocus_edge.propagation._kernels import count_threads
from defocus_edge.propagation.domain_transform import domain_transform_filter

ORACLE = Path(__file__).resolve().parents[1] / "propagation" / "recursive_filter_oracle.py"
SHAPES = [(1000, 1000), (1024, 1024), (3000, 4000), (3072, 4096)]
CHANNELS = [1, 2, 3]  # 2: value and weight
ITERATIONS = 3
SIGMA_R = 0.5
MEGAPIXEL = 1_000_000


def run() -> list[dict[str, Any]]:
    """One row per size and number of channels: milliseconds, ratios to ours and the threads of each side."""
    rng = np.random.default_rng(0)
    rows = []
    for height, width in SHAPES:
        guide = cv2.GaussianBlur(rng.random((height, width, 3), dtype=np.float32), (0, 0), 3.0)
        for channels in CHANNELS:
            image = rng.random((height, width, channels), dtype=np.float32)
            numbers = {"sigma_s": height / 8, "sigma_r": SIGMA_R, "iterations": ITERATIONS}
            flags = {"mode": cv2.ximgproc.DTF_RF, "numIters": ITERATIONS}
            fast = {
                "ours": lambda: domain_transform_filter(image, guide, **numbers),  # noqa: B023  called in this turn
                "cv2": lambda: cv2.ximgproc.dtFilter(guide, image, numbers["sigma_s"], SIGMA_R, **flags),  # noqa: B023
            }
            slow = {"numpy": lambda: numpy_recursive_filter(image, guide, dtype=np.float32, **numbers)}  # noqa: B023
            small = height * width < 4 * MEGAPIXEL
            times = measure(fast, rounds=15 if small else 9)
            times |= measure(slow, rounds=5 if small else 3)
            median = {name: statistics.median(values) for name, values in times.items()}
            best = {name: min(values) for name, values in times.items()}
            rows.append(
                {
                    "shape": f"{height}x{width}x{channels}",
                    **{f"{name}_ms": round(1000 * value, 1) for name, value in median.items()},
                    **{f"{name}_over_ours": round(median[name] / median["ours"], 2) for name in ("cv2", "numpy")},
                    **{f"best_{name}_ms": round(1000 * value, 1) for name, value in best.items()},
                    **{f"best_{name}_over_ours": round(best[name] / best["ours"], 2) for name in ("cv2", "numpy")},
                    "our_threads": count_threads(),
                    "cv2_threads": cv2.getNumThreads(),
                }
            )
    return rows


if __name__ == "__main__":
    print_table(f"Recursive filter, {ITERATIONS} iterations, RGB guide, float32", run())
