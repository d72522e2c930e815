"""Square windows around points of a picture, also turned ones."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

# Windows that are sampled at once: below the 32 767 rows that OpenCV can address, and 36 MB for 21×21 px.
_TOGETHER = 20_000


def sample_windows(
    values: NDArray[np.float32], points: NDArray[np.integer], *, side: int, angle: float
) -> Iterator[NDArray[np.float32]]:
    """Sample the windows around points, turned by an angle, in batches of at most 20 000.

    Yields arrays (n, side, side), in the order of the points. Values are interpolated linearly; beyond the border they
    are mirrored.

    Parameters
    ----------
    values : (H, W) ndarray of float32
    points : (N, 2) ndarray of int
        Centres (row, col).
    side : int
        Odd, in px.
    angle : float
        By which the window is turned, in radians.
    """
    reach = side // 2
    margin = math.ceil(reach * math.sqrt(2)) + 1
    padded = np.pad(values, margin, mode="symmetric")
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    rows = (math.cos(angle) * down - math.sin(angle) * right + margin).astype(np.float32)
    columns = (math.sin(angle) * down + math.cos(angle) * right + margin).astype(np.float32)
    for start in range(0, len(points), _TOGETHER):
        part = points[start : start + _TOGETHER].astype(np.float32)
        sampled = cv2.remap(padded, part[:, 1:] + columns, part[:, :1] + rows, cv2.INTER_LINEAR)
        yield sampled.reshape(-1, side, side)
