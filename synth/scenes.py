"""Scenes: layers of light, blurred and laid over each other from far to near, with the exact radius of each pixel.

All light is linear, in [0, 1]; `synth.camera` makes a picture of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from defocus_edge.psf import blur_with_disk

#: Step in px between the radii of neighbouring slices of a depth map; half a blur level.
SLICE_STEP = 0.125
#: A boundary is a depth edge where the radius jumps by at least this much, px: two blur levels.
DEPTH_EDGE_JUMP = 0.5
#: A layer is the nearest surface of a pixel if it covers at least this share.
_COVERED = 0.5
# Smallest range of inverse depth: keeps a scene that is in focus everywhere from a division by zero.
_LEAST_REACH = 1e-30
#: A lens: convolves (H, W) or (H, W, C) values with its point spread function for a radius in px. Constant light must
#: stay constant.
Blur = Callable[[NDArray[np.float32], float], NDArray[np.float32]]


@dataclass(frozen=True)
class Layer:
    """Surface at one depth.

    Attributes
    ----------
    light : (H, W, 3) ndarray of float32
        Linear light in [0, 1]; it counts only as far as the matte covers it.
    matte : (H, W) ndarray of float32
        Share of each pixel that the layer covers.
    radius : float
        Blur radius of the layer in px.
    """

    light: NDArray[np.float32]
    matte: NDArray[np.float32]
    radius: float


@dataclass(frozen=True)
class Scene:
    """Light on the sensor, and the true blur.

    Attributes
    ----------
    light : (H, W, 3) ndarray of float32
        Linear light in [0, 1].
    radius : (H, W) ndarray of float32
        Blur radius of the nearest surface at each pixel, px; signed if the scene was rendered with signed radii.
    depth_edges : (H, W) ndarray of bool
        Pixels on the nearer side of a depth boundary at which the radius jumps.
    near_radius : (H, W) ndarray of float32
        Radius in px of the nearer side at depth edges, which tells how far it spills over the other; 0 elsewhere.
    """

    light: NDArray[np.float32]
    radius: NDArray[np.float32]
    depth_edges: NDArray[np.bool_]
    near_radius: NDArray[np.float32]


def render_uniform(light: NDArray[np.float32], radius: float, *, blur: Blur = blur_with_disk) -> Scene:
    """A flat picture, blurred as a whole with one `radius` in px."""
    shape = light.shape[:2]
    return Scene(
        blur(light, radius),
        np.full(shape, radius, dtype=np.float32),
        np.zeros(shape, dtype=bool),
        np.zeros(shape, dtype=np.float32),
    )


def render_gradual(light: NDArray[np.float32], radius: NDArray[np.float32], *, blur: Blur = blur_with_disk) -> Scene:
    """One surface whose `radius` in px changes slowly (a ramp, steps of 0.25 px): all its edges are pattern edges.

    The radius is rounded to steps of 0.125 px. It may be signed if `blur` takes signed radii.
    """
    steps = np.rint(radius / SLICE_STEP).astype(np.int32)
    blurred = np.empty_like(light)
    for step in np.unique(steps):
        here = steps == step
        blurred[here] = blur(light, float(step) * SLICE_STEP)[here]
    empty = np.zeros(light.shape[:2], dtype=np.float32)
    rounded = (steps * SLICE_STEP).astype(np.float32)
    return Scene(blurred, rounded, empty.astype(bool), empty)


def render_layers(layers: Sequence[Layer], *, blur: Blur = blur_with_disk) -> Scene:
    """Lay blurred layers over each other, the farthest first; the matte of the farthest counts as 1 everywhere.

    out = blur(α L, r) + (1 - blur(α, r)) · out for each layer: a blurred layer spills over those behind it, not over
    those in front. ValueError without layers.
    """
    if not layers:
        raise ValueError("layers must hold at least one layer. Got: none.")
    first, *others = layers
    light = blur(first.light, first.radius)
    radius = np.full(light.shape[:2], first.radius, dtype=np.float32)
    edges = np.zeros(radius.shape, dtype=bool)
    near = np.zeros(radius.shape, dtype=np.float32)
    for layer in others:
        matte = blur(layer.matte, layer.radius)[..., None]
        light = blur(layer.light * layer.matte[..., None], layer.radius) + (1 - matte) * light
        covered = layer.matte >= _COVERED
        rim = covered & ~ndimage.binary_erosion(covered, border_value=1)
        # The radius jumps to what was visible just outside the rim.
        outside = ndimage.grey_dilation(np.where(covered, -1, radius), size=(3, 3))
        jump = rim & (np.abs(outside - layer.radius) >= DEPTH_EDGE_JUMP) & (outside >= 0)
        edges[covered], near[covered] = False, 0
        edges[jump], near[jump] = True, layer.radius
        radius[covered] = layer.radius
    return Scene(light, radius, edges, near)


def render_depth(
    light: NDArray[np.float32],
    signed_radius: NDArray[np.float32],
    *,
    blur: Blur = blur_with_disk,
    keep_sign: bool = False,
) -> Scene:
    """A picture with depth, seen through a thin lens.

    `signed_radius` in px is positive in front of the focus and negative behind it, see `lens_radius`. The picture is
    cut into slices of 0.125 px. Each slice is a layer that continues under the nearer ones with the light of its
    nearest visible pixel, but only as far as it can be seen under their blurred rims. Without that limit a slice that
    is more blurred than the ones in front of it would spill out around objects far from it.

    With `keep_sign`, `blur` is called with signed radii, and the radius of the scene is signed.
    """
    slices = np.rint(signed_radius / SLICE_STEP).astype(np.int32)
    numbers = np.unique(slices)
    largest = float(np.abs(numbers).max()) * SLICE_STEP
    blurred = np.zeros_like(light)
    for number in numbers:
        covered = slices >= number
        # A surface that continues smoothly into the next slices lies beneath them itself.
        surface = covered & (slices <= number + DEPTH_EDGE_JUMP / SLICE_STEP)
        distance, (rows, cols) = ndimage.distance_transform_edt(~surface, return_indices=True)
        radius = abs(float(number)) * SLICE_STEP
        # A blurred slice is transparent inwards from its rim as far as its radius: there one sees what is behind.
        seen = covered & (distance <= radius + largest + 1)
        matte = np.where(number == numbers[0], np.float32(1), seen).astype(np.float32)  # nothing is behind the first
        asked = float(number) * SLICE_STEP if keep_sign else radius
        own = blur(light[rows, cols] * matte[..., None], asked)
        blurred = own + (1 - blur(matte, asked)[..., None]) * blurred
    rounded = (slices * SLICE_STEP).astype(np.float32)
    edges = rounded - ndimage.grey_erosion(rounded, size=(3, 3)) >= DEPTH_EDGE_JUMP
    size = np.abs(rounded)
    near = np.where(edges, size, 0).astype(np.float32)
    return Scene(np.asarray(blurred), rounded if keep_sign else size, edges, near)


def lens_radius(
    inverse_depth: NDArray[np.float32], focus: float, largest: float, *, reach: float | None = None
) -> NDArray[np.float32]:
    """Signed blur radius in px behind a thin lens, proportional to 1/depth - 1/focus; positive in front of the focus.

    Parameters
    ----------
    inverse_depth : (H, W) ndarray of float32
        1/depth or disparity, any unit; larger is nearer.
    focus : float
        Inverse depth in focus, same unit.
    largest : float
        Largest radius of the scene in px, >= 0, which stands for the aperture.
    reach : float, optional
        The |1/depth - 1/focus| that has the largest radius; the largest of the picture by default.
    """
    if largest < 0:
        raise ValueError(f"largest must be a radius in px >= 0. Got: {largest}.")
    difference = inverse_depth - np.float32(focus)
    farthest = float(np.abs(difference).max()) if reach is None else reach
    return (difference * np.float32(largest / max(farthest, _LEAST_REACH))).astype(np.float32)
