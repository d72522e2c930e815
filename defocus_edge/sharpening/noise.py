"""Noise of a picture, measured where there is least texture."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.arrays import as_image, check_radius_map
from defocus_edge.choices import AUTO, BitDepth
from defocus_edge.estimation.edges import NOISE_GAIN, NORMAL_MEDIAN

FloatArray = NDArray[np.float32]

#: Encoded values from here on are saturated: 5 steps of 8 bits below white, since JPEG ripples there.
SATURATION = 250 / 255
#: Steps of 8 bits in the range of a picture: the unit of noise.
STEPS_OF_8_BITS = 255.0
# Side in px of the blocks in which noise is measured, and the quantile over them: most of a sharp picture has texture.
_NOISE_BLOCK = 16
_NOISE_QUANTILE = 0.25
# A block shows no noise from this share of black or saturated pixels on.
_CLIPPED_SHARE = 0.5


def estimate_noise(image: ArrayLike, blur_map: ArrayLike | None = None, *, bit_depth: BitDepth = AUTO) -> float:
    """Standard deviation of the noise of a picture, in 8-bit steps.

    Parameters
    ----------
    image : array_like
        As for `as_image`.
    blur_map : (H, W) array_like of float or BlurEstimate, optional
        Blur radius in px: only the more blurred half is measured, where there is least texture.
    bit_depth : int or 'auto'
        Bits of the samples of a uint16 picture, as for `as_image`.

    Returns
    -------
    float
        Mean over the channels; one step is 1/255 of the range of the encoded values.

    Raises
    ------
    TypeError, ValueError
        As `as_image` does, and if `blur_map` does not fit.

    Notes
    -----
    The mask [1 -2 1]ᵀ[1 -2 1] removes planes and straight edges along the axes and leaves noise with 6 times its
    standard deviation [1]_. That is the median absolute value over 0.6745 [2]_, measured in blocks of 16 px. The lower
    quartile of the blocks counts, since most blocks of a sharp picture hold texture. Saturated blocks are left out.

    References
    ----------
    .. [1] J. Immerkær, "Fast noise variance estimation", Computer Vision and Image Understanding 64(2), 1996.
    .. [2] D. L. Donoho, I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81(3), 1994.
    """
    colour = as_image(image, bit_depth=bit_depth)
    return measure_noise(colour, None if blur_map is None else check_radius_map(blur_map, colour.shape[:2]))


def measure_noise(colour: FloatArray, radius: FloatArray | None) -> float:
    """Measure noise as `estimate_noise` does, without checking the (H, W, C) picture and the radii.

    It is 0 for pictures of less than 18 px a side.
    """
    return float(np.mean([_measure_plane_noise(plane, radius) for plane in np.moveaxis(colour, 2, 0)]))


def _measure_plane_noise(plane: FloatArray, radius: FloatArray | None) -> float:
    """Noise of one channel in 8-bit steps."""
    bent = plane[2:] - 2 * plane[1:-1] + plane[:-2]
    bent = np.abs(bent[:, 2:] - 2 * bent[:, 1:-1] + bent[:, :-2])
    if min(bent.shape, default=0) < _NOISE_BLOCK:  # no block fits: there is too little to tell noise from texture
        return 0.0
    medians = np.median(_split_blocks(bent), axis=1)
    inside = _split_blocks(plane[1:-1, 1:-1])
    usable = np.mean((inside >= SATURATION) | (inside <= 1 - SATURATION), axis=1) < _CLIPPED_SHARE
    if radius is not None:
        blur = np.mean(_split_blocks(radius[1:-1, 1:-1]), axis=1)
        usable &= blur >= np.median(blur)
    medians = medians[usable] if usable.any() else medians
    return float(np.quantile(medians, _NOISE_QUANTILE)) / NORMAL_MEDIAN / NOISE_GAIN * STEPS_OF_8_BITS


def _split_blocks(values: FloatArray) -> FloatArray:
    """(N, pixels) whole blocks of (H, W) values; what is left over at the ends is dropped."""
    rows, columns = (side // _NOISE_BLOCK for side in values.shape)
    whole = values[: rows * _NOISE_BLOCK, : columns * _NOISE_BLOCK]
    blocks = whole.reshape(rows, _NOISE_BLOCK, columns, _NOISE_BLOCK).swapaxes(1, 2)
    return blocks.reshape(rows * columns, _NOISE_BLOCK**2)
