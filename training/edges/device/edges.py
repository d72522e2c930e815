"""Edge points and their labels on the accelerator, a batch of crops at a time."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from defocus_edge.blur_levels import MIN_RADIUS, N_LEVELS, RADIUS_STEP
from defocus_edge.estimation.edges import NOISE_GAIN, NORMAL_MEDIAN, EdgeSettings
from defocus_edge.psf import LUMA
from synth.scenes import DEPTH_EDGE_JUMP
from training.data.camera import LARGEST_RADIUS
from training.data.labels import (
    DEPTH_EDGE_SHARE,
    LEAST_DEPTH_EDGE,
    LEAST_UNDECIDED,
    UNDECIDED,
    UNDECIDED_MARGIN,
)
from training.edges.batches import Balance
from training.edges.device.lazy_jax import jax, jnp

#: Largest distance in px by which an edge is followed from its strong points along its weak ones.
HYSTERESIS_REACH = 16
#: The label of a point depends on the matte up to this many px away: the undecided band of the largest radius, and the
#: neighbours that make a pixel part of the rim.
LABEL_REACH = int(LARGEST_RADIUS + UNDECIDED_MARGIN) + 1
# Bounds of the sectors of a gradient's direction.
_TAN_22, _TAN_67 = np.tan(np.deg2rad([22.5, 67.5])).tolist()
# Farther than any distance that matters, squared px.
_FAR = 1e6


def find_edges(images: Any, quantile: Any, *, settings: EdgeSettings | None = None) -> Any:
    """`defocus_edge.estimation.edges.find_edges` on a batch, with the hysteresis cut short.

    Returns a (B, H, W) array of bool.

    Parameters
    ----------
    images : (B, H, W, 3) array of float32
        RGB in [0, 1].
    quantile : (B,) array of float32
        Quantile of the gradient magnitudes of each picture, instead of `EdgeSettings.high_quantile`.

    Notes
    -----
    Following an edge to its end takes as many steps as the edge is long, so it cannot be vectorized. Here weak points
    count up to 16 px along the edge from a strong one; Canny also finds the few that are farther away.
    """
    settings = settings or EdgeSettings()
    luminance = (images * LUMA).sum(axis=-1)
    grad_x, grad_y = _find_gradient(luminance, settings.sigma)
    magnitude = jnp.hypot(grad_x, grad_y)
    noise = settings.noise_factor * _find_noise(luminance, settings.sigma)
    own = jax.vmap(jnp.quantile)(magnitude, quantile)
    high = jnp.maximum(jnp.maximum(own, noise), settings.floor)[:, None, None]
    weak = _suppress(grad_x, grad_y, magnitude) & (magnitude > settings.low_ratio * high)
    edges = weak & (magnitude > high)
    for _ in range(HYSTERESIS_REACH):
        edges = weak & jax.lax.reduce_window(edges, False, jnp.logical_or, (1, 3, 3), (1, 1, 1), "same")
    return edges


def _find_gradient(luminance: Any, sigma: float) -> tuple[Any, Any]:
    """Scharr's derivatives of the smoothed luminance; borders are mirrored."""
    # As many taps as OpenCV uses for floats.
    kernel = cv2.getGaussianKernel(round(sigma * 8 + 1) | 1, sigma).ravel().tolist()
    smooth = _correlate(_correlate(luminance, kernel, axis=1), kernel, axis=2)
    smoothing, derivative = [3 / 16, 10 / 16, 3 / 16], [-0.5, 0, 0.5]
    grad_x = _correlate(_correlate(smooth, smoothing, axis=1), derivative, axis=2)
    grad_y = _correlate(_correlate(smooth, smoothing, axis=2), derivative, axis=1)
    return grad_x, grad_y


def _correlate(values: Any, weights: list[float], *, axis: int) -> Any:
    """Correlate along one axis as a sum of shifts: accelerators round the inputs of a convolution to fewer bits."""
    size, half = values.shape[axis], len(weights) // 2
    padded = jnp.take(values, np.pad(np.arange(size), half, mode="symmetric"), axis=axis)
    return sum(
        weight * (padded[:, shift : shift + size] if axis == 1 else padded[:, :, shift : shift + size])
        for shift, weight in enumerate(weights)
        if weight
    )


def _find_noise(luminance: Any, sigma: float) -> Any:
    """Standard deviation of the smoothed gradient that white noise alone would give, as `find_edges` has it."""
    second = jnp.diff(jnp.diff(luminance, n=2, axis=1), n=2, axis=2)
    median = jnp.median(jnp.abs(second), axis=(1, 2))
    return median / (NORMAL_MEDIAN * NOISE_GAIN * np.sqrt(8 * np.pi).item() * sigma**2)


def _suppress(grad_x: Any, grad_y: Any, magnitude: Any) -> Any:
    """Whether the magnitude is largest along the gradient's direction; among equal ones as OpenCV chooses."""
    _, height, width = magnitude.shape
    padded = jnp.pad(magnitude, [[0, 0], [1, 1], [1, 1]])

    def look(row: int, col: int) -> Any:
        return padded[:, 1 + row : 1 + row + height, 1 + col : 1 + col + width]

    steep, flat = jnp.abs(grad_y), jnp.abs(grad_x)
    horizontal = (magnitude > look(0, -1)) & (magnitude >= look(0, 1))
    vertical = (magnitude > look(-1, 0)) & (magnitude >= look(1, 0))
    falling = (magnitude > look(-1, -1)) & (magnitude > look(1, 1))
    rising = (magnitude > look(-1, 1)) & (magnitude > look(1, -1))
    diagonal = jnp.where(grad_x * grad_y < 0, rising, falling)
    return jnp.where(steep < _TAN_22 * flat, horizontal, jnp.where(steep > _TAN_67 * flat, vertical, diagonal))


def label_rim(covered: Any, near: Any, behind: Any, hidden: Any) -> Any:
    """E-NET label around the rim of a layer over other layers, as `training.data.labels.label_depth_edges`.

    Returns (B, H - 2n, W - 2n) float32 with 0, 1 or `UNDECIDED`, without a border of n = `LABEL_REACH` px.

    Parameters
    ----------
    covered : (B, H, W) array of bool
        Where the layer is.
    near : (B, 1, 1) array
        Radius of the layer, px.
    behind : (B, H, W) array
        Radius of what is behind it, px.
    hidden : (B, H, W) array of bool
        Where something nearer covers the layer.
    """
    inside = covered[:, :-2, 1:-1] & covered[:, 2:, 1:-1] & covered[:, 1:-1, :-2] & covered[:, 1:-1, 2:]
    # The largest radius around the layer is what the radius jumps to.
    around = jnp.where(covered, -1.0, behind)
    outside = jax.lax.reduce_window(around, -1.0, jax.lax.max, (1, 3, 3), (1, 1, 1), "valid")
    jumps = (jnp.abs(outside - near) >= DEPTH_EDGE_JUMP) & (outside >= 0)
    rim = covered[:, 1:-1, 1:-1] & ~inside & jumps & ~hidden[:, 1:-1, 1:-1]
    distance = _square_distance(rim, LABEL_REACH - 1)
    end = jnp.maximum(LEAST_UNDECIDED, near + UNDECIDED_MARGIN)
    undecided = jnp.where(distance <= end**2, float(UNDECIDED), 0.0)
    return jnp.where(distance <= jnp.maximum(LEAST_DEPTH_EDGE, DEPTH_EDGE_SHARE * near) ** 2, 1.0, undecided)


def _square_distance(marked: Any, reach: int) -> Any:
    """Squared distance to the nearest marked pixel, exact up to `reach` px; a border of that width is left out."""
    _, height, width = marked.shape
    rows, cols = height - 2 * reach, width - 2 * reach
    distance = jnp.where(marked, 0.0, _FAR)
    shifts = [(shift, float((shift - reach) ** 2)) for shift in range(2 * reach + 1)]
    # The nearest marked pixel in each column, then the nearest of all columns: the squares add up.
    column: Any = _FAR
    for shift, square in shifts:
        column = jnp.minimum(column, distance[:, shift : shift + rows] + square)
    nearest: Any = _FAR
    for shift, square in shifts:
        nearest = jnp.minimum(nearest, column[:, :, shift : shift + cols] + square)
    return nearest


def stratify(radius: Any, label: Any, balance: Balance) -> Any:
    """Strata that the choice of points is balanced over, as in `CropSampler`; points of stratum -1 only fill up.

    `radius` (within the levels), `label` (of E-NET) and the result are float32 tensors of one shape.
    """
    if balance == "depth edges":
        return label
    level = jnp.clip(jnp.round((radius - MIN_RADIUS) / RADIUS_STEP), 0, N_LEVELS - 1)
    return jnp.where(label == 1, -1.0, level)


def choose_balanced(edges: Any, strata: Any, count: int, chance: Any) -> tuple[Any, Any]:
    """`training.data.labels.choose_balanced` on a batch.

    Parameters
    ----------
    edges : (B, P) array of bool
        Whether a point may be chosen.
    strata : (B, P) array of float32
        Whole numbers from -1 to 22; -1 only fills up.
    count : int
        At most P.
    chance : (B, P) array of float32
        Random in [0, 1).

    Returns
    -------
    chosen : (B, count) array of integers
        Each a different point.
    valid : (B, count) array of bool
        Whether the point may be chosen; points that may not come last.

    Notes
    -----
    Sorting by stratum and chance puts each stratum's points in random order. The places in that order are the ranks;
    the lowest ranks are taken. If the room ends within a rank, strata with more points come first, as on the CPU.
    """
    size = edges.shape[1]
    fill, out = float(N_LEVELS), float(N_LEVELS + 1)
    groups = jnp.where(edges, jnp.where(strata < 0, fill, strata), out)
    # Less than 1 also after rounding: no point may slip into the next group.
    order = jnp.argsort(groups + 0.99 * chance, axis=-1)
    groups = jnp.take_along_axis(groups, order, axis=-1)
    # Place of the first point of each group: how many are in lower ones.
    numbers = np.arange(N_LEVELS + 2)
    starts = (groups[..., None] < numbers).sum(axis=1)
    first = jnp.take_along_axis(starts, groups.astype(jnp.int32), axis=-1)
    rank = np.arange(size) - first
    rank = rank + jnp.where(groups == fill, float(size), 0.0) + jnp.where(groups == out, 2.0 * size, 0.0)
    _, place = jax.lax.top_k(-(rank + jnp.take_along_axis(chance, order, axis=-1)), count)
    return jnp.take_along_axis(order, place, axis=-1), jnp.take_along_axis(groups, place, axis=-1) < out
