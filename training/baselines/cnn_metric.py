"""Local metric of Zeng et al. 2019: the principal component of kernels that networks learnt measures sharpness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from training.baselines.multiscale_svd import average_segments
from training.baselines.network_weights import read_weights
from training.baselines.pictures import check_picture, convert_to_grey, stretch
from training.baselines.superpixels import find_superpixels

#: Side in px of the grey patches that the networks see; ours, as are all numbers below.
PATCH_SIDE = 21
#: Sides in px of the superpixels of the rounds, from coarse to fine.
SUPERPIXEL_SIDES = (48, 32, 24, 16)
#: How steep the hyperbolic tangent is, for values whose standard deviation in the picture is 1.
GAIN = 1.0
#: Least response that counts, in grey values (0 to 1): the noise of a plain area.
LEAST_RESPONSE = 1e-3


@dataclass(frozen=True)
class MetricConfig:
    """Architecture of the networks whose kernels make the local metric.

    Parameters
    ----------
    sides : tuple of int
        Sides in px of the kernels of the first layer, one network for each.
    filters : int
        Number of kernels of each layer.
    """

    sides: tuple[int, ...] = (5, 9, 13)
    filters: int = 16


def measure_cnn_metric(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Measure the blur of the superpixels of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, by learnt kernels.

    Returns a map, (H, W) float32: 0 to 1, larger = more blurred, relative to the rest of the picture. Working memory is
    about 0.2 KB a pixel. Raises NoEdgesError for a plain picture, and WeightsError if the weights are missing or
    damaged. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    1. Three networks, with kernels of another size each, have learnt to tell sharp patches at the centres of
       superpixels from blurred ones. They are not run: only the kernels of their first layers are used.
    2. The local metric of a network is the first principal component of its kernels, see `find_metric`.
    3. The sharpness :math:`s` of a pixel is the mean of the absolute responses, each divided by its mean over the
       picture.
    4. From coarse to fine superpixels, with :math:`m` the mean of s in one, :math:`\theta` and :math:`\sigma`
       threshold [2]_ and standard deviation of log m in the picture, and :math:`b` the mean of the last round's values,
       0 at first:

       .. math:: b' = \tanh\left(g \, \left(\frac{\theta - \log m}{\sigma} + b\right)\right)

       So what is surely sharp or blurred stays so, and finer superpixels decide the rest.
    5. The last :math:`b`, stretched to 0 to 1.

    A response grows with contrast: a sharp area of little contrast beside a blurred one of much is taken for blurred.
    For halves of two photographs, one blurred by 3 px, the AUC is above 0.8 (measured).

    Of the paper we know the abstract and the headings of a review: several networks learn at superpixels; principal
    component analysis of their kernels, whose first component is reshaped to the metric; a refinement from coarse to
    fine that uses the hyperbolic tangent. Everything else is our decision: the networks, how the kernels are centred,
    what is done with responses, the formula above, and all numbers. The authors learn from photographs with hand-drawn
    masks; ours learn from rendered scenes.

    References
    ----------
    .. [1] K. Zeng, Y. Wang, J. Mao, J. Liu, W. Peng and N. Chen, "A local metric for defocus blur detection based on
       CNN feature learning", IEEE Transactions on Image Processing 28(5), 2019, doi:10.1109/TIP.2018.2881830.
    .. [2] N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and
       Cybernetics 9(1), 1979, doi:10.1109/TSMC.1979.4310076.
    """
    picture = check_picture(image)
    sharpness = measure_sharpness(convert_to_grey(picture))
    belief = np.zeros(sharpness.shape)
    for side in SUPERPIXEL_SIDES:
        segments = find_superpixels(picture, side=side)
        belief = update_belief(belief, average_segments(sharpness, segments), segments)
    return stretch(belief).astype(np.float32)


def measure_sharpness(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean (H, W) of the absolute responses of a grey picture (H, W) to the local metrics, each of mean 1."""
    values, responses = grey.astype(np.float64), []
    for metric in load_metrics():
        response = np.abs(cv2.filter2D(values, cv2.CV_64F, metric, borderType=cv2.BORDER_REFLECT)) + LEAST_RESPONSE
        responses.append(response / response.mean())
    return np.mean(responses, axis=0, dtype=np.float64)


def update_belief(
    belief: NDArray[np.float64], sharpness: NDArray[np.float64], segments: NDArray[np.int32]
) -> NDArray[np.float64]:
    """One round: belief (H, W), −1 sharp to 1 blurred, from the one before and the sharpness (H, W) of segments."""
    level = np.log(sharpness)
    spread = float(level.std())
    evidence = (threshold_otsu(level) - level) / spread if spread > 0 else np.zeros_like(level)
    return np.tanh(GAIN * (evidence + average_segments(belief, segments)))


@cache
def load_metrics() -> tuple[NDArray[np.float64], ...]:
    """The local metric of each network, (side, side), loaded once.

    Raises WeightsError if the weights are missing or damaged.
    """
    config = MetricConfig()
    shapes = {f"side{side}_conv1": [(side, side, 1, config.filters), (config.filters,)] for side in config.sides}
    return tuple(find_metric(kernels) for kernels, _ in read_weights("cnn-metric", shapes).values())


def find_metric(kernels: NDArray[np.floating]) -> NDArray[np.float64]:
    """First principal component (side, side) of kernels (side, side, 1, filters), of sum 0 and absolute sum 1.

    Each kernel is first moved to a sum of 0, so that brightness does not count, and its mean over the kernels stays:
    what all kernels share is what the network looks for.
    """
    side, _, _, filters = kernels.shape
    rows = kernels.reshape(side**2, filters).T.astype(np.float64)
    component = np.linalg.svd(rows - rows.mean(axis=1, keepdims=True))[2][0]
    return (component / np.abs(component).sum()).reshape(side, side)
