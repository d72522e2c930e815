"""Andrade 2016: blur at edges flows as heat does into the places between them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import sigma_to_radius
from training.baselines.grid import build_grid_laplacian
from training.baselines.matting_propagation import propagate_by_laplacian
from training.baselines.pictures import check_picture, convert_to_grey
from training.baselines.zhuo_sim import estimate_edge_sigmas

#: Conductivity between two pixels of equal grey is 1. The known values are tied to their pixels by this much: they move
#: by less than 1 % of the difference to their neighbours.
HOLD = 400.0
#: Radius in px of the windows of the guided filter as a share of the picture's shorter side, and its ε, in grey values
#: (0 to 1) squared; both ours.
FILTER_SHARE = 0.05
FILTER_EPSILON = 1e-3


def estimate_andrade(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Estimate the blur map of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, after Andrade.

    Returns a map, (H, W) float32: blur radius in px of the disk with the second moment of the estimated Gaussian, 0 to
    10. Raises NoEdgesError if no edge can be measured. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    1. The blur at edge points is that of `zhuo_sim.estimate_edge_sigmas`.
    2. `diffuse` solves :math:`\Delta u = 0` between the edge points, with their values held: the state in which heat
       that flows from them comes to rest.
    3. A guided filter [2]_ with the grey picture as guide moves the borders of the map to those of the picture.

    Of the paper [1]_ we know the abstract: features of edges, without training; heat diffusion with a discrete solver
    of the Poisson equation; a guided filter. Ours are: that the feature is the ratio of gradients, which gives a
    radius; that the right-hand side of the equation is 0, and no heat passes the border of the picture; all constants.

    Working memory is about 300 bytes a pixel.

    References
    ----------
    .. [1] J. Andrade, "Defocus map detection using a single image", International Conference on Computational Science
       and Computational Intelligence (CSCI), 2016, doi:10.1109/CSCI.2016.0151.
    .. [2] K. He, J. Sun and X. Tang, "Guided image filtering", TPAMI 35(6), 2013, doi:10.1109/TPAMI.2012.213.
    """
    grey = convert_to_grey(check_picture(image))
    points, sigmas = estimate_edge_sigmas(grey)
    sigma_map = diffuse(points, sigmas, grey.shape)
    reach = max(round(FILTER_SHARE * min(grey.shape)), 1)
    filtered = cv2.ximgproc.guidedFilter(grey, sigma_map, reach, FILTER_EPSILON)
    # The filter is locally linear in the guide and overshoots.
    return sigma_to_radius(np.clip(filtered, sigmas.min(), sigmas.max())).astype(np.float32)


def diffuse(points: NDArray[np.intp], values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Fill a map of a shape so that each pixel is the mean of its four neighbours but for the points, which are held.

    Returns (H, W) float32 within the range of `values`.

    Parameters
    ----------
    points : (N, 2) ndarray of int
        (row, col), each once, at least one.
    values : (N,) ndarray of float32
        Any unit.
    shape : tuple of int
        (H, W).
    """
    known, weight = np.zeros((2, *shape), dtype=np.float32)
    known[tuple(points.T)] = values
    weight[tuple(points.T)] = 1
    height, width = shape
    return propagate_by_laplacian(
        known,
        weight,
        lambda: build_grid_laplacian(np.ones((height - 1, width)), np.ones((height, width - 1))),
        fidelity=HOLD,
    )
