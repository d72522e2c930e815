"""Scenes: layers of light, blurred and laid over each other far to near, with the exact radius of each pixel.

Everything here is linear light in [0, 1]; `synth.sensor` makes a picture of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from defocus_edge.psf import blur_with_disk

#: Radii in px of neighbouring slices of a depth map differ by this much.
SLICE_STEP = 0.125
#: A boundary is a depth edge where the radius jumps by at least this much, px.
DEPTH_EDGE_JUMP = 0.5
#: Convolves (H, W) or (H, W, C) values with the point spread function of a radius in px.
Blur = Callable[[NDArray[np.float32], float], NDArray[np.float32]]


@dataclass(frozen=True)
class Layer:
    """What lies at one depth.

    Attributes
    ----------
    light : (H, W, 3) ndarray of float32
        Linear light in [0, 1]; also where the matte is 0, it may be blurred in from there only as the matte says.
    matte : (H, W) ndarray of float32
        Share of the pixel that the layer covers.
    radius : float
        Its blur radius in px.
    """

    light: NDArray[np.float32]
    matte: NDArray[np.float32]
    radius: float


@dataclass(frozen=True)
class Scene:
    """Light on the sensor and the truth about it.

    Attributes
    ----------
    light : (H, W, 3) ndarray of float32
        Linear light in [0, 1].
    radius : (H, W) ndarray of float32
        Blur radius of the nearest surface at each pixel, px.
    depth_edges : (H, W) ndarray of bool
        Pixels on the nearer side of a depth boundary at which the radius jumps.
    near_radius : (H, W) ndarray of float32
        At depth edges the radius of the nearer side, px: how far it spills over the other; 0 elsewhere.
    """

    light: NDArray[np.float32]
    radius: NDArray[np.float32]
    depth_edges: NDArray[np.bool_]
    near_radius: NDArray[np.float32]


def render_uniform(light: NDArray[np.float32], radius: float, *, blur: Blur = blur_with_disk) -> Scene:
    """A flat picture, blurred as a whole.

    Parameters
    ----------
    light : (H, W, 3) ndarray of float32
    radius : float
        px.
    blur : callable
        The lens: another point spread function than the disk. Must keep constant light constant.

    Returns
    -------
    Scene
    """
    shape = light.shape[:2]
    return Scene(
        blur(light, radius),
        np.full(shape, radius, dtype=np.float32),
        np.zeros(shape, dtype=bool),
        np.zeros(shape, dtype=np.float32),
    )


def render_gradual(light: NDArray[np.float32], radius: NDArray[np.float32], *, blur: Blur = blur_with_disk) -> Scene:
    """One surface whose blur changes slowly (a ramp, steps of 0.25 px): all its edges are pattern edges.

    Parameters
    ----------
    light : (H, W, 3) ndarray of float32
    radius : (H, W) ndarray of float32
        px. Rounded to steps of 0.125 px.
    blur : callable
        The lens: another point spread function than the disk. Must keep constant light constant.

    Returns
    -------
    Scene
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
    """Lay blurred layers over each other, far to near.

    Parameters
    ----------
    layers : sequence of Layer
        The farthest first; its matte is taken as 1 everywhere.
    blur : callable
        The lens: another point spread function than the disk. Must keep constant light constant.

    Returns
    -------
    Scene

    Raises
    ------
    ValueError
        Without layers.

    Notes
    -----
    out = blur(α L, r) + (1 - blur(α, r)) · out for each layer: a nearer blurred one spills over what is behind it, a
    farther one does not spill over what is in front.
    """
    if not layers:
        msg = "layers must hold at least one layer. Got: none."
        raise ValueError(msg)
    first, *others = layers
    light = blur(first.light, first.radius)
    radius = np.full(light.shape[:2], first.radius, dtype=np.float32)
    edges = np.zeros(radius.shape, dtype=bool)
    near = np.zeros(radius.shape, dtype=np.float32)
    for layer in others:
        matte = blur(layer.matte, layer.radius)[..., None]
        light = blur(layer.light * layer.matte[..., None], layer.radius) + (1 - matte) * light
        covered = layer.matte >= 0.5
        rim = covered & ~ndimage.binary_erosion(covered, border_value=1)
        # What was seen just outside the rim is what the radius jumps to.
        outside = ndimage.grey_dilation(np.where(covered, -1, radius), size=(3, 3))
        jump = rim & (np.abs(outside - layer.radius) >= DEPTH_EDGE_JUMP) & (outside >= 0)
        edges[covered], near[covered] = False, 0
        edges[jump], near[jump] = True, layer.radius
        radius[covered] = layer.radius
    return Scene(light, radius, edges, near)


def render_depth(
    light: NDArray[np.float32], signed_radius: NDArray[np.float32], *, blur: Blur = blur_with_disk
) -> Scene:
    """A picture with depth through a thin lens.

    Parameters
    ----------
    light : (H, W, 3) ndarray of float32
    signed_radius : (H, W) ndarray of float32
        Radius in px, positive in front of the focus, negative behind it: see `lens_radius`.
    blur : callable
        The lens: another point spread function than the disk. Must keep constant light constant.

    Returns
    -------
    Scene

    Notes
    -----
    The picture is cut into slices of 0.125 px. Each slice is one layer that goes on under the nearer ones, where its
    light is filled in from its nearest visible pixel, but only as far as it can be seen under their blurred rims: a
    slice that is more blurred than what covers it would else spill out around things that it is nowhere near.
    """
    slices = np.rint(signed_radius / SLICE_STEP).astype(np.int32)
    numbers = np.unique(slices)
    largest = float(np.abs(numbers).max()) * SLICE_STEP
    blurred = np.zeros_like(light)
    for number in numbers:
        covered = slices >= number
        # A surface that goes on smoothly into the next slices is itself what lies beneath them.
        surface = covered & (slices <= number + DEPTH_EDGE_JUMP / SLICE_STEP)
        distance, (rows, cols) = ndimage.distance_transform_edt(~surface, return_indices=True)
        radius = abs(float(number)) * SLICE_STEP
        # A nearer slice is open inwards from its rim as far as its radius; what is seen there comes from beyond.
        seen = covered & (distance <= radius + largest + 1)
        matte = np.where(number == numbers[0], np.float32(1), seen).astype(np.float32)  # nothing is behind the first
        own = blur(light[rows, cols] * matte[..., None], radius)
        blurred = own + (1 - blur(matte, radius)[..., None]) * blurred
    rounded = (slices * SLICE_STEP).astype(np.float32)
    edges = rounded - ndimage.grey_erosion(rounded, size=(3, 3)) >= DEPTH_EDGE_JUMP
    return Scene(np.asarray(blurred), np.abs(rounded), edges, np.where(edges, np.abs(rounded), 0).astype(np.float32))


def lens_radius(
    inverse_depth: NDArray[np.float32], focus: float, largest: float, *, reach: float | None = None
) -> NDArray[np.float32]:
    """Signed radius behind a thin lens, proportional to 1/depth - 1/focus.

    Parameters
    ----------
    inverse_depth : (H, W) ndarray of float32
        1/depth or disparity, any unit; larger is nearer.
    focus : float
        The inverse depth in focus, same unit.
    largest : float
        Largest radius of the scene in px: the aperture.
    reach : float, optional
        The |1/depth - 1/focus| that has the largest radius; the largest in the picture unless given.

    Returns
    -------
    (H, W) ndarray of float32
        px, positive in front of the focus.

    Raises
    ------
    ValueError
        If `largest` is negative.
    """
    if largest < 0:
        msg = f"largest must be a radius in px >= 0. Got: {largest}."
        raise ValueError(msg)
    difference = inverse_depth - np.float32(focus)
    farthest = float(np.abs(difference).max()) if reach is None else reach
    return (difference * np.float32(largest / max(farthest, 1e-30))).astype(np.float32)  # 1e-30: all in focus
