"""Optics of defocus: point spread functions, the blur that they cause, and linear light from sRGB values and back.

Only OpenCV is loaded with this module; SciPy's Fourier transforms come with the first call that needs them.
"""

from __future__ import annotations

from functools import lru_cache
from math import erf
from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.blur_levels import radius_to_sigma

FloatArray = NDArray[np.float32]
#: Views of a dual-pixel sensor.
View = Literal["left", "right"]

# IEC 61966-2-1, the sRGB transfer function.
#: Encoded values up to this are proportional to the light.
SRGB_LINEAR_END = 0.04045
#: The same end of the straight part, as linear light.
LINEAR_END = 0.0031308
SRGB_SLOPE = 12.92
SRGB_OFFSET = 0.055
SRGB_GAMMA = 2.4
#: Shares of red, green and blue in the luminance of sRGB's primaries (ITU-R BT.709). Baselines that follow other
#: people's programs take the weights of BT.601 instead, see `training.baselines.pictures.LUMA_601`.
LUMA: FloatArray = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)

#: Largest side in px of a kernel that `blur_with_disk_fast` convolves directly. Above, OpenCV changes its own method
#: and needs 5 ms instead of 0.6 ms for 256×256×3 px; a Fourier transform takes 1.2 ms (measured on one core).
LARGEST_DIRECT = 11
# Sub-pixels along one side of a pixel when the area inside an aperture is counted.
_OVERSAMPLING = 32
# A Gaussian is cut off at this many standard deviations; 6e-5 of its light lies beyond along each axis.
_GAUSSIAN_REACH = 4.0
# Smallest standard deviation of a Gaussian, px: a point, for a radius of 0.
_LEAST_SIGMA = 1e-6
# A polygon needs three corners. Lenses have up to 20 blades; the limit bounds the time.
_FEWEST_BLADES, _MOST_BLADES = 3, 128
# Masks of the halves of the lens that the views of a dual-pixel sensor see.
_HALVES = {"left": ((1.0, 0.0),), "right": ((0.0, 1.0),)}


def disk_kernel(radius: float) -> FloatArray:
    """Disk of a radius in px, >= 0; each pixel holds the share of the disk that lies in it.

    The kernel is (2n+1, 2n+1) with n = ceil(radius - 1/2) and sums to one. Its second moment is about that of the disk
    convolved with one pixel, r²/4 + 1/12 along each axis. A disk of up to 1/2 px lies inside one pixel: its kernel is
    the identity. ValueError for a negative or non-finite radius.
    """
    return _disk_kernel(_check_radius(radius))


def gaussian_kernel(radius: float) -> FloatArray:
    """Gaussian with the second moment of a disk of `radius` px, integrated over each pixel: σ = radius / 2.

    The kernel is (2n+1, 2n+1), cut off at 4 σ, and sums to one. Its second moment is r²/4 + 1/12 along each axis.
    ValueError for a negative or non-finite radius.
    """
    return _gaussian_kernel(_check_radius(radius))


def polygon_kernel(radius: float, *, blades: int = 6, angle: float = 0.0) -> FloatArray:
    """Aperture of straight blades with the second moment of a disk; each pixel holds the share that lies in it.

    Parameters
    ----------
    radius : float
        Radius of the disk in px, >= 0.
    blades : int
        Corners of the regular polygon, 3 to 128.
    angle : float
        Degrees from the axis of the columns to the first corner.

    Returns
    -------
    (2n+1, 2n+1) ndarray of float32
        Point spread function, sums to one.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    A regular polygon with circumradius R and θ = 2π/blades has the second moment R² (2 + cos θ) / 12 along each axis,
    and a disk r²/4. Hence R = r √(3 / (2 + cos θ)).
    """
    if not _FEWEST_BLADES <= blades <= _MOST_BLADES:
        raise ValueError(f"blades must be between {_FEWEST_BLADES} and {_MOST_BLADES}. Got: {blades}.")
    if not np.isfinite(angle):
        raise ValueError(f"angle must be a finite number of degrees. Got: {angle}.")
    return _polygon_kernel(_check_radius(radius), int(blades), float(angle) % (360 / blades))


def coded_kernel(signed_radius: float, mask: ArrayLike) -> FloatArray:
    """Disk seen through a mask in the aperture; each pixel holds the share of the light that falls on it.

    Parameters
    ----------
    signed_radius : float
        Radius of the disk in px: positive in front of the focus, negative behind it.
    mask : (M, N) array_like
        Share of the light that each cell lets through, 0 to 1, as the photographer sees the aperture from behind the
        camera. The cells divide the square around the disk; what lies outside the disk does not count.

    Returns
    -------
    (2n+1, 2n+1) ndarray of float32
        Point spread function with n = ceil(abs(signed_radius) - 1/2); sums to one.

    Raises
    ------
    ValueError
        If the radius is not finite, or the mask is not as described or closed everywhere in the disk.

    Notes
    -----
    Light from behind the focus crosses the axis before it meets the sensor, and pictures are turned upright. So a point
    behind the focus shows the mask upright, and one in front of it shows the mask turned by 180 degrees.

    Examples
    --------
    >>> coded_kernel(-1.5, [[1, 0]])[1].round(2)  # the left half, behind the focus
    array([0.28, 0.14, 0.  ], dtype=float32)
    """
    if not np.isfinite(signed_radius):
        raise ValueError(f"signed_radius must be a finite number of pixels. Got: {signed_radius}.")
    cells = np.asarray(mask, dtype=np.float64)
    if cells.ndim != 2 or not cells.size or not ((cells >= 0) & (cells <= 1)).all():
        raise ValueError(f"mask must be two-dimensional with values in [0, 1]. Got: {mask!r}.")
    kernel = _coded_kernel(abs(float(signed_radius)), cells.tobytes(), cells.shape)
    return kernel[::-1, ::-1] if signed_radius > 0 else kernel


def half_disk_kernel(signed_radius: float, view: View) -> FloatArray:
    """Point spread function of one view of a dual-pixel sensor: the light through one half of the lens.

    Parameters
    ----------
    signed_radius : float
        Radius of the whole disk in px: positive in front of the focus, negative behind it.
    view : {'left', 'right'}
        Half of the lens, as the photographer sees it from behind the camera.

    Returns
    -------
    (2n+1, 2n+1) ndarray of float32
        Half of the disk; sums to one, since each view is exposed like a picture. The mean of both views is the disk.

    Raises
    ------
    ValueError
        If the radius is not finite, or the view is neither.

    Notes
    -----
    Behind the focus the left view has the left half of the disk, in front of it the right half: near things are farther
    right in the left view, as in a stereo camera. A disk of up to 1/2 px lies in one pixel, and so do its halves.
    """
    if view not in _HALVES:
        raise ValueError(f"view must be 'left' or 'right'. Got: {view!r}.")
    return coded_kernel(signed_radius, _HALVES[view])


def _check_radius(radius: float) -> float:
    """Raise unless the radius is a finite number >= 0."""
    if not np.isfinite(radius) or radius < 0:
        raise ValueError(f"radius must be a finite number of pixels >= 0. Got: {radius}.")
    return float(radius)


@lru_cache(maxsize=512)
def _disk_kernel(radius: float) -> FloatArray:
    """Disk by counting sub-pixels; cached, since the same radii are needed again and again."""
    centres = _place_sub_pixels(radius)
    return _average_sub_pixels(centres[:, None] ** 2 + centres[None, :] ** 2 <= radius**2)


@lru_cache(maxsize=512)
def _gaussian_kernel(radius: float) -> FloatArray:
    """Outer product of the Gaussian's integrals over pixels; cached."""
    sigma = max(float(radius_to_sigma(radius)), _LEAST_SIGMA)
    half = max(int(np.ceil(_GAUSSIAN_REACH * sigma - 0.5)), 0)
    ends = np.arange(2 * half + 2) - half - 0.5
    share = np.diff([erf(end / (sigma * np.sqrt(2))) for end in ends])
    return _normalize(np.outer(share, share))


@lru_cache(maxsize=512)
def _polygon_kernel(radius: float, blades: int, angle: float) -> FloatArray:
    """Polygon by counting the sub-pixels within all its sides; cached."""
    step = 2 * np.pi / blades
    corner = radius * np.sqrt(3 / (2 + np.cos(step)))
    centres = _place_sub_pixels(corner)
    inside = np.ones((len(centres), len(centres)), dtype=bool)
    for blade in range(blades):
        normal = np.deg2rad(angle) + (blade + 0.5) * step
        distance = np.cos(normal) * centres[None, :] + np.sin(normal) * centres[:, None]
        inside &= distance <= corner * np.cos(step / 2)
    return _average_sub_pixels(inside)


@lru_cache(maxsize=1024)
def _coded_kernel(radius: float, mask: bytes, shape: tuple[int, int]) -> FloatArray:
    """Disk whose sub-pixels have the weights of the mask's cells that they lie in; cached."""
    cells = np.frombuffer(mask).reshape(shape)
    centres = _place_sub_pixels(radius)
    inside = centres[:, None] ** 2 + centres[None, :] ** 2 <= radius**2
    if not inside.any():  # an aperture smaller than a sub-pixel
        return _average_sub_pixels(inside)
    place = np.clip((centres / radius + 1) / 2, 0, np.nextafter(1, 0))
    rows, columns = ((place * count).astype(np.intp) for count in shape)
    open_cells = cells[rows[:, None], columns[None, :]] * inside
    if not open_cells.any():
        raise ValueError(f"mask must let light through somewhere in the disk. Got: none, of shape {shape}.")
    return _average_sub_pixels(open_cells)


def _place_sub_pixels(reach: float) -> NDArray[np.float64]:
    """Centres in px of the sub-pixels along one axis of a kernel that holds an aperture of this radius."""
    side = 2 * max(int(np.ceil(reach - 0.5)), 0) + 1
    return (np.arange(side * _OVERSAMPLING) + 0.5) / _OVERSAMPLING - side / 2


def _average_sub_pixels(inside: NDArray[np.bool_] | NDArray[np.float64]) -> FloatArray:
    """Kernel whose pixels add up their sub-pixels inside the aperture, or the light through them."""
    side = len(inside) // _OVERSAMPLING
    area = inside.reshape(side, _OVERSAMPLING, side, _OVERSAMPLING).sum(axis=(1, 3)).astype(np.float64)
    if area.sum() == 0:  # an aperture smaller than a sub-pixel
        area[side // 2, side // 2] = 1
    return _normalize(area)


def _normalize(weights: NDArray[np.float64]) -> FloatArray:
    """Weights that sum to one; read-only, since they are cached."""
    kernel = (weights / weights.sum()).astype(np.float32)
    kernel.flags.writeable = False
    return kernel


def blur_with_disk(values: FloatArray, radius: float) -> FloatArray:
    """Convolve (H, W) or (H, W, C) values with `disk_kernel(radius)`; borders are mirrored."""
    return convolve(values, disk_kernel(radius))


def blur_with_disk_fast(values: FloatArray, radius: float) -> FloatArray:
    """Convolve with a disk as `blur_with_disk` does, but large disks in the Fourier domain, several times as fast.

    The result equals that of `blur_with_disk` within 1e-6; it may leave the range of `values` by as much. The
    transforms of 256 disks are cached: use few different radii, such as multiples of 1/8 px.
    """
    kernel = disk_kernel(radius)
    if len(kernel) <= LARGEST_DIRECT:
        return convolve(values, kernel)
    from scipy import fft

    half = len(kernel) // 2
    height, width = values.shape[:2]
    padded = cv2.copyMakeBorder(values, half, half, half, half, cv2.BORDER_REFLECT)
    planes = padded[None] if values.ndim == 2 else np.moveaxis(padded, 2, 0)
    rows, columns = (int(fft.next_fast_len(side + 2 * half, real=True)) for side in (height, width))
    spectrum = fft.rfft2(planes, s=(rows, columns))
    spectrum *= _transform_disk(float(radius), (rows, columns))
    blurred = fft.irfft2(spectrum, s=(rows, columns))[:, half : half + height, half : half + width]
    return np.ascontiguousarray(blurred[0] if values.ndim == 2 else np.moveaxis(blurred, 0, 2))


def convolve(values: FloatArray, kernel: FloatArray) -> FloatArray:
    """Convolve (H, W) or (H, W, C) values with an odd-sized kernel; borders are mirrored."""
    if kernel.size == 1:
        return values
    turned = kernel[::-1, ::-1]  # OpenCV correlates
    blurred = np.asarray(cv2.filter2D(values, cv2.CV_32F, turned, borderType=cv2.BORDER_REFLECT), dtype=np.float32)
    return blurred.reshape(values.shape)  # OpenCV drops a single channel


def find_transfer(kernel: FloatArray, shape: tuple[int, ...]) -> NDArray[np.complex64]:
    """Transform (`scipy.fft.rfft2`) of a kernel that is centred on pixel (0, 0) of a periodic picture of a shape."""
    from scipy import fft

    whole = np.zeros(shape, dtype=np.float32)
    whole[: kernel.shape[0], : kernel.shape[1]] = kernel
    centred = np.roll(whole, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), axis=(0, 1))
    return np.asarray(fft.rfft2(centred), dtype=np.complex64)


@lru_cache(maxsize=256)
def _transform_disk(radius: float, shape: tuple[int, int]) -> NDArray[np.complex64]:
    """Transform of a disk; cached, 0.3 MB each at 256 px."""
    transform = find_transfer(disk_kernel(radius), shape)
    transform.flags.writeable = False
    return transform


def decode_srgb(encoded: ArrayLike) -> FloatArray:
    """Linear light from sRGB-encoded values, both in [0, 1] (IEC 61966-2-1), float32, same shape."""
    values = np.asarray(encoded, dtype=np.float32)
    curve = np.power((np.maximum(values, SRGB_LINEAR_END) + SRGB_OFFSET) / (1 + SRGB_OFFSET), SRGB_GAMMA)
    return np.where(values <= SRGB_LINEAR_END, values / SRGB_SLOPE, curve).astype(np.float32)


def encode_srgb(linear: ArrayLike) -> FloatArray:
    """sRGB-encoded values from linear light, both in [0, 1] (IEC 61966-2-1), float32, same shape."""
    values = np.asarray(linear, dtype=np.float32)
    curve = (1 + SRGB_OFFSET) * np.power(np.maximum(values, LINEAR_END), 1 / SRGB_GAMMA) - SRGB_OFFSET
    return np.where(values <= LINEAR_END, values * SRGB_SLOPE, curve).astype(np.float32)
