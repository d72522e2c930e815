"""Edge points and their labels on the accelerator, a batch of crops at a time."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from keras import ops

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

    Returns a (B, H, W) tensor of bool.

    Parameters
    ----------
    images : (B, H, W, 3) tensor of float32
        RGB in [0, 1].
    quantile : (B,) tensor of float32
        Quantile of the gradient magnitudes of each picture, instead of `EdgeSettings.high_quantile`.

    Notes
    -----
    Following an edge to its end takes as many steps as the edge is long, so it cannot be vectorized. Here weak points
    count up to 16 px along the edge from a strong one; Canny also finds the few that are farther away.
    """
    settings = settings or EdgeSettings()
    luminance = ops.sum(images * ops.convert_to_tensor(LUMA), axis=-1)
    grad_x, grad_y = _find_gradient(luminance, settings.sigma)
    magnitude = ops.sqrt(grad_x**2 + grad_y**2)
    noise = settings.noise_factor * _find_noise(luminance, settings.sigma)
    high = ops.maximum(ops.maximum(take_quantile(magnitude, quantile), noise), settings.floor)[:, None, None]
    thin = _suppress(grad_x, grad_y, magnitude)
    weak = ops.cast(thin & (magnitude > settings.low_ratio * high), "float32")[..., None]
    edges = weak * ops.cast(magnitude > high, "float32")[..., None]
    for _ in range(HYSTERESIS_REACH):
        edges = weak * ops.max_pool(edges, 3, strides=1, padding="same")
    return edges[..., 0] > 0


def take_quantile(values: Any, quantile: Any) -> Any:
    """One quantile for each picture, interpolated: (B, H, W) values and (B,) quantiles to (B,)."""
    ordered = ops.sort(ops.reshape(values, (values.shape[0], -1)), axis=-1)
    last = ordered.shape[-1] - 1
    below = ops.floor(quantile * last)
    pair = ops.stack([below, ops.minimum(below + 1, last)], axis=-1)
    low, high = ops.unstack(ops.take_along_axis(ordered, ops.cast(pair, "int32"), axis=-1), 2, axis=-1)
    return low + (quantile * last - below) * (high - low)


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
    padded = ops.take(values, np.pad(np.arange(size), half, mode="symmetric"), axis=axis)
    return sum(
        weight * (padded[:, shift : shift + size] if axis == 1 else padded[:, :, shift : shift + size])
        for shift, weight in enumerate(weights)
        if weight
    )


def _find_noise(luminance: Any, sigma: float) -> Any:
    """Standard deviation of the smoothed gradient that white noise alone would give, as `find_edges` has it."""
    second = luminance[:, :-2] - 2 * luminance[:, 1:-1] + luminance[:, 2:]
    second = second[:, :, :-2] - 2 * second[:, :, 1:-1] + second[:, :, 2:]
    median = take_quantile(ops.abs(second), ops.full_like(luminance[:, 0, 0], 0.5))
    return median / (NORMAL_MEDIAN * NOISE_GAIN * np.sqrt(8 * np.pi).item() * sigma**2)


def _suppress(grad_x: Any, grad_y: Any, magnitude: Any) -> Any:
    """Whether the magnitude is largest along the gradient's direction; among equal ones as OpenCV chooses."""
    _, height, width = magnitude.shape
    padded = ops.pad(magnitude, [[0, 0], [1, 1], [1, 1]])

    def look(row: int, col: int) -> Any:
        return padded[:, 1 + row : 1 + row + height, 1 + col : 1 + col + width]

    steep, flat = ops.abs(grad_y), ops.abs(grad_x)
    horizontal = (magnitude > look(0, -1)) & (magnitude >= look(0, 1))
    vertical = (magnitude > look(-1, 0)) & (magnitude >= look(1, 0))
    falling = (magnitude > look(-1, -1)) & (magnitude > look(1, 1))
    rising = (magnitude > look(-1, 1)) & (magnitude > look(1, -1))
    diagonal = ops.where(grad_x * grad_y < 0, rising, falling)
    return ops.where(steep < _TAN_22 * flat, horizontal, ops.where(steep > _TAN_67 * flat, vertical, diagonal))


def label_depth_edges(matte: Any, near: Any, far: Any) -> Any:
    """E-NET label of each pixel of a layer over a background, as `training.edges.crops.label_depth_edges`.

    Returns a (B, H - 2n, W - 2n) tensor of float32 with 0, 1 or `UNDECIDED`, without a border of n = `LABEL_REACH` px.

    Parameters
    ----------
    matte : (B, H, W) tensor of float32
        Share that the layer covers.
    near, far : (B,) tensor of float32
        Radius of the layer and of the background, px.
    """
    covered = matte >= 0.5
    inside = covered[:, :-2, 1:-1] & covered[:, 2:, 1:-1] & covered[:, 1:-1, :-2] & covered[:, 1:-1, 2:]
    rim = covered[:, 1:-1, 1:-1] & ~inside & (ops.abs(near - far) >= DEPTH_EDGE_JUMP)[:, None, None]
    distance = _square_distance(rim, LABEL_REACH - 1)
    near = near[:, None, None]
    end = ops.maximum(LEAST_UNDECIDED, near + UNDECIDED_MARGIN)
    undecided = ops.where(distance <= end**2, float(UNDECIDED), 0.0)
    return ops.where(distance <= ops.maximum(LEAST_DEPTH_EDGE, DEPTH_EDGE_SHARE * near) ** 2, 1.0, undecided)


def _square_distance(marked: Any, reach: int) -> Any:
    """Squared distance to the nearest marked pixel, exact up to `reach` px; a border of that width is left out."""
    _, height, width = marked.shape
    rows, cols = height - 2 * reach, width - 2 * reach
    distance = ops.where(marked, 0.0, _FAR)
    shifts = [(shift, float((shift - reach) ** 2)) for shift in range(2 * reach + 1)]
    # The nearest marked pixel in each column, then the nearest of all columns: the squares add up.
    column = _FAR
    for shift, square in shifts:
        column = ops.minimum(column, distance[:, shift : shift + rows] + square)
    nearest = _FAR
    for shift, square in shifts:
        nearest = ops.minimum(nearest, column[:, :, shift : shift + cols] + square)  # type: ignore[index]  # a tensor now
    return nearest


def stratify(radius: Any, label: Any, balance: Balance) -> Any:
    """Strata that the choice of points is balanced over, as in `CropSampler`; points of stratum -1 only fill up.

    `radius` (within the levels), `label` (of E-NET) and the result are float32 tensors of one shape.
    """
    if balance == "depth edges":
        return label
    level = ops.clip(ops.round((radius - MIN_RADIUS) / RADIUS_STEP), 0, N_LEVELS - 1)
    return ops.where(label == 1, -1.0, level)


def choose_balanced(edges: Any, strata: Any, count: int, chance: Any) -> tuple[Any, Any]:
    """`training.data.labels.choose_balanced` on a batch.

    Parameters
    ----------
    edges : (B, P) tensor of bool
        Whether a point may be chosen.
    strata : (B, P) tensor of float32
        Whole numbers from -1 to 22; -1 only fills up.
    count : int
        At most P.
    chance : (B, P) tensor of float32
        Random in [0, 1).

    Returns
    -------
    chosen : (B, count) tensor of integers
        Each a different point.
    valid : (B, count) tensor of bool
        Whether the point may be chosen; points that may not come last.

    Notes
    -----
    Sorting by stratum and chance puts each stratum's points in random order. The places in that order are the ranks;
    the lowest ranks are taken. If the room ends within a rank, strata with more points come first, as on the CPU.
    """
    size = edges.shape[1]
    fill, out = float(N_LEVELS), float(N_LEVELS + 1)
    groups = ops.where(edges, ops.where(strata < 0, fill, strata), out)
    # Less than 1 also after rounding: no point may slip into the next group.
    order = ops.argsort(groups + 0.99 * chance, axis=-1)
    groups = ops.take_along_axis(groups, order, axis=-1)
    # Place of the first point of each group: how many are in lower ones.
    numbers = ops.arange(N_LEVELS + 2, dtype="float32")
    starts = ops.sum(ops.cast(groups[..., None] < numbers, "float32"), axis=1)
    first = ops.take_along_axis(starts, ops.cast(groups, "int32"), axis=-1)
    rank = ops.arange(size, dtype="float32") - first
    rank = rank + ops.where(groups == fill, float(size), 0.0) + ops.where(groups == out, 2.0 * size, 0.0)
    _, place = ops.top_k(-(rank + ops.take_along_axis(chance, order, axis=-1)), count)
    return ops.take_along_axis(order, place, axis=-1), ops.take_along_axis(groups, place, axis=-1) < out
