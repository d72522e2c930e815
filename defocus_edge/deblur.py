"""From a picture and its blur map to a sharper picture: each part is deconvolved with the disk it was blurred with.

Blur is undone in linear light, level by level, and blended by radius: a pixel of 2.1 px takes 60 % of the solution for
2.0 px and 40 % of that for 2.25 px, so that no level leaves a seam.

References
----------
.. [1] A. Levin, R. Fergus, F. Durand, W. T. Freeman, "Image and depth from a conventional camera with a coded
   aperture", ACM Transactions on Graphics 26(3), 2007: one deconvolution per depth, then a choice per pixel.
.. [2] J. Immerkær, "Fast noise variance estimation", Computer Vision and Image Understanding 64(2), 1996.
.. [3] D. L. Donoho, I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81(3), 1994.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.blur_levels import MIN_RADIUS, RADIUS_STEP
from defocus_edge.deconvolution import deconvolve
from defocus_edge.images import as_image
from defocus_edge.pipeline import BlurEstimate
from defocus_edge.psf import decode_srgb, disk_kernel, encode_srgb

FloatArray = NDArray[np.float32]
Window = tuple[slice, slice]

#: Side in px of the tiles that are worked on one after the other; bounds the memory.
TILE_SIDE = 512
#: Smallest tile; below, the halo is most of the work.
LEAST_TILE_SIDE = 32
#: Encoded values from here on are saturated: 5 steps of 8 bits below white, since JPEG ripples there.
SATURATION = 250 / 255
#: From this confidence on a map is trusted fully; below, the strength falls in proportion. It is the confidence of a
#: point whose radius is within 0.5 px as likely as not.
TRUSTED_CONFIDENCE = 0.5
#: Error in px that is assumed of an estimated map; a plain array is taken as true.
ESTIMATE_ERROR = 0.5
#: A radius that is too large rings, one that is too small only helps less: the radius used is smaller by this share of
#: the map's error, and a wrong radius counts as so many 8-bit steps of noise per px. Measured on three pictures of
#: scikit-image at 1, 2 and 4 px: with an error of +0.5 px the exact settings lost 6.6 and 3.3 and won 0.7 dB, these won
#: 1.2, 2.3 and 3.5; with a true map they won 1.4, 2.4 and 3.1 instead of 5.4, 4.6 and 5.8.
CAUTION_SHARE = 0.5
NOISE_PER_ERROR = 5.6
#: Standard deviation of the noise, in 8-bit steps, that is assumed at least: rounding to 8 bits alone has 1/√12, and a
#: map is never so exact that less would help.
LEAST_NOISE_STEPS = 1 / np.sqrt(12)
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
# Rounding of a blur that is 0.
_LEAST_SHARE = 1e-5
# Pixels are filled from a box of which at least this share is known.
_FILL_SUPPORT = 0.1
# Where less than this share of the disk lies at another depth, the pixel belongs to one depth.
_MIXED_SHARE = 0.02
# Radii of the blurs, as shares of the level's, between which pixels sharper than the level are interpolated.
_EXTRA_SHARES = (0.0, 1 / 3, 2 / 3, 1.0)
_STEPS_OF_8_BITS = 255.0
# Median of |x| and norm of the mask [1 -2 1]ᵀ[1 -2 1] of [2], for normal noise with standard deviation 1.
_NORMAL_MEDIAN = 0.6745
_MASK_NORM = 6.0
# Noise is read in blocks of so many px, at this quantile of them: most blocks of a sharp picture hold texture.
_NOISE_BLOCK = 16
_NOISE_QUANTILE = 0.25
# A block with this share of black or saturated pixels shows no noise.
_CLIPPED_SHARE = 0.5


def deblur(
    image: ArrayLike,
    blur_map: ArrayLike | BlurEstimate,
    *,
    confidence: ArrayLike | None = None,
    noise: float | None = None,
    map_error: float | None = None,
    tile_side: int = TILE_SIDE,
) -> NDArray[Any]:
    """Sharpen a picture with its blur map.

    Parameters
    ----------
    image : (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) array_like
        uint8, uint16 or float in [0, 1], sRGB-encoded, as for `as_image`. Alpha is kept.
    blur_map : (H, W) array_like of float, or BlurEstimate
        Blur radius in px, >= 0; the confidence of a `BlurEstimate` is used.
    confidence : (H, W) array_like of float, optional
        0 to 1: how far the map can be trusted. From 0.5 on fully; below, the result goes back to `image` in proportion.
    noise : float, optional
        Standard deviation of the noise in `image` in 8-bit steps (1/255 of the range), > 0; `estimate_noise` unless
        given. More noise, smoother result.
    map_error : float, optional
        How far the map may be off, in px, >= 0: more is safer and smoother. 0.5 for a `BlurEstimate` and 0 for an array
        unless given; give it for a map that was estimated and stored.
    tile_side : int
        Side in px, >= 32, of the tiles that bound the memory.

    Returns
    -------
    ndarray, shape and dtype of `image`
        Pixels with a radius of at most 0.5 px (plus half of `map_error`) or without confidence are those of `image`,
        exactly.

    Raises
    ------
    TypeError
        If `image` has a dtype that is no picture's.
    ValueError
        If an argument is not as described.

    Notes
    -----
    Each level in use is deconvolved as a whole by `deconvolve` and each pixel blends the two levels beside its radius,
    after the selection per depth of [1]_. Before, pixels sharper than the level are blurred up to it, so that they do
    not ring under its inverse. What cannot be explained by the level's disk is left out of the data: saturated pixels,
    other depths and what they mix with within one radius. The encoded noise becomes light by the mean slope of the
    sRGB curve over the picture, and the weight of the data is λ = 1 / (7 · noise²), see `deconvolve`.

    References
    ----------
    .. [1] A. Levin, R. Fergus, F. Durand, W. T. Freeman, "Image and depth from a conventional camera with a coded
       aperture", ACM Transactions on Graphics 26(3), 2007.

    Examples
    --------
    >>> image = np.tile(np.uint8([[10], [200]]), (12, 24))
    >>> bool((deblur(image, np.zeros((24, 24))) == image).all())
    True
    """
    colour = as_image(image)
    array = np.asarray(image)
    if array.ndim == 2 or array.shape[2] <= 2:
        colour = colour[..., :1]  # grey: three equal channels are one
    radius = _check_map(blur_map, colour.shape[:2])
    if confidence is None and isinstance(blur_map, BlurEstimate):
        confidence = blur_map.confidence
    strength = None if confidence is None else _check_confidence(confidence, colour.shape[:2]) / TRUSTED_CONFIDENCE
    if tile_side < LEAST_TILE_SIDE:
        msg = f"tile_side must be at least {LEAST_TILE_SIDE} px. Got: {tile_side}."
        raise ValueError(msg)
    error = _check_error(map_error, is_estimate=isinstance(blur_map, BlurEstimate))
    steps = float(np.hypot(_check_noise(noise, colour, radius), NOISE_PER_ERROR * error))
    light_noise = _find_light_noise(colour, steps)
    radius = np.maximum(radius - np.float32(CAUTION_SHARE * error), 0)

    result = array.copy()
    target = result[..., np.newaxis] if result.ndim == 2 else result[..., : colour.shape[2]]
    for tile in _cut_tiles(radius.shape, int(tile_side)):
        changed = radius[tile] > MIN_RADIUS
        if strength is not None:
            changed &= strength[tile] > 0
        if changed.any():
            light = np.clip(_solve_tile(colour, radius, tile, light_noise), 0, 1)
            if strength is not None:
                before = decode_srgb(colour[tile])
                light = before + np.minimum(strength[tile], 1)[..., np.newaxis] * (light - before)
            target[tile][changed] = _encode(light[changed], array.dtype)
    return result


def estimate_noise(image: ArrayLike, blur_map: ArrayLike | BlurEstimate | None = None) -> float:
    """Standard deviation of the noise of a picture, in 8-bit steps.

    Parameters
    ----------
    image : array_like
        As for `deblur`.
    blur_map : (H, W) array_like of float, or BlurEstimate, optional
        Blur radius in px: the noise is read in the more blurred half, where there is least texture.

    Returns
    -------
    float
        Of the encoded values, 1/255 of the range; mean over the channels.

    Raises
    ------
    TypeError, ValueError
        As `as_image` does, and if `blur_map` does not fit.

    Notes
    -----
    The mask [1 -2 1]ᵀ[1 -2 1] removes planes and straight edges along the axes and leaves noise with 6 times its
    standard deviation [1]_, which is read as median absolute value over 0.6745 [2]_: in blocks of 16 px, of which the
    lower quartile counts, since most blocks of a sharp picture hold texture. Blocks that saturate are left out.

    References
    ----------
    .. [1] J. Immerkær, "Fast noise variance estimation", Computer Vision and Image Understanding 64(2), 1996.
    .. [2] D. L. Donoho, I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81(3), 1994.
    """
    colour = as_image(image)
    radius = None if blur_map is None else _check_map(blur_map, colour.shape[:2])
    return float(np.mean([_estimate_plane_noise(colour[..., channel], radius) for channel in range(3)]))


def _estimate_plane_noise(plane: FloatArray, radius: FloatArray | None) -> float:
    """Noise of one channel in 8-bit steps."""
    bent = plane[2:] - 2 * plane[1:-1] + plane[:-2]
    bent = np.abs(bent[:, 2:] - 2 * bent[:, 1:-1] + bent[:, :-2])
    medians = np.median(_split_blocks(bent), axis=1)
    inside = _split_blocks(plane[1:-1, 1:-1])
    usable = np.mean((inside >= SATURATION) | (inside <= 1 - SATURATION), axis=1) < _CLIPPED_SHARE
    if radius is not None:
        blur = np.mean(_split_blocks(radius[1:-1, 1:-1]), axis=1)
        usable &= blur >= np.median(blur)
    medians = medians[usable] if usable.any() else medians
    return float(np.quantile(medians, _NOISE_QUANTILE)) / _NORMAL_MEDIAN / _MASK_NORM * _STEPS_OF_8_BITS


def _split_blocks(values: FloatArray) -> FloatArray:
    """(N, pixels) whole blocks of (H, W) values; what is left over at the ends is dropped."""
    rows, columns = (side // _NOISE_BLOCK for side in values.shape)
    whole = values[: rows * _NOISE_BLOCK, : columns * _NOISE_BLOCK]
    blocks = whole.reshape(rows, _NOISE_BLOCK, columns, _NOISE_BLOCK).swapaxes(1, 2)
    return blocks.reshape(rows * columns, _NOISE_BLOCK**2)


def _find_light_noise(colour: FloatArray, noise: float) -> float:
    """Noise in linear light: the encoded noise times the mean slope of the sRGB curve."""
    some = colour[::4, ::4]  # a mean needs no more
    low, high = np.maximum(some - np.float32(0.01), 0), some + np.float32(0.01)
    slope = float(np.mean((decode_srgb(high) - decode_srgb(low)) / (high - low)))
    return max(noise, LEAST_NOISE_STEPS) / _STEPS_OF_8_BITS * slope


def _cut_tiles(shape: tuple[int, ...], side: int) -> Iterator[Window]:
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            yield slice(top, min(top + side, shape[0])), slice(left, min(left + side, shape[1]))


def _solve_tile(colour: FloatArray, radius: FloatArray, tile: Window, light_noise: float) -> FloatArray:
    """Linear light of a tile: the levels in use there, blended by radius."""
    position = np.maximum(radius[tile] - MIN_RADIUS, 0) / RADIUS_STEP
    lower = np.floor(position).astype(np.int64)
    blended = np.zeros_like(colour[tile])
    for level in np.union1d(lower, lower[position > lower] + 1):
        weight = np.maximum(1 - np.abs(position - level), 0).astype(np.float32)
        inner = _bound(weight > 0)
        window = tuple(slice(at.start + part.start, at.start + part.stop) for at, part in zip(tile, inner, strict=True))
        level_radius = MIN_RADIUS + float(level) * RADIUS_STEP
        solved = _solve_level(colour, radius, (window[0], window[1]), level_radius, light_noise)
        blended[inner] += weight[inner][..., np.newaxis] * solved
    return blended


def _bound(chosen: NDArray[np.bool_]) -> Window:
    """Smallest window around the pixels that are True; there is one."""
    rows, columns = np.flatnonzero(chosen.any(axis=1)), np.flatnonzero(chosen.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _solve_level(
    colour: FloatArray, radius: FloatArray, window: Window, level: float, light_noise: float
) -> FloatArray:
    """Linear light of a window as if all of it had the radius of one level."""
    if level <= MIN_RADIUS:
        return decode_srgb(colour[window])
    halo = int(np.ceil(HALO_PX + HALO_RADII * level))
    top, left = (max(at.start - halo, 0) for at in window)
    around = slice(top, window[0].stop + halo), slice(left, window[1].stop + halo)
    picture, radii = colour[around], radius[around]
    light = decode_srgb(picture)
    valid = _find_valid(picture, radii, level)
    data = _equalize(light, radii, level)
    broken = _find_broken(data, level, light_noise)
    if broken.any():
        data = _fill(data, broken, level)
        valid &= ~broken[..., np.newaxis]
    solved = deconvolve(data, disk_kernel(level), noise=light_noise, valid=valid)
    if broken.any():  # as they are, with a soft rim outside
        kept = np.minimum(2 * _blur(broken.astype(np.float32), level), 1)[..., np.newaxis]
        solved += kept * (light - solved)
    return solved[window[0].start - top : window[0].stop - top, window[1].start - left : window[1].stop - left]


def _find_broken(light: FloatArray, level: float, light_noise: float) -> NDArray[np.bool_]:
    """Pixels near a slope that the level's disk cannot make of light in [0, 1]: rims of clipped highlights, mostly.

    A disk of radius r passes over an edge with a chord of at most 2r out of πr², so 2 / (πr) per px is the steepest.
    """
    steepest = STEEPNESS_SLACK * min(2 / (np.pi * level), 1) + NOISE_SLACK * light_noise
    steep = np.zeros(light.shape[:2], dtype=bool)
    steep[1:] |= (np.abs(np.diff(light, axis=0)) > steepest).any(axis=2)
    steep[:, 1:] |= (np.abs(np.diff(light, axis=1)) > steepest).any(axis=2)
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


def _encode(light: FloatArray, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Linear light as values of a picture of that dtype."""
    encoded = np.clip(encode_srgb(light), 0, 1)  # rounding
    if dtype.kind == "u":
        return np.rint(encoded * np.float32(np.iinfo(dtype).max)).astype(dtype)
    return encoded.astype(dtype)


def _check_map(blur_map: ArrayLike | BlurEstimate, shape: tuple[int, ...]) -> FloatArray:
    """The radii as float32; raise unless they fit the picture."""
    radius = np.asarray(blur_map, dtype=np.float32)
    if radius.shape != shape:
        msg = f"blur_map must have the shape of the image, {shape}. Got: {radius.shape}."
        raise ValueError(msg)
    if not np.isfinite(radius).all():
        msg = "blur_map must be finite. Got: NaN or infinity."
        raise ValueError(msg)
    if radius.min() < 0:
        msg = f"blur_map must hold radii in px >= 0. Got: minimum {radius.min():g}."
        raise ValueError(msg)
    return radius


def _check_confidence(confidence: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """The confidence as float32; raise unless it fits the picture."""
    values = np.asarray(confidence, dtype=np.float32)
    if values.shape != shape:
        msg = f"confidence must have the shape of the image, {shape}. Got: {values.shape}."
        raise ValueError(msg)
    if not (values.min() >= 0 and values.max() <= 1):  # False for NaN as well
        msg = f"confidence must be between 0 and 1. Got: values from {values.min():g} to {values.max():g}."
        raise ValueError(msg)
    return values


def _check_noise(noise: float | None, colour: FloatArray, radius: FloatArray) -> float:
    """The noise in 8-bit steps; raise unless it is a positive number."""
    if noise is None:
        return estimate_noise(colour, radius)
    if not (np.isfinite(noise) and noise > 0):
        msg = f"noise must be a finite number of 8-bit steps > 0. Got: {noise}."
        raise ValueError(msg)
    return noise


def _check_error(map_error: float | None, *, is_estimate: bool) -> float:
    """The map's error in px; raise unless it is a number >= 0."""
    if map_error is None:
        return ESTIMATE_ERROR if is_estimate else 0.0
    if not (np.isfinite(map_error) and map_error >= 0):
        msg = f"map_error must be a finite number of px >= 0. Got: {map_error}."
        raise ValueError(msg)
    return map_error
