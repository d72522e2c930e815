"""Likelihood of each blur radius at each pixel from local frequencies."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from defocus_edge.blur_levels import BLUR_LEVELS
from defocus_edge.psf import disk_kernel, find_transfer
from defocus_edge.sharpening.noise import STEPS_OF_8_BITS, measure_noise

#: Standard deviation in px of the windows of the Gabor filters.
WINDOW_SIGMA = 4.0
#: Frequencies of the filters in cycles per px, and their directions in degrees from that of the gradient.
FREQUENCIES = np.arange(0.06, 0.43, 0.06)
DIRECTIONS = (-30.0, 0.0, 30.0)
#: Variances of the sharp gradient that are tried, in squares of grey values (0 to 1) per px.
VARIANCES = 10.0 ** np.arange(-6, -0.9, 0.5)
#: Least standard deviation of the noise in steps of 8 bits: that of rounding.
LEAST_NOISE = 12**-0.5
#: Standard deviation in px of the Gaussian that averages the logarithms of neighbours.
AVERAGE_SIGMA = 4.0
# Side in px of the periodic picture on which the energy of a filter is computed.
_SIDE = 64
# Products of pixels and hypotheses that are computed at once: 16 MB.
_PRODUCTS = 1 << 22


def measure_log_likelihood(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Logarithm of the likelihood of each of the 23 blur levels, the largest of each pixel being 0.

    Returns (H, W, 23) float32.

    Parameters
    ----------
    grey : (H, W) ndarray of float32
        Grey values, 0 to 1.

    Notes
    -----
    The gradient of a sharp picture is taken for white noise of a local variance s [1]_. After a disk of radius r and
    noise of variance n² its response y to filter g has the variance

    .. math:: v = s \sum_\omega |\hat k_r|^2 |\hat g|^2 + n^2 \sum_\omega |\hat d|^2 |\hat g|^2

    where d is the gradient operator, and the logarithm of the likelihood is the sum of
    :math:`-\log v - |y|^2 / v` over the filters, for the best s. The gradient along the columns is seen by the filters
    whose waves run along the columns within 45°, and the same for the rows [2]_.

    References
    ----------
    .. [1] X. Zhu, S. Cohen, S. Schiller and P. Milanfar, "Estimating spatially varying defocus blur from a single
       image", IEEE Transactions on Image Processing 22(12), 2013, doi:10.1109/TIP.2013.2279316.
    .. [2] S. Liu, Q. Liao, J.-H. Xue and F. Zhou, "Defocus map estimation from a single image using improved likelihood
       feature and edge-based basis", Pattern Recognition 107, 2020, doi:10.1016/j.patcog.2020.107485.
    """
    noise = max(measure_noise(grey[..., None], None), LEAST_NOISE) / STEPS_OF_8_BITS
    signal, disturbance = measure_filter_energies()
    variance = VARIANCES[:, None, None] * signal + noise**2 * disturbance
    hypotheses = variance.reshape(-1, variance.shape[2])
    weights = (1 / hypotheses).T.astype(np.float32)
    constant = np.log(hypotheses).sum(axis=1).astype(np.float32)
    powers = measure_powers(grey)
    result = np.empty((len(powers), len(BLUR_LEVELS)), dtype=np.float32)
    step = max(_PRODUCTS // len(hypotheses), 1)
    for start in range(0, len(powers), step):
        part = slice(start, start + step)
        values = -constant - powers[part] @ weights
        result[part] = values.reshape(-1, len(VARIANCES), len(BLUR_LEVELS)).max(axis=1)
    # One level at a time, since OpenCV filters up to four channels of such a stack.
    averaged = [
        cv2.GaussianBlur(level.reshape(grey.shape), (0, 0), AVERAGE_SIGMA, borderType=cv2.BORDER_REFLECT)
        for level in np.ascontiguousarray(result.T)
    ]
    stacked = np.stack(averaged, axis=2)
    return np.asarray(stacked - stacked.max(axis=2, keepdims=True), dtype=np.float32)


def measure_powers(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared magnitudes (H·W, filters) of the responses of both gradients; borders are mirrored."""
    margin = 2 * int(np.ceil(WINDOW_SIGMA))
    padded = np.pad(grey, margin, mode="symmetric")
    shape = tuple(int(fft.next_fast_len(side)) for side in padded.shape)
    spectrum = fft.fft2(padded, s=shape).astype(np.complex64)
    inside = (slice(margin, margin + grey.shape[0]), slice(margin, margin + grey.shape[1]))
    powers = [
        np.abs(fft.ifft2(spectrum * gradient * gabor)[inside]).astype(np.float32).ravel() ** 2
        for gradient, gabor in _list_filters(shape)
    ]
    return np.stack(powers, axis=1)


def measure_filter_energies() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy that filters pass of white gradients after each disk, (23, filters), and of white noise, (filters)."""
    filters = _list_filters((_SIDE, _SIDE))
    area = _SIDE**2
    disturbance = np.array([(np.abs(gradient * gabor) ** 2).sum() for gradient, gabor in filters]) / area
    signal = []
    for radius in BLUR_LEVELS:
        half = np.abs(find_transfer(disk_kernel(float(radius)), (_SIDE, _SIDE))) ** 2
        # The transform of real values holds one half of the frequencies; the other is the same, turned.
        passed = np.concatenate([half, np.roll(half[::-1, 1:-1][:, ::-1], 1, axis=0)], axis=1)
        signal.append([(passed * gabor**2).sum() / area for _, gabor in filters])
    return np.array(signal), disturbance


def _list_filters(shape: tuple[int, ...]) -> list[tuple[NDArray[np.complex64], NDArray[np.float32]]]:
    """Transforms of the gradient operator and the Gabor filter of each pair, on a periodic picture of a shape."""
    down, right = np.meshgrid(fft.fftfreq(shape[0]), fft.fftfreq(shape[1]), indexing="ij")
    filters = []
    for axis, across in ((down, 90.0), (right, 0.0)):
        gradient = (np.exp(2j * np.pi * axis) - 1).astype(np.complex64)
        for frequency in FREQUENCIES:
            for direction in DIRECTIONS:
                angle = np.deg2rad(across + direction)
                # Distance to the filter's own frequency, around the end of the spectrum.
                apart = [
                    (values - frequency * part + 0.5) % 1 - 0.5
                    for values, part in ((down, np.sin(angle)), (right, np.cos(angle)))
                ]
                reach = (2 * np.pi * WINDOW_SIGMA) ** 2 * (apart[0] ** 2 + apart[1] ** 2)
                filters.append((gradient, np.exp(-reach / 2).astype(np.float32)))
    return filters
