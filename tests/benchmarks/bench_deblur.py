"""Time and peak memory of `deblur` with a map at hand, each in a process of its own; run as a script."""

import json
import subprocess
import sys
from typing import Any

from tests.benchmarks.measuring import print_table

#: Pictures of 1, 4 and 12 megapixels.
SIZES = ((1000, 1000), (2000, 2000), (3000, 4000))

_CHILD = """
import json, re, sys, time
import numpy as np, skimage.data
from defocus_edge import deblur
height, width = map(int, sys.argv[1:3])
photo = skimage.data.coffee()
photo = np.tile(photo, (-(-height // photo.shape[0]), -(-width // photo.shape[1]), 1))[:height, :width]
# A sharp third, a third at one depth, and a third whose blur grows.
radius = np.concatenate([np.zeros(width // 3), np.full(width // 3, 2.0)])
radius = np.concatenate([radius, np.linspace(2, 6, width - len(radius))]).astype(np.float32)
start = time.perf_counter()
deblur(photo, np.tile(radius, (height, 1)))
seconds = time.perf_counter() - start
with open("/proc/self/status") as status:
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1])
print(json.dumps({"seconds": seconds, "kib": peak}))
"""


def run() -> list[dict[str, Any]]:
    """One row for each size. Linux only, as in `bench_estimate`."""
    rows = []
    for height, width in SIZES:
        command = [sys.executable, "-c", _CHILD, str(height), str(width)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        rows.append(
            {
                "picture": f"{height}×{width}",
                "s": round(found["seconds"], 1),
                "s per megapixel": round(found["seconds"] / (height * width / 1e6), 2),
                "peak memory MB": round(found["kib"] * 1024 / 1e6),
            }
        )
    return rows


if __name__ == "__main__":
    print_table("deblur, map at hand: a third sharp, a third of 2 px, a third from 2 to 6 px", run())
