"""Pictures with masks of what is blurred, from sharp pictures: endless ones to train on, a fixed set to evaluate on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLURRED_ABOVE
from defocus_edge.psf import blur_with_disk_fast
from synth.camera import Sensor
from synth.scenes import Scene, render_uniform
from training.data.development import load_motorcycle
from training.data.mask_datasets import MaskPair, read_pair
from training.data.photographs import draw_sensor, find_light, photograph
from training.data.sources import DepthPicture, Sources, load_sources
from training.masks.lenses import FocusedScene, measure_depth, turn_scene
from training.masks.parts import (
    PartCutter,
    Shape,
    compose_backdrop,
    compose_depth,
    compose_person,
    compose_plane,
    compose_shape,
    compose_slope,
    compose_uniform,
)

# The numbers of the scenes are ours, chosen by hand unless a source is named; a pair is the range of a distribution.
#: Radii of what is in focus, px. Between them and the blurred radii nobody could say what is blurred; only in slopes,
#: planes and depth do such radii occur.
SHARP_RADII = (0.0, 0.7)
#: Radii of what is blurred, px, evenly distributed in their logarithm. Photographs with hand-drawn masks, 320 px wide,
#: reach about 12 px (measured).
BLURRED_RADII = (1.5, 12.0)
#: Radii are multiples of this, px, so that what `blur_with_disk_fast` keeps of a disk can be used again.
RADIUS_GRID = 0.125
#: Families of scenes and their shares. Most real masks show a subject in front of its background. With a
#: larger share, the few pictures with disparity would be learnt by heart.
FAMILIES = {"shape": 0.44, "person": 0.22, "gradual": 0.2, "depth": 0.06, "uniform": 0.08}
#: The families beside photographs with masks, and their shares: more of what these hardly show, which is pictures that
#: are sharp or blurred all over and plain backgrounds.
MIXED_FAMILIES = {"shape": 0.15, "person": 0.1, "gradual": 0.15, "depth": 0.05, "uniform": 0.4, "backdrop": 0.15}
#: The families for a network that learns depth, too: more of those that have it, whose shares are 0.2 and 0.12.
DEPTH_FAMILIES = {"shape": 0.25, "person": 0.15, "gradual": 0.4, "depth": 0.12, "uniform": 0.08}
#: Share of the shapes whose blurred side is nearer and spills over the sharp side.
NEAR_SHARE = 0.35
#: Share of the persons in focus in front of a blurred background; the others are blurred in front of a sharp one.
PERSON_FOCUS_SHARE = 0.7
#: Share of the persons and shapes with both sides in focus or both blurred: an outline alone is no border of blur.
ALIKE_SHARE = 0.1
#: Share of the way across the picture at which a plane is in focus.
PLANE_FOCI = (-0.1, 1.1)
#: Growth of the radius of a slope, px per px, evenly distributed in the logarithm.
SLOPES = (0.03, 0.4)
#: Share of the range of depth at which a picture with disparity is in focus.
DEPTH_FOCI = (0.0, 1.0)

#: The development set: number of scenes of each family without depth; their shapes take turns.
SHAPE_SCENES, PERSON_SCENES, GRADUAL_SCENES, UNIFORM_SCENES = 20, 20, 11, 4
SCENE_SHAPES = ((320, 320), (320, 426), (288, 384), (384, 288), (272, 400))
#: The nearer side is blurred in one scene out of this many.
NEAR_EVERY = 3
#: Largest radius in px of the first plane, and by how much that of the last one is larger.
SCENE_PLANE_RADIUS, SCENE_PLANE_GROWTH = 6, 6
#: Largest radius in px of the slopes, growth of the first one in px per px, and by how much that of the last is larger.
SCENE_SLOPE_RADIUS, SCENE_SLOPE, SCENE_SLOPE_GROWTH = 8.0, 0.05, 0.2
#: Radii of the uniform scenes, px: in focus, just blurred, in focus, very blurred.
SCENE_UNIFORM_RADII = (0.0, 2.0, 0.5, 8.0)
#: Foci of the pictures with depth, as in `DEPTH_FOCI`, and their largest radius in px: both ends are blurred, or one.
SCENE_FOCI = (0.05, 0.5, 0.95)
MOTORCYCLE_FOCI = (0.9, 0.1)
SCENE_DEPTH_RADIUS = 6.0
#: Radii in px of the pictures that are blurred as a whole, in turn.
WHOLE_RADII = (1.5, 3.0, 6.0)
#: Every second scene is clean; the others have noise (in 8-bit steps) and JPEG as from a camera.
SCENE_SENSORS = (Sensor(), Sensor(noise=1.5, jpeg_quality=90))
# Radii take turns by this step, prime to the numbers of scenes: large and small ones alternate.
_RADIUS_STRIDE = 7
# Seed of the development set.
_SEED = 2027


@dataclass(frozen=True, eq=False)
class MaskScene:
    """A picture and its mask."""

    name: str
    family: str
    #: (H, W, 3) RGB in [0, 1].
    image: NDArray[np.float32]
    #: (H, W) True where the picture is blurred.
    mask: NDArray[np.bool_]


def read_scene(pair: MaskPair) -> MaskScene:
    """Read a photograph and its mask as a scene."""
    picture, mask = read_pair(pair)
    return MaskScene(pair.name, "photograph", picture.astype(np.float32) / np.float32(255), mask)


class MaskSceneSampler:
    """Draws pictures with masks without end. They depend on nothing but the generator.

    Borders are mirrored before the blur; this does not matter for a mask. Making a sampler measures the sharpness of
    each sharp picture, 20 ms each. Raises ValueError if a family is unknown or has no sources, or `side` exceeds every
    picture of a kind.

    Parameters
    ----------
    side : int
        Side of the pictures, px.
    families : dict, optional
        Name of a family to how often it occurs. Default: `FAMILIES`.
    """

    def __init__(self, sources: Sources, *, side: int = 256, families: dict[str, float] | None = None) -> None:
        families = FAMILIES if families is None else families
        _check_families(families, sources)
        self.side = side
        self._shape = (side, side)
        self._cutter = PartCutter(sources)
        # In a fixed order, whatever the order of the settings, so that a seed always gives the same pictures.
        self._names = [name for name in MIXED_FAMILIES if name in families]
        shares = np.array([families[name] for name in self._names])
        self._shares = shares / shares.sum()
        self._draw: dict[str, Callable[[np.random.Generator], FocusedScene]] = {
            "shape": self._draw_shape,
            "person": self._draw_person,
            "gradual": self._draw_gradual,
            "depth": self._draw_depth,
            "uniform": self._draw_uniform,
            "backdrop": self._draw_backdrop,
        }
        persons = not {"person", "backdrop"}.isdisjoint(families)
        self._cutter.check_shape(self._shape, persons=persons, depth="depth" in families)

    def draw_sample(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Draw a picture (side, side, 3), RGB in [0, 1] in the steps of 8 bits, and its mask (side, side).

        A pixel of the mask is True if its radius is above `BLURRED_ABOVE`.
        """
        picture, scene = self._draw_picture(rng)
        return picture, scene.radius > BLURRED_ABOVE

    def _draw_picture(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], FocusedScene]:
        """Draw a picture and the scene that it shows."""
        scene = self._draw[str(rng.choice(self._names, p=self._shares))](rng)
        scene = turn_scene(scene, int(rng.integers(4)))  # the parts are mirrored already
        return photograph(scene.light, draw_sensor(rng), rng=rng), scene

    def draw_batch(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Pictures (count, side, side, 3) and masks (count, side, side), as `draw_sample` draws them in turn."""
        images = np.empty((count, *self._shape, 3), dtype=np.float32)
        masks = np.empty((count, *self._shape), dtype=bool)
        for number in range(count):
            images[number], masks[number] = self.draw_sample(rng)
        return images, masks

    def draw_radii(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Draw pictures (count, side, side, 3) and the true radius in px of each pixel, (count, side, side)."""
        pairs = [self._draw_picture(rng) for _ in range(count)]
        return np.stack([picture for picture, _ in pairs]), np.stack([scene.radius for _, scene in pairs])

    def draw_depths(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Draw what `draw_radii` draws, with signed radii, and the relative disparity of each pixel.

        All are as `measure_depth` says: planes and pictures with disparity have one, other scenes are `UNLABELLED`.
        """
        pairs = [self._draw_picture(rng) for _ in range(count)]
        radii, disparity = zip(*(measure_depth(scene) for _, scene in pairs), strict=True)
        return np.stack([picture for picture, _ in pairs]), np.stack(radii), np.stack(disparity)

    def draw_in_focus(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Draw pictures and radii as `draw_radii` does, and the same pictures with all radii 0.

        The picture in focus has the exposure and the colours of the other one, but neither noise nor JPEG, which the
        blurred picture does not tell. It is as sharp as its source, and a few sources have a soft background.
        """
        pairs = [self._draw_picture(rng) for _ in range(count)]
        sharps = [photograph(scene.sharp, Sensor(), rng=rng) for _, scene in pairs]
        images, radii = [picture for picture, _ in pairs], [scene.radius for _, scene in pairs]
        return np.stack(images), np.stack(radii), np.stack(sharps)

    def draw_wholes(self, count: int, rng: np.random.Generator, *, blurred: bool) -> NDArray[np.float32]:
        """Draw pictures (count, side, side, 3) that are blurred all over, or in focus all over."""
        pictures = []
        for _ in range(count):
            scene = self._draw_whole(rng, blurred=blurred)
            pictures.append(photograph(scene.light, draw_sensor(rng), rng=rng))
        return np.stack(pictures)

    def _draw_shape(self, rng: np.random.Generator) -> FocusedScene:
        sharp, blurred = _draw_sides(rng)
        is_near = bool(rng.random() < NEAR_SHARE)
        return compose_shape(self._cutter, self._shape, sharp=sharp, blurred=blurred, blurred_is_near=is_near, rng=rng)

    def _draw_person(self, rng: np.random.Generator) -> FocusedScene:
        sides = _draw_sides(rng)
        near, far = sides if rng.random() < PERSON_FOCUS_SHARE else sides[::-1]
        return compose_person(self._cutter, self._shape, near=near, far=far, rng=rng)

    def _draw_backdrop(self, rng: np.random.Generator) -> FocusedScene:
        near = _draw_sharp(rng) if rng.random() < PERSON_FOCUS_SHARE else draw_blurred(rng)
        return compose_backdrop(self._cutter, self._shape, near=near, far=draw_blurred(rng), rng=rng)

    def _draw_gradual(self, rng: np.random.Generator) -> FocusedScene:
        largest = draw_blurred(rng)
        if rng.random() < 0.5:
            focus, angle = float(rng.uniform(*PLANE_FOCI)), float(rng.uniform(0, 2 * np.pi))
            return compose_plane(self._cutter, self._shape, focus=focus, angle=angle, largest=largest, rng=rng)
        slope = _draw_logarithmic(SLOPES, rng)
        return compose_slope(self._cutter, self._shape, sharp=_draw_sharp(rng), blurred=largest, slope=slope, rng=rng)

    def _draw_depth(self, rng: np.random.Generator) -> FocusedScene:
        light, disparity = self._cutter.cut_depth(self._shape, rng)
        return compose_depth(light, disparity, focus=float(rng.uniform(*DEPTH_FOCI)), largest=draw_blurred(rng))

    def _draw_uniform(self, rng: np.random.Generator) -> FocusedScene:
        return self._draw_whole(rng, blurred=bool(rng.random() >= 0.5))

    def _draw_whole(self, rng: np.random.Generator, *, blurred: bool) -> FocusedScene:
        radius = draw_blurred(rng) if blurred else _draw_sharp(rng)
        return compose_uniform(self._cutter, self._shape, radius=radius, rng=rng)


def render_mask_development_set(root: str | Path) -> Iterator[MaskScene]:
    """Render all scenes of the development set, from pictures that are never trained on, always the same.

    `root` is as for `load_sources`. The families are ``shape``, ``person``, ``gradual``, ``uniform``, ``depth`` and
    ``motorcycle``.
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


def render_whole_pictures(root: str | Path, *, blurred: bool) -> Iterator[MaskScene]:
    """Sharp pictures that are never trained on, as they are or blurred as a whole, always the same.

    `root` is as for `load_sources`. A detector that compares the parts of a picture finds blur in each of them.
    """
    for number, picture in enumerate(load_sources(root, development=True).sharp):
        radius = WHOLE_RADII[number % len(WHOLE_RADII)] if blurred else 0.0
        light = render_uniform(find_light(picture), radius, blur=blur_with_disk_fast)
        name = f"{'blurred' if blurred else 'sharp'}-{number}"
        yield _make_scene(light, name, "whole", number, np.random.default_rng((_SEED, number)))


def _compose_shape_scene(cutter: PartCutter, shape: Shape, place: int, rng: np.random.Generator) -> Scene:
    """Compose a shape; radii go up to the largest in steps."""
    blurred = _space_radii(SHAPE_SCENES)[place]
    return compose_shape(
        cutter, shape, sharp=0.0, blurred=blurred, blurred_is_near=place % NEAR_EVERY == NEAR_EVERY - 1, rng=rng
    )


def _compose_person_scene(cutter: PartCutter, shape: Shape, place: int, rng: np.random.Generator) -> Scene:
    """Compose a person; radii go up to the largest in steps."""
    blurred = _space_radii(PERSON_SCENES)[place]
    near, far = (blurred, 0.0) if place % NEAR_EVERY == NEAR_EVERY - 1 else (0.0, blurred)
    return compose_person(cutter, shape, near=near, far=far, rng=rng)


def _compose_gradual_scene(cutter: PartCutter, shape: Shape, place: int, rng: np.random.Generator) -> Scene:
    """Compose planes with their focus in several places, and slopes in turn."""
    share = place / (GRADUAL_SCENES - 1)
    if place % 2 == 0:
        largest = SCENE_PLANE_RADIUS + SCENE_PLANE_GROWTH * share
        return compose_plane(cutter, shape, focus=share, angle=np.pi / 2 + share, largest=largest, rng=rng)
    slope = SCENE_SLOPE + SCENE_SLOPE_GROWTH * share
    return compose_slope(cutter, shape, sharp=0.0, blurred=SCENE_SLOPE_RADIUS, slope=slope, rng=rng)


def _compose_uniform_scene(cutter: PartCutter, shape: Shape, place: int, rng: np.random.Generator) -> Scene:
    """Compose a scene with one radius."""
    return compose_uniform(cutter, shape, radius=SCENE_UNIFORM_RADII[place], rng=rng)


def _space_radii(count: int) -> list[float]:
    """All radii of what is blurred, px, evenly spaced in the logarithm, large and small ones in turn."""
    radii = np.geomspace(*BLURRED_RADII, count)
    return [float(_round_to_grid(radii[(_RADIUS_STRIDE * place) % count])) for place in range(count)]


def _make_scene(scene: Scene, name: str, family: str, number: int, rng: np.random.Generator) -> MaskScene:
    picture = photograph(scene.light, SCENE_SENSORS[number % len(SCENE_SENSORS)], rng=rng)
    return MaskScene(name, family, picture, scene.radius > BLURRED_ABOVE)


def _draw_sides(rng: np.random.Generator) -> tuple[float, float]:
    """Draw radii of what is in focus and of what is blurred; sometimes both are in focus or both blurred."""
    alike = rng.random() < ALIKE_SHARE
    if not alike:
        return _draw_sharp(rng), draw_blurred(rng)
    draw = _draw_sharp if rng.random() < 0.5 else draw_blurred
    return draw(rng), draw(rng)


def _draw_sharp(rng: np.random.Generator) -> float:
    """Draw a radius of what is in focus, px."""
    return _round_to_grid(float(rng.uniform(*SHARP_RADII)))


def draw_blurred(rng: np.random.Generator) -> float:
    """Draw a radius of what is blurred, px."""
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
        "backdrop": sources.cutouts,
    }
    for name in families:
        if name not in needed:
            msg = f"families must be of {', '.join(needed)}. Got: {name!r}."
            raise ValueError(msg)
        if not needed[name] or not sources.sharp:
            msg = f"families must not name one whose sources are missing. Got: {name!r}."
            raise ValueError(msg)
