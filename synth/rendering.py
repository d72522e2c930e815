"""From a recipe to a sample: picture, radius map, depth edges and mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MAX_RADIUS, RADIUS_STEP
from synth.camera import Lens, take_picture
from synth.loading import SourceError, check_same_size, load_depth, load_mask, load_picture, resize
from synth.readers import Source
from synth.recipes import Recipe
from synth.scenes import Layer, Scene, lens_radius, render_depth, render_gradual, render_layers, render_uniform
from synth.settings import Family

#: Shortest side of a sample in px; chosen.
LEAST_SIDE = 64
#: An object must cover at least this share of the sample and leave at least this share free; chosen.
LEAST_COVER = 0.005
# Inverse depth beyond these quantiles is taken for noise; it gets at most the largest radius.
_DEPTH_QUANTILES = (0.01, 0.99)


@dataclass(frozen=True)
class Sample:
    """A defocused picture and the truth about it.

    Attributes
    ----------
    picture : (H, W, 3) ndarray of uint8
        sRGB.
    radius : (H, W) ndarray of float32
        Blur radius of the nearest surface, px.
    depth_edges : (H, W) ndarray of bool
        Pixels on the nearer side of a depth boundary at which the radius jumps.
    mask : (H, W) ndarray of bool
        True = blurred: a radius above the settings' `mask_radius`.
    """

    picture: NDArray[np.uint8]
    radius: NDArray[np.float32]
    depth_edges: NDArray[np.bool_]
    mask: NDArray[np.bool_]


def render_sample(recipe: Recipe) -> Sample:
    """Make a sample, without the border into which the largest blur mirrors the picture.

    SourceError if a source cannot be read, is too small or does not fit.
    """
    scene = _RENDERERS[recipe.settings.family](recipe)
    inner = find_inner(recipe, scene.radius.shape)
    picture = take_picture(scene.light[inner], recipe.sensor, rng=recipe.noise_generator())
    radius = np.ascontiguousarray(scene.radius[inner])
    return Sample(picture, radius, np.ascontiguousarray(scene.depth_edges[inner]), radius > recipe.settings.mask_radius)


def _render_flat(recipe: Recipe) -> Scene:
    return render_uniform(load_light(recipe), recipe.radii[0], blur=recipe.lens.blur)


def _render_ramp(recipe: Recipe) -> Scene:
    """Scene whose radius grows along one direction, smoothly or in steps of one level."""
    light = load_light(recipe)
    ramp = draw_ramp(recipe, light.shape[:2])
    if recipe.settings.family == "steps":
        ramp = np.rint(ramp / RADIUS_STEP) * RADIUS_STEP
    return render_gradual(light, ramp.astype(np.float32), blur=recipe.lens.blur)


def draw_ramp(recipe: Recipe, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Radius in px that grows from the first to the second radius of a recipe along its direction."""
    rows, cols = np.indices(shape, dtype=np.float32)
    angle = np.deg2rad(recipe.direction)
    along = np.cos(angle) * cols + np.sin(angle) * rows
    low, high = recipe.radii
    return np.asarray(low + (high - low) * (along - along.min()) / np.ptp(along), dtype=np.float64)


def _render_composite(recipe: Recipe) -> Scene:
    """Scene with the object of one picture, or a shape cut from it, in front of another picture."""
    front = recipe.turn.apply(load_picture(recipe.picture))
    back_source = recipe.background or recipe.picture
    back = recipe.background_turn.apply(load_picture(back_source))
    ratio = min(1.0, *(back.shape[axis] / front.shape[axis] for axis in (0, 1)))  # the background is not enlarged
    shape = _find_shape(front.shape, recipe, recipe.picture, ratio=ratio, also=back_source)
    matte = _load_matte(recipe, front, shape)
    border = find_border(recipe)
    cover = float(matte[border:-border, border:-border].mean())
    if not LEAST_COVER <= cover <= 1 - LEAST_COVER:
        culprit = None if recipe.shape is not None else recipe.picture
        raise SourceError(
            f"the object of '{recipe.picture.picture}' must cover a part of the sample. Got: {cover:.1%} of it.",
            culprit,
        )
    near, far = recipe.radii
    layers = [
        Layer(_cover(back, shape), np.ones(shape, dtype=np.float32), far),
        Layer(resize(front, shape), matte, near),
    ]
    return render_layers(layers, blur=recipe.lens.blur)


def _load_matte(recipe: Recipe, front: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Share of each pixel that the object covers, without its rim of one source pixel, where colours are mixed."""
    if recipe.shape is not None:
        mask = recipe.turn.apply(load_mask(recipe.shape), nearest=True)
        return _cover(mask, shape)
    mask = recipe.turn.apply(load_mask(recipe.picture), nearest=True)
    check_same_size(front, mask, recipe.picture)
    return resize(np.asarray(cv2.erode(mask, np.ones((3, 3), dtype=np.uint8)), dtype=np.float32), shape)


def _render_layered(recipe: Recipe) -> Scene:
    light, signed = load_scene(recipe)
    return render_depth(light, signed, blur=recipe.lens.blur)


def load_scene(recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light and signed radius in px of a picture with depth, turned and reduced."""
    picture, inverse = load_picture(recipe.picture), load_depth(recipe.picture)
    check_same_size(picture, inverse, recipe.picture)
    turned = recipe.turn.apply(picture)
    shape = _find_shape(turned.shape, recipe, recipe.picture)
    depth = resize(recipe.turn.apply(inverse, nearest=True), shape, nearest=True)
    low, high, at = np.quantile(depth, (*_DEPTH_QUANTILES, recipe.focus))
    largest = recipe.radii[0]
    signed = lens_radius(depth, float(at), largest, reach=float(max(high - at, at - low)))
    return resize(turned, shape), np.clip(signed, -largest, largest)


def load_light(recipe: Recipe) -> NDArray[np.float32]:
    """The picture of a recipe, turned and reduced."""
    light = recipe.turn.apply(load_picture(recipe.picture))
    return resize(light, _find_shape(light.shape, recipe, recipe.picture))


def find_border(recipe: Recipe) -> int:
    """Width in px, the same for all samples of a run, of the border that is rendered and cut off.

    Blur mixes the mirrored picture into it.
    """
    largest = MAX_RADIUS if recipe.settings.family == "uniform" else recipe.settings.largest
    lens = Lens(recipe.lens.psf, recipe.lens.blades)  # without the angle: all polygons of a run get the same border
    return max(len(lens.kernel(largest)) // 2, 1)


def find_inner(recipe: Recipe, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Part of a rendered picture without its border."""
    border = find_border(recipe)
    return slice(border, shape[0] - border), slice(border, shape[1] - border)


def _find_shape(
    size: tuple[int, ...], recipe: Recipe, source: Source, *, ratio: float = 1.0, also: Source | None = None
) -> tuple[int, int]:
    """Height and width after the reduction; raise if they are too small for a sample."""
    settings = recipe.settings
    factor = min(settings.reduce * ratio, settings.max_side / max(size[:2]))
    shape = (int(size[0] * factor), int(size[1] * factor))
    least = LEAST_SIDE + 2 * find_border(recipe)
    if min(shape) < least:
        name = f"'{source.picture}'" if also is None else f"'{source.picture}' over '{also.picture}'"
        raise SourceError(
            f"{name} must have sides of at least {least} px after reduction. Got: {shape[0]}×{shape[1]}.",
            source if ratio == 1.0 else None,
        )
    return shape


def _cover(picture: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Middle of a picture, cut to the proportions of a shape and reduced to its size."""
    return resize(_cut_to(picture, shape[0] / shape[1]), shape)


def _cut_to(values: NDArray[np.float32], proportion: float) -> NDArray[np.float32]:
    """Largest middle part whose height is `proportion` times its width."""
    height = min(values.shape[0], max(round(values.shape[1] * proportion), 1))
    width = min(values.shape[1], max(round(values.shape[0] / proportion), 1))
    top, left = (values.shape[0] - height) // 2, (values.shape[1] - width) // 2
    return np.ascontiguousarray(values[top : top + height, left : left + width])


_RENDERERS: dict[Family, Callable[[Recipe], Scene]] = {
    "uniform": _render_flat,
    "gradual": _render_ramp,
    "steps": _render_ramp,
    "composite": _render_composite,
    "layered": _render_layered,
}
