"""What DHDE's classifier sees of an edge point: three hand-crafted features, and the patch itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

#: Sides in px of the patches at weak and at strong edges, from the authors' program, as all numbers of this module.
PATCH_SIDES = (27, 15)
#: Number of values of each of the three features at weak and at strong edges.
BINS = (25, 13)
#: Sides of the cosine transforms: patches are filled up with zeros.
DCT_SIDES = (32, 16)
#: By what share of their width the rings of the cosine transform reach beyond either border.
RING_OVERLAP = 0.1
#: Number of values for a point: three features at two scales, each with a constant 1.
FEATURES = 3 * (sum(BINS) + len(BINS))
WEAK, STRONG = 0, 1

FloatArray = NDArray[np.float32]


def describe_patches(patches: FloatArray, scale: NDArray[np.integer]) -> tuple[FloatArray, FloatArray]:
    """Describe edge points by the patches around them.

    Parameters
    ----------
    patches : (N, 27, 27, 3) ndarray of float32
        RGB in [0, 1] around each point.
    scale : (N,) ndarray of int
        `WEAK` for points whose whole patch counts, `STRONG` for those whose inner 15×15 px count.

    Returns
    -------
    patches : (N, 27, 27, 3) ndarray of float32
        The patches; those of strong edges are continued beyond their 15×15 px by the values at the border.
    features : (N, `FEATURES`) ndarray of float32
        Those of the other scale are 0, their constants too.
    """
    seen = patches.copy()
    features = np.zeros((len(patches), FEATURES), dtype=np.float32)
    start = 0
    for number, side in enumerate(PATCH_SIDES):
        chosen = scale == number
        margin = (PATCH_SIDES[WEAK] - side) // 2
        inner = patches[chosen, margin : margin + side, margin : margin + side]
        if margin:
            seen[chosen] = np.pad(inner, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="edge")
        stop = start + 3 * (BINS[number] + 1)
        features[chosen, start:stop] = _measure_features(inner.max(axis=3), number)  # the value of HSV
        start = stop
    return seen, features


def _measure_features(values: FloatArray, scale: int) -> FloatArray:
    """Features of patches of one scale: (N, 3 · (bins + 1)), each of mean 1 and with a 1 behind it."""
    constant = np.ones((len(values), 1), dtype=np.float32)
    measured = (measure_frequencies(values, scale), count_gradients(values, scale), measure_ranks(values, scale))
    return np.concatenate([part for one in measured for part in (_even_out(one), constant)], axis=1)


def measure_frequencies(values: FloatArray, scale: int) -> FloatArray:
    """Mean absolute cosine coefficient (N, bins) of patches (N, side, side) in rings of rising frequency."""
    side, bins = DCT_SIDES[scale], BINS[scale]
    margin = side - values.shape[1]
    padded = np.pad(values, ((0, 0), (0, margin), (0, margin)))
    coefficients = np.abs(dctn(padded, axes=(1, 2), norm="ortho", overwrite_x=True)).reshape(len(values), side**2)
    return coefficients @ make_rings(side, bins)


def make_rings(side: int, bins: int) -> FloatArray:
    """Weights (side², bins) that give the mean of the frequencies of each ring; corners are in none."""
    frequency = np.hypot(*np.mgrid[:side, :side]).reshape(-1, 1)
    width = (side - 1) / bins
    low = np.arange(bins) * width
    inside = (frequency >= low - RING_OVERLAP * width) & (frequency <= low + (1 + RING_OVERLAP) * width)
    return (inside / inside.sum(axis=0)).astype(np.float32)


def count_gradients(values: FloatArray, scale: int) -> FloatArray:
    """Histogram (N, bins) of the gradients of patches (N, side, side), 0 to 1 in even bins."""
    bins = BINS[scale]
    across, down = (np.diff(values, axis=axis, append=_continue(values, axis)) for axis in (2, 1))
    number = np.minimum((np.hypot(across, down) * (bins / np.sqrt(2))).astype(np.intp), bins - 1)
    places = number.reshape(len(values), values.shape[1] ** 2) + bins * np.arange(len(values))[:, None]
    return np.bincount(places.ravel(), minlength=bins * len(values)).reshape(len(values), bins).astype(np.float32)


def measure_ranks(values: FloatArray, scale: int) -> FloatArray:
    """The largest singular values (N, bins) of patches (N, side, side) as matrices, in descending order."""
    return np.linalg.svd(values, compute_uv=False)[:, : BINS[scale]]


def _continue(values: FloatArray, axis: int) -> FloatArray:
    """The row or column behind the last one that goes on as the last two do."""
    last, before = (np.take(values, [number], axis=axis) for number in (-1, -2))
    return 2 * last - before


def _even_out(values: FloatArray) -> FloatArray:
    """Logarithm of 1 + values (N, K), divided by its mean over K."""
    logarithm = np.log1p(values)
    return logarithm / np.maximum(logarithm.mean(axis=1, keepdims=True), np.finfo(np.float32).tiny)
