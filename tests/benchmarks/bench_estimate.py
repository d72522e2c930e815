"""Time and peak memory of a whole estimate at several picture sizes, each in a process of its own; run as a script."""

import json
import subprocess
import sys
from typing import Any

from tests.benchmarks.measuring import print_table

#: Height and width in px: pictures of 0.13, 1, 4, 12 and 24 megapixels.
SIZES = ((360, 360), (1000, 1000), (2000, 2000), (3000, 4000), (4000, 6000))
#: One scale and the pyramid, on a photograph side by side with itself: as many edges per megapixel at any size.
TILED = [("tiled", size, max_radius) for size in SIZES for max_radius in ("6", "auto")]
#: The same enlarged five times: nearly all of it is blurred by more than 6 px.
ENLARGED = [("enlarged", (2000, 3000), max_radius) for max_radius in ("6", "auto")]

_CHILD = """
import json, re, sys, time
import cv2, numpy, skimage.data
from defocus_edge import BlurEstimator
kind, height, width, max_radius = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
coffee = skimage.data.coffee()
if kind == "enlarged":
    photo = cv2.resize(coffee, (width, height), interpolation=cv2.INTER_CUBIC)
else:
    beyond = [(0, max(size - side, 0)) for size, side in zip((height, width), coffee.shape)]
    photo = numpy.pad(coffee, [*beyond, (0, 0)], mode="symmetric")[:height, :width]
start = time.perf_counter()
estimator = BlurEstimator(max_radius="auto" if max_radius == "auto" else float(max_radius))
estimator.estimate(coffee[:360, :360])
first = time.perf_counter() - start
start = time.perf_counter()
estimate = estimator.estimate(photo)
seconds = time.perf_counter() - start
with open("/proc/self/status") as status:
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1])
print(json.dumps({"first": first, "seconds": seconds, "points": len(estimate.points), "kib": peak}))
"""


def run() -> list[dict[str, Any]]:
    """One row for each case. Linux only: `VmHWM` is the process's own peak, `ru_maxrss` begins with its parent's."""
    rows = []
    for kind, (height, width), max_radius in (*TILED, *ENLARGED):
        command = [sys.executable, "-c", _CHILD, kind, str(height), str(width), max_radius]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        megapixels = height * width / 1e6
        rows.append(
            {
                "picture": f"{kind}, {height}×{width}",
                "max_radius": max_radius,
                "edge points": found["points"],
                "first call s": round(found["first"], 2),
                "s": round(found["seconds"], 2),
                "s per megapixel": round(found["seconds"] / megapixels, 2),
                "peak memory MB": round(found["kib"] * 1024 / 1e6),
            }
        )
    return rows


if __name__ == "__main__":
    print_table("BlurEstimator.estimate, default preset; the first call, of 360×360 px, loads and compiles", run())
