"""Deconvolution of one window of a picture as if all of it were blurred by one level.

First, pixels sharper than the level are blurred up to it. Pixels that a disk of the level cannot have made are left
out: saturated ones, other depths and what they mix with, and slopes that are too steep.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MIN_RADIUS, RADIUS_STEP
from defocus_edge.psf import blur_with_disk, decode_srgb, disk_kernel
from defocus_edge.sharpening.deconvolution import deconvolve
from defocus_edge.sharpening.noise import SATURATION, STEPS_OF_8_BITS

FloatArray = NDArray[np.float32]
Window = tuple[slice, slice]

#: Pixels whose radius differs from a level by more than this many px plus this share of the level lie at another depth.
#: The pair with the best PSNR on development composites and scenes with depth, among (0.15, 0.03) to (2, 0.3).
OTHER_DEPTH_PX = 0.25
OTHER_DEPTH_SHARE = 0.05
#: A wrong radius acts like noise: this many 8-bit steps per px of error. Measured on three pictures of scikit-image at
#: 1, 2 and 4 px. The error is assumed to be at least `LEAST_ERROR` px, since levels are 0.25 px apart.
NOISE_PER_ERROR = 5.6
LEAST_ERROR = 0.2
#: A radius more than one step above the level counts as an error of `MORE_BLUR_WEIGHT` times the excess. A radius more
#: than one step below counts `LESS_BLUR_WEIGHT` times the difference, since such pixels are blurred up to the level.
#: With weights of 1 and 0.1 and without the step, development scenes with depth lost 1.5 dB by ringing; with these
#: numbers they gain 0.8.
MORE_BLUR_WEIGHT, LESS_BLUR_WEIGHT = 5.0, 1.0
#: Width of the surroundings that are solved with a window: px, plus radii of the level. Chosen, not tuned.
HALO_PX = 8
HALO_RADII = 4
#: A slope in linear light is impossible if it is steeper than this many times what the level's disk makes of a step
#: from 0 to 1, plus this many standard deviations of the noise. Chosen, not tuned.
STEEPNESS_SLACK = 1.25
NOISE_SLACK = 5.0
#: Smallest slope of the sRGB curve that turns encoded noise into noise of the light. The true 0.08 at black would make
#: noise there smaller than what blur carries over from bright surroundings. Best PSNR of 0.08, 0.2 and 0.3 on three
#: pictures of scikit-image.
LEAST_SLOPE = 0.2
#: Least noise in linear light: the traces of bright surroundings in the dark would count as detail otherwise.
LEAST_LIGHT_NOISE = 0.003
#: Where less than this share of the disk is known, the solution is extrapolated and is kept within the light that the
#: disk sees: +0.1 to +0.4 dB on development composites and scenes with depth, and no black blots beside outlines.
KNOWN_SHARE = 0.9
# Side in px of the box whose mean gives the slope of the curve: a pixel's own noise would weigh itself.
_SLOPE_SIDE = 5
# Half of the step in encoded values over which that slope is measured.
_SLOPE_STEP = 0.01
# A blurred share below this is 0 up to rounding.
_LEAST_SHARE = 1e-5
# Pixels are filled from a box of which at least this share is known.
_FILL_SUPPORT = 0.1
# Where less than this share of the disk lies at another depth, the pixel belongs to one depth.
_MIXED_SHARE = 0.02
# Pixels sharper than the level are interpolated between blurs with these shares of its radius.
_EXTRA_SHARES = (0.0, 1 / 3, 2 / 3, 1.0)


def solve_level(
    colour: FloatArray, radius: FloatArray, window: Window, *, level: float, noise: float, error: FloatArray
) -> FloatArray:
    """Linear light of a window as if all of it had the radius of one level.

    The result is (h, w, C) and may leave [0, 1] a little.

    Parameters
    ----------
    colour : (H, W, C) ndarray of float32
        The whole picture, sRGB-encoded in [0, 1].
    radius : (H, W) ndarray of float32
        Blur radius in px.
    window : tuple of two slices
        Rows and columns to solve; their surroundings are used, too.
    level : float
        Blur radius in px. With 0.5 px or less the light of the picture is returned.
    noise : float
        Standard deviation of the noise in `colour`, > 0.
    error : (H, W) ndarray of float32
        How far `radius` may be off, in px, >= 0.
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
    wrong = np.hypot(_measure_mismatch(radii, level), np.hypot(error[around], LEAST_ERROR))
    light_noise = _find_light_noise(picture, np.hypot(noise, NOISE_PER_ERROR / STEPS_OF_8_BITS * wrong))
    broken = _find_broken(data, level, light_noise)
    if broken.any():
        data = _fill(data, broken, level)
        valid &= ~broken[..., np.newaxis]
    solved = deconvolve(data, disk_kernel(level), noise=light_noise, valid=valid)
    solved = _limit_unknown(solved, light, valid, level)
    if broken.any():  # they stay as they are, with a soft rim outside
        kept = np.minimum(2 * blur_with_disk(broken.astype(np.float32), level), 1)[..., np.newaxis]
        solved += kept * (light - solved)
    return solved[window[0].start - top : window[0].stop - top, window[1].start - left : window[1].stop - left]


def _measure_mismatch(radius: FloatArray, level: float) -> FloatArray:
    """Error in px at each pixel because the radii within the level's disk around it differ from the level."""
    more, less = np.maximum(radius - level - RADIUS_STEP, 0), np.maximum(level - radius - RADIUS_STEP, 0)
    weighted: FloatArray = np.asarray(MORE_BLUR_WEIGHT * more + LESS_BLUR_WEIGHT * less, dtype=np.float32)
    return blur_with_disk(weighted, level)


def _find_light_noise(colour: FloatArray, noise: FloatArray) -> FloatArray:
    """Noise of each pixel in linear light: that of the encoded picture times the slope of the sRGB curve."""
    mean = cv2.blur(colour, (_SLOPE_SIDE, _SLOPE_SIDE), borderType=cv2.BORDER_REFLECT).reshape(colour.shape)
    low, high = np.maximum(mean - np.float32(_SLOPE_STEP), 0), mean + np.float32(_SLOPE_STEP)
    slope = (decode_srgb(high) - decode_srgb(low)) / (high - low)
    light_noise = np.maximum(slope, LEAST_SLOPE) * noise[..., np.newaxis]
    return np.asarray(np.maximum(light_noise, LEAST_LIGHT_NOISE), dtype=np.float32)


def _limit_unknown(solved: FloatArray, light: FloatArray, valid: NDArray[np.bool_], level: float) -> FloatArray:
    """Keep the solution within the light that the level's disk sees, wherever it is extrapolated."""
    unknown = blur_with_disk(np.asarray(valid.all(axis=2), dtype=np.float32), level) < KNOWN_SHARE
    if not unknown.any():
        return solved
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * int(np.ceil(level)) + 1,) * 2)
    low, high = (change(light, disk).reshape(light.shape) for change in (cv2.erode, cv2.dilate))
    return np.where(unknown[..., np.newaxis], np.clip(solved, low, high), solved)


def _find_broken(light: FloatArray, level: float, light_noise: FloatArray) -> NDArray[np.bool_]:
    """Pixels near a slope that the level's disk cannot make of light in [0, 1]: mostly rims of clipped highlights.

    The steepest slope is 2 / (πr) per px: the longest chord, 2r, over the area of the disk, πr².
    """
    steepest = np.float32(STEEPNESS_SLACK * min(2 / (np.pi * level), 1)) + np.float32(NOISE_SLACK) * light_noise
    steep = np.zeros(light.shape[:2], dtype=bool)
    steep[1:] |= (np.abs(np.diff(light, axis=0)) > steepest[1:]).any(axis=2)
    steep[:, 1:] |= (np.abs(np.diff(light, axis=1)) > steepest[:, 1:]).any(axis=2)
    if not steep.any():
        return steep
    return blur_with_disk(steep.astype(np.float32), 2 * level) > _LEAST_SHARE


def _fill(light: FloatArray, broken: NDArray[np.bool_], level: float) -> FloatArray:
    """Spread the surroundings of the broken pixels over them, as smooth as the level's blur."""
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
    return np.where(broken[..., np.newaxis], blur_with_disk(filled, level), light)


def _equalize(light: FloatArray, radius: FloatArray, level: float) -> FloatArray:
    """Blur pixels that are sharper than the level up to it: squares of radii add, as second moments do."""
    extra = np.sqrt(np.maximum(level**2 - radius**2, 0)) / level
    step = _EXTRA_SHARES[1]
    total = np.zeros_like(light)
    for share in _EXTRA_SHARES:
        weight = np.maximum(1 - np.abs(extra - share) / step, 0)
        if weight.any():
            total += weight[..., np.newaxis] * blur_with_disk(light, share * level)
    return total


def _find_valid(picture: FloatArray, radius: FloatArray, level: float) -> NDArray[np.bool_]:
    """Pixels that the level's disk explains: not saturated, and without another depth within its reach."""
    other = np.abs(radius - level) > OTHER_DEPTH_PX + OTHER_DEPTH_SHARE * level
    valid = picture < SATURATION
    if other.any():
        valid &= (blur_with_disk(other.astype(np.float32), level) < _MIXED_SHARE)[..., np.newaxis]
    return valid
