"""Canny edges at a given scale, with thresholds that follow from the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

#: The upper threshold leaves this share of the pixels below it, as that of MATLAB's `edge`, which the authors used.
SHARE_WITHOUT_EDGE = 0.7
#: The lower threshold of the hysteresis as a share of the upper one, same source.
LOW_RATIO = 0.4
#: Thresholds are whole multiples of the largest gradient divided by this, same source: never 0 in a plain picture.
_BINS = 64
#: A largest gradient below this, in grey values (0 to 1) per px, is rounding.
_LEAST_GRADIENT = 1e-5
#: What the largest gradient becomes. Its square must fit where OpenCV adds the two components.
_INT16_SCALE = 16000.0


def find_canny_edges(grey: NDArray[np.float32], *, sigma: float) -> NDArray[np.bool_]:
    """Canny edges of a grey picture.

    Parameters
    ----------
    grey : (H, W) ndarray of float32
    sigma : float
        Standard deviation in px of the Gaussian whose derivatives are the gradient.

    Returns
    -------
    (H, W) ndarray of bool
        True at edge points; none in a plain picture.

    References
    ----------
    J. Canny, "A computational approach to edge detection", TPAMI 1986, doi:10.1109/TPAMI.1986.4767851.
    """
    grad_x, grad_y = find_gradient(grey, sigma=sigma)
    magnitude = np.hypot(grad_x, grad_y)
    largest = float(magnitude.max())
    if largest < _LEAST_GRADIENT:
        return np.zeros(grey.shape, dtype=bool)
    share = float(np.quantile(magnitude, SHARE_WITHOUT_EDGE)) / largest
    high = min(np.floor(share * _BINS) + 1, _BINS - 1) / _BINS * _INT16_SCALE
    scale = _INT16_SCALE / largest
    edges = cv2.Canny(
        np.rint(grad_x * scale).astype(np.int16),
        np.rint(grad_y * scale).astype(np.int16),
        LOW_RATIO * high,
        high,
        L2gradient=True,
    )
    return np.asarray(edges > 0)


def find_gradient(grey: NDArray[np.float32], *, sigma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Derivatives along columns and rows, (H, W) float64 per px, of a picture smoothed by a Gaussian of `sigma` px."""
    values = grey.astype(np.float64)
    return (
        gaussian_filter(values, sigma, order=(0, 1), mode="reflect"),
        gaussian_filter(values, sigma, order=(1, 0), mode="reflect"),
    )
