"""A blur map in a few numbers: how much is blurred, how far, and where the picture is sharpest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from defocus_edge.thresholds import threshold_blur_map

#: Sides of the box of the sharpest region, as a share of the map's sides: small enough to name a subject, large enough
#: not to be one edge.
BOX_SHARE = 0.25
# Radii are summed as whole numbers of up to this many bits, so that sums are exact and equal boxes tie; they still fit
# into 64 bits for 2^39 pixels.
_BITS = 24


@dataclass(frozen=True)
class MapSummary:
    """What a culling or inspection program wants to know of one blur map.

    Attributes
    ----------
    height, width : int
        Of the map, px.
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


def summarize_map(blur_map: npt.ArrayLike, *, box_share: float = BOX_SHARE) -> MapSummary:
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
    All places of the box are looked at, in steps of one pixel. Of several with the same sum the first counts, from the
    top, then from the left. For that, radii are rounded to 2⁻²⁴ of the power of two above the largest one.

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


def _find_sharpest_box(radii: npt.NDArray[np.float32], highest: float, share: float) -> tuple[int, int, int, int]:
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


def _sum_windows(values: npt.NDArray[np.int64], length: int, axis: int) -> npt.NDArray[np.int64]:
    """Sums of all windows of a length along one axis; uses `values` up."""
    sums = np.moveaxis(np.cumsum(values, axis=axis, out=values), axis, 0)
    windows = sums[length - 1 :].copy()
    windows[1:] -= sums[:-length]
    return np.moveaxis(windows, 0, axis)
