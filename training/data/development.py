"""The development set: scenes rendered from pictures that are never trained on, always the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS, MIN_RADIUS
from defocus_edge.psf import decode_srgb, encode_srgb
from synth.depth import fill_holes
from synth.scenes import Layer, Scene, lens_radius, render_depth, render_layers, render_uniform
from synth.sensor import Sensor, take_picture
from training.data.sources import Sources, filter_sharp, load_sources, shrink
from training.edges.crops import label_depth_edges

#: Uniform and composite scenes in the set.
UNIFORM_SCENES = 23
COMPOSITE_SCENES = 20
#: Sources of uniform scenes are reduced by this, beyond what `filter_sharp` does, before they are blurred: with 0.75 of
#: the pictures as they come, radii of 0.5 to 1 px looked up to 0.25 px larger, to our networks and to the authors'.
UNIFORM_REDUCTION = 0.5
#: Uniform scenes have at least so many px on a side: patches are 41 px wide.
LEAST_UNIFORM_SIDE = 96
#: Backgrounds of composites are reduced by this or more, and the persons by more, so that there are backgrounds of
#: their size.
REDUCTION = 0.75
PERSON_REDUCTION = 0.55
#: Foci of the scenes with depth, as quantiles of the picture's disparity, and the largest radius in px.
DEPTH_FOCI = (0.05, 0.5, 0.95)
DEPTH_RADIUS = 6.0
#: The two foci of skimage's motorcycle: the machine and the wall behind it.
MOTORCYCLE_FOCI = (0.9, 0.1)
# Radii of composites in the paper, px; the other layer is in focus (Karaali et al. 2022, section III).
_PAPER_RADII = (1.0, 3.0, 5.0)
_SEED = 2022


@dataclass(frozen=True)
class DevelopmentScene:
    """A picture with the truth about it.

    Attributes
    ----------
    name, family : str
    image : (H, W, 3) ndarray of float32
        RGB in [0, 1].
    radius : (H, W) ndarray of float32
        True blur radius in px, clipped to the levels.
    edge_label : (H, W) ndarray of int8
        What an edge point there would be: 0 pattern edge, 1 depth edge, -1 undecided.
    sharp : (H, W, 3) ndarray of float32, optional
        The scene in focus all over, RGB in [0, 1], not quantized; None where nobody knows it.
    """

    name: str
    family: str
    image: NDArray[np.float32]
    radius: NDArray[np.float32]
    edge_label: NDArray[np.int8]
    sharp: NDArray[np.float32] | None = None


def render_development_set(root: str | Path) -> Iterator[DevelopmentScene]:
    """All scenes of the development set, in a fixed order.

    Parameters
    ----------
    root : str or Path
        As for `load_sources`.

    Yields
    ------
    DevelopmentScene
        Families ``uniform``, ``composite``, ``depth`` and ``motorcycle``.
    """
    sources = load_sources(root, development=True, sharpen=False)
    rng = np.random.default_rng(_SEED)
    yield from _render_uniform_scenes(sources, rng)
    yield from _render_composite_scenes(sources, rng)
    for number, source in enumerate(sources.depth):
        for focus in DEPTH_FOCI:
            scene = _render_lens(source.picture, source.disparity, focus)
            yield _photograph(scene, _find_light(source.picture), f"depth-{number}-focus-{focus}", "depth", rng)
    picture, disparity = load_motorcycle()
    for focus in MOTORCYCLE_FOCI:
        scene = _render_lens(picture, disparity, focus)
        yield _photograph(scene, _find_light(picture), f"motorcycle-focus-{focus}", "motorcycle", rng)


def load_motorcycle() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Left picture and disparity of skimage's motorcycle, at half size, holes filled."""
    from skimage.data import stereo_motorcycle

    left, _, disparity = stereo_motorcycle()
    picture = shrink(left, 0.5)
    small = cv2.resize(disparity.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    holes = ~np.isfinite(small) | (small <= 0)
    return picture, fill_holes(np.where(holes, 0, small).astype(np.float32), holes)


def _render_uniform_scenes(sources: Sources, rng: np.random.Generator) -> Iterator[DevelopmentScene]:
    """Each level once, on pictures spread over all folders."""
    least = LEAST_UNIFORM_SIDE / UNIFORM_REDUCTION
    sharp = [picture for picture in filter_sharp(sources.sharp) if min(picture.shape[:2]) >= least]
    chosen = np.linspace(0, len(sharp) - 1, UNIFORM_SCENES).astype(int)
    for number, level in zip(chosen, rng.permutation(BLUR_LEVELS), strict=True):
        light = _find_light(shrink(sharp[number], UNIFORM_REDUCTION))
        yield _photograph(render_uniform(light, float(level)), light, f"uniform-{number}", "uniform", rng)


def _render_composite_scenes(sources: Sources, rng: np.random.Generator) -> Iterator[DevelopmentScene]:
    """A person over a background, either in focus; the paper's radii and continuous ones in turn."""
    for number in range(COMPOSITE_SCENES):
        cutout = sources.cutouts[number % len(sources.cutouts)]
        light = _find_light(shrink(cutout.picture, PERSON_REDUCTION))
        height, width = light.shape[:2]
        large = [picture for picture in sources.sharp if _find_cover(picture, height, width) <= REDUCTION]
        background = large[int(rng.integers(len(large)))]
        mask = cv2.erode(np.where(cutout.mask >= 128, 1, 0).astype(np.float32), np.ones((3, 3), dtype=np.uint8))
        matte = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
        blurred = float(rng.choice(_PAPER_RADII)) if number % 4 < 2 else float(rng.uniform(1, MAX_RADIUS))
        near, far = (0.0, blurred) if number % 2 == 0 else (blurred, 0.0)
        layers = [Layer(_cover(background, height, width), np.ones_like(matte), far), Layer(light, matte, near)]
        in_focus = render_layers([replace(layer, radius=0.0) for layer in layers])
        yield _photograph(render_layers(layers), in_focus.light, f"composite-{number}", "composite", rng)


def _find_cover(picture: NDArray[np.uint8], height: int, width: int) -> float:
    """Factor by which a picture is scaled to cover height × width."""
    return max(height / picture.shape[0], width / picture.shape[1])


def _cover(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """Light of the middle of a picture, reduced to cover height × width."""
    factor = _find_cover(picture, height, width)
    size = (max(round(picture.shape[1] * factor), width), max(round(picture.shape[0] * factor), height))
    scaled = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return _find_light(scaled[top : top + height, left : left + width])


def _render_lens(picture: NDArray[np.uint8], disparity: NDArray[np.float32], focus: float) -> Scene:
    low, high = np.percentile(disparity, [1, 99])
    at = float(low + focus * (high - low))
    signed = lens_radius(disparity, at, DEPTH_RADIUS, reach=float(max(high - at, at - low)))
    return render_depth(_find_light(picture), np.clip(signed, -DEPTH_RADIUS, DEPTH_RADIUS))


def _find_light(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return decode_srgb(picture / np.float32(255))


def _photograph(
    scene: Scene, in_focus: NDArray[np.float32], name: str, family: str, rng: np.random.Generator
) -> DevelopmentScene:
    """8-bit picture without added noise, and the truth; `in_focus` is the light of the scene without the lens."""
    picture = take_picture(scene.light, Sensor(), rng=rng)
    return DevelopmentScene(
        name,
        family,
        picture.astype(np.float32) / np.float32(255),
        np.clip(scene.radius, MIN_RADIUS, MAX_RADIUS).astype(np.float32),
        label_depth_edges(scene),
        encode_srgb(np.clip(in_focus, 0, 1)),
    )
