"""Real scenes at two apertures, where depth and a thin lens tell the truth.

The radius of a pixel at depth z is f² / (2 N p) · |1/s - 1/z| px for the focal length f, f-number N and pixel pitch p.
Only the focus distance s is unknown: it is the one that fits the maps of both apertures best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.atomic import read_bytes
from defocus_edge.files.images import read_image

#: Focal length, and pixel pitch at the size of the pictures, mm.
FOCAL_LENGTH, PIXEL = 35.0, 23.6 / 645
#: f-numbers.
APERTURES = (2.8, 8.0)
#: Focus distances that are tried, mm.
FOCUS_DISTANCES: list[float] = np.geomspace(600, 8000, 80).tolist()
#: Softness of the lens itself, as a radius in px.
OWN_RADIUS = 0.5
#: Depths in mm that count, and the largest step of depth in mm within a window of so many px: depth is registered to
#: about 10 px.
DEPTHS, LARGEST_STEP, STEP_SIDE = (400, 9000), 150, 15
#: Every second scene judges; the others may be used in training.
STRIDE = 2
_DEPTH_END = "_depth_mm.png"


@dataclass(frozen=True)
class ApertureScene:
    """A picture for each of `APERTURES`, (H, W, 3) float32, and the depth in mm, (H, W), 0 where it is not known."""

    name: str
    images: list[NDArray[np.float32]]
    depth: NDArray[np.float32]


def list_scenes(folder: Path, *, judging: bool = True) -> list[str]:
    """Names of the scenes that judge, or of those that may be learnt from; FileNotFoundError if there is none."""
    every = sorted(path.name.removesuffix(_DEPTH_END) for path in folder.glob(f"*{_DEPTH_END}"))
    names = [name for number, name in enumerate(every) if (number % STRIDE == 0) == judging]
    if not names:
        msg = f"folder must hold NAME{_DEPTH_END} with NAME_f2.8.JPG and NAME_f8.JPG. Got: {folder}, which has none."
        raise FileNotFoundError(msg)
    return names


def read_scene(folder: Path, name: str) -> ApertureScene:
    """Read one scene; raises OSError or ImageReadError."""
    path = folder / f"{name}{_DEPTH_END}"
    depth = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_UNCHANGED)
    images = [read_image(folder / f"{name}_f{number:g}.JPG") for number in APERTURES]
    return ApertureScene(name, images, np.asarray(depth, np.float32))


def find_known(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where the depth is known and no step of it is near, (H, W)."""
    steps = cv2.morphologyEx(depth, cv2.MORPH_GRADIENT, np.ones((STEP_SIDE, STEP_SIDE), np.uint8))
    return (steps < LARGEST_STEP) & (depth > DEPTHS[0]) & (depth < DEPTHS[1])


def find_radius(depth: NDArray[np.float32], focus: float, aperture: float) -> NDArray[np.float32]:
    """True radius in px at depths and for a focus distance in mm, with the softness of the lens itself."""
    thin = FOCAL_LENGTH**2 / (2 * aperture * PIXEL) * np.abs(1 / focus - 1 / depth)
    return np.hypot(thin, OWN_RADIUS).astype(np.float32)


def fit_focus(depth: NDArray[np.float32], maps: Sequence[NDArray[np.float32]]) -> float:
    """Focus distance in mm that fits the radii of both apertures best at some depths, all (N,)."""
    return min(FOCUS_DISTANCES, key=partial(_measure_misfit, depth, maps))


def _measure_misfit(depth: NDArray[np.float32], maps: Sequence[NDArray[np.float32]], focus: float) -> float:
    """Sum of the mean errors in px of the maps of both apertures."""
    pairs = zip(maps, APERTURES, strict=True)
    return sum(float(np.abs(radius - find_radius(depth, focus, aperture)).mean()) for radius, aperture in pairs)
