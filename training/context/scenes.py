"""Random scenes to learn from: layers before a surface that may be slanted, in plain or patchy light."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.psf import blur_with_disk
from synth.camera import Lens, Psf
from synth.scenes import Layer, Scene, render_gradual, render_layers, render_uniform
from training.data.broad_scenes import (
    DEPTH_RADII,
    FRAME,
    WALL_TEXTURES,
    Pictures,
    draw_frame,
    draw_shade,
    place_object,
)
from training.data.development import DevelopmentScene, photograph_scene, render_lens
from training.data.photographs import draw_gain, draw_sensor
from training.data.sources import WHITE_FROM

# All numbers are ours.
#: Kinds of scenes and their shares.
KINDS = {"layers": 0.75, "depth": 0.1, "wall": 0.15}
#: Smallest height and width of a scene, px; `FRAME` is the largest.
LEAST_FRAME = (192, 256)
#: Numbers of objects before a surface, and their shares.
OBJECT_COUNTS = {0: 0.15, 1: 0.4, 2: 0.25, 3: 0.2}
#: Kinds of objects and their shares.
OBJECTS = {"person": 0.4, "salient": 0.25, "matte": 0.2, "shape": 0.15}
#: Largest radii of scenes in px and their shares.
LARGEST_RADII = {MAX_RADIUS: 0.75, 9.0: 0.15, 14.0: 0.1}
#: Share of the surfaces that are slanted, and of those that are too blurred to have edges, such as a sky.
SLANTED_SHARE, PLAIN_SHARE = 0.35, 0.1
#: Share of the objects that are in focus, that stand on the surface behind them, and that have any other radius.
IN_FOCUS, STANDING = 0.3, 0.2
#: Share of the scenes with soft shadows and lamps.
SHADED_SHARE = 0.25
#: Radius of the blur of the picture of a plain surface, px.
PLAIN_RADII = (15.0, 60.0)
#: Shares of the lenses: disk, Gaussian, polygon.
LENSES: dict[Psf, float] = {"disk": 0.7, "gaussian": 0.15, "polygon": 0.15}
#: Share of a pixel from which on an object covers it.
WHITE = 0.5
#: Sides of the pictures on a wall as shares of the wall.
POSTER_SIDES = (0.1, 0.4)

Light = NDArray[np.float32]
Blur = Callable[[NDArray[np.float32], float], NDArray[np.float32]]
T = TypeVar("T")


def draw_scene(pictures: Pictures, name: str, rng: np.random.Generator) -> DevelopmentScene:
    """Draw a scene and take a picture of it as a random camera does. True radii are not clipped from above."""
    kind = _pick({name: share for name, share in KINDS.items() if name != "depth" or pictures.depth}, rng)
    lens = Lens(_pick(LENSES, rng), int(rng.integers(5, 9)), float(rng.uniform(0, 360)))
    blur: Blur = blur_with_disk if lens.psf == "disk" else lens.blur
    if kind == "depth":
        scene = _draw_depth(pictures, rng)
    elif kind == "wall":
        scene = _draw_wall(pictures, rng, blur)
    else:
        scene = _draw_layers(pictures, rng, blur)
    return photograph_scene(scene, name, kind, rng, largest=np.inf, sensor=draw_sensor(rng))


def _draw_layers(pictures: Pictures, rng: np.random.Generator, blur: Blur) -> Scene:
    """Objects before a surface, each at a depth of its own."""
    light = _crop(draw_frame(pictures, rng), rng) * draw_gain(rng)
    shape = light.shape[:2]
    if rng.random() < PLAIN_SHARE:
        light = blur_with_disk(light, float(rng.uniform(*PLAIN_RADII)))
    shade = draw_shade(shape, rng)[..., None].astype(np.float32) if rng.random() < SHADED_SHARE else np.float32(1)
    largest = float(_pick(LARGEST_RADII, rng))
    surface = _draw_surface(shape, largest, rng)
    behind = render_gradual(light * shade, surface, blur=blur)
    layers = [Layer(behind.light, np.ones(shape, np.float32), 0.0)]
    count = int(_pick(OBJECT_COUNTS, rng))
    for index in range(count):
        matter, matte = _draw_object(pictures, shape, rng, place=(index + rng.uniform(0.1, 0.9)) / count)
        layers.append(Layer(matter * shade, matte, _draw_radius(matte, behind.radius, largest, rng)))
    over = render_layers(layers, blur=blur)
    covered = np.any([np.zeros(shape, bool), *(layer.matte >= WHITE for layer in layers[1:])], axis=0)
    radius = np.where(covered, over.radius, behind.radius).astype(np.float32)
    return Scene(over.light, radius, over.depth_edges, over.near_radius)


def _draw_surface(shape: tuple[int, int], largest: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Radius of each pixel of a surface: the same everywhere, or that of a slanted plane."""
    first, last = rng.uniform(0, largest), rng.uniform(-largest, largest)
    if rng.random() >= SLANTED_SHARE:
        return np.full(shape, first if rng.random() >= IN_FOCUS else 0, np.float32)
    rows, cols = np.indices(shape, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.normal(0, 0.2)
    place = np.cos(angle) * rows + np.sin(angle) * cols
    share = (place - place.min()) / np.ptp(place)
    return np.abs(first + (last - first) * share).astype(np.float32)


def _draw_radius(
    matte: NDArray[np.float32], behind: NDArray[np.float32], largest: float, rng: np.random.Generator
) -> float:
    """Radius of an object: in focus, that of the surface where it stands, or any."""
    drawn = rng.random()
    if drawn < IN_FOCUS:
        return 0.0
    if drawn < IN_FOCUS + STANDING and (matte >= WHITE).any():
        foot = np.argwhere(matte >= WHITE)[-1]
        return float(behind[tuple(foot)])
    return float(rng.uniform(0, largest))


def _draw_object(
    pictures: Pictures, shape: tuple[int, int], rng: np.random.Generator, *, place: float
) -> tuple[Light, NDArray[np.float32]]:
    """Light and matte of an object in a frame."""
    objects = {"person": pictures.persons, "salient": pictures.salient, "matte": pictures.mattes}
    kind = _pick({name: share for name, share in OBJECTS.items() if objects.get(name, pictures.shapes)}, rng)
    if kind == "shape":
        drawn = cv2.resize(_choose(pictures.shapes, rng), shape[::-1], interpolation=cv2.INTER_AREA)
        matte = drawn >= WHITE_FROM if rng.random() < 0.5 else drawn < WHITE_FROM
        light = draw_frame(pictures, rng, least=shape)[: shape[0], : shape[1]]
        return light * draw_gain(rng), cv2.GaussianBlur(matte.astype(np.float32), (3, 3), 0)
    return place_object(_choose(objects[kind], rng), shape, rng, place=place, soft=kind == "matte")


def _draw_wall(pictures: Pictures, rng: np.random.Generator, blur: Blur) -> Scene:
    """A wall with a few pictures in soft light: shadows and lamps look blurred, the truth is one surface."""
    height, width = (int(rng.integers(least, most + 1)) for least, most in zip(LEAST_FRAME, FRAME, strict=True))
    texture = cv2.GaussianBlur(rng.normal(size=(height, width)).astype(np.float32), (0, 0), rng.uniform(0.5, 2))
    wall = (1 + rng.uniform(*WALL_TEXTURES) * texture / texture.std())[..., None] * rng.uniform(0.2, 0.7, 3)
    for _ in range(int(rng.integers(1, 5))):
        poster = draw_frame(pictures, rng)
        sides = [round(size * rng.uniform(*POSTER_SIDES)) for size in (height, width)]
        rows, cols = (min(side, most) for side, most in zip(sides, poster.shape[:2], strict=True))
        top, left = rng.integers(height - rows), rng.integers(width - cols)
        wall[top : top + rows, left : left + cols] = poster[:rows, :cols]
    light = (wall * draw_shade((height, width), rng)[..., None]).astype(np.float32)
    largest = float(_pick(LARGEST_RADII, rng))
    if rng.random() < SLANTED_SHARE:
        return render_gradual(light, _draw_surface((height, width), largest, rng), blur=blur)
    return render_uniform(light, float(rng.uniform(0, largest)), blur=blur)


def _draw_depth(pictures: Pictures, rng: np.random.Generator) -> Scene:
    """A part of a picture with disparity behind a thin lens."""
    light, disparity = _choose(pictures.depth, rng)
    part = _find_part(light.shape[:2], rng)
    mirror = np.s_[:, ::-1] if rng.random() < 0.5 else np.s_[:, :]
    light, disparity = (np.ascontiguousarray(each[part][mirror]) for each in (light, disparity))
    largest = float(rng.uniform(*DEPTH_RADII) * rng.choice([1, 1, 1.5]))
    return render_lens(light * draw_gain(rng), disparity, float(rng.uniform(0, 1)), largest=largest)


def _crop(light: Light, rng: np.random.Generator) -> Light:
    return np.ascontiguousarray(light[_find_part(light.shape[:2], rng)])


def _find_part(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, slice]:
    """A random part of at least `LEAST_FRAME` and at most `FRAME`, as far as the picture has it."""
    spans = []
    for size, least, most in zip(shape, LEAST_FRAME, FRAME, strict=True):
        side = int(rng.integers(min(size, least), min(size, most) + 1))
        first = int(rng.integers(size - side + 1))
        spans.append(slice(first, first + side))
    return spans[0], spans[1]


def _pick(shares: dict[T, float], rng: np.random.Generator) -> T:
    """One of some keys by their shares."""
    keys = list(shares)
    return keys[int(rng.choice(len(keys), p=np.array(list(shares.values())) / sum(shares.values())))]


def _choose(items: list[T], rng: np.random.Generator) -> T:
    return items[int(rng.integers(len(items)))]
