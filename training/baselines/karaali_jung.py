"""Karaali and Jung 2018: blur from a ratio of gradients at a scale that each edge chooses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import laplacian
from scipy.sparse.linalg import spsolve

from defocus_edge.blur_levels import sigma_to_radius
from defocus_edge.propagation.propagate import NoEdgesError, propagate_blur
from defocus_edge.propagation.settings import PropagationSettings
from training.baselines.canny import find_canny_edges, find_gradient
from training.baselines.pictures import check_picture, convert_to_grey

#: Standard deviations in px of the Canny edges: 1 to 5 in steps of 1/2, as in the authors' program.
EDGE_SIGMAS = np.arange(1.0, 5.25, 0.5)
#: Number of the finest scales at which an edge point must be found; same source.
CONSISTENT_SCALES = 4
#: s1: standard deviation in px of the finer of the two gradients.
FINE_SIGMA = 1.0
#: s2: standard deviation of the coarser gradient, as a share of the scale up to which the edge is found.
COARSE_SHARE = 0.5
#: Largest standard deviation in px of the estimated blur; larger ones are clipped.
LARGEST_SIGMA = 5.0
#: γ of the connected edge filter: weight of the differences between neighbours on an edge.
EDGE_SMOOTHNESS = 10.0
# Least standard deviation in px: the propagation needs radii above 0. No photograph has so little blur.
_SMALLEST_SIGMA = 1e-3


def estimate_karaali_jung(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Estimate the blur map of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, as Karaali and Jung do.

    Returns a map, (H, W) float32: blur radius in px of the disk with the second moment of the estimated Gaussian, 0 to
    10. Raises NoEdgesError if no edge is found at the finest scales and can be measured. Raises ValueError or TypeError
    if `image` is no picture.

    Notes
    -----
    With gradients at the scales s1 = 1 px and s2, R their ratio, an edge blurred by σ has

    .. math:: R^2 = \frac{\sigma^2 + s_2^2}{\sigma^2 + s_1^2}, \qquad
              \sigma^2 = \frac{R^2 s_1^2 - s_2^2}{1 - R^2}

    s2 is half of the Canny scale up to which the edge is found. The connected edge filter then minimizes, over the
    points p of an edge with neighbours q and m the number of scales at which p is found,

    .. math:: \sum_p (1 + m_p) (x_p - \sigma_p)^2 + \gamma \sum_{p, q} (x_p - x_q)^2

    The propagation is that of `PropagationSettings.paper`, which the same authors used again in 2022.

    On blurred steps the error of σ at the edge is at most 0.25 px for σ from 0.5 to 4 px, wherever between pixels
    they lie (measured).

    Constants, and what the paper leaves open, are those of the program that the authors published, with two
    differences: values are encoded here, where the program raises them to the power 2.4, and points where R fits no
    blur (R <= 1) are left out here, where the program counts them as sharp.

    References
    ----------
    A. Karaali and C. R. Jung, "Edge-based defocus blur estimation with adaptive scale selection", IEEE Transactions on
    Image Processing 27(3), 2018, doi:10.1109/TIP.2017.2771563.
    """
    picture = check_picture(image)
    points, sigmas, persistence = estimate_edge_sigmas(convert_to_grey(picture))
    smooth = np.maximum(filter_connected_edges(points, sigmas, persistence), _SMALLEST_SIGMA)
    sigma_map, _ = propagate_blur(
        picture,
        points,
        smooth,
        np.ones_like(smooth),
        np.zeros(picture.shape[:2], dtype=bool),
        settings=PropagationSettings.paper(),
    )
    return sigma_to_radius(sigma_map).astype(np.float32)


def estimate_edge_sigmas(
    grey: NDArray[np.float32],
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.intp]]:
    """Estimate the blur at the edges of a grey picture (H, W) that are found at all of the finest scales.

    Raises NoEdgesError if there is no such edge.

    Returns
    -------
    points : (N, 2) ndarray of int
        Edge points (row, col).
    sigmas : (N,) ndarray of float32
        Standard deviation in px of the Gaussian, 0 to `LARGEST_SIGMA`.
    persistence : (N,) ndarray of int
        Number of scales at which each point is found.
    """
    found = find_edges_across_scales(grey)
    run = count_scales(found)
    fine = np.hypot(*find_gradient(grey, sigma=FINE_SIGMA))
    coarse = np.ones_like(fine)
    coarse_sigma = np.full_like(fine, FINE_SIGMA)
    for length in range(CONSISTENT_SCALES, len(EDGE_SIGMAS) + 1):
        chosen = run == length
        sigma = COARSE_SHARE * EDGE_SIGMAS[length - 1]
        coarse[chosen] = np.hypot(*find_gradient(grey, sigma=sigma))[chosen]
        coarse_sigma[chosen] = sigma
    usable = (run >= CONSISTENT_SCALES) & (fine > coarse)
    if not usable.any():
        msg = "image must have edges that can be measured. Got: none. Its contrast may be too low."
        raise NoEdgesError(msg)
    ratio = (fine[usable] / np.maximum(coarse[usable], np.finfo(np.float32).tiny)) ** 2
    variance = (coarse_sigma[usable] ** 2 - ratio * FINE_SIGMA**2) / (ratio - 1)
    sigmas = np.sqrt(np.clip(variance, 0, LARGEST_SIGMA**2))
    return np.argwhere(usable), sigmas.astype(np.float32), found.sum(axis=0)[usable]


def find_edges_across_scales(grey: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Canny edge points (S, H, W) of a grey picture (H, W) at `EDGE_SIGMAS`."""
    return np.stack([find_canny_edges(grey, sigma=sigma) for sigma in EDGE_SIGMAS])


def count_scales(found: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Number of scales in a row (H, W), from the finest on, at which a pixel is an edge point; `found` is (S, H, W)."""
    return np.logical_and.accumulate(found).sum(axis=0)


def filter_connected_edges(
    points: NDArray[np.intp], sigmas: NDArray[np.float32], persistence: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Smooth the blur along edges: the connected edge filter.

    Returns (N,) float32 between the smallest and the largest of `sigmas`.

    Parameters
    ----------
    points : (N, 2) ndarray of int
        Edge points (row, col), each once. Points that touch, corners included, belong to one edge.
    sigmas : (N,) ndarray of float32
        Any unit.
    persistence : (N,) ndarray of int
        Points found at more scales count more.
    """
    count = len(points)
    shape = points.max(axis=0) + 3  # a margin of one on each side
    number = np.full(shape, -1)
    number[tuple((points + 1).T)] = np.arange(count)
    first, second = [], []
    for step in ((0, 1), (1, -1), (1, 0), (1, 1)):
        other = number[tuple((points + 1 + step).T)]
        first.append(np.flatnonzero(other >= 0))
        second.append(other[other >= 0])
    ends = (np.concatenate(first), np.concatenate(second))
    touching = sparse.coo_array((np.ones(len(ends[0])), ends), shape=(count, count))
    differences: Any = laplacian(touching + touching.T)
    weight = 1.0 + persistence
    # Each pair stands twice in the sum of the paper, once from either end.
    matrix: Any = sparse.diags_array(weight) + 2 * EDGE_SMOOTHNESS * differences
    smooth = spsolve(matrix.tocsc(), weight * sigmas)
    return np.clip(smooth, sigmas.min(), sigmas.max()).astype(np.float32)
