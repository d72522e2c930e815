"""Time and peak memory of a whole estimate at several picture sizes, each in a process of its own; run as a script."""

import importlib
import json
import math
import re
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from defocus_edge import BlurEstimator
from defocus_edge.choices import DEFAULT_PRESET
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

#: Weights that are compared.
PRESETS = ("edge-fast", "edge-v2")
#: Functions of the package whose time is counted, by the name of the stage.
STAGES = {
    "maps": ("defocus_edge.networks.onnx.runtime", "OnnxEngine.make_maps"),
    "heads": ("defocus_edge.networks.onnx.runtime", "OnnxEngine.predict"),
    "context": ("defocus_edge.estimation.stages", "judge_points"),
    "propagation": ("defocus_edge.pipeline", "spread"),
}

_CHILD = """
import json, sys, numpy
from tests.benchmarks.bench_estimate import time_estimate
print(json.dumps(time_estimate(numpy.load(sys.argv[1]), *sys.argv[2:])))
"""


def time_estimate(photo: NDArray[np.uint8], preset: str, max_radius: str) -> dict[str, Any]:
    """Seconds, peak memory and share of each stage of an estimate; Linux only: `VmHWM` is the process's own peak."""
    start = time.perf_counter()
    estimator = BlurEstimator(preset, max_radius="auto" if max_radius == "auto" else float(max_radius))
    small = skimage.data.coffee()[:360, :360]
    estimator.estimate(small)
    first = time.perf_counter() - start
    second = min(timeit.repeat(lambda: estimator.estimate(small), number=1, repeat=3))
    spent = {stage: count_time(*place) for stage, place in STAGES.items()}
    start = time.perf_counter()
    points = len(estimator.estimate(photo).points)
    seconds = time.perf_counter() - start
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[1])
    shares = {stage: total[0] / seconds for stage, total in spent.items()}
    return {"first": first, "second": second, "seconds": seconds, "points": points, "kib": peak, "shares": shares}


def count_time(module: str, name: str) -> list[float]:
    """Replace a function by one that adds up its seconds in the list that is returned."""
    *path, last = name.split(".")
    holder = reduce(getattr, path, importlib.import_module(module))
    function, total = getattr(holder, last), [0.0]

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            total[0] += time.perf_counter() - start

    setattr(holder, last, timed)
    return total


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


def measure(name: str, photo: NDArray[np.uint8], preset: str, max_radius: str) -> dict[str, Any]:
    """One row, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo.npy")
        np.save(path, photo)
        command = [sys.executable, "-c", _CHILD, str(path), preset, max_radius]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    megapixels = photo.shape[0] * photo.shape[1] / 1e6
    return {
        "picture": f"{name}, {photo.shape[0]}×{photo.shape[1]}",
        "preset": preset,
        "max_radius": max_radius,
        "edge points": found["points"],
        "first call s": round(found["first"], 2),
        "second call s": round(found["second"], 2),
        "s": round(found["seconds"], 2),
        "s per megapixel": round(found["seconds"] / megapixels, 2),
        "peak memory MB": round(found["kib"] * 1024 / 1e6),
        "share of time": ", ".join(f"{stage} {share:.0%}" for stage, share in found["shares"].items()),
    }


def run(sizes: Sequence[tuple[int, int]] = SIZES) -> list[dict[str, Any]]:
    """One row for each size and preset."""
    return [measure("tiled", tile_photo(*size), preset, "auto") for size in sizes for preset in PRESETS]


def run_strong_blur() -> list[dict[str, Any]]:
    """One row for each picture with strong blur, for a single scale and the pyramid."""
    pictures = {f"background {radius:g} px": photograph_subject(*STRONG_SIZE, radius) for radius in BACKGROUND_RADII}
    pictures["enlarged"] = enlarge_photo(*STRONG_SIZE)
    return [
        measure(name, photo, DEFAULT_PRESET, max_radius)
        for name, photo in pictures.items()
        for max_radius in ("6", "auto")
    ]


if __name__ == "__main__":
    print_table("BlurEstimator.estimate; the first call, of 360×360 px, loads and compiles", run())
    print_table("BlurEstimator.estimate of strong blur, default preset", run_strong_blur())
