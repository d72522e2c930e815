"""Size of the patches around edge points, and a check of the points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Side in px of the patch around an edge point (Karaali et al. 2022, figure 3). The networks cut their 27 and 15 px
#: patches out of it.
PATCH_SIDE = 41
#: Number of pixels on each side of the centre of a patch: the width in px of the border that an image needs.
PATCH_RADIUS = PATCH_SIDE // 2


def check_points(points: NDArray[np.integer], shape: tuple[int, ...]) -> NDArray[np.integer]:
    """Return (N, 2) points as an array; ValueError if one lies outside an image of this shape."""
    points = np.asarray(points)
    height, width = shape[:2]
    if points.size and (points.min() < 0 or points[:, 0].max() >= height or points[:, 1].max() >= width):
        span = f"{points.min(axis=0).tolist()} to {points.max(axis=0).tolist()}"
        msg = f"points must lie inside the image of {height}×{width} px. Got: {span}."
        raise ValueError(msg)
    return points
