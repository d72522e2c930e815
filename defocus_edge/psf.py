"""The optics of defocus: area-sampled disks, Gaussians and polygons, and light instead of encoded values."""

from __future__ import annotations

from functools import lru_cache
from math import erf

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.blur_levels import radius_to_sigma

#: Sub-pixels along one side of a pixel when the area under the disk's rim is counted.
_OVERSAMPLING = 32
#: A Gaussian is cut off at so many standard deviations; 6e-5 of its light lies beyond along each axis.
_GAUSSIAN_REACH = 4.0
#: A polygon needs three corners.
_FEWEST_BLADES = 3
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


def gaussian_kernel(radius: float) -> NDArray[np.float32]:
    """Gaussian that stands for a disk of a given radius, integrated over each pixel.

    Parameters
    ----------
    radius : float
        Radius in px, >= 0, of the disk with the same second moment: σ = radius / 2.

    Returns
    -------
    (2n+1, 2n+1) ndarray of float32
        Point spread function, sums to one; cut off at 4 σ.

    Raises
    ------
    ValueError
        For a negative or non-finite radius.

    Notes
    -----
    Its second moment is that of the Gaussian convolved with one pixel, r²/4 + 1/12 along each axis.
    """
    return _gaussian_kernel(_check_radius(radius))


def polygon_kernel(radius: float, *, blades: int = 6, angle: float = 0.0) -> NDArray[np.float32]:
    """Aperture of straight blades that stands for a disk of a given radius, area-sampled.

    Parameters
    ----------
    radius : float
        Radius in px, >= 0, of the disk with the same second moment.
    blades : int
        Corners of the regular polygon, >= 3.
    angle : float
        Degrees from the axis of the columns to the first corner.

    Returns
    -------
    (2n+1, 2n+1) ndarray of float32
        Point spread function, sums to one.

    Raises
    ------
    ValueError
        For a negative or non-finite radius, fewer than 3 blades or a non-finite angle.

    Notes
    -----
    A regular polygon with circumradius R and θ = 2π/blades has the second moment R² (2 + cos θ) / 12 along each axis,
    a disk r²/4, hence R = r √(3 / (2 + cos θ)).
    """
    if blades < _FEWEST_BLADES:
        msg = f"blades must be at least {_FEWEST_BLADES}. Got: {blades}."
        raise ValueError(msg)
    if not np.isfinite(angle):
        msg = f"angle must be a finite number of degrees. Got: {angle}."
        raise ValueError(msg)
    return _polygon_kernel(_check_radius(radius), int(blades), float(angle) % (360 / blades))


def _check_radius(radius: float) -> float:
    """Raise unless the radius is a finite number >= 0."""
    if not np.isfinite(radius) or radius < 0:
        msg = f"radius must be a finite number of pixels >= 0. Got: {radius}."
        raise ValueError(msg)
    return float(radius)


@lru_cache(maxsize=512)
def _gaussian_kernel(radius: float) -> NDArray[np.float32]:
    """Outer product of the Gaussian's integrals over pixels; cached."""
    sigma = max(float(radius_to_sigma(radius)), 1e-6)  # a point, for a radius of 0
    half = max(int(np.ceil(_GAUSSIAN_REACH * sigma - 0.5)), 0)
    ends = np.arange(2 * half + 2) - half - 0.5
    share = np.diff([erf(end / (sigma * np.sqrt(2))) for end in ends])
    kernel = np.outer(share, share)
    return _finish(kernel)


@lru_cache(maxsize=512)
def _polygon_kernel(radius: float, blades: int, angle: float) -> NDArray[np.float32]:
    """Area-sampled polygon by counting sub-pixels within all its sides; cached."""
    step = 2 * np.pi / blades
    corner = radius * np.sqrt(3 / (2 + np.cos(step)))
    half = max(int(np.ceil(corner - 0.5)), 0)
    side = 2 * half + 1
    centres = (np.arange(side * _OVERSAMPLING) + 0.5) / _OVERSAMPLING - side / 2
    inside = np.ones((len(centres), len(centres)), dtype=bool)
    for blade in range(blades):
        normal = np.deg2rad(angle) + (blade + 0.5) * step
        distance = np.cos(normal) * centres[None, :] + np.sin(normal) * centres[:, None]
        inside &= distance <= corner * np.cos(step / 2)
    area = inside.reshape(side, _OVERSAMPLING, side, _OVERSAMPLING).sum(axis=(1, 3)).astype(np.float64)
    if area.sum() == 0:  # a polygon smaller than a sub-pixel
        area[half, half] = 1
    return _finish(area)


def _finish(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Weights that sum to one, read-only since they are kept."""
    kernel = (weights / weights.sum()).astype(np.float32)
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
