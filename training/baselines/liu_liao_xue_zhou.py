"""Liu, Liao, Xue and Zhou 2020: local frequencies say which of three maps from edges is right at a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS
from training.baselines.andrade import estimate_andrade
from training.baselines.frequency_likelihood import measure_log_likelihood
from training.baselines.grid import build_grid_laplacian
from training.baselines.karaali_jung import estimate_karaali_jung
from training.baselines.matting_propagation import propagate_by_laplacian
from training.baselines.pictures import check_picture, convert_to_grey
from training.baselines.zhang_wang import estimate_zhang_wang

#: The three maps from edges; the paper has three, too, but we do not know which. Ours.
BASIS = (estimate_karaali_jung, estimate_zhang_wang, estimate_andrade)
#: K: number of the highest local maxima of the likelihood that count; ours.
PEAKS = 3
#: Standard deviation in px of the distance of a map to a maximum that it agrees with; ours.
TOLERANCE = 0.75
#: Least weight of a pixel, at which no maximum agrees with any map; ours.
LEAST_WEIGHT = 0.01
#: Weight of the three maps against the smoothness, and the contrast of two neighbours in colours (RGB from 0 to 1) from
#: which they are hardly tied; ours.
FIDELITY = 0.002
CONTRAST = 0.05


def estimate_liu_liao_xue_zhou(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Estimate the blur map of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, after Liu, Liao, Xue and Zhou.

    Returns a map, (H, W) float32: blur radius of a disk in px, 0 to 10. Raises NoEdgesError if no edge can be measured.
    Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    1. `measure_log_likelihood` says for each pixel and radius how well the radius explains the local frequencies. Its K
       highest local maxima :math:`r_k`, with the likelihoods :math:`\ell_k` as shares of the highest, are the feature
       of a pixel.
    2. Three methods that start from edges give the maps :math:`b_i`, the basis.
    3. A map counts where it is near a maximum: :math:`a_i = \max_k \ell_k \exp(-(b_i - r_k)^2 / 2 t^2)`.
    4. The result d is the minimum of a Gaussian random field whose unary term draws to the weighted mean of the maps:

       .. math:: \lambda \sum_p c_p \, (d_p - \sum_i a_i b_i / \sum_i a_i)^2
                 + \sum_{p, q} w_{pq} \, (d_p - d_q)^2, \qquad c_p = \max_i a_i

       over neighbours p and q, tied by :math:`w_{pq} = \exp(-|I_p - I_q|^2 / 2 s^2)`. Where no map is near a maximum
       neighbours decide.

    Of the paper we know the abstract: the three maps as linear basis, the K highest maxima as feature, two orthogonal
    gradients with Gabor filters of their own, and a regression tree field (RTF) that combines them. An RTF is such a
    Gaussian field, but trees that are learnt from pictures with known maps choose its coefficients. Nothing is learnt
    here: the formulas for :math:`a_i`, :math:`c_p` and :math:`w_{pq}` stand for the trees, and they and all constants
    are ours. So are the three methods.

    Working memory is that of `estimate_zhang_wang`, about 2 KB a pixel.

    References
    ----------
    S. Liu, Q. Liao, J.-H. Xue and F. Zhou, "Defocus map estimation from a single image using improved likelihood
    feature and edge-based basis", Pattern Recognition 107, 2020, doi:10.1016/j.patcog.2020.107485.

    J. Jancsary, S. Nowozin, T. Sharp and C. Rother, "Regression tree fields: an efficient, non-parametric approach to
    image labeling problems", CVPR 2012, doi:10.1109/CVPR.2012.6247950.
    """
    picture = check_picture(image)
    basis = np.stack([estimate(picture) for estimate in BASIS])
    likelihood = np.exp(measure_log_likelihood(convert_to_grey(picture)))
    agreement = measure_agreement(basis, likelihood)
    mean = (agreement * basis).sum(axis=0) / np.maximum(agreement.sum(axis=0), np.finfo(np.float32).tiny)
    weight = np.maximum(agreement.max(axis=0), LEAST_WEIGHT)
    return propagate_by_laplacian(
        np.where(agreement.any(axis=0), mean, basis.mean(axis=0)), weight, lambda: _tie(picture), fidelity=FIDELITY
    )


def find_peaks(likelihood: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Radii in px of the highest local maxima of likelihoods (H, W, 23), and the likelihoods there, both (H, W, K).

    An end of the levels is a maximum if it is higher than its neighbour. Where there are fewer than K, the likelihood
    of the rest is 0.
    """
    beside = np.pad(likelihood, ((0, 0), (0, 0), (1, 1)), constant_values=-1)
    top = (likelihood >= beside[..., :-2]) & (likelihood > beside[..., 2:])
    heights = np.where(top, likelihood, 0)
    order = np.argsort(-heights, axis=2, kind="stable")[..., :PEAKS]
    return BLUR_LEVELS[order], np.take_along_axis(heights, order, axis=2)


def measure_agreement(basis: NDArray[np.float32], likelihood: NDArray[np.float32]) -> NDArray[np.float32]:
    """How well each map (N, H, W), in px, agrees with the maxima of the likelihoods (H, W, 23): (N, H, W), 0 to 1."""
    radii, heights = find_peaks(likelihood)
    distance = (basis[..., None] - radii) / np.float32(TOLERANCE)
    return np.asarray((heights * np.exp(-(distance**2) / 2)).max(axis=3), dtype=np.float32)


def _tie(picture: NDArray[np.float32]) -> object:
    """Laplacian of neighbours that are tied less the more their colours differ."""
    down, right = (
        np.exp(-(np.diff(picture, axis=axis) ** 2).sum(axis=2, dtype=np.float64) / (2 * CONTRAST**2)) for axis in (0, 1)
    )
    return build_grid_laplacian(down, right)
