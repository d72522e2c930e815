"""Checks and conversions that all baselines share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defocus_edge.arrays import MIN_SIDE
from defocus_edge.propagation.propagate import NoEdgesError

#: Weights of red, green and blue of MATLAB's rgb2gray, which the authors' programs use: ITU-R BT.601.
LUMA_601 = np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)
#: Least range of the grey values (0 to 1) of a picture that has edges: one step of 8 bits.
LEAST_CONTRAST = 1 / 255


def check_picture(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture (H, W, 3), RGB in [0, 1] with sides of at least 20 px, as float32.

    Raises TypeError if it is not of float. Raises ValueError if the shape or a value is not as described. Raises
    NoEdgesError if its grey values differ by less than `LEAST_CONTRAST`.
    """
    picture = np.asarray(image)
    if picture.dtype.kind != "f":
        msg = f"image must be of float, in [0, 1]. Got: dtype {picture.dtype}. Divide uint8 values by 255."
        raise TypeError(msg)
    if picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < MIN_SIDE:
        msg = f"image must have shape (H, W, 3) with sides of at least {MIN_SIDE} px. Got: shape {picture.shape}."
        raise ValueError(msg)
    low, high = float(picture.min()), float(picture.max())
    if not (low >= 0 and high <= 1):  # in this form NaN is refused too
        msg = f"image must be finite and within [0, 1]. Got: {low:g} to {high:g}. Scale or clip it, and replace NaN."
        raise ValueError(msg)
    picture = picture.astype(np.float32, copy=False)
    if np.ptp(convert_to_grey(picture)) < LEAST_CONTRAST:
        msg = "image must have edges: without one, no blur can be measured. Got: a plain picture."
        raise NoEdgesError(msg)
    return picture


def convert_to_grey(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grey values (H, W) of RGB values (H, W, 3), in the same unit and encoding."""
    return (image @ LUMA_601).astype(np.float32)


def stretch(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Move and scale values to [0, 1], float64; equal values become 0."""
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.zeros(values.shape)
    return (values.astype(np.float64) - low) / (high - low)
