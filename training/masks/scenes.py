"""Pictures with masks of what is blurred, from sharp pictures: endless ones to train on, a fixed set to evaluate on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLURRED_FROM
from synth.scenes import Scene
from synth.sensor import Sensor
from training.data.development import load_motorcycle
from training.data.photographs import draw_sensor, find_light, photograph
from training.data.sources import DepthPicture, Sources, load_sources
from training.masks.parts import (
    PartCutter,
    Shape,
    compose_depth,
    compose_person,
    compose_plane,
    compose_shape,
    compose_slope,
    compose_uniform,
)

#: Radii in px of what is in focus and what is not: none in between, where nobody could say. Those of slopes, planes and
#: depth take all values.
SHARP_RADII = (0.0, 0.7)
#: Evenly distributed in their logarithm. Photographs with hand-drawn masks, 320 px wide, reach about 12 px.
BLURRED_RADII = (1.5, 12.0)
#: Radii are multiples of this, px: what `blur_with_disk_fast` keeps of a disk is of use again.
RADIUS_GRID = 0.125
#: Families of scenes and how often they occur. Real masks are mostly those of a subject in front of its background;
#: pictures with disparity are few, and would be learnt by heart.
FAMILIES = {"shape": 0.44, "person": 0.22, "gradual": 0.2, "depth": 0.06, "uniform": 0.08}
#: In how many shapes the blurred side is the nearer one, and spills over the sharp one.
NEAR_SHARE = 0.35
#: How many persons are in focus in front of a blurred background; the others the other way round.
PERSON_FOCUS_SHARE = 0.7
#: How many persons and shapes have both sides in focus or both blurred: an outline alone is no border of blur.
ALIKE_SHARE = 0.1
#: Gradual blur: planes have their focus at this share of the picture, slopes grow by so many px per px, evenly
#: distributed in the logarithm.
PLANE_FOCI = (-0.1, 1.1)
SLOPES = (0.03, 0.4)
#: Depth is in focus at this share of its range.
DEPTH_FOCI = (0.0, 1.0)

#: The development set: how many scenes of each family besides those with depth, in shapes that take turns.
SHAPE_SCENES, PERSON_SCENES, GRADUAL_SCENES, UNIFORM_SCENES = 20, 20, 11, 4
SCENE_SHAPES = ((320, 320), (320, 426), (288, 384), (384, 288), (272, 400))
#: Foci of its pictures with depth, and their largest radius in px: both ends blurred, or one.
SCENE_FOCI = (0.05, 0.5, 0.95)
MOTORCYCLE_FOCI = (0.9, 0.1)
SCENE_DEPTH_RADIUS = 6.0
#: Every other scene is clean, the rest as a camera would save it: noise in 8-bit steps, and JPEG.
SCENE_SENSORS = (Sensor(), Sensor(noise=1.5, jpeg_quality=90))
_SEED = 2027


@dataclass(frozen=True, eq=False)
class MaskScene:
    """A picture and its mask.

    Attributes
    ----------
    name, family : str
    image : (H, W, 3) ndarray of float32
        RGB in [0, 1].
    mask : (H, W) ndarray of bool
        True = blurred.
    """

    name: str
    family: str
    image: NDArray[np.float32]
    mask: NDArray[np.bool_]


class MaskSceneSampler:
    """Draws pictures with masks without end. What is drawn depends on nothing but the generator.

    Borders are mirrored under the blur: unlike the radius of an edge point, a mask does not tell. Making a sampler
    takes 20 ms for each sharp picture, whose own sharpness is measured.

    Parameters
    ----------
    sources : Sources
    side : int
        Of the pictures, px.
    families : dict, optional
        Family name to how often it occurs; `FAMILIES` unless given.

    Raises
    ------
    ValueError
        If a family is unknown or has no sources, or `side` exceeds every picture of a kind.
    """

    def __init__(self, sources: Sources, *, side: int = 256, families: dict[str, float] | None = None) -> None:
        families = FAMILIES if families is None else families
        _check_families(families, sources)
        self.side = side
        self._shape = (side, side)
        self._cutter = PartCutter(sources)
        # In one order, whatever the order of the settings: a seed gives the same pictures.
        self._names = [name for name in FAMILIES if name in families]
        shares = np.array([families[name] for name in self._names])
        self._shares = shares / shares.sum()
        self._draw: dict[str, Callable[[np.random.Generator], Scene]] = {
            "shape": self._draw_shape,
            "person": self._draw_person,
            "gradual": self._draw_gradual,
            "depth": self._draw_depth,
            "uniform": self._draw_uniform,
        }
        self._cutter.check_shape(self._shape, persons="person" in families, depth="depth" in families)

    def draw_sample(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """One picture and its mask.

        Parameters
        ----------
        rng : numpy.random.Generator

        Returns
        -------
        image : (side, side, 3) ndarray of float32
            RGB in [0, 1], with the steps of 8 bits.
        mask : (side, side) ndarray of bool
            True = blurred by `BLURRED_FROM` or more.
        """
        scene = self._draw[str(rng.choice(self._names, p=self._shares))](rng)
        quarters = int(rng.integers(4))  # the parts are mirrored already
        light = np.ascontiguousarray(np.rot90(scene.light, quarters))
        mask = np.ascontiguousarray(np.rot90(scene.radius >= BLURRED_FROM, quarters))
        return photograph(light, draw_sensor(rng), rng=rng), mask

    def draw_batch(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Pictures (count, side, side, 3) and masks (count, side, side), as `draw_sample` draws them in turn."""
        images = np.empty((count, *self._shape, 3), dtype=np.float32)
        masks = np.empty((count, *self._shape), dtype=bool)
        for number in range(count):
            images[number], masks[number] = self.draw_sample(rng)
        return images, masks

    def _draw_shape(self, rng: np.random.Generator) -> Scene:
        sharp, blurred = _draw_sides(rng)
        is_near = bool(rng.random() < NEAR_SHARE)
        return compose_shape(self._cutter, self._shape, sharp=sharp, blurred=blurred, blurred_is_near=is_near, rng=rng)

    def _draw_person(self, rng: np.random.Generator) -> Scene:
        sides = _draw_sides(rng)
        near, far = sides if rng.random() < PERSON_FOCUS_SHARE else sides[::-1]
        return compose_person(self._cutter, self._shape, near=near, far=far, rng=rng)

    def _draw_gradual(self, rng: np.random.Generator) -> Scene:
        largest = _draw_blurred(rng)
        if rng.random() < 0.5:
            focus, angle = float(rng.uniform(*PLANE_FOCI)), float(rng.uniform(0, 2 * np.pi))
            return compose_plane(self._cutter, self._shape, focus=focus, angle=angle, largest=largest, rng=rng)
        slope = _draw_logarithmic(SLOPES, rng)
        return compose_slope(self._cutter, self._shape, sharp=_draw_sharp(rng), blurred=largest, slope=slope, rng=rng)

    def _draw_depth(self, rng: np.random.Generator) -> Scene:
        light, disparity = self._cutter.cut_depth(self._shape, rng)
        return compose_depth(light, disparity, focus=float(rng.uniform(*DEPTH_FOCI)), largest=_draw_blurred(rng))

    def _draw_uniform(self, rng: np.random.Generator) -> Scene:
        radius = _draw_sharp(rng) if rng.random() < 0.5 else _draw_blurred(rng)
        return compose_uniform(self._cutter, self._shape, radius=radius, rng=rng)


def render_mask_development_set(root: str | Path) -> Iterator[MaskScene]:
    """All scenes of the development set, from pictures that are never trained on, always the same.

    Parameters
    ----------
    root : str or Path
        As for `load_sources`.

    Yields
    ------
    MaskScene
        Families ``shape``, ``person``, ``gradual``, ``uniform``, ``depth`` and ``motorcycle``.
    """
    sources = load_sources(root, development=True, sharpen=False)
    cutter = PartCutter(sources)
    number = 0
    for family, count, compose in (
        ("shape", SHAPE_SCENES, _compose_shape_scene),
        ("person", PERSON_SCENES, _compose_person_scene),
        ("gradual", GRADUAL_SCENES, _compose_gradual_scene),
        ("uniform", UNIFORM_SCENES, _compose_uniform_scene),
    ):
        for place in range(count):
            # A generator for each: no scene depends on another.
            rng = np.random.default_rng((_SEED, number))
            scene = compose(cutter, SCENE_SHAPES[number % len(SCENE_SHAPES)], place, rng)
            yield _make_scene(scene, f"{family}-{place}", family, number, rng)
            number += 1
    motorcycle = DepthPicture(*load_motorcycle())
    with_depth = [(f"depth-{at}", source, focus) for at, source in enumerate(sources.depth) for focus in SCENE_FOCI]
    with_depth += [("motorcycle", motorcycle, focus) for focus in MOTORCYCLE_FOCI]
    for name, source, focus in with_depth:
        rng = np.random.default_rng((_SEED, number))
        scene = compose_depth(find_light(source.picture), source.disparity, focus=focus, largest=SCENE_DEPTH_RADIUS)
        yield _make_scene(scene, f"{name}-focus-{focus}", name.partition("-")[0], number, rng)
        number += 1


def _compose_shape_scene(cutter: PartCutter, shape: Shape, place: int, rng: np.random.Generator) -> Scene:
    """Radii up to the largest, in steps; the blurred side is the nearer one in every third scene."""
    blurred = _space_radii(SHAPE_SCENES)[place]
    return compose_shape(cutter, shape, sharp=0.0, blurred=blurred, blurred_is_near=place % 3 == 2, rng=rng)


def _compose_person_scene(cutter: PartCutter, shape: Shape, place: int, rng: np.random.Generator) -> Scene:
    """Radii up to the largest, in steps; the person is blurred in every third scene."""
    blurred = _space_radii(PERSON_SCENES)[place]
    near, far = (blurred, 0.0) if place % 3 == 2 else (0.0, blurred)
    return compose_person(cutter, shape, near=near, far=far, rng=rng)


def _compose_gradual_scene(cutter: PartCutter, shape: Shape, place: int, rng: np.random.Generator) -> Scene:
    """Planes with their focus in several places, and slopes in between."""
    share = place / (GRADUAL_SCENES - 1)
    if place % 2 == 0:
        return compose_plane(cutter, shape, focus=share, angle=np.pi / 2 + share, largest=6 + 6 * share, rng=rng)
    return compose_slope(cutter, shape, sharp=0.0, blurred=8.0, slope=0.05 + 0.2 * share, rng=rng)


def _compose_uniform_scene(cutter: PartCutter, shape: Shape, place: int, rng: np.random.Generator) -> Scene:
    """In focus, just blurred, in focus, very blurred."""
    return compose_uniform(cutter, shape, radius=(0.0, 2.0, 0.5, 8.0)[place], rng=rng)


def _space_radii(count: int) -> list[float]:
    """Radii from the least to the largest blurred one, evenly in the logarithm, large and small in turn."""
    radii = np.geomspace(*BLURRED_RADII, count)
    return [float(_round_to_grid(radii[(7 * place) % count])) for place in range(count)]


def _make_scene(scene: Scene, name: str, family: str, number: int, rng: np.random.Generator) -> MaskScene:
    picture = photograph(scene.light, SCENE_SENSORS[number % len(SCENE_SENSORS)], rng=rng)
    return MaskScene(name, family, picture, scene.radius >= BLURRED_FROM)


def _draw_sides(rng: np.random.Generator) -> tuple[float, float]:
    """Radii of what is in focus and what is not; sometimes both are the one or the other."""
    alike = rng.random() < ALIKE_SHARE
    if not alike:
        return _draw_sharp(rng), _draw_blurred(rng)
    draw = _draw_sharp if rng.random() < 0.5 else _draw_blurred
    return draw(rng), draw(rng)


def _draw_sharp(rng: np.random.Generator) -> float:
    return _round_to_grid(float(rng.uniform(*SHARP_RADII)))


def _draw_blurred(rng: np.random.Generator) -> float:
    return _round_to_grid(_draw_logarithmic(BLURRED_RADII, rng))


def _draw_logarithmic(ends: tuple[float, float], rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(ends))))


def _round_to_grid(radius: float) -> float:
    return round(radius / RADIUS_GRID) * RADIUS_GRID


def _check_families(families: dict[str, float], sources: Sources) -> None:
    needed = {
        "shape": sources.shapes,
        "person": sources.cutouts,
        "gradual": sources.shapes,
        "depth": sources.depth,
        "uniform": sources.sharp,
    }
    for name in families:
        if name not in FAMILIES:
            msg = f"families must be of {', '.join(FAMILIES)}. Got: {name!r}."
            raise ValueError(msg)
        if not needed[name] or not sources.sharp:
            msg = f"families must not name one whose sources are missing. Got: {name!r}."
            raise ValueError(msg)
