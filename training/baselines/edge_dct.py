"""Edge DCT (Ma et al. 2020): how much of the cosine transform around an edge one more blur leaves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.ndimage import distance_transform_edt, gaussian_filter

from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.karaali_jung import (
    COARSE_SHARE,
    CONSISTENT_SCALES,
    EDGE_SIGMAS,
    count_scales,
    find_edges_across_scales,
)
from training.baselines.matting_propagation import ZHUO_SIM_FIDELITY, propagate_by_matting
from training.baselines.patches import sample_windows
from training.baselines.pictures import check_picture, convert_to_grey

#: Sides in px of the windows around an edge point, and the angles by which they are turned. Ours; a square turned by
#: 90° is itself.
WINDOW_SIDES = (9, 15)
ANGLES = tuple(number * math.pi / 8 for number in range(4))
#: Edge points of the coarsest scale join if they are farther than this from all other points, in px. Ours.
LEAST_DISTANCE = 3.0
#: Standard deviation in px of the one blur to which all ratios are converted: the largest that a point can have.
COMMON_SIGMA = float(COARSE_SHARE * EDGE_SIGMAS[-1])
# Largest ratio: more is rounding, or a neighbour that the blur has moved into the window.
_LARGEST_RATIO = 0.9999


def measure_edge_dct(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Measure the blur of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, by cosine transforms at its edges.

    Returns a map, (H, W) float32: 0 to 1, larger = more blurred: the share of the high frequencies that a Gaussian of
    `COMMON_SIGMA` px leaves. The working memory is about 1 KB a pixel, that of matting. Raises NoEdgesError if no edge
    is found. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    In order: edge points and for each a reblur scale :math:`s`, chosen by how many scales show the edge; windows around
    each point in the picture and in the picture blurred by a Gaussian of :math:`s`; their cosine transforms
    :math:`C` and :math:`C_s`; the ratio

    .. math:: R = \frac{\sum_{u, v} (u + v) \, |C_s(u, v)|}{\sum_{u, v} (u + v) \, |C(u, v)|}

    in which each sub-band :math:`u + v` counts by its frequency; the mean of :math:`R` over four directions of the
    window and over its sides; matting, λ = 0.001. Matting is linear, so the map of the mean is the mean of the maps.

    A single coefficient tells nothing: a Gaussian leaves the same share of it however blurred the picture is. Where
    sub-bands count by their frequency, a blurred step has the sum of its gradient, and :math:`R^2 = \sigma^2 /
    (\sigma^2 + s^2)` as for gradients. So ratios of different :math:`s` are converted to one. The σ that they imply is
    that of a blurred step within 0.3 px up to 1.5 px, and at most 0.7 px too large up to 3 px (measured): the smaller
    window does not hold all of such an edge.

    We know the abstract of the paper and a summary: edge points that bring their reblur scale, ratios of DCT
    coefficients, a fusion of sub-bands, several sizes and directions of windows, further blurred points, matting and a
    fusion of scales. How each is done is our decision. Edges and scales are those of Karaali and Jung [2]_. The further
    points are edge points of their coarsest scale with no other point near: edges too blurred for the finer scales.

    References
    ----------
    .. [1] M. Ma, W. Lu and W. Lyu, "Defocus blur detection via edge pixel DCT feature of local patches", Signal
       Processing 176, 2020, doi:10.1016/j.sigpro.2020.107670.
    .. [2] A. Karaali and C. R. Jung, "Edge-based defocus blur estimation with adaptive scale selection", IEEE
       Transactions on Image Processing 27(3), 2018, doi:10.1109/TIP.2017.2771563.
    """
    picture = check_picture(image)
    grey = convert_to_grey(picture)
    reblur = choose_reblur_sigmas(grey)
    if not reblur.any():
        raise NoEdgesError("image must have edges that can be measured. Got: none. Its contrast may be too low.")
    scores = np.zeros_like(grey)
    for sigma in np.unique(reblur[reblur > 0]):
        points = np.argwhere(reblur == sigma)
        ratios = [measure_ratio(grey, points, sigma=float(sigma), side=side) for side in WINDOW_SIDES]
        scores[tuple(points.T)] = np.mean([convert_ratio(ratio, sigma) for ratio in ratios], axis=0)
    return propagate_by_matting(scores, (reblur > 0).astype(np.float32), picture, fidelity=ZHUO_SIM_FIDELITY)


def choose_reblur_sigmas(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Standard deviation in px (H, W) of the blur to measure each edge point of a grey picture with; 0 elsewhere."""
    found = find_edges_across_scales(grey)
    scales = count_scales(found)
    sure = scales >= CONSISTENT_SCALES
    sigmas = np.where(sure, COARSE_SHARE * EDGE_SIGMAS[np.maximum(scales, 1) - 1], 0.0)
    alone = distance_transform_edt(~sure) > LEAST_DISTANCE if sure.any() else np.ones_like(sure)
    sigmas[found[-1] & alone] = COMMON_SIGMA
    return sigmas


def measure_ratio(
    grey: NDArray[np.float32], points: NDArray[np.integer], *, sigma: float, side: int
) -> NDArray[np.float64]:
    """Ratio R (N,) of windows around points (N, 2) of a grey picture, mean over the angles."""
    again = gaussian_filter(grey, sigma, mode="reflect")
    ratios = []
    for angle in ANGLES:
        before, after = (
            np.concatenate([_weigh_bands(batch) for batch in sample_windows(values, points, side=side, angle=angle)])
            for values in (grey, again)
        )
        ratios.append(np.divide(after, before, out=np.ones_like(after), where=before > 0))
    return np.mean(ratios, axis=0, dtype=np.float64)


def convert_ratio(ratio: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Ratio that a blur of `COMMON_SIGMA` px would leave where one of `sigma` px left `ratio`."""
    squares = np.clip(ratio, 0, _LARGEST_RATIO) ** 2
    variance = sigma**2 * squares / (1 - squares)
    return np.sqrt(variance / (variance + COMMON_SIGMA**2))


def _weigh_bands(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum (N,) of the absolute coefficients of windows (N, side, side), each times u + v."""
    frequencies = np.arange(windows.shape[1], dtype=np.float32)
    weights = np.add.outer(frequencies, frequencies)
    return np.einsum("nuv,uv->n", np.abs(dctn(windows, axes=(1, 2), norm="ortho", overwrite_x=True)), weights)
