"""Edge points: the places where blur can be measured."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.propagation.depth_boundaries import SCHARR_SUM
from defocus_edge.psf import LUMA

# Largest gradient component that is given to Canny: OpenCV adds the squares of both components as 32-bit integers.
_INT16_SCALE = 16000.0
# Second difference along both axes: 0 on constant and linear signals (Immerkær 1996).
_NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
#: Factor by which that mask amplifies white noise: the root of the sum of its squared weights, √36.
NOISE_GAIN = 6.0
#: Median of the absolute value of a standard normal variable: the noise is 1 / 0.6745 times its median deviation.
NORMAL_MEDIAN = 0.6745
# Peak gradient of a step of height 1 that a Gaussian of σ = 1 px smoothed: 1 / √(2π) per px.
_STEP_GRADIENT = 1 / np.sqrt(2 * np.pi)
# Edges rise above this many steps between values: one step alone is rounding.
_LEAST_STEPS = 1.25
# Odd multipliers of multiplicative hashing modulo 2^32 (Knuth, The Art of Computer Programming 3, section 6.4).
_ROW_HASH, _COLUMN_HASH = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
# Number of low bits of the hash that are dropped: its high bits are mixed best.
_HASH_SHIFT = np.uint32(16)
# A larger step keeps the same points, those whose 16 bits are 0.
_LARGEST_STEP = 1 << 16


@dataclass(frozen=True)
class EdgeSettings:
    """How edges are found.

    Parameters
    ----------
    sigma : float
        Standard deviation in px of the Gaussian that smooths the luminance before the gradient.
    high_quantile : float
        Quantile of the gradient magnitude above which an edge may start.
    low_ratio : float
        The lower threshold of the hysteresis as a share of the upper one.
    noise_factor : float
        The upper threshold is at least this many times the picture's noise gradient.
    floor : float
        The upper threshold is at least this gradient, in luminance (0 to 1) per px. The estimator stretches the range
        of the picture to 0 … 1 before, so that it is a share of that range.

    Notes
    -----
    The defaults were chosen by the mean error of the map over the families of the development set, 0.488 px with an
    earlier preset. Near them it changes little: 0.479 at quantile 0.4 (6 % more points), 0.502 at 0.6; 0.504 at floor
    0.004, 0.497 at 0.02; 0.489 at σ = 0.8 px, 0.492 at 1.5 px; 0.488 at a low ratio of 0.25, 0.487 at 0.6.
    """

    sigma: float = 1.0
    high_quantile: float = 0.5
    low_ratio: float = 0.4
    noise_factor: float = 4.0
    floor: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.sigma < np.inf:
            msg = f"sigma must be a positive, finite number of pixels. Got: {self.sigma}."
            raise ValueError(msg)
        for name in ("high_quantile", "low_ratio"):
            if not 0 < getattr(self, name) < 1:
                msg = f"{name} must be between 0 and 1. Got: {getattr(self, name)}."
                raise ValueError(msg)
        for name in ("noise_factor", "floor"):
            if not 0 <= getattr(self, name) < np.inf:
                msg = f"{name} must be finite and >= 0. Got: {getattr(self, name)}."
                raise ValueError(msg)


def find_edges(
    image: NDArray[np.float32], *, settings: EdgeSettings | None = None, step: float = 0.0
) -> NDArray[np.bool_]:
    """Find Canny edges [1]_ on 16-bit gradients of the smoothed luminance.

    `image` is (H, W, 3) RGB in [0, 1]; `step` is the difference between two neighbouring values that it can hold, 0 if
    that is too small to matter. The result is (H, W), True at edge points. It is all False for a picture without
    contrast, or with no more than one step.

    Notes
    -----
    The upper threshold is a quantile of the picture's own gradient magnitudes, so that a picture that is blurred
    everywhere keeps its weak edges. A noise floor keeps grain from counting as edges. The noise is measured from the
    second difference of the luminance (Immerkær 1996, doi:10.1006/cviu.1996.0060). Its share in the gradient follows
    from the Gaussian and the derivative.

    References
    ----------
    .. [1] J. Canny, "A computational approach to edge detection", TPAMI 1986, doi:10.1109/TPAMI.1986.4767851.
    """
    settings = settings or EdgeSettings()
    luminance = image @ LUMA
    noise = settings.noise_factor * _gradient_noise(luminance, settings.sigma)
    # Arrays are reused and freed early: at 24 megapixels each has 96 MB.
    cv2.GaussianBlur(luminance, (0, 0), settings.sigma, dst=luminance, borderType=cv2.BORDER_REFLECT)
    grad_x, grad_y = (
        cv2.Scharr(luminance, cv2.CV_32F, *along, scale=1 / SCHARR_SUM, borderType=cv2.BORDER_REFLECT)
        for along in ((1, 0), (0, 1))
    )
    magnitude = cv2.magnitude(grad_x, grad_y, magnitude=luminance)
    highest = float(magnitude.max())
    quantile = float(np.quantile(magnitude, settings.high_quantile, overwrite_input=True))
    high = max(quantile, noise, settings.floor, _LEAST_STEPS * step * _STEP_GRADIENT / settings.sigma)
    if highest < high:
        return np.zeros(magnitude.shape, dtype=bool)
    del luminance, magnitude
    scale = np.float32(_INT16_SCALE / max(max(float(part.max()), -float(part.min())) for part in (grad_x, grad_y)))
    edges = cv2.Canny(
        _round_to_int16(grad_x, scale),
        _round_to_int16(grad_y, scale),
        settings.low_ratio * high * float(scale),
        high * float(scale),
        L2gradient=True,
    )
    return np.asarray(edges, dtype=bool)


def check_edges(edges: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return edges as an array; raise unless they are a mask of a picture of this (H, W) shape."""
    edges = np.asarray(edges)
    if edges.dtype != bool:
        msg = f"edges must be a bool array, True at edges. Got: {edges.dtype}; pass for example edges > 0."
        raise TypeError(msg)
    if edges.shape != shape:
        msg = f"edges must have the shape of the image, {shape}. Got: {edges.shape}."
        raise ValueError(msg)
    return edges


def _round_to_int16(gradient: NDArray[np.float32], scale: np.float32) -> NDArray[np.int16]:
    """Scale and round a gradient, which is overwritten."""
    gradient *= scale
    return np.rint(gradient, out=gradient).astype(np.int16)


def edge_points(edges: NDArray[np.bool_]) -> NDArray[np.int32]:
    """List row and column of each True pixel, (N, 2) int32, in reading order."""
    return np.argwhere(edges).astype(np.int32)


def thin_edges(edges: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    """Keep about one edge point in `step`, scattered evenly, the same ones in every run.

    A regular grid would keep all of an edge in one direction and none of it in another.
    """
    if step == 1:
        return edges
    rows, columns = np.nonzero(edges)
    mixed = (rows.astype(np.uint32) * _ROW_HASH) ^ (columns.astype(np.uint32) * _COLUMN_HASH)
    kept = (mixed >> _HASH_SHIFT) % np.uint32(min(step, _LARGEST_STEP)) == 0
    thinned = np.zeros_like(edges)
    thinned[rows[kept], columns[kept]] = True
    return thinned


def _gradient_noise(luminance: NDArray[np.float32], sigma: float) -> float:
    """Standard deviation, in luminance per px, of the smoothed gradient that white noise alone would give."""
    second = cv2.filter2D(luminance, cv2.CV_32F, _NOISE_MASK)
    pixel_noise = float(np.median(np.abs(second, out=second), overwrite_input=True)) / NORMAL_MEDIAN / NOISE_GAIN
    # White noise through the derivative of a Gaussian: variance 1 / (8 π σ⁴) along each axis.
    return pixel_noise / (np.sqrt(8 * np.pi) * sigma**2)
