"""The optics of defocus: area-sampled disks, and light instead of encoded values."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Sub-pixels along one side of a pixel when the area under the disk's rim is counted.
_OVERSAMPLING = 32
# IEC 61966-2-1, the sRGB transfer function.
_SRGB_LINEAR_END = 0.04045
_LINEAR_END = 0.0031308
_SRGB_SLOPE = 12.92
_SRGB_OFFSET = 0.055
_SRGB_GAMMA = 2.4


def disk_kernel(radius: float) -> NDArray[np.float32]:
    """Disk of a given radius, each pixel the share of its area that the disk covers.

    Parameters
    ----------
    radius : float
        Radius of the circle of confusion in px, >= 0; fractions count.

    Returns
    -------
    (2n+1, 2n+1) ndarray of float32
        Point spread function, sums to one; n = ceil(radius - 1/2).

    Raises
    ------
    ValueError
        For a negative or non-finite radius.

    Notes
    -----
    The sampled kernel has about the second moment of the disk convolved with one pixel, r²/4 + 1/12 along each axis.
    A disk of radius up to 1/2 px lies inside one pixel: the kernel is the identity.
    """
    if not np.isfinite(radius) or radius < 0:
        msg = f"radius must be a finite number of pixels >= 0. Got: {radius}."
        raise ValueError(msg)
    return _disk_kernel(float(radius))


@lru_cache(maxsize=512)
def _disk_kernel(radius: float) -> NDArray[np.float32]:
    """Area-sampled disk by counting sub-pixels; cached since the same levels come again and again."""
    half = max(int(np.ceil(radius - 0.5)), 0)
    side = 2 * half + 1
    centres = (np.arange(side * _OVERSAMPLING) + 0.5) / _OVERSAMPLING - side / 2
    inside = centres[:, None] ** 2 + centres[None, :] ** 2 <= radius**2
    area = inside.reshape(side, _OVERSAMPLING, side, _OVERSAMPLING).sum(axis=(1, 3)).astype(np.float64)
    if area.sum() == 0:  # a disk smaller than a sub-pixel
        area[half, half] = 1
    kernel = (area / area.sum()).astype(np.float32)
    kernel.flags.writeable = False
    return kernel


def decode_srgb(encoded: ArrayLike) -> NDArray[np.float32]:
    """Linear light from sRGB-encoded values, both in [0, 1] (IEC 61966-2-1), float32, same shape."""
    values = np.asarray(encoded, dtype=np.float32)
    curve = np.power((np.maximum(values, _SRGB_LINEAR_END) + _SRGB_OFFSET) / (1 + _SRGB_OFFSET), _SRGB_GAMMA)
    return np.where(values <= _SRGB_LINEAR_END, values / _SRGB_SLOPE, curve).astype(np.float32)


def encode_srgb(linear: ArrayLike) -> NDArray[np.float32]:
    """sRGB-encoded values from linear light, both in [0, 1] (IEC 61966-2-1), float32, same shape."""
    values = np.asarray(linear, dtype=np.float32)
    curve = (1 + _SRGB_OFFSET) * np.power(np.maximum(values, _LINEAR_END), 1 / _SRGB_GAMMA) - _SRGB_OFFSET
    return np.where(values <= _LINEAR_END, values * _SRGB_SLOPE, curve).astype(np.float32)
