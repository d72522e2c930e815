"""Sharpness of the edges of a photograph, to find sources that are in focus everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import sigma_to_radius

#: Largest measured radius in px of a picture that is in focus everywhere. Among the real photographs of the development
#: pictures it separates sharp ones (up to 1.74) from those focused near or far (from 1.77).
DEFAULT_LIMIT = 1.75
#: Number of tiles along the longer side of a picture.
TILES = 8
#: The radius of a picture is this quantile over its tiles: a few soft tiles may be texture without an edge.
TILE_QUANTILE = 0.9
# A tile needs this many edge pixels to be measured, and a picture this many measured tiles; chosen.
_LEAST_POINTS, _LEAST_TILES = 20, 4
# Standard deviation in px of the second blur, with which the picture is compared.
_SECOND_BLUR = 1.0
# Variance in px² that pixels (1/12) and central differences (1/3) add to that of the blur.
_OWN_VARIANCE = 1 / 12 + 1 / 3
# Canny's thresholds on 8 bits after a blur with this σ in px; low enough for the faint edges of a soft background.
_CANNY_LOW, _CANNY_HIGH, _CANNY_BLUR = 10, 25, 1.0
# Least gradient of the picture blurred again, and least gradient ratio above 1: without a division by zero.
_LEAST_GRADIENT, _LEAST_RATIO = 1e-6, 1 + 1e-3


@dataclass(frozen=True)
class Sharpness:
    """Sharpness of a picture.

    Nine tenths of its tiles do not exceed the blur `radius`, in px; it is NaN if too few have edges. `tiles` is the
    number of tiles with edges.
    """

    radius: float
    tiles: int

    def is_sharp(self, limit: float = DEFAULT_LIMIT) -> bool:
        """Whether the picture is in focus wherever it has edges."""
        return bool(self.radius <= limit)


def measure_sharpness(image: NDArray[np.float32]) -> Sharpness:
    """Measure the blur radius of the edges of a picture, (H, W, 3) RGB in [0, 1], tile by tile.

    An edge blurred with σ has the gradient ratio √(σ² + σ₀²) / σ to itself blurred again with σ₀ (Zhuo & Sim 2011,
    doi:10.1016/j.patcog.2011.03.009, eq. 5). The variance that pixels and central differences add is subtracted. The
    radius is that of the disk with the same second moment. A tile has the median of its edge pixels.

    This tells sharp from blurred, but does not measure blur: it gives 1.1 to 1.3 times the radius for photographs
    blurred with disks of 2 to 6 px, and up to twice for isolated straight edges, since it fits a Gaussian to a disk.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    radius = _measure_edges(grey)
    edges = _find_edges(grey)
    side = max(-(-max(grey.shape) // TILES), 1)
    tiles = []
    for top in range(0, grey.shape[0], side):
        for left in range(0, grey.shape[1], side):
            part = slice(top, top + side), slice(left, left + side)
            points = radius[part][edges[part]]
            if len(points) >= _LEAST_POINTS:
                tiles.append(float(np.median(points)))
    if len(tiles) < _LEAST_TILES:
        return Sharpness(float("nan"), len(tiles))
    return Sharpness(float(np.quantile(tiles, TILE_QUANTILE)), len(tiles))


def _find_edges(grey: NDArray[np.float32]) -> NDArray[np.bool_]:
    smooth = cv2.GaussianBlur(grey, (0, 0), _CANNY_BLUR)
    edges = cv2.Canny(np.rint(smooth * 255).astype(np.uint8), _CANNY_LOW, _CANNY_HIGH, L2gradient=True)
    return np.asarray(edges > 0)


def _measure_edges(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Radius in px at each pixel as if it were an edge."""
    again = cv2.GaussianBlur(grey, (0, 0), _SECOND_BLUR)
    first, second = _find_gradient(grey), _find_gradient(again)
    ratio = np.maximum(first / np.maximum(second, _LEAST_GRADIENT), _LEAST_RATIO) ** 2
    variance = _SECOND_BLUR**2 / (ratio - 1) - _OWN_VARIANCE
    return sigma_to_radius(np.sqrt(np.maximum(variance, 0)))


def _find_gradient(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    rows, cols = np.gradient(grey.astype(np.float64))
    return np.hypot(rows, cols)
