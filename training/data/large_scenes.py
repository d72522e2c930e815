"""Large scenes with strong blur: what pictures of the usual size cannot show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.psf import blur_with_disk
from synth.scenes import Layer, Scene, render_layers
from training.data.development import PERSON_REDUCTION, UNIFORM_REDUCTION, DevelopmentScene, photograph_scene
from training.data.photographs import find_light
from training.data.sources import Cutout, Sources, filter_sharp, find_inside, load_sources, shrink

#: Side in px of the scenes: 4 megapixels.
SIDE = 2000
#: Radii in px of the bands of a wall; the last one is the largest radius of all scenes.
BAND_RADII = (0.5, 1.5, 3.0, 5.0, 8.0, 12.0, 17.0, 24.0)
#: Names of the scenes with bands: radii that rise from left to right, and radii in random order.
BAND_SCENES = ("rising", "mixed")
#: Radii in px of the wall and of the persons before it.
PERSON_SCENES: dict[str, tuple[float, tuple[float, ...]]] = {
    "persons in focus": (24.0, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
    "persons at all depths": (14.0, (10.0, 7.0, 4.0, 2.0, 1.0, 0.0)),
    "wall in focus": (0.0, (4.0, 6.0, 8.0, 10.0, 14.0, 20.0)),
}
# Height and width of the pictures of the wall, as shares of the side.
_CELL = (0.12, 0.16)
# Where the persons stand: the middle of each, as shares of the side.
_PLACES = ((0.3, 0.2), (0.3, 0.5), (0.3, 0.8), (0.7, 0.2), (0.7, 0.5), (0.7, 0.8))
# Height of a person as a share of the side.
_PERSON_HEIGHT = 0.25
_SEED = 24


def render_large_scenes(root: str | Path, *, side: int = SIDE) -> Iterator[DevelopmentScene]:
    """Render a wall of pictures that nobody trained on: blurred in bands, and with persons before it.

    `root` is as for `load_sources`. `side` is that of the scenes in px; the radii do not depend on it. The families are
    ``bands`` and ``persons``. The true radius is not clipped to the levels from above.
    """
    sources = load_sources(root, development=True, sharpen=False)
    rng = np.random.default_rng(_SEED)
    pictures = [shrink(picture, UNIFORM_REDUCTION) for picture in filter_sharp(sources.sharp)]
    for name, radii in zip(BAND_SCENES, (BAND_RADII, tuple(rng.permutation(BAND_RADII).tolist())), strict=True):
        scene = _render_bands(_build_wall(pictures, side, rng), radii)
        yield photograph_scene(scene, f"bands-{name}", "bands", rng, largest=np.inf)
    for name, (far, near) in PERSON_SCENES.items():
        wall = _build_wall(pictures, side, rng)
        layers = [Layer(wall, np.ones(wall.shape[:2], np.float32), far), *_place_persons(sources, side, near)]
        yield photograph_scene(render_layers(layers), name, "persons", rng, largest=np.inf)


def _build_wall(pictures: Sequence[NDArray[np.uint8]], side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Light (side, side, 3) of pictures side by side, each cut to its cell or mirrored to fill it."""
    height, width = (max(round(share * side), 1) for share in _CELL)
    wall = np.zeros((side, side, 3), dtype=np.uint8)
    for top in range(0, side, height):
        for left in range(0, side, width):
            picture = pictures[int(rng.integers(len(pictures)))]
            rows, columns = min(height, side - top), min(width, side - left)
            beyond = ((0, max(rows - picture.shape[0], 0)), (0, max(columns - picture.shape[1], 0)), (0, 0))
            filled = np.pad(picture, beyond, mode="symmetric")
            wall[top : top + rows, left : left + columns] = filled[:rows, :columns]
    return find_light(wall)


def _render_bands(wall: NDArray[np.float32], radii: Sequence[float]) -> Scene:
    """Blur bands of columns of the wall by one radius each. A band sees what is beside it, so no light is lost."""
    side = wall.shape[1]
    borders = np.linspace(0, side, len(radii) + 1).astype(int)
    light, radius = np.empty_like(wall), np.empty(wall.shape[:2], dtype=np.float32)
    for start, stop, value in zip(borders, borders[1:], radii, strict=False):
        halo = int(np.ceil(value)) + 1
        first = max(start - halo, 0)
        blurred = blur_with_disk(wall[:, first : stop + halo], value)
        light[:, start:stop] = blurred[:, start - first : stop - first]
        radius[:, start:stop] = value
    jumps = np.zeros(radius.shape, dtype=bool)
    jumps[:, borders[1:-1]] = True
    return Scene(light, radius, jumps, np.where(jumps, radius, 0).astype(np.float32))


def _place_persons(sources: Sources, side: int, radii: Sequence[float]) -> Iterator[Layer]:
    """Make one layer for each person, the farthest first."""
    for number, (radius, place) in enumerate(zip(radii, _PLACES, strict=True)):
        picture, mask = _fit_person(sources.cutouts[number % len(sources.cutouts)], side)
        height, width = mask.shape
        top, left = (
            min(max(round(share * side) - length // 2, 0), side - length)
            for share, length in zip(place, mask.shape, strict=True)
        )
        light, matte = np.zeros((side, side, 3), dtype=np.float32), np.zeros((side, side), dtype=np.float32)
        light[top : top + height, left : left + width] = find_light(picture)
        matte[top : top + height, left : left + width] = mask
        yield Layer(light, matte, radius)


def _fit_person(cutout: Cutout, side: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Picture and matte of a person, reduced as in the development set, or further to fit a small scene."""
    factor = min(PERSON_REDUCTION, _PERSON_HEIGHT * side / cutout.picture.shape[0])
    picture = shrink(cutout.picture, factor)
    inside = find_inside(cutout.mask)
    matte = np.asarray(cv2.resize(inside, picture.shape[1::-1], interpolation=cv2.INTER_AREA), dtype=np.float32)
    matte[[0, -1]] = matte[:, [0, -1]] = 0  # persons that the border of their picture cuts off end there
    return picture, matte
