"""From a blur map to a mask of the pixels that are out of focus, and to a summary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Unless a threshold is given, a pixel counts as blurred above this share of the map's range.
DEFAULT_ALPHA = 0.15
#: That threshold stays within these radii in px. A smaller disk is as good as sharp, and a picture that is blurred
#: everywhere has no sharp part to compare with. Chosen by the cross entropy on the scenes of `training.masks.scenes`:
#: 0.200. With α = 0.3 alone it was 0.313; with 1 px alone 0.199, but that takes all of a large photograph for blurred.
DEFAULT_RADII = (1.0, 2.0)
#: Sides of the box around the sharpest region, as a share of the map's sides: small enough to name a subject, large
#: enough to hold more than one edge.
BOX_SHARE = 0.25
# Radii are summed as whole numbers of up to this many bits, so that sums are exact and equal boxes tie. Sums of 2^39
# pixels still fit into 64 bits.
_BITS = 24


def threshold_blur_map(
    blur_map: NDArray[np.float32], *, alpha: float | None = None, radius: float | None = None
) -> NDArray[np.bool_]:
    """Mark the pixels that are blurred more than a threshold.

    Parameters
    ----------
    blur_map : (H, W) ndarray of float
        Blur radius in px.
    alpha : float, optional
        Adaptive threshold, 0 to 1.
    radius : float, optional
        Threshold in px. If neither is given, the adaptive threshold with α = 0.15, but at least 1 and at most 2 px.

    Returns
    -------
    (H, W) ndarray of bool
        True = blurred.

    Raises
    ------
    ValueError
        If both thresholds are given or one is out of range.

    Notes
    -----
    The adaptive threshold is τ = α · v_max + (1 - α) · v_min over the map's largest and smallest value (Karaali et
    al. 2022, section IV). A map without contrast has no pixel above it.

    Examples
    --------
    >>> threshold_blur_map(np.array([[1.0, 2.0, 5.0]]), alpha=0.5)
    array([[False, False,  True]])
    >>> threshold_blur_map(np.array([[1.0, 2.0, 5.0]]), radius=1.5)
    array([[False,  True,  True]])
    """
    return np.asarray(blur_map > find_threshold(blur_map, alpha=alpha, radius=radius))


def find_threshold(blur_map: NDArray[np.float32], *, alpha: float | None = None, radius: float | None = None) -> float:
    """The threshold in px of `threshold_blur_map`, whose parameters and errors it shares."""
    if alpha is not None and radius is not None:
        msg = f"Give alpha or radius, not both. Got: alpha={alpha}, radius={radius}."
        raise ValueError(msg)
    if radius is not None:
        if not radius >= 0:
            msg = f"radius must be a number of pixels >= 0. Got: {radius}."
            raise ValueError(msg)
        return radius
    if alpha is None:
        return min(max(_adapt(blur_map, DEFAULT_ALPHA), DEFAULT_RADII[0]), DEFAULT_RADII[1])
    if not 0 <= alpha <= 1:
        msg = f"alpha must be between 0 and 1. Got: {alpha}."
        raise ValueError(msg)
    return _adapt(blur_map, alpha)


def widen_mask(mask: NDArray[np.bool_], *, margin: float) -> NDArray[np.bool_]:
    """Mark what is marked or near it.

    Parameters
    ----------
    mask : (H, W) ndarray of bool
    margin : float
        Distance in px, 0 or more. Pixels whose middle is this far or less from that of a marked one are marked, too.

    Returns
    -------
    (H, W) ndarray of bool
        A copy.

    Raises
    ------
    ValueError
        If the margin is negative or not finite.

    Examples
    --------
    >>> widen_mask(np.array([[False, False, False, True]]), margin=2)
    array([[False,  True,  True,  True]])
    """
    if not 0 <= margin < np.inf:
        msg = f"margin must be a finite number of pixels >= 0. Got: {margin}."
        raise ValueError(msg)
    if not mask.any():
        return mask.copy()
    import cv2  # here: the command line loads this module before it has checked its arguments

    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= margin)


def _adapt(blur_map: NDArray[np.float32], alpha: float) -> float:
    """The adaptive threshold."""
    low, high = float(blur_map.min()), float(blur_map.max())
    # In double precision, this form keeps a plain map below its threshold and thresholds in the order of their alphas.
    return min(low + alpha * (high - low), high)


@dataclass(frozen=True)
class MapSummary:
    """Numbers by which a culling or inspection program can sort pictures.

    Attributes
    ----------
    height, width : int
        Size of the map, px.
    blurred_share : float
        Share of the pixels above the package's default threshold, see `threshold_blur_map`; 0 to 1.
    median_radius, p95_radius : float
        Median and 95th percentile of the radius, px.
    sharpest_box : (4,) tuple of int
        Row, column, height and width of the region with the smallest mean radius, px.
    sharpest_radius : float
        Mean radius in that box, px.
    """

    height: int
    width: int
    blurred_share: float
    median_radius: float
    p95_radius: float
    sharpest_box: tuple[int, int, int, int]
    sharpest_radius: float


def summarize_map(blur_map: ArrayLike, *, box_share: float = BOX_SHARE) -> MapSummary:
    """Summarize a blur map.

    Parameters
    ----------
    blur_map : array_like, shape (H, W)
        Blur radius in px: finite, 0 or more.
    box_share : float
        Sides of the box of the sharpest region as a share of the map's sides, above 0, up to 1; rounded to whole
        pixels, at least one.

    Returns
    -------
    MapSummary

    Raises
    ------
    ValueError
        If the map is not 2-D, empty, not finite or negative, or the share is out of its range.

    Notes
    -----
    The box is tried at every pixel. If several places have the same sum, the first one counts, from the top, then from
    the left. For that, radii are rounded to 2⁻²⁴ of the power of two above the largest one.

    Examples
    --------
    >>> blur_map = np.full((8, 8), 3.0)
    >>> blur_map[4:6, 2:4] = 0.5
    >>> summarize_map(blur_map).sharpest_box
    (4, 2, 2, 2)
    """
    radii = np.asarray(blur_map)
    if radii.ndim != 2 or radii.size == 0:
        raise ValueError(f"blur_map must have shape (H, W), not empty. Got: {radii.shape}.")
    low, high = float(radii.min()), float(radii.max())
    if not (low >= 0 and np.isfinite(high)):
        raise ValueError(f"blur_map must hold finite radii of 0 px or more. Got: {low:g} to {high:g}.")
    if not 0 < box_share <= 1:
        raise ValueError(f"box_share must be above 0 and at most 1. Got: {box_share}.")
    row, col, height, width = box = _find_sharpest_box(radii, high, box_share)
    median, p95 = np.quantile(radii, (0.5, 0.95)).tolist()
    return MapSummary(
        height=radii.shape[0],
        width=radii.shape[1],
        blurred_share=float(threshold_blur_map(radii).mean()),
        median_radius=median,
        p95_radius=p95,
        sharpest_box=box,
        sharpest_radius=float(radii[row : row + height, col : col + width].mean(dtype=np.float64)),
    )


def _find_sharpest_box(radii: NDArray[np.float32], highest: float, share: float) -> tuple[int, int, int, int]:
    """Row, column, height and width of the box with the smallest sum."""
    height, width = (max(1, round(side * share)) for side in radii.shape)
    # Steps of a power of two: radii of few binary digits stay exact, whatever the largest one is.
    scaled = np.ldexp(radii, _BITS - np.frexp(highest)[1], dtype=np.float64)
    sums = np.rint(scaled, out=scaled).astype(np.int64)
    del scaled
    for axis, length in ((0, height), (1, width)):
        sums = _sum_windows(sums, length, axis)
    row, col = np.unravel_index(int(sums.argmin()), sums.shape)  # the first of equals
    return int(row), int(col), height, width


def _sum_windows(values: NDArray[np.int64], length: int, axis: int) -> NDArray[np.int64]:
    """Sums of all windows of a length along one axis; uses `values` up."""
    sums = np.moveaxis(np.cumsum(values, axis=axis, out=values), axis, 0)
    windows = sums[length - 1 :].copy()
    windows[1:] -= sums[:-length]
    return np.moveaxis(windows, 0, axis)
