"""Zhang et al. 2016: the ratio of gradients in the largest channel, spread by KNN matting."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import laplacian
from scipy.spatial import cKDTree

from defocus_edge.blur_levels import sigma_to_radius
from training.baselines.canny import find_canny_edges
from training.baselines.matting_propagation import propagate_by_laplacian
from training.baselines.pictures import check_picture, convert_to_grey
from training.baselines.zhuo_sim import measure_edge_sigmas

#: Standard deviation in px of the Gaussian that blurs the picture once more, as in the authors' program.
REBLUR_SIGMA = 3.5
#: Standard deviation in px of the Canny edges; same source.
EDGE_SIGMA = 1.0
#: Largest standard deviation in px of the estimated blur; same source.
LARGEST_SIGMA = 3.0
#: Half side in px of the windows of the guided filter at the edge points; same source.
FILTER_REACH = 5
#: ε of that filter, in squares of the mask's values (0 and 1); same source. It is so small that only means are left.
FILTER_EPSILON = 1e-9
#: λ of the matting: weight of the known values; same source.
FIDELITY = 0.05
#: Number of neighbours of each pixel; same source. The pixel itself counts.
NEIGHBOURS = 10
#: What the length of the diagonal counts in colours (RGB from 0 to 1); same source.
DIAGONAL = 30.0


def estimate_zhang_wang(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Estimate the blur map of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, as Zhang, Wang et al. do.

    Returns a map, (H, W) float32: blur radius in px of the disk with the second moment of the estimated Gaussian, 0 to
    6. Raises NoEdgesError if there is no edge that another blur makes softer. Raises ValueError or TypeError if `image`
    is no picture.

    Notes
    -----
    1. With the gradients g before and g' after another Gaussian of σ0 = 3.5 px, in the largest of the three channels,
       an edge has the sharpness S and the blur σ:

       .. math:: S = (g - g') / g, \qquad \sigma = \sigma_0 (1 - S) / \sqrt{2 S - S^2}

       which is the ratio of Zhuo and Sim, R = 1 / (1 - S).
    2. A guided filter whose guide is the mask of the edges smooths the values at them: `filter_edge_values`.
    3. KNN matting [2]_ spreads them. Each pixel is tied to the pixels of the most similar colours and places; a tie
       weighs 1 minus the mean difference of the five features.

    What follows in the paper, deblurring with BM3D and the removal of ringing, is left out: it needs the map and does
    not change it. Constants, and what the paper leaves open, are those of the program that the authors published, with
    these differences. The thresholds of Canny are those of MATLAB for the picture, where the program has a constant
    that its users may change, 0.0051 of the largest gradient; with it, noise counts as sharp. Gradients are central
    differences, where the program takes those of two neighbours. Only points at which σ can be measured are known; in
    the program an edge point without it counts as sharp while the others are smoothed. The map is clipped to the range
    of the known values. The program's second search for one neighbour finds the pixel itself and is left out.

    Since a place counts much more than a colour, the map is smooth and outlines in it are soft.

    Working memory is about 2 KB a pixel.

    References
    ----------
    .. [1] X. Zhang, R. Wang, X. Jiang, W. Wang and W. Gao, "Spatially variant defocus blur map estimation and
       deblurring from a single image", Journal of Visual Communication and Image Representation 35, 2016,
       doi:10.1016/j.jvcir.2016.01.002.
    .. [2] Q. Chen, D. Li and C.-K. Tang, "KNN matting", TPAMI 35(9), 2013, doi:10.1109/TPAMI.2013.18.
    """
    picture = check_picture(image)
    edges = find_canny_edges(convert_to_grey(picture), sigma=EDGE_SIGMA)
    points, sigmas = measure_edge_sigmas(
        picture.max(axis=2), edges, reblur_sigma=REBLUR_SIGMA, largest_sigma=LARGEST_SIGMA
    )
    mask, values = np.zeros((2, *edges.shape), dtype=np.float32)
    mask[tuple(points.T)] = 1
    values[tuple(points.T)] = sigmas
    known = filter_edge_values(values, mask)
    sigma_map = propagate_by_laplacian(known, mask, lambda: build_knn_laplacian(picture), fidelity=FIDELITY)
    return sigma_to_radius(sigma_map).astype(np.float32)


def filter_edge_values(values: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooth values (H, W) that are 0 outside a mask (H, W) of 0 and 1 by a guided filter whose guide is the mask.

    At a point of the mask the result, (H, W) float32, is the mean over all windows around it of the mean of the values
    at the points of the mask in each. Elsewhere it is 0 but for rounding.
    """
    filtered = cv2.ximgproc.guidedFilter(mask, values, FILTER_REACH, FILTER_EPSILON)
    return np.asarray(np.clip(filtered, 0, values.max()), dtype=np.float32)


def build_knn_laplacian(picture: NDArray[np.float32]) -> Any:
    """Laplacian of the graph in which each pixel of a picture (H, W, 3) is tied to its nearest neighbours.

    Features are the three colours and the two coordinates, in units in which the diagonal is `DIAGONAL`. A pair that
    is near from both ends is tied twice.
    """
    height, width = picture.shape[:2]
    places = np.moveaxis(np.mgrid[:height, :width], 0, 2) * (DIAGONAL / np.hypot(height, width))
    features = np.concatenate([picture, places], axis=2).reshape(height * width, 5)
    near = cKDTree(features).query(features, k=NEIGHBOURS)[1].astype(np.int32)
    unlike = np.abs(features[near] - features[:, None]).mean(axis=2)
    starts = np.arange(0, near.size + 1, NEIGHBOURS)
    ties = sparse.csr_array((np.maximum(1 - unlike, 0).ravel(), near.ravel(), starts))
    return laplacian(ties + ties.T)
