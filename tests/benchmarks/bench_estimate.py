"""Time and peak memory of a whole estimate at several picture sizes, each in a process of its own; run as a script."""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from defocus_edge.psf import decode_srgb
from synth.camera import Sensor, take_picture
from synth.scenes import Layer, render_layers
from tests.benchmarks.measuring import print_table

#: Height and width in px: pictures of 0.13, 1, 4, 12 and 24 megapixels.
SIZES = ((360, 360), (1000, 1000), (2000, 2000), (3000, 4000), (4000, 6000))
#: Settings of the pictures with strong blur.
STRONG_SIZE = (2000, 3000)
#: Radii in px of the background behind a subject in focus.
BACKGROUND_RADII = (8.0, 16.0)
#: The subject's share of that picture.
SUBJECT_SHARE = 1 / 6
#: How many times the photograph is enlarged: its middle is blurred by about 6 px then, where two scales are needed.
ENLARGEMENT = 10
#: Standard deviation of a sensor's noise, 8-bit steps.
NOISE = 1.0

_CHILD = """
import json, re, sys, time
import numpy, skimage.data
from defocus_edge import BlurEstimator
photo, max_radius = numpy.load(sys.argv[1]), sys.argv[2]
start = time.perf_counter()
estimator = BlurEstimator(max_radius="auto" if max_radius == "auto" else float(max_radius))
estimator.estimate(skimage.data.coffee()[:360, :360])
first = time.perf_counter() - start
start = time.perf_counter()
estimate = estimator.estimate(photo)
seconds = time.perf_counter() - start
with open("/proc/self/status") as status:
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1])
print(json.dumps({"first": first, "seconds": seconds, "points": len(estimate.points), "kib": peak}))
"""


def tile_photo(height: int, width: int) -> NDArray[np.uint8]:
    """A photograph side by side with itself: as many edges per megapixel at any size."""
    photo = skimage.data.coffee()
    beyond = [(0, max(size - side, 0)) for size, side in zip((height, width), photo.shape[:2], strict=True)]
    return np.pad(photo, [*beyond, (0, 0)], mode="symmetric")[:height, :width]


def enlarge_photo(height: int, width: int) -> NDArray[np.uint8]:
    """The middle of the photograph, enlarged."""
    photo = skimage.data.coffee()
    rows, columns = height // ENLARGEMENT, width // ENLARGEMENT
    top, left = (photo.shape[0] - rows) // 2, (photo.shape[1] - columns) // 2
    part = np.ascontiguousarray(photo[top : top + rows, left : left + columns])
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def photograph_subject(height: int, width: int, radius: float) -> NDArray[np.uint8]:
    """The tiled photograph, blurred by a radius but for an ellipse in the middle."""
    light = decode_srgb(tile_photo(height, width) / np.float32(255))
    axis = math.sqrt(SUBJECT_SHARE / math.pi)
    rows, columns = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    subject = (rows**2 + columns**2 <= axis**2).astype(np.float32)
    scene = render_layers([Layer(light, np.ones_like(subject), radius), Layer(light, subject, 0.0)])
    return take_picture(scene.light, Sensor(noise=NOISE), rng=np.random.default_rng(0))


def measure(name: str, photo: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """One row for a single scale and one for the pyramid. Linux only: `VmHWM` is the process's own peak."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo.npy")
        np.save(path, photo)
        for max_radius in ("6", "auto"):
            command = [sys.executable, "-c", _CHILD, str(path), max_radius]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            megapixels = photo.shape[0] * photo.shape[1] / 1e6
            rows.append(
                {
                    "picture": f"{name}, {photo.shape[0]}×{photo.shape[1]}",
                    "max_radius": max_radius,
                    "edge points": found["points"],
                    "first call s": round(found["first"], 2),
                    "s": round(found["seconds"], 2),
                    "s per megapixel": round(found["seconds"] / megapixels, 2),
                    "peak memory MB": round(found["kib"] * 1024 / 1e6),
                }
            )
    return rows


def run() -> list[dict[str, Any]]:
    """One row for each picture and range of radii."""
    rows = [row for size in SIZES for row in measure("tiled", tile_photo(*size))]
    for radius in BACKGROUND_RADII:
        rows += measure(f"background {radius:g} px", photograph_subject(*STRONG_SIZE, radius))
    return rows + measure("enlarged", enlarge_photo(*STRONG_SIZE))


if __name__ == "__main__":
    print_table("BlurEstimator.estimate, default preset; the first call, of 360×360 px, loads and compiles", run())
