"""Local rank (Xu et al. 2017): the rank of a window of the gradient is the lower, the more blurred an edge is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import sigma_to_radius
from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.canny import find_canny_edges, find_gradient
from training.baselines.matting_propagation import ZHUO_SIM_FIDELITY, propagate_by_matting
from training.baselines.patches import sample_windows
from training.baselines.pictures import check_picture, convert_to_grey

#: Standard deviation in px of the Canny edges and of the gradient. Ours, as are all numbers below.
GRADIENT_SIGMA = 1.0
#: Side in px of the windows, and the angles by which they are turned; a square turned by 90° is itself.
WINDOW_SIDE = 15
ANGLES = tuple(number * math.pi / 12 for number in range(6))
#: A singular value counts if it is at least this share of the largest.
LEAST_SHARE = 0.1
#: Largest standard deviation in px of the estimated blur; the same as for Karaali and Jung.
LARGEST_SIGMA = 5.0


def estimate_local_rank(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Estimate the blur map of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, from ranks at its edges.

    Returns a map, (H, W) float32: blur radius in px of the disk with the second moment of the estimated Gaussian, 0 to
    10. The working memory is about 1 KB a pixel, that of matting. Raises NoEdgesError if no edge is found. Raises
    ValueError or TypeError if `image` is no picture.

    Notes
    -----
    In order: gradient magnitude after a Gaussian of :math:`s` = 1 px; Canny edge points; windows of :math:`n` px around
    each, turned to six directions; the number of singular values of each that are at least :math:`\tau` of the
    largest; the largest number over the directions, :math:`r`; the blur that this rank stands for; matting, λ = 0.001.

    The gradient of an edge that a Gaussian of :math:`\sigma` has blurred is a ridge. Where it runs along the diagonal
    of a window, the window is a Hankel matrix, and its singular values are about those of the Fourier transform of the
    ridge, :math:`\exp(-\omega^2 (\sigma^2 + s^2))` at :math:`\omega = \pi k / n`. So

    .. math:: \sigma^2 = \frac{n^2 \ln(1 / \tau)}{\pi^2 r^2} - s^2

    On blurred steps of any direction the error is at most 0.25 px for σ from 1 to 4 px, and 0.5 px for 0.5 px
    (measured).

    We know the abstract of the paper: the largest rank of local patches with different orientations in the gradient
    domain is connected with the blur by theory, and a standard propagation follows. The rest is our decision: the
    equation above; the rank is a fraction, interpolated where the logarithm of the singular values crosses
    :math:`\ln \tau`, since whole numbers tell few radii apart; and the numbers.

    References
    ----------
    G. Xu, Y. Quan and H. Ji, "Estimating defocus blur via rank of local patches", ICCV 2017,
    doi:10.1109/ICCV.2017.574.
    """
    picture = check_picture(image)
    grey = convert_to_grey(picture)
    edges = find_canny_edges(grey, sigma=GRADIENT_SIGMA)
    if not edges.any():
        raise NoEdgesError("image must have edges that can be measured. Got: none. Its contrast may be too low.")
    gradient = np.hypot(*find_gradient(grey, sigma=GRADIENT_SIGMA)).astype(np.float32)
    sigmas = np.zeros_like(grey)
    sigmas[edges] = convert_rank(measure_largest_rank(gradient, np.argwhere(edges)))
    sigma_map = propagate_by_matting(sigmas, edges.astype(np.float32), picture, fidelity=ZHUO_SIM_FIDELITY)
    return sigma_to_radius(sigma_map).astype(np.float32)


def measure_largest_rank(gradient: NDArray[np.float32], points: NDArray[np.integer]) -> NDArray[np.float64]:
    """Largest rank (N,) over the directions of the windows of a gradient (H, W) around points (N, 2)."""
    ranks = [
        np.concatenate(
            [measure_rank(batch) for batch in sample_windows(gradient, points, side=WINDOW_SIDE, angle=angle)]
        )
        for angle in ANGLES
    ]
    return np.max(ranks, axis=0)


def measure_rank(windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rank (N,), 0 to side, of windows (N, side, side): where the singular values fall below `LEAST_SHARE`.

    0 is the largest singular value, 1 the second; between them the logarithm is linear.
    """
    values = np.linalg.svd(windows, compute_uv=False).astype(np.float64)
    side = values.shape[1]
    floor = np.finfo(np.float32).eps * np.maximum(values[:, :1], np.finfo(np.float32).tiny)
    logarithms = np.log(np.maximum(values, floor))
    excess = logarithms - logarithms[:, :1] - math.log(LEAST_SHARE)
    count = (excess >= 0).sum(axis=1)
    row = np.arange(len(values))
    above, below = excess[row, count - 1], excess[row, np.minimum(count, side - 1)]
    part = np.divide(above, above - below, out=np.ones_like(above), where=count < side)
    return count - 1 + part


def convert_rank(rank: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation in px, 0 to `LARGEST_SIGMA`, of the blur that a rank > 0 stands for."""
    variance = (WINDOW_SIDE / (math.pi * rank)) ** 2 * math.log(1 / LEAST_SHARE) - GRADIENT_SIGMA**2
    return np.sqrt(np.clip(variance, 0, LARGEST_SIGMA**2))
