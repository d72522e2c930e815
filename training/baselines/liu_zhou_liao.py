"""Liu, Zhou and Liao 2016: each side of an edge has its own blur, and edges of one blur do not stop the spread."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import grey_dilation, map_coordinates
from scipy.special import ndtr

from defocus_edge.blur_levels import sigma_to_radius
from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.canny import find_canny_edges, find_gradient
from training.baselines.matting_propagation import ZHUO_SIM_FIDELITY, propagate_by_matting
from training.baselines.pictures import check_picture, convert_to_grey
from training.baselines.sparse_filters import smooth_along_edges
from training.baselines.structure import find_structure

#: Standard deviation in px of the Canny edges; ours, as for the other methods with one scale.
EDGE_SIGMA = 1.0
#: Half lengths in px of the profiles across an edge, from the shortest: each holds blurs of up to `HELD_SHARE` of it.
HALF_LENGTHS = (3, 6, 12)
HELD_SHARE = 5 / 12
#: Smallest and largest standard deviation in px, and their distance; the largest is Karaali and Jung's.
SMALLEST_SIGMA, LARGEST_SIGMA, SIGMA_STEP = 0.25, 5.0, 0.25
#: Places in px of the edge beside the middle of the profile: a Canny point is up to half a pixel off, and more where
#: the sides differ, since the steepest place then lies on the sharper side.
OFFSETS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
#: Share of the variance of a profile that its edge must explain.
LEAST_FIT = 0.8
#: Distance in px from the edge of the pixels that get the blur of its two sides.
SIDE_DISTANCE = 2.0
#: How much more the variation costs at a sure pattern edge than elsewhere, and less at a sure depth edge.
EDGE_FACTOR = 4.0
#: Distance in px up to which an edge point sets that cost: an edge is as wide as its blur.
EDGE_REACH = 2
#: ε of the matting. The structure is plain in pieces, which makes the equations of the default 1e-7 slow to solve.
MATTING_EPSILON = 1e-5
# Products of profiles and templates that are computed at once: 16 MB.
_PRODUCTS = 1 << 22


def estimate_liu_zhou_liao(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Estimate the blur map of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, after Liu, Zhou and Liao.

    Returns a map, (H, W) float32: blur radius in px of the disk with the second moment of the estimated Gaussian, 0.5
    to 10. Raises NoEdgesError if no edge fits the model. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    1. `fit_edges`: an edge at x = 0 has the blur :math:`\sigma_1` on its dark and :math:`\sigma_2` on its bright side:

       .. math:: I(x) = B + A \, \Phi(x / \sigma_1) \text{ for } x < 0, \qquad B + A \, \Phi(x / \sigma_2)
                 \text{ for } x \ge 0

    2. The confidence that it is a pattern edge, where depth does not change, is the smaller of the two divided by the
       larger.
    3. `find_structure` removes pattern edges from the picture and keeps depth edges.
    4. The matting Laplacian of the picture that is left spreads the two values of each edge.

    Of the paper we know the abstract: two parameters, the confidence, TV-L1 that takes the confidence into account,
    and matting with the structure as guide. Ours are: the equation above; that it is fitted by least squares, in the
    shortest profile that holds the edge, with A > 0; the formula of the confidence; that each side's blur is smoothed
    along the edge with the connected edge filter of Karaali and Jung; that the values stand 2 px from the edge and
    weigh 1 / σ², without which soft shadows rule plain areas; λ of the matting, which is that of Zhuo and Sim; and all
    constants. Values are encoded.

    The smoothness draws sides together: an edge of σ = 1 and 3 px, which are radii of 2 and 6 px, becomes a map of 2.2
    and 4.1 px (measured).

    Working memory is that of the matting, about 1 KB a pixel.

    References
    ----------
    S. Liu, F. Zhou and Q. Liao, "Defocus map estimation from a single image based on two-parameter defocus model", IEEE
    Transactions on Image Processing 25(12), 2016, doi:10.1109/TIP.2016.2617460.
    """
    picture = check_picture(image)
    grey = convert_to_grey(picture)
    points, normals, sigmas = fit_edges(grey)
    sides = np.stack([smooth_along_edges(points, side) for side in sigmas.T], axis=1)
    confidence = sides.min(axis=1) / sides.max(axis=1)
    known, weight = place_sides(points, normals, sides, grey.shape)
    guide = find_structure(picture, weigh_edges(points, confidence, grey.shape))
    sigma_map = propagate_by_matting(known, weight, guide, fidelity=ZHUO_SIM_FIDELITY, epsilon=MATTING_EPSILON)
    return sigma_to_radius(sigma_map).astype(np.float32)


def fit_edges(
    grey: NDArray[np.float32],
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float32]]:
    """Fit edges of two blurs to the Canny edges of a grey picture (H, W).

    Raises NoEdgesError if none fits.

    Returns
    -------
    points : (N, 2) ndarray of int
        Edge points (row, col).
    normals : (N, 2) ndarray of float64
        Unit vectors (down, right) across the edge, towards the bright side.
    sigmas : (N, 2) ndarray of float32
        Standard deviations in px on the dark and on the bright side, `SMALLEST_SIGMA` to `LARGEST_SIGMA`.
    """
    points = np.argwhere(find_canny_edges(grey, sigma=EDGE_SIGMA))
    across, down = (gradient[tuple(points.T)] for gradient in find_gradient(grey, sigma=EDGE_SIGMA))
    normals = np.stack([down, across], axis=1) / np.maximum(np.hypot(down, across), np.finfo(np.float64).tiny)[:, None]
    sigmas = np.zeros((len(points), 2), dtype=np.float32)
    fit = np.zeros(len(points))
    left = np.arange(len(points))
    for half_length in HALF_LENGTHS:
        profiles = _sample_profiles(grey, points[left], normals[left], half_length)
        fit[left], sigmas[left] = fit_profiles(profiles)
        # The largest blur of a profile stands for all beyond it: a longer one must tell.
        left = left[sigmas[left].max(axis=1) >= _list_sigmas(half_length)[-1]]
    good = fit >= LEAST_FIT
    if not good.any():
        msg = "image must have edges that can be measured. Got: none. Its contrast may be too low."
        raise NoEdgesError(msg)
    return points[good], normals[good], sigmas[good]


def fit_profiles(profiles: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit an edge of two blurs to each profile (N, 2n + 1), from dark to bright, by least squares.

    Returns the share of the variance that the edge explains, (N,), and the standard deviations in px, (N, 2).
    """
    half_length = profiles.shape[1] // 2
    centred = profiles - profiles.mean(axis=1, keepdims=True)
    power = np.maximum((centred**2).sum(axis=1), np.finfo(np.float64).tiny)
    templates, pairs = _make_templates(half_length)
    best, chosen = np.zeros(len(profiles)), np.zeros(len(profiles), dtype=np.intp)
    step = max(_PRODUCTS // len(templates), 1)
    for start in range(0, len(profiles), step):
        part = slice(start, start + step)
        # The best A is the product with a template of length one; a negative A is no edge from dark to bright.
        products = centred[part].astype(np.float32) @ templates.T
        chosen[part] = products.argmax(axis=1)
        highest = np.take_along_axis(products, chosen[part, None], axis=1)[:, 0]
        best[part] = np.maximum(highest, 0) ** 2 / power[part]
    return best, pairs[chosen]


def place_sides(
    points: NDArray[np.intp], normals: NDArray[np.float64], sides: NDArray[np.float32], shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values and weights (H, W): the mean blur of the sides that lie in a pixel, and the sum of their weights.

    A side weighs 1 / σ². The error of a fitted σ grows with σ: the wider an edge, the flatter it is and the more lies
    beside it.
    """
    total, weight = np.zeros((2, *shape))
    for number, direction in enumerate((-1, 1)):
        there = np.rint(points + direction * SIDE_DISTANCE * normals).astype(np.intp)
        inside = ((there >= 0) & (there < shape)).all(axis=1)
        place = tuple(there[inside].T)
        side = sides[inside, number].astype(np.float64)
        np.add.at(total, place, 1 / side)
        np.add.at(weight, place, 1 / side**2)
    values = np.divide(total, weight, out=np.zeros(shape), where=weight > 0)
    return values.astype(np.float32), weight.astype(np.float32)


def weigh_edges(
    points: NDArray[np.intp], confidence: NDArray[np.float32], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Cost of the variation (H, W): up to 4 near pattern edges, down to 1/4 near depth edges, 1 elsewhere."""
    power = np.full(shape, -np.inf, dtype=np.float32)
    power[tuple(points.T)] = 2 * confidence - 1
    power = grey_dilation(power, size=(2 * EDGE_REACH + 1,) * 2)
    return np.where(np.isfinite(power), EDGE_FACTOR**power, 1).astype(np.float32)


def _list_sigmas(half_length: int) -> NDArray[np.float64]:
    """Standard deviations in px that a profile of this half length can hold."""
    largest = min(half_length * HELD_SHARE, LARGEST_SIGMA)
    return np.arange(SMALLEST_SIGMA, largest + SIGMA_STEP / 2, SIGMA_STEP)


def _make_templates(half_length: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Edges of all pairs of blurs and all offsets, without mean and of length one; and the pairs, in px."""
    pairs = np.array(list(itertools.product(_list_sigmas(half_length), repeat=2)))
    templates = []
    for offset in OFFSETS:
        place = np.arange(-half_length, half_length + 1) - offset
        templates.append(ndtr(place / np.where(place < 0, pairs[:, :1], pairs[:, 1:])))
    edges = np.concatenate(templates)
    edges -= edges.mean(axis=1, keepdims=True)
    edges /= np.linalg.norm(edges, axis=1, keepdims=True)
    return edges.astype(np.float32), np.tile(pairs, (len(OFFSETS), 1))


def _sample_profiles(
    grey: NDArray[np.float32], points: NDArray[np.intp], normals: NDArray[np.float64], half_length: int
) -> NDArray[np.float64]:
    """Grey values (N, 2n + 1) on lines across the edges, by cubic splines; the border is mirrored."""
    distance = np.arange(-half_length, half_length + 1)
    places = points.T[:, :, None] + normals.T[:, :, None] * distance
    return np.asarray(map_coordinates(grey.astype(np.float64), places, order=3, mode="mirror"))
