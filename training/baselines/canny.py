"""Canny edges at a given scale, with given thresholds or those that MATLAB derives from the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

#: Share of the pixels below the upper threshold, as in MATLAB's `edge`, which the authors of the baselines used.
SHARE_WITHOUT_EDGE = 0.7
#: The lower threshold of the hysteresis as a share of the upper one; same source.
LOW_RATIO = 0.4
#: Number of steps of a threshold, which is a whole multiple of the largest gradient / 64 and never 0; same source.
_BINS = 64
#: Least value of the largest gradient, in grey values (0 to 1) per px; less is rounding.
_LEAST_GRADIENT = 1e-5
#: Value that the largest gradient is scaled to. OpenCV adds the squares of two components, which must fit.
_INT16_SCALE = 16000.0


def find_canny_edges(
    grey: NDArray[np.float32], *, sigma: float, thresholds: tuple[float, float] | None = None
) -> NDArray[np.bool_]:
    """Find the Canny edge points (H, W) of a grey picture (H, W); a plain picture has none.

    The gradient is that of a Gaussian with a standard deviation of `sigma` px. `thresholds` are the lower and the upper
    one of the hysteresis as shares of the largest gradient; unless given, they are those that MATLAB derives.

    References
    ----------
    J. Canny, "A computational approach to edge detection", TPAMI 1986, doi:10.1109/TPAMI.1986.4767851.
    """
    grad_x, grad_y = find_gradient(grey, sigma=sigma)
    magnitude = np.hypot(grad_x, grad_y)
    largest = float(magnitude.max())
    if largest < _LEAST_GRADIENT:
        return np.zeros(grey.shape, dtype=bool)
    if thresholds is None:
        share = float(np.quantile(magnitude, SHARE_WITHOUT_EDGE)) / largest
        high = min(np.floor(share * _BINS) + 1, _BINS - 1) / _BINS * _INT16_SCALE
        low = LOW_RATIO * high
    else:
        low, high = (threshold * _INT16_SCALE for threshold in thresholds)
    scale = _INT16_SCALE / largest
    edges = cv2.Canny(
        np.rint(grad_x * scale).astype(np.int16),
        np.rint(grad_y * scale).astype(np.int16),
        low,
        high,
        L2gradient=True,
    )
    return np.asarray(edges > 0)


def find_gradient(grey: NDArray[np.float32], *, sigma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Derivatives (H, W) per px along the columns and the rows of a picture after a Gaussian of `sigma` px."""
    values = grey.astype(np.float64)
    return (
        gaussian_filter(values, sigma, order=(0, 1), mode="reflect"),
        gaussian_filter(values, sigma, order=(1, 0), mode="reflect"),
    )
