"""Filters of the radii at edge points before they are spread. Our pipeline has none; they are compared with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from training.baselines.karaali_jung import filter_connected_edges

#: Standard deviations of the joint bilateral filter: in space in px, and in colour for RGB in [0, 1]. The papers leave
#: them to the user; these are ours.
SPACE_SIGMA = 5.0
COLOUR_SIGMA = 0.1
#: Largest distance, in standard deviations in space, of two points that see each other: e^(-9/2) is 1 %.
SPACE_REACH = 3.0


def smooth_along_edges(points: NDArray[np.integer], point_radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """Filter the radii (N,) in px of edge points (N, 2) by the connected edge filter [1]_; all points count alike.

    References
    ----------
    .. [1] A. Karaali, C. R. Jung, "Edge-based defocus blur estimation with adaptive scale selection", IEEE
       Transactions on Image Processing 27(3), 2018, doi:10.1109/TIP.2017.2771563.
    """
    return filter_connected_edges(points.astype(np.intp), point_radius, np.zeros(len(points), dtype=np.intp))


def filter_by_colour_and_confidence(
    points: NDArray[np.integer],
    point_radius: NDArray[np.float32],
    point_confidence: NDArray[np.float32],
    guide: NDArray[np.float32],
) -> NDArray[np.float32]:
    r"""Filter radii by the probabilistic joint bilateral filter: near, alike and confident points count more.

    Parameters
    ----------
    points : (N, 2) ndarray of int
        (row, col).
    point_radius : (N,) ndarray of float32
        Radius in px.
    point_confidence : (N,) ndarray of float32
        Probability of each radius, > 0.
    guide : (H, W, 3) ndarray of float32
        RGB in [0, 1] whose colours are compared.

    Notes
    -----
    The joint bilateral filter on sparse points [1]_ with the probability of each point as a further weight [2]_:

    .. math:: r_p' = \frac{\sum_q w_{pq} \, c_q \, r_q}{\sum_q w_{pq} \, c_q}, \qquad
              w_{pq} = \exp\left(-\frac{|p - q|^2}{2 \sigma_s^2} - \frac{|G_p - G_q|^2}{2 \sigma_r^2}\right)

    over the points q within 3 σ_s of p, p itself included.

    References
    ----------
    .. [1] S. Zhuo, T. Sim, "Defocus map estimation from a single image", Pattern Recognition 44(9), 2011,
       doi:10.1016/j.patcog.2011.03.009.
    .. [2] J. Park, Y.-W. Tai, D. Cho, I. S. Kweon, "A unified approach of multi-scale deep and hand-crafted features
       for defocus estimation", CVPR 2017, arXiv:1704.08992.
    """
    colours = guide[tuple(points.T)].astype(np.float64)
    first, second = cKDTree(points).query_pairs(SPACE_REACH * SPACE_SIGMA, output_type="ndarray").T
    apart = ((points[first].astype(np.float64) - points[second]) ** 2).sum(axis=1) / SPACE_SIGMA**2
    unlike = ((colours[first] - colours[second]) ** 2).sum(axis=1) / COLOUR_SIGMA**2
    weight = np.exp(-(apart + unlike) / 2)
    confidence = point_confidence.astype(np.float64)
    total, share = confidence * point_radius, confidence.copy()  # each point sees itself with weight 1
    for here, there in ((first, second), (second, first)):
        seen = weight * confidence[there]
        total += np.bincount(here, seen * point_radius[there], minlength=len(points))
        share += np.bincount(here, seen, minlength=len(points))
    return (total / share).astype(np.float32)
