"""The broad development set: some 250 scenes of eight families from pictures that are never trained on.

Each scene has random numbers of its own, so that it does not depend on which others are rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS
from synth.scenes import Layer, Scene, render_gradual, render_layers, render_uniform
from training.data.development import DevelopmentScene, load_motorcycle, photograph_scene, render_lens
from training.data.mattes import load_mattes
from training.data.photographs import draw_gain, find_light
from training.data.sources import Cutout, Sources, filter_sharp, find_inside, load_sources, shrink

#: Folders that the scenes depend on.
SOURCE_FOLDERS = ("sharp", "objects", "salient", "alpha", "focus_masks", "rgbd")
# All numbers are ours.
#: Number of scenes of each family.
FAMILY_SCENES = {
    "uniform": 2 * len(BLUR_LEVELS),
    "gradual": 30,
    "composite": 40,
    "matte": 24,
    "layered": 32,
    "persons": 28,
    "shading": 32,
    "depth": 20,
}
#: Factors by which sharp pictures are reduced after `filter_sharp`, so that their own blur is below the first level.
REDUCTIONS = (0.5, 0.65)
#: Largest height and width of a scene, px.
FRAME = (320, 480)
#: Least side of a sharp picture before it is reduced, px: a scene must be wider than some patches.
LEAST_SIDE = 240
#: Largest factor for objects, and for those with soft mattes, which are less sharp.
OBJECT_REDUCTION, MATTE_REDUCTION = 0.6, 0.5
#: Height of an object as a share of the frame.
OBJECT_HEIGHTS = (0.65, 1.0)
#: Share of the composites with one layer in focus.
FOCUS_SHARE = 0.5
#: Least difference of the radii of the layers of a scene, px.
LEAST_DIFFERENCE = 0.5
#: Widths in px of soft shadows and lamps, and natural logarithm of the darkest shadow.
SHADE_WIDTHS, SHADE_DEPTHS = (8.0, 60.0), (0.3, 1.6)
#: Standard deviation of the texture of a wall, as a share of its light.
WALL_TEXTURES = (0.004, 0.02)
#: Sides of the pictures on a wall as shares of the wall.
POSTER_SIDES = (0.15, 0.35)
#: Foci of the scenes with depth, as in `training.data.development`, and their largest radii in px.
DEPTH_FOCI, DEPTH_RADII = (0.05, 0.275, 0.5, 0.725, 0.95), (3.0, 6.0)
# px between an object and the lower border of its picture from which on it is whole.
_TOUCHING = 4
_SEED = 2026

Light = NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True)
class Pictures:
    """Pictures of one side of the split."""

    sharp: list[NDArray[np.uint8]]
    persons: list[Cutout]
    salient: list[Cutout]
    mattes: list[Cutout]
    shapes: list[NDArray[np.uint8]]
    #: Light and disparity.
    depth: list[tuple[Light, Light]]


def load_pictures(root: str | Path, *, development: bool) -> Pictures:
    """Read the pictures that are held back, or all others; `root` is as for `load_sources` and `load_mattes`.

    Those may raise.
    """
    sources: Sources = load_sources(root, development=development, sharpen=False)
    salient, mattes = load_mattes(root, development=development)
    sharp = [picture for picture in filter_sharp(sources.sharp) if min(picture.shape[:2]) >= LEAST_SIDE]
    depth = [(source.picture, source.disparity) for source in sources.depth]
    depth += [load_motorcycle()] if development else []
    lit = [(find_light(picture), disparity) for picture, disparity in depth]
    return Pictures(sharp, sources.cutouts, salient, mattes, sources.shapes, lit)


def list_broad_scenes(families: Sequence[str] | None = None, limit: int | None = None) -> list[tuple[str, int]]:
    """Families and numbers of all scenes, or of the first `limit` of some families."""
    chosen = FAMILY_SCENES if families is None else [name for name in FAMILY_SCENES if name in families]
    return [(family, number) for family in chosen for number in range(min(FAMILY_SCENES[family], limit or 10**6))]


def render_broad_scene(held_back: Pictures, family: str, number: int) -> DevelopmentScene:
    """Render one scene; the same number always gives the same scene."""
    rng = np.random.default_rng((_SEED, list(FAMILY_SCENES).index(family), number))
    scene = _FAMILIES[family](held_back, number, rng)
    return photograph_scene(scene, f"{family}-{number:02}", family, rng, largest=np.inf)


def _render_uniform(held_back: Pictures, number: int, rng: np.random.Generator) -> Scene:
    """Each level in turn."""
    return render_uniform(draw_frame(held_back, rng, number), float(BLUR_LEVELS[number % len(BLUR_LEVELS)]))


def _render_gradual(held_back: Pictures, number: int, rng: np.random.Generator) -> Scene:
    """A slanted plane through a thin lens: a ramp that may go through the focus."""
    light = draw_frame(held_back, rng, number)
    rows, cols = np.indices(light.shape[:2], dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    place = np.cos(angle) * rows + np.sin(angle) * cols
    share = (place - place.min()) / np.ptp(place)
    first, last = rng.uniform(0, MAX_RADIUS), rng.uniform(-MAX_RADIUS, MAX_RADIUS)
    return render_gradual(light, np.abs(first + (last - first) * share).astype(np.float32))


def _render_composite(held_back: Pictures, number: int, rng: np.random.Generator) -> Scene:
    """A person or a salient object over a background."""
    objects = held_back.persons if number % 2 == 0 or not held_back.salient else held_back.salient
    return _lay(held_back, [_choose(objects, number // 2)], rng)


def _render_matte(held_back: Pictures, number: int, rng: np.random.Generator) -> Scene:
    """An object with a true soft matte over a background."""
    return _lay(held_back, [_choose(held_back.mattes, number)], rng, soft=True)


def _render_persons(held_back: Pictures, number: int, rng: np.random.Generator) -> Scene:
    """Two persons side by side at different depths, none of the layers in focus."""
    pair = [_choose(held_back.persons, 2 * number), _choose(held_back.persons, 2 * number + 1 + number // 11)]
    return _lay(held_back, pair, rng)


def _render_layered(held_back: Pictures, number: int, rng: np.random.Generator) -> Scene:
    """Three layers at random depths behind a thin lens: a background, a drawn shape, an object."""
    far = draw_frame(held_back, rng)
    height, width = far.shape[:2]
    shape = cv2.resize(_choose(held_back.shapes, number), (width, height), interpolation=cv2.INTER_AREA)
    matte = shape.astype(np.float32) / 255
    matte = (matte >= 0.5 if rng.random() < 0.5 else matte < 0.5).astype(np.float32)
    middle = draw_frame(held_back, rng, least=(height, width))[:height, :width]
    near, near_matte = place_object(_choose(held_back.persons, number), (height, width), rng, place=rng.random())
    depths, focus = np.sort(rng.random(3)), rng.random()
    radii = MAX_RADIUS * rng.uniform(0.4, 1) * np.abs(depths - focus) / np.abs(depths - focus).max()
    soft = np.asarray(cv2.GaussianBlur(matte, (3, 3), 0))
    layers = zip((far, middle, near), (np.ones_like(matte), soft, near_matte), radii.tolist(), strict=True)
    return render_layers([Layer(*layer) for layer in layers])


def _render_shading(held_back: Pictures, number: int, rng: np.random.Generator) -> Scene:
    """A wall with a few pictures in soft light: shadows and lamps look blurred, the truth is one radius."""
    height, width = FRAME[0] * 3 // 4, FRAME[1] * 3 // 4
    texture = cv2.GaussianBlur(rng.normal(size=(height, width)).astype(np.float32), (0, 0), rng.uniform(0.5, 2))
    wall = (1 + rng.uniform(*WALL_TEXTURES) * texture / texture.std())[..., None] * rng.uniform(0.2, 0.7, 3)
    for poster_number in range(int(rng.integers(1, 4))):
        poster = draw_frame(held_back, rng, number + poster_number)
        rows, cols = (round(size * rng.uniform(*POSTER_SIDES)) for size in (height, width))
        top, left = rng.integers(height - rows), rng.integers(width - cols)
        corner = [int(rng.integers(size - side + 1)) for size, side in zip(poster.shape[:2], (rows, cols), strict=True)]
        wall[top : top + rows, left : left + cols] = poster[corner[0] : corner[0] + rows, corner[1] : corner[1] + cols]
    light = (wall * draw_shade((height, width), rng)[..., None]).astype(np.float32)
    return render_uniform(light, float(rng.uniform(0, MAX_RADIUS)))


def _render_depth(held_back: Pictures, number: int, rng: np.random.Generator) -> Scene:
    """A picture with disparity behind a thin lens."""
    light, disparity = _choose(held_back.depth, number)
    number //= len(held_back.depth)
    focus, largest = DEPTH_FOCI[number % len(DEPTH_FOCI)], DEPTH_RADII[number // len(DEPTH_FOCI) % len(DEPTH_RADII)]
    return render_lens(light * draw_gain(rng), disparity, focus, largest=largest)


_FAMILIES: dict[str, Callable[[Pictures, int, np.random.Generator], Scene]] = {
    "uniform": _render_uniform,
    "gradual": _render_gradual,
    "composite": _render_composite,
    "matte": _render_matte,
    "layered": _render_layered,
    "persons": _render_persons,
    "shading": _render_shading,
    "depth": _render_depth,
}


def _choose(items: Sequence[T], number: int) -> T:
    """One of some items, each in turn."""
    return items[number % len(items)]


def draw_frame(
    held_back: Pictures, rng: np.random.Generator, number: int | None = None, *, least: tuple[int, int] = (0, 0)
) -> Light:
    """Light of part of a sharp picture of at least some size, the numbered one or any, reduced, mirrored or not."""
    sharp = [each for each in held_back.sharp if all(REDUCTIONS[1] * np.array(each.shape[:2]) >= np.array(least) + 1)]
    index = rng.integers(len(sharp)) if number is None else number * 7  # spread over all folders
    picture = _choose(sharp, int(index))
    cover = max((most + 1) / size for most, size in zip(least, picture.shape[:2], strict=True))
    picture = shrink(picture, float(rng.uniform(max(REDUCTIONS[0], cover), REDUCTIONS[1])))
    spans = []
    for size, most in zip(picture.shape[:2], FRAME, strict=True):
        side = min(size, most)
        first = int(rng.integers(size - side + 1))
        spans.append(slice(first, first + side))
    part = picture[spans[0], spans[1]]
    return find_light(np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part))


def _lay(held_back: Pictures, objects: Sequence[Cutout], rng: np.random.Generator, *, soft: bool = False) -> Scene:
    """Objects side by side over a background: one layer in focus in half of the scenes with one object."""
    background = draw_frame(held_back, rng)
    height, width = background.shape[:2]
    count = len(objects) + 1
    radii = rng.uniform(0, MAX_RADIUS, count)
    while np.abs(np.diff(np.sort(radii))).min() < LEAST_DIFFERENCE:
        radii = rng.uniform(0, MAX_RADIUS, count)
    if count == 2 and rng.random() < FOCUS_SHARE:
        radii[rng.integers(count)] = 0
    layers = [Layer(background, np.ones((height, width), np.float32), float(radii[0]))]
    for index, (cutout, radius) in enumerate(zip(objects, radii[1:], strict=True)):
        place = (index + rng.uniform(0.2, 0.8)) / len(objects)
        layers.append(Layer(*place_object(cutout, (height, width), rng, place=place, soft=soft), float(radius)))
    return render_layers(layers)


def place_object(
    cutout: Cutout, shape: tuple[int, int], rng: np.random.Generator, *, place: float, soft: bool = False
) -> tuple[Light, Light]:
    """Light and matte of an object that stands at a share of the width of a frame."""
    matte = cutout.mask.astype(np.float32) / 255 if soft else find_inside(cutout.mask)
    rows, cols = (np.flatnonzero((matte >= 0.5).any(axis=axis)) for axis in (1, 0))
    window = np.s_[max(rows[0] - 4, 0) : rows[-1] + 1, max(cols[0] - 4, 0) : cols[-1] + 5]
    values = np.concatenate([find_light(cutout.picture[window]) * draw_gain(rng), matte[window][..., None]], axis=-1)
    most = MATTE_REDUCTION if soft else OBJECT_REDUCTION
    factor = min(most, rng.uniform(*OBJECT_HEIGHTS) * shape[0] / values.shape[0], 0.9 * shape[1] / values.shape[1])
    size = (max(round(values.shape[1] * factor), 1), max(round(values.shape[0] * factor), 1))
    small = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))
    small = small[:, ::-1] if rng.random() < 0.5 else small
    stands = rows[-1] >= matte.shape[0] - _TOUCHING  # its picture cuts it off below, so the frame must, too
    top = shape[0] - size[1] if stands else int(rng.integers(shape[0] - size[1] + 1))
    left = int(np.clip(place * shape[1] - size[0] / 2, 0, shape[1] - size[0]))
    frame = np.zeros((*shape, 4), dtype=np.float32)
    frame[top : top + size[1], left : left + size[0]] = small
    return frame[..., :3], frame[..., 3]


def draw_shade(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Factor of the light of each pixel: one to three soft shadows and lamps."""
    rows, cols = np.indices(shape)
    shade = np.ones(shape)
    for _ in range(int(rng.integers(1, 4))):
        row, col, angle = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(0, 2 * np.pi)
        width = np.exp(rng.uniform(*np.log(SHADE_WIDTHS)))
        depth = rng.uniform(*SHADE_DEPTHS)
        if rng.random() < 0.5:
            across = np.cos(angle) * (rows - row) + np.sin(angle) * (cols - col)
            shade *= np.exp(-0.5 * depth * (1 + np.tanh(across / width)))
        else:
            square = (rows - row) ** 2 + (cols - col) ** 2
            shade *= np.exp(-depth) + (1 - np.exp(-depth)) * np.exp(-0.5 * square / (1.5 * width) ** 2)
    return shade / shade.max()
