"""The range of values that a picture uses: stretched to [0, 1], so that exposure and contrast change no radius."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from defocus_edge.arrays import ImageWarning

FloatArray = NDArray[np.float32]

#: A picture that uses less than this share of its range was probably read with too many bits, or is very dark.
LEAST_SHARE = 1 / 8
# Step between the values of pictures of 8 bits, and how far from a multiple of it float32 may be.
_STEP, _ROUNDING = np.float32(1 / 255), 1e-3
# Number of rows that are looked at to tell whether a picture has 8 bits.
_SAMPLE_ROWS = 64


def stretch_range(image: FloatArray, *, overwrite: bool = False) -> FloatArray:
    """Picture whose smallest value is 0 and whose largest is 1, over all channels; with `overwrite` in its own memory.

    A picture that is so already, or has one value only, is returned as it is.
    """
    low, high = image.min(), image.max()
    if high == low or (low == 0 and high == 1):
        return image
    stretched = np.subtract(image, low, out=image if overwrite else None)
    stretched /= high - low
    return stretched


def find_step(image: FloatArray) -> float:
    """Step between the values of a picture of 8 bits in [0, 1], which is 1/255; 0 if other values occur."""
    values = image[:: max(1, len(image) // _SAMPLE_ROWS)] / _STEP
    return float(_STEP) if np.abs(values - np.rint(values)).max() < _ROUNDING else 0.0


def warn_of_small_range(image: NDArray[np.float32]) -> None:
    """Warn if a picture uses so little of its range that it was probably read with too many bits."""
    share = float(np.ptp(image))
    if 0 < share < LEAST_SHARE:
        msg = f"The picture uses {share:.1%} of its range. If its samples have fewer bits, set the bit depth."
        warnings.warn(ImageWarning(msg), stacklevel=4)
