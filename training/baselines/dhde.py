"""DHDE (Park et al. 2017): hand-crafted features and a small network say the blur level of edge points."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS
from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.canny import find_canny_edges
from training.baselines.dhde_features import FEATURES, PATCH_SIDES, STRONG, WEAK, describe_patches
from training.baselines.matting_propagation import propagate_by_matting
from training.baselines.pictures import check_picture, convert_to_grey

#: Standard deviation in px of the Canny edges: that of MATLAB's `edge`, which the authors' program calls.
EDGE_SIGMA = 2**0.5
#: Lower and upper threshold of weak and of strong edges as shares of the largest gradient; from that program, as all
#: constants below.
WEAK_THRESHOLDS = (0.117, 0.176)
STRONG_THRESHOLDS = (0.234, 0.351)
#: Side in px of the window of the probability-joint bilateral filter, and its standard deviations in space (px) and in
#: probability.
FILTER_SIDE = 27
FILTER_SPACE = 100.0
FILTER_PROBABILITY = 1.0
#: Rolling guidance filter: standard deviations in px and in colour (0 to 1), and how often it is applied.
GUIDANCE_SPACE, GUIDANCE_COLOUR, GUIDANCE_ROUNDS = 1.5, 1.5, 3
#: λ and ε of the matting.
MATTING_FIDELITY, MATTING_EPSILON = 0.005, 1e-5
#: Weighted median filter: radius in px of its window, standard deviation in colour (0 to 1), and how often it is
#: applied.
MEDIAN_RADIUS, MEDIAN_COLOUR, MEDIAN_ROUNDS = 5, 0.25, 3
# Points that are described at once: 40 MB.
_TOGETHER = 4096


def estimate_dhde(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Estimate the blur map of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, as Park, Tai, Cho and Kweon do.

    Returns a map, (H, W) float32: blur radius in px of a disk, 0.5 to 6. Raises NoEdgesError if no edge is found, and
    WeightsError if the weights are missing or damaged. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    1. Canny edges in the largest channel with two pairs of thresholds: patches of 15 px at strong edges, of 27 px at
       weak ones.
    2. Of each patch: the mean cosine coefficient in rings of rising frequency, the histogram of gradients, the singular
       values; logarithms of 1 + x, divided by their sum. And the RGB patch, for four convolutions.
    3. A perceptron says the blur level of the point and its probability p.
    4. The levels :math:`r` of the points q in a window are averaged,

       .. math:: r_p' = \frac{\sum_q w_{pq} \, r_q}{\sum_q w_{pq}}, \qquad
                 w_{pq} = \exp\left(-\frac{|p - q|^2}{2 \sigma_s^2} - \frac{(1 - p_q)^2}{2 \sigma_c^2}\right)

    5. Matting spreads them, with the picture after the rolling guidance filter [2]_ as guide.
    6. A weighted median filter [3]_ with the grey values of the same guide, in 256 steps.

    Sides, numbers of bins and all constants are those of the program that the authors published, and so are the widths
    of the layers. Its filter in step 4 has a third weight, for colour, that is 1 within 0.02 % at its σ of 100; it is
    left out. It rounds features to 8 bits, and its median takes colours, in random clusters; ours do not.

    Trained by us: the authors' levels are 11 Gaussians of σ = 0.5 to 2 px on encoded values, in photographs of
    ImageNet; ours are the 23 levels of this package, disks on linear light, in pictures of a camera with noise and
    JPEG. The authors train at Canny edges with thresholds twice as high; ours are the edge points of this package, each
    at a scale that is drawn. Ours is trained with Adam for minutes, on features that have mean 0 and variance 1,
    without dropout, since no patch is seen twice, and its logits do not pass a ReLU.

    With the weights of the package, the error at edge points of held-back pictures is 0.8 px in the mean and 0.5 px in
    the median. On steps that a Gaussian has blurred, without noise, it is 0.75 px in the median with patches of 27 px,
    and 0.9 px with those of 15 px.

    The largest gradient of the picture sets the thresholds: where all edges of a part are faint, the map is spread from
    elsewhere.

    Working memory is that of the matting, about 1 KB a pixel, and 0.1 GB.

    References
    ----------
    .. [1] J. Park, Y.-W. Tai, D. Cho and I. S. Kweon, "A unified approach of multi-scale deep and hand-crafted features
       for defocus estimation", CVPR 2017, doi:10.1109/CVPR.2017.295.
    .. [2] Q. Zhang, X. Shen, L. Xu and J. Jia, "Rolling guidance filter", ECCV 2014,
       doi:10.1007/978-3-319-10578-9_53.
    .. [3] Q. Zhang, L. Xu and J. Jia, "100+ times faster weighted median filter", CVPR 2014,
       doi:10.1109/CVPR.2014.362.
    """
    picture = check_picture(image)
    points, scale = find_edge_points(picture.max(axis=2))
    radius, probability = classify_points(picture, points, scale)
    radius = filter_by_probability(points, radius, probability, picture.shape[:2])
    guide = cv2.ximgproc.rollingGuidanceFilter(
        picture,
        d=-1,
        sigmaColor=GUIDANCE_COLOUR,
        sigmaSpace=GUIDANCE_SPACE,
        numOfIter=GUIDANCE_ROUNDS,
    )
    guide = np.clip(guide, 0, 1)
    known, weight = np.zeros((2, *guide.shape[:2]), dtype=np.float32)
    known[tuple(points.T)] = radius
    weight[tuple(points.T)] = 1
    blur_map = propagate_by_matting(known, weight, guide, fidelity=MATTING_FIDELITY, epsilon=MATTING_EPSILON)
    bytes_ = np.rint(convert_to_grey(guide) * 255).astype(np.uint8)
    for _ in range(MEDIAN_ROUNDS):
        blur_map = cv2.ximgproc.weightedMedianFilter(bytes_, blur_map, MEDIAN_RADIUS, MEDIAN_COLOUR * 255)
    return np.asarray(np.clip(blur_map, radius.min(), radius.max()), dtype=np.float32)


def find_edge_points(values: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the edge points of a picture (H, W).

    Returns (N, 2) rows and columns, and (N,) `WEAK` or `STRONG`. Raises NoEdgesError if there are none.
    """
    strong = find_canny_edges(values, sigma=EDGE_SIGMA, thresholds=STRONG_THRESHOLDS)
    points = np.argwhere(strong | find_canny_edges(values, sigma=EDGE_SIGMA, thresholds=WEAK_THRESHOLDS))
    if not len(points):
        raise NoEdgesError("image must have edges that can be measured. Got: none. Its contrast may be too low.")
    return points, np.where(strong[tuple(points.T)], STRONG, WEAK)


def classify_points(
    picture: NDArray[np.float32], points: NDArray[np.intp], scale: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Say the blur radius (N,) in px at points (N, 2) of a picture (H, W, 3) with scales (N,), and its probability."""
    classify = load_classifier()
    margin = PATCH_SIDES[WEAK] // 2
    padded = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    windows = sliding_window_view(padded, (PATCH_SIDES[WEAK],) * 2, axis=(0, 1))
    probabilities = []
    for start in range(0, len(points), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        patches = np.moveaxis(windows[tuple(points[part].T)], 1, -1)
        probabilities.append(classify(*describe_patches(patches, scale[part])))
    levels = np.concatenate(probabilities)
    return BLUR_LEVELS[levels.argmax(axis=1)], levels.max(axis=1)


@cache
def load_classifier() -> Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]:
    """Load the network once: patches and features, as `describe_patches` gives them, to probabilities (N, 23).

    Raises WeightsError if the weights are missing or damaged.
    """
    import keras

    from defocus_edge.networks.inference import compile_inference
    from defocus_edge.networks.keras_policy import use_own_policy
    from defocus_edge.networks.weight_files import fill_layers
    from training.baselines.network_weights import list_shapes, read_weights
    from training.baselines.patch_networks import build_dhde_network

    with use_own_policy():
        network = build_dhde_network()
    fill_layers(network, read_weights("dhde", list_shapes(network)))
    side = PATCH_SIDES[WEAK]
    run = compile_inference(
        lambda patch, features: keras.ops.softmax(network({"patch": patch, "features": features})),
        [((None, side, side, 3), "float32"), ((None, FEATURES), "float32")],
    )

    def classify(patches: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(keras.ops.convert_to_numpy(run(patches, features)))

    return classify


def filter_by_probability(
    points: NDArray[np.intp], radius: NDArray[np.float32], probability: NDArray[np.float32], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Average the radius (N,) of points (N, 2) in windows; near and probable points count more.

    Returns (N,) float32 in the unit of `radius`. `shape` is (H, W) of the picture.
    """
    weight = np.zeros((2, *shape))
    at = tuple(points.T)
    counts = np.exp(-((1 - probability.astype(np.float64)) ** 2) / (2 * FILTER_PROBABILITY**2))
    weight[0][at], weight[1][at] = counts, counts * radius
    kernel = cv2.getGaussianKernel(FILTER_SIDE, FILTER_SPACE, cv2.CV_64F)
    share, total = (
        cv2.sepFilter2D(one, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)[at] for one in weight
    )
    return (total / share).astype(np.float32)
