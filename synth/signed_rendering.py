"""From a recipe to a sample with signed radii: a dual-pixel pair or a coded picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from synth.apertures import MASKS, blur_coded, blur_left, blur_right
from synth.camera import Sensor, take_picture
from synth.recipes import Recipe
from synth.rendering import draw_ramp, find_inner, load_light, load_scene
from synth.scenes import Blur, Scene, render_depth, render_gradual


@dataclass(frozen=True)
class Pair:
    """Both views of a dual-pixel sensor and the truth about them.

    Attributes
    ----------
    left, right : (H, W, 3) ndarray of uint8
        Light through the left and the right half of the lens, as the photographer sees it; sRGB. The noise of
        the two differs.
    sharp : (H, W, 3) ndarray of uint8
        The scene without blur and noise; sRGB.
    radius : (H, W) ndarray of float32
        Blur radius of the nearest surface in px, positive in front of the focus and negative behind it.
    """

    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    sharp: NDArray[np.uint8]
    radius: NDArray[np.float32]


@dataclass(frozen=True)
class CodedPicture:
    """A picture through a mask in the aperture and the truth about it.

    Attributes
    ----------
    picture : (H, W, 3) ndarray of uint8
        sRGB.
    radius : (H, W) ndarray of float32
        Blur radius of the nearest surface in px, positive in front of the focus and negative behind it.
    """

    picture: NDArray[np.uint8]
    radius: NDArray[np.float32]


def render_pair(recipe: Recipe) -> Pair:
    """Make a dual-pixel pair, without the border that blur mirrors; SourceError as `render_sample` raises it."""
    light, radius = _load(recipe)
    inner = find_inner(recipe, radius.shape)
    rng = recipe.noise_generator()
    scenes = [_render(recipe, light, radius, blur) for blur in (blur_left, blur_right)]
    left, right = (take_picture(scene.light[inner], recipe.sensor, rng=rng) for scene in scenes)
    sharp = take_picture(light[inner], Sensor(), rng=rng)
    return Pair(left, right, sharp, np.ascontiguousarray(scenes[0].radius[inner]))


def render_coded(recipe: Recipe) -> CodedPicture:
    """Make a coded picture, without the border that blur mirrors; SourceError as `render_sample` raises it."""
    light, radius = _load(recipe)
    inner = find_inner(recipe, radius.shape)
    scene = _render(recipe, light, radius, partial(blur_coded, mask=MASKS[recipe.mask]))
    picture = take_picture(scene.light[inner], recipe.sensor, rng=recipe.noise_generator())
    return CodedPicture(picture, np.ascontiguousarray(scene.radius[inner]))


def _load(recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light and signed radius: a scene with depth, or a plane that crosses the focus."""
    if recipe.picture.depth is not None:
        return load_scene(recipe)
    light = load_light(recipe)
    return light, draw_ramp(recipe, light.shape[:2]).astype(np.float32)


def _render(recipe: Recipe, light: NDArray[np.float32], radius: NDArray[np.float32], blur: Blur) -> Scene:
    """Blur with signed radii; a plane has no depth edges."""
    if recipe.picture.depth is not None:
        return render_depth(light, radius, blur=blur, keep_sign=True)
    return render_gradual(light, radius, blur=blur)


#: Renderers of the signed families.
RENDERERS: MappingProxyType[str, Callable[[Recipe], Pair | CodedPicture]] = MappingProxyType(
    {"dual": render_pair, "coded": render_coded}
)
