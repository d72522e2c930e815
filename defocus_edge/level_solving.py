"""One window of a picture, deconvolved as if all of it were blurred by one level.

Before, pixels sharper than the level are blurred up to it, and what the level's disk cannot have made is left out:
saturated pixels, other depths and what they mix with, slopes that are too steep.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.deconvolution import deconvolve
from defocus_edge.noise import SATURATION
from defocus_edge.psf import decode_srgb, disk_kernel

FloatArray = NDArray[np.float32]
Window = tuple[slice, slice]

#: Pixels whose radius differs from a level by more than this many px plus this share of the level lie at another depth.
OTHER_DEPTH_PX = 0.5
OTHER_DEPTH_SHARE = 0.1
#: A tile's level sees so many px plus so many radii around its pixels.
HALO_PX = 8
HALO_RADII = 4
#: A slope in linear light is impossible if it is this much steeper than the level's disk makes a step from 0 to 1, plus
#: so many standard deviations of the noise.
STEEPNESS_SLACK = 1.25
NOISE_SLACK = 5.0
#: Encoded noise becomes light by the slope of the sRGB curve where the pixel is, but by no less than this: 0.08 at
#: black would make noise there smaller than what blur carries over from its surroundings. Of 0.08, 0.2 and 0.3 the best
#: PSNR on three pictures of scikit-image.
LEAST_SLOPE = 0.2
# The slope is that of the mean over so many px: a single pixel's noise would weigh itself.
_SLOPE_SIDE = 5
# Rounding of a blur that is 0.
_LEAST_SHARE = 1e-5
# Pixels are filled from a box of which at least this share is known.
_FILL_SUPPORT = 0.1
# Where less than this share of the disk lies at another depth, the pixel belongs to one depth.
_MIXED_SHARE = 0.02
# Radii of the blurs, as shares of the level's, between which pixels sharper than the level are interpolated.
_EXTRA_SHARES = (0.0, 1 / 3, 2 / 3, 1.0)


def solve_level(colour: FloatArray, radius: FloatArray, window: Window, *, level: float, noise: float) -> FloatArray:
    """Linear light of a window as if all of it had the radius of one level.

    Parameters
    ----------
    colour : (H, W, C) ndarray of float32
        The whole picture, sRGB-encoded in [0, 1].
    radius : (H, W) ndarray of float32
        Blur radius in px.
    window : tuple of two slices
        Rows and columns to solve; what is around them is seen, too.
    level : float
        Blur radius in px; the light is that of the picture where it is at most 0.5 px.
    noise : float
        Standard deviation of the noise in `colour`, > 0.

    Returns
    -------
    (h, w, C) ndarray of float32
        May leave [0, 1] a little.
    """
    if level <= MIN_RADIUS:
        return decode_srgb(colour[window])
    halo = int(np.ceil(HALO_PX + HALO_RADII * level))
    top, left = (max(at.start - halo, 0) for at in window)
    around = slice(top, window[0].stop + halo), slice(left, window[1].stop + halo)
    picture, radii = colour[around], radius[around]
    light = decode_srgb(picture)
    valid = _find_valid(picture, radii, level)
    data = _equalize(light, radii, level)
    light_noise = _find_light_noise(picture, noise)
    broken = _find_broken(data, level, light_noise)
    if broken.any():
        data = _fill(data, broken, level)
        valid &= ~broken[..., np.newaxis]
    solved = deconvolve(data, disk_kernel(level), noise=light_noise, valid=valid)
    if broken.any():  # as they are, with a soft rim outside
        kept = np.minimum(2 * _blur(broken.astype(np.float32), level), 1)[..., np.newaxis]
        solved += kept * (light - solved)
    return solved[window[0].start - top : window[0].stop - top, window[1].start - left : window[1].stop - left]


def _find_light_noise(colour: FloatArray, noise: float) -> FloatArray:
    """Noise in linear light of each pixel: that of the encoded picture times the slope of the sRGB curve."""
    mean = cv2.blur(colour, (_SLOPE_SIDE, _SLOPE_SIDE), borderType=cv2.BORDER_REFLECT).reshape(colour.shape)
    low, high = np.maximum(mean - np.float32(0.01), 0), mean + np.float32(0.01)
    slope = (decode_srgb(high) - decode_srgb(low)) / (high - low)
    return np.asarray(np.maximum(slope, np.float32(LEAST_SLOPE)) * np.float32(noise), dtype=np.float32)


def _find_broken(light: FloatArray, level: float, light_noise: FloatArray) -> NDArray[np.bool_]:
    """Pixels near a slope that the level's disk cannot make of light in [0, 1]: rims of clipped highlights, mostly.

    A disk of radius r passes over an edge with a chord of at most 2r out of πr², so 2 / (πr) per px is the steepest.
    """
    steepest = np.float32(STEEPNESS_SLACK * min(2 / (np.pi * level), 1)) + np.float32(NOISE_SLACK) * light_noise
    steep = np.zeros(light.shape[:2], dtype=bool)
    steep[1:] |= (np.abs(np.diff(light, axis=0)) > steepest[1:]).any(axis=2)
    steep[:, 1:] |= (np.abs(np.diff(light, axis=1)) > steepest[:, 1:]).any(axis=2)
    if not steep.any():
        return steep
    return _blur(steep.astype(np.float32), 2 * level) > _LEAST_SHARE


def _fill(light: FloatArray, broken: NDArray[np.bool_], level: float) -> FloatArray:
    """What surrounds the broken pixels, spread over them and as smooth as the level's blur."""
    known = (~broken).astype(np.float32)
    filled, missing = light * known[..., np.newaxis], broken.copy()
    filled[broken] = light[~broken].mean(axis=0) if known.any() else light.mean(axis=(0, 1))
    side = 2 * int(np.ceil(level)) + 1
    while missing.any() and side < 2 * max(light.shape[:2]):
        support = cv2.blur(known, (side, side), borderType=cv2.BORDER_REFLECT)
        total = cv2.blur(light * known[..., np.newaxis], (side, side), borderType=cv2.BORDER_REFLECT)
        near = missing & (support > _FILL_SUPPORT)
        filled[near] = total.reshape(light.shape)[near] / support[near][:, np.newaxis]
        missing &= ~near
        side = 2 * side + 1
    return np.where(broken[..., np.newaxis], _blur(filled, level), light)


def _equalize(light: FloatArray, radius: FloatArray, level: float) -> FloatArray:
    """Blur what is sharper than the level up to it: squares of radii add, as second moments do."""
    extra = np.sqrt(np.maximum(level**2 - radius**2, 0)) / level
    step = _EXTRA_SHARES[1]
    total = np.zeros_like(light)
    for share in _EXTRA_SHARES:
        weight = np.maximum(1 - np.abs(extra - share) / step, 0)
        if weight.any():
            total += weight[..., np.newaxis] * _blur(light, share * level)
    return total


def _find_valid(picture: FloatArray, radius: FloatArray, level: float) -> NDArray[np.bool_]:
    """Pixels that the disk of the level explains: not saturated, and no other depth within its reach."""
    other = np.abs(radius - level) > OTHER_DEPTH_PX + OTHER_DEPTH_SHARE * level
    valid = picture < SATURATION
    if other.any():
        valid &= (_blur(other.astype(np.float32), level) < _MIXED_SHARE)[..., np.newaxis]
    return valid


def _blur(values: FloatArray, radius: float) -> FloatArray:
    """Convolve (H, W) or (H, W, C) values with a disk, which is its own mirror image; borders are mirrored."""
    kernel = disk_kernel(radius)
    if kernel.size == 1:
        return values
    blurred = np.asarray(cv2.filter2D(values, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT), dtype=np.float32)
    return blurred.reshape(values.shape)  # OpenCV drops a single channel
