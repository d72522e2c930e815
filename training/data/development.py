"""The development set: scenes rendered from pictures that are never trained on, always the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS, MIN_RADIUS
from defocus_edge.psf import encode_srgb
from synth.camera import Sensor
from synth.depth import fill_holes
from synth.scenes import Layer, Scene, lens_radius, render_depth, render_layers, render_uniform
from training.data.labels import label_depth_edges
from training.data.photographs import find_light, photograph
from training.data.sources import Sources, filter_sharp, find_inside, load_sources, shrink

#: Number of uniform scenes, one for each level, and of composite scenes.
UNIFORM_SCENES = 23
COMPOSITE_SCENES = 20
#: Factor by which sources of uniform scenes are reduced after `filter_sharp`, before they are blurred. Pictures that
#: were only reduced to 0.75 made radii of 0.5 to 1 px look up to 0.25 px larger (measured, by our networks and by the
#: authors').
UNIFORM_REDUCTION = 0.5
#: Least side of a uniform scene in px. Patches are 41 px wide.
LEAST_UNIFORM_SIDE = 96
#: Factors by which the backgrounds of composites (at most this) and the persons are reduced. Persons are reduced by
#: more, so that there are backgrounds of their size.
REDUCTION = 0.75
PERSON_REDUCTION = 0.55
#: Foci of the scenes with depth, as quantiles of the disparities of the picture, and their largest radius in px.
DEPTH_FOCI = (0.05, 0.5, 0.95)
DEPTH_RADIUS = 6.0
#: Foci of skimage's motorcycle: the machine and the wall behind it.
MOTORCYCLE_FOCI = (0.9, 0.1)
# Percentiles of the disparities between which the foci lie; values beyond them are noise.
_DISPARITY_PERCENTILES = (1, 99)
# Radii of composites in px; the other layer is in focus (Karaali, Harte, Jung 2022, section III).
_PAPER_RADII = (1.0, 3.0, 5.0)
# Every other pair of composites has one of the paper's radii, the rest any radius from 1 px on.
_LEAST_COMPOSITE_RADIUS = 1.0
_SEED = 2022


@dataclass(frozen=True)
class DevelopmentScene:
    """A picture with the truth about it."""

    #: Names of the scene and of its family.
    name: str
    family: str
    #: (H, W, 3) RGB in [0, 1].
    image: NDArray[np.float32]
    #: (H, W) true blur radius in px, clipped to the levels.
    radius: NDArray[np.float32]
    #: (H, W) label of each pixel if it is an edge point: 0 pattern edge, 1 depth edge, -1 undecided.
    edge_label: NDArray[np.int8]
    #: (H, W, 3) the scene in focus all over, RGB in [0, 1], not quantized; None if it is not known.
    sharp: NDArray[np.float32] | None = None


def render_development_set(root: str | Path) -> Iterator[DevelopmentScene]:
    """Render all scenes of the development set, in a fixed order.

    `root` is as for `load_sources`. The families are ``uniform``, ``composite``, ``depth`` and ``motorcycle``.
    """
    sources = load_sources(root, development=True, sharpen=False)
    rng = np.random.default_rng(_SEED)
    yield from _render_uniform_scenes(sources, rng)
    yield from _render_composite_scenes(sources, rng)
    for number, source in enumerate(sources.depth):
        for focus in DEPTH_FOCI:
            light = find_light(source.picture)
            scene = render_lens(light, source.disparity, focus)
            yield photograph_scene(scene, f"depth-{number}-focus-{focus}", "depth", rng, in_focus=light)
    picture, disparity = load_motorcycle()
    light = find_light(picture)
    for focus in MOTORCYCLE_FOCI:
        scene = render_lens(light, disparity, focus)
        yield photograph_scene(scene, f"motorcycle-focus-{focus}", "motorcycle", rng, in_focus=light)


def photograph_scene(
    scene: Scene,
    name: str,
    family: str,
    rng: np.random.Generator,
    *,
    in_focus: NDArray[np.float32] | None = None,
    largest: float = MAX_RADIUS,
    sensor: Sensor | None = None,
) -> DevelopmentScene:
    """Take an 8-bit picture of a rendered scene, without added noise unless a sensor is given, and keep the truth.

    `in_focus`, (H, W, 3), is the linear light of the scene without the lens. True radii are clipped to `largest` px
    from above, and to the first level from below.
    """
    return DevelopmentScene(
        name,
        family,
        photograph(scene.light, sensor or Sensor(), rng=rng),
        np.clip(scene.radius, MIN_RADIUS, largest).astype(np.float32),
        label_depth_edges(scene),
        None if in_focus is None else encode_srgb(np.clip(in_focus, 0, 1)),
    )


def load_motorcycle() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Load the left picture and the disparity of skimage's motorcycle, at half size and with holes filled."""
    from skimage.data import stereo_motorcycle

    left, _, disparity = stereo_motorcycle()
    picture = shrink(left, 0.5)
    small = cv2.resize(disparity.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    holes = ~np.isfinite(small) | (small <= 0)
    return picture, fill_holes(np.where(holes, 0, small).astype(np.float32), holes)


def _render_uniform_scenes(sources: Sources, rng: np.random.Generator) -> Iterator[DevelopmentScene]:
    """Render each level once, on pictures spread over all folders."""
    least = LEAST_UNIFORM_SIDE / UNIFORM_REDUCTION
    sharp = [picture for picture in filter_sharp(sources.sharp) if min(picture.shape[:2]) >= least]
    chosen = np.linspace(0, len(sharp) - 1, UNIFORM_SCENES).astype(int)
    for number, level in zip(chosen, rng.permutation(BLUR_LEVELS), strict=True):
        light = find_light(shrink(sharp[number], UNIFORM_REDUCTION))
        scene = render_uniform(light, float(level))
        yield photograph_scene(scene, f"uniform-{number}", "uniform", rng, in_focus=light)


def _render_composite_scenes(sources: Sources, rng: np.random.Generator) -> Iterator[DevelopmentScene]:
    """Render persons over backgrounds, one of the two in focus; the paper's radii and any radii in turn."""
    for number in range(COMPOSITE_SCENES):
        cutout = sources.cutouts[number % len(sources.cutouts)]
        light = find_light(shrink(cutout.picture, PERSON_REDUCTION))
        height, width = light.shape[:2]
        large = [picture for picture in sources.sharp if _find_cover(picture, height, width) <= REDUCTION]
        background = large[int(rng.integers(len(large)))]
        matte = cv2.resize(find_inside(cutout.mask), (width, height), interpolation=cv2.INTER_AREA)
        any_radius = number % 4 >= 2
        blurred = float(rng.uniform(_LEAST_COMPOSITE_RADIUS, MAX_RADIUS) if any_radius else rng.choice(_PAPER_RADII))
        near, far = (0.0, blurred) if number % 2 == 0 else (blurred, 0.0)
        layers = [Layer(_cover(background, height, width), np.ones_like(matte), far), Layer(light, matte, near)]
        in_focus = render_layers([replace(layer, radius=0.0) for layer in layers])
        scene = render_layers(layers)
        yield photograph_scene(scene, f"composite-{number}", "composite", rng, in_focus=in_focus.light)


def _find_cover(picture: NDArray[np.uint8], height: int, width: int) -> float:
    """Factor by which a picture is scaled to cover height × width."""
    return max(height / picture.shape[0], width / picture.shape[1])


def _cover(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """Light of the middle of a picture that is reduced until it just covers height × width."""
    factor = _find_cover(picture, height, width)
    size = (max(round(picture.shape[1] * factor), width), max(round(picture.shape[0] * factor), height))
    scaled = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return find_light(scaled[top : top + height, left : left + width])


def render_lens(
    light: NDArray[np.float32], disparity: NDArray[np.float32], focus: float, *, largest: float = DEPTH_RADIUS
) -> Scene:
    """See a scene through a thin lens that is focused at a share of the range of disparities.

    `largest` is the radius in px at the end of the range that is farther from the focus.
    """
    low, high = np.percentile(disparity, _DISPARITY_PERCENTILES)
    at = float(low + focus * (high - low))
    signed = lens_radius(disparity, at, largest, reach=float(max(high - at, at - low)))
    return render_depth(light, np.clip(signed, -largest, largest))
