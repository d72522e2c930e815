"""Patches around edge points, and the border that they need."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Side in px of the patch around an edge point (Karaali et al. 2022, figure 3). The networks cut their 27 and 15 px
#: patches out of it.
PATCH_SIDE = 41
#: Number of pixels on each side of the centre of a patch: the width in px of the border that an image needs.
PATCH_RADIUS = PATCH_SIDE // 2


def pad_border(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mirror 20 px at each border, so that each pixel has a whole patch. The edge pixel is repeated.

    Parameters
    ----------
    image : (H, W, C) ndarray

    Returns
    -------
    (H + 40, W + 40, C) ndarray
    """
    return np.pad(image, ((PATCH_RADIUS, PATCH_RADIUS), (PATCH_RADIUS, PATCH_RADIUS), (0, 0)), mode="symmetric")


def extract_patches(image: NDArray[np.float32], points: NDArray[np.integer]) -> NDArray[np.float32]:
    """Cut out patches of 41×41 px around points.

    Parameters
    ----------
    image : (H, W, C) ndarray of float32
    points : (N, 2) ndarray of int
        Row and column of each point.

    Returns
    -------
    (N, 41, 41, C) ndarray of float32

    Raises
    ------
    ValueError
        If a point lies outside the image.
    """
    points = check_points(points, image.shape)
    windows = np.lib.stride_tricks.sliding_window_view(pad_border(image), (PATCH_SIDE, PATCH_SIDE), axis=(0, 1))
    return np.ascontiguousarray(np.moveaxis(windows[points[:, 0], points[:, 1]], 1, -1))


def check_points(points: NDArray[np.integer], shape: tuple[int, ...]) -> NDArray[np.integer]:
    """Return points as an (N, 2) array of int.

    Raises
    ------
    ValueError
        If one lies outside an image of this shape.
    """
    points = np.asarray(points)
    height, width = shape[:2]
    if points.size and (points.min() < 0 or points[:, 0].max() >= height or points[:, 1].max() >= width):
        span = f"{points.min(axis=0).tolist()} to {points.max(axis=0).tolist()}"
        msg = f"points must lie inside the image of {height}×{width} px. Got: {span}."
        raise ValueError(msg)
    return points
