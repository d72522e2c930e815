"""Zhuo and Sim 2011: blur from the ratio of gradients before and after one more blur."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from defocus_edge.blur_levels import sigma_to_radius
from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.canny import find_canny_edges
from training.baselines.matting_propagation import ZHUO_SIM_FIDELITY, propagate_by_matting
from training.baselines.pictures import check_picture, convert_to_grey

#: σ0 of the paper: standard deviation in px of the Gaussian that blurs the picture once more.
REBLUR_SIGMA = 1.0
#: Standard deviation in px of the Canny edges; the paper leaves it to the user. Ours.
EDGE_SIGMA = 1.0
#: Largest standard deviation in px of the estimated blur. The paper has none; this one is Karaali and Jung's.
LARGEST_SIGMA = 5.0
#: Spatial standard deviation of the joint bilateral filter as a share of the picture's shorter side (the paper: 10 % of
#: its size), and that of the grey values as a share of their range (10 %).
BILATERAL_SPACE = 0.1
BILATERAL_RANGE = 0.1
# Pairs of edge points that are compared at once: 16 MB for each float32 array.
_PAIRS = 1 << 22


def estimate_zhuo_sim(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Estimate the blur map of a picture (H, W, 3), RGB in [0, 1], as Zhuo and Sim do.

    The picture is sRGB-encoded, and the method works on encoded values. Returns a map, (H, W) float32: blur radius in
    px of the disk with the second moment of the estimated Gaussian, 0 to 10. Raises NoEdgesError if there is no edge
    that another blur makes softer. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    An edge that a Gaussian of σ has blurred has a gradient R times as large as after another Gaussian of σ0:

    .. math:: R = \sqrt{(\sigma^2 + \sigma_0^2) / \sigma^2}, \qquad \sigma = \sigma_0 / \sqrt{R^2 - 1}

    The values at Canny edges are smoothed by a joint bilateral filter with the grey picture and spread with the
    matting Laplacian, λ = 0.001.

    On blurred steps the error of σ at the edge is at most 0.3 px for σ from 1 to 4 px, wherever between pixels they lie
    (measured). Below, the estimate is too large, since a difference of pixels is itself a blur: 0.9 px for σ = 0.5.

    Where the paper is silent: the gradient (here central differences), the thresholds of Canny (here those of MATLAB),
    the largest blur (here σ = 5 px), and points where R <= 1, which fits no blur (here they are left out).

    References
    ----------
    S. Zhuo and T. Sim, "Defocus map estimation from a single image", Pattern Recognition 44(9), 2011,
    doi:10.1016/j.patcog.2011.03.009.
    """
    picture = check_picture(image)
    grey = convert_to_grey(picture)
    points, sigmas = estimate_edge_sigmas(grey)
    smooth = filter_bilaterally(points, sigmas, grey)
    known, weight = np.zeros((2, *grey.shape), dtype=np.float32)
    known[tuple(points.T)] = smooth
    weight[tuple(points.T)] = 1
    sigma_map = propagate_by_matting(known, weight, picture, fidelity=ZHUO_SIM_FIDELITY)
    return sigma_to_radius(sigma_map).astype(np.float32)


def estimate_edge_sigmas(grey: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Estimate the blur at the edges of a grey picture (H, W).

    Raises NoEdgesError if there is no edge that another blur makes softer.

    Returns
    -------
    points : (N, 2) ndarray of int
        Edge points (row, col).
    sigmas : (N,) ndarray of float32
        Standard deviation in px of the Gaussian, up to `LARGEST_SIGMA`.
    """
    edges = find_canny_edges(grey, sigma=EDGE_SIGMA)
    return measure_edge_sigmas(grey, edges, reblur_sigma=REBLUR_SIGMA, largest_sigma=LARGEST_SIGMA)


def measure_edge_sigmas(
    grey: NDArray[np.float32], edges: NDArray[np.bool_], *, reblur_sigma: float, largest_sigma: float
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Measure the blur at edges (H, W) by the ratio of gradients before and after a Gaussian of `reblur_sigma` px.

    Returns points (N, 2) and standard deviations in px (N,), up to `largest_sigma`. Raises as `estimate_edge_sigmas`.
    """
    before = _measure_gradient(grey)
    after = _measure_gradient(gaussian_filter(grey, reblur_sigma, mode="reflect"))
    usable = edges & (before > after) & (after > 0)
    if not usable.any():
        msg = "image must have edges that can be measured. Got: none. Its contrast may be too low."
        raise NoEdgesError(msg)
    ratio = before[usable].astype(np.float64) / after[usable]
    sigmas = np.minimum(reblur_sigma / np.sqrt(ratio**2 - 1), largest_sigma)
    return np.argwhere(usable), sigmas.astype(np.float32)


def filter_bilaterally(
    points: NDArray[np.intp], values: NDArray[np.float32], grey: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Filter values at points by the joint bilateral filter: near points of alike grey count more.

    Returns (N,) float32 in the unit of `values`. The time grows with N².

    Parameters
    ----------
    points : (N, 2) ndarray of int
        (row, col).
    values : (N,) ndarray of float32
    grey : (H, W) ndarray of float32
        Grey values are compared in it.
    """
    space = BILATERAL_SPACE * min(grey.shape)
    alike = max(BILATERAL_RANGE * float(np.ptp(grey)), float(np.finfo(np.float32).eps))
    # With both standard deviations scaled away, one distance in three dimensions is left.
    places = np.column_stack([points / space, grey[tuple(points.T)] / alike]).astype(np.float32)
    squares = (places**2).sum(axis=1)
    result = np.empty(len(points), dtype=np.float32)
    step = max(_PAIRS // len(points), 1)
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        distances = squares[part, None] + squares[None, :] - 2 * (places[part] @ places.T)
        weights = np.exp(-0.5 * distances)
        result[part] = (weights @ values) / weights.sum(axis=1)
    return result


def _measure_gradient(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gradient magnitude, (H, W), from central differences."""
    along_rows, along_columns = np.gradient(grey)
    return np.hypot(along_rows, along_columns)
