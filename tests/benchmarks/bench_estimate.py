"""Time and peak memory of a whole estimate at several picture sizes, each in a process of its own; run as a script."""

import json
import subprocess
import sys
from typing import Any

from tests.benchmarks.measuring import print_table

#: Pictures of 0.13, 1 and 4 megapixels.
SIZES = ((360, 360), (1000, 1000), (2000, 2000))
ROUNDS = 3

_CHILD = """
import json, re, sys, time
import cv2, skimage.data
from defocus_edge import BlurEstimator
height, width, rounds = map(int, sys.argv[1:])
photo = cv2.resize(skimage.data.coffee(), (width, height), interpolation=cv2.INTER_AREA)
start = time.perf_counter()
estimator = BlurEstimator()
estimate = estimator.estimate(photo)
first = time.perf_counter() - start
times = []
for _ in range(rounds):
    start = time.perf_counter()
    estimator.estimate(photo)
    times.append(time.perf_counter() - start)
with open("/proc/self/status") as status:
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1])
median = sorted(times)[len(times) // 2]
print(json.dumps({"first": first, "median": median, "points": len(estimate.points), "kib": peak}))
"""


def run() -> list[dict[str, Any]]:
    """One row for each size. Linux only: `VmHWM` is the process's own peak, `ru_maxrss` begins with its parent's."""
    rows = []
    for height, width in SIZES:
        command = [sys.executable, "-c", _CHILD, str(height), str(width), str(ROUNDS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        megapixels = height * width / 1e6
        rows.append(
            {
                "picture": f"{height}×{width}",
                "edge points": found["points"],
                "first call s": round(found["first"], 2),
                "median s": round(found["median"], 2),
                "s per megapixel": round(found["median"] / megapixels, 2),
                "peak memory MB": round(found["kib"] * 1024 / 1e6),
            }
        )
    return rows


if __name__ == "__main__":
    print_table("BlurEstimator.estimate, default preset (first call: loading and compiling included)", run())
