"""PCNN and LBP (Basar et al. 2021): neurons linked to their neighbours pulse early where local patterns are sharp."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge._compiling import compile_kernel
from training.baselines.lbp import FIRST_SHARP_PATTERN, WINDOW_SIDES, find_patterns, measure_share
from training.baselines.pictures import check_picture, convert_to_grey, stretch

#: Side in px of the window in which patterns are counted: the largest of LBP. A smaller one tells less (AUC on ten
#: photographs 0.74 for 11 px, 0.78 for 21 px).
WINDOW_SIDE = WINDOW_SIDES[-1]
#: β: how much pulses around a neuron raise its activity. This value, and side and standard deviation in px of the
#: Gaussian that weighs the neighbours, are those with which Zhan et al. 2017 segment pictures.
LINKING_STRENGTH = 2.0
LINKING_SIDE = 7
LINKING_SIGMA = 1.0
#: The threshold begins at 1, the largest stimulus, and falls by this factor from pulse to pulse. Ours, as is the value
#: at which it ends; half and twice the step change the AUC by less than 0.005 (measured).
THRESHOLD_DECAY = math.exp(-0.05)
LEAST_THRESHOLD = 0.005


def measure_pcnn_lbp(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Measure when neurons pulse that see the sharp patterns of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded.

    Grey values are rounded to 8 bits. Returns a map, (H, W) float32: 0 to 1, larger = later = more blurred, relative to
    the rest of the picture. It is 1 everywhere if there is no sharp pattern. The working memory is about 0.2 KB a
    pixel. Raises NoEdgesError for a plain picture. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    The stimulus :math:`S` of the neuron at each pixel is the share of the local binary patterns 6 to 9 in a window,
    stretched to 0 to 1, as in `lbp`. The neuron pulses once, as soon as

    .. math:: S_p \, \Big(1 + \beta \sum_q w_{pq} Y_q\Big) \ge \theta

    with Gaussian weights :math:`w` of its neighbours, :math:`Y` 1 for those that pulse at the same threshold, and a
    threshold :math:`\theta` that falls exponentially. A pulse spreads at one threshold until no further neuron joins.
    So a region of similar stimulus pulses as one, and small gaps in it close. The map is the number of the pulse.

    We know the abstract of the paper: it joins a sharpness measure of local binary patterns with a pulse-coupled neural
    network, in order to segment. Everything else is our decision: the measure is that of Yi and Eramian [2]_, the
    network the one that Zhan et al. [3]_ segment with, with a threshold that falls exponentially as in Eckhorn's model
    and not linearly, and without inputs that fade. Theirs is a mask; ours is the time of the pulse, which holds the
    masks of all thresholds.

    References
    ----------
    .. [1] S. Basar, M. Ali, G. Ochoa-Ruiz, A. Waheed, G. Rodriguez-Hernandez and M. Zareei, "A novel defocused image
       segmentation method based on PCNN and LBP", IEEE Access 9, 2021, doi:10.1109/ACCESS.2021.3084905.
    .. [2] X. Yi and M. Eramian, "LBP-based segmentation of defocus blur", IEEE Transactions on Image Processing 25(4),
       2016, doi:10.1109/TIP.2016.2528042.
    .. [3] K. Zhan, J. Shi, H. Wang, Y. Xie and Q. Li, "Computational mechanisms of pulse-coupled neural networks: A
       comprehensive review", Archives of Computational Methods in Engineering 24(3), 2017,
       doi:10.1007/s11831-016-9182-3.
    """
    grey = np.rint(convert_to_grey(check_picture(image)) * 255)
    share = measure_share(find_patterns(grey) >= FIRST_SHARP_PATTERN, WINDOW_SIDE)
    return find_pulse_times(stretch(share))


def find_pulse_times(stimulus: NDArray[np.float64]) -> NDArray[np.float32]:
    """Time (H, W) at which each neuron of a pulse-coupled network pulses for a stimulus (H, W), 0 to 1.

    It is a share of the time in which the threshold falls; 1 for neurons that do not pulse.
    """
    weights = cv2.getGaussianKernel(LINKING_SIDE, LINKING_SIGMA, cv2.CV_64F)
    numbers, count = _pulse(stimulus, weights @ weights.T, LINKING_STRENGTH, THRESHOLD_DECAY, LEAST_THRESHOLD)
    return np.where(numbers < 0, 1, numbers / count).astype(np.float32)


@compile_kernel
def _pulse(
    stimulus: NDArray[np.float64], weights: NDArray[np.float64], strength: float, decay: float, least: float
) -> tuple[NDArray[np.int32], int]:
    """Number of the pulse of each neuron, −1 for none, and how many pulses there are."""
    height, width = stimulus.shape
    reach = weights.shape[0] // 2
    numbers = np.full((height, width), -1, dtype=np.int32)
    linking = np.zeros((height, width))
    queue = np.empty((height * width, 2), dtype=np.int32)
    threshold, pulse = 1.0, 0
    while threshold >= least:
        linking[:] = 0.0
        head, tail = 0, 0
        for y in range(height):
            for x in range(width):
                if numbers[y, x] < 0 and stimulus[y, x] >= threshold:
                    numbers[y, x] = pulse
                    queue[tail] = y, x
                    tail += 1
        while head < tail:
            y, x = queue[head]
            head += 1
            for v in range(max(y - reach, 0), min(y + reach + 1, height)):
                for u in range(max(x - reach, 0), min(x + reach + 1, width)):
                    linking[v, u] += weights[v - y + reach, u - x + reach]
                    if numbers[v, u] < 0 and stimulus[v, u] * (1.0 + strength * linking[v, u]) >= threshold:
                        numbers[v, u] = pulse
                        queue[tail] = v, u
                        tail += 1
        threshold *= decay
        pulse += 1
    return numbers, pulse
