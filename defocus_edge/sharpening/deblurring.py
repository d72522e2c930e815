"""From a picture and its blur map to a sharper picture: each part is deconvolved with the disk that blurred it.

Blur is undone in linear light, level by level. Each pixel blends the solutions for the two levels beside its radius:
one of 2.1 px takes 60 % of that for 2.0 px and 40 % of that for 2.25 px, so that no level leaves a seam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.arrays import as_image, check_radius_map, find_bit_depth
from defocus_edge.blur_levels import MIN_RADIUS, RADIUS_STEP
from defocus_edge.choices import AUTO, BitDepth
from defocus_edge.psf import decode_srgb, encode_srgb
from defocus_edge.sharpening.level_solving import Window, solve_level
from defocus_edge.sharpening.noise import STEPS_OF_8_BITS, measure_noise

if TYPE_CHECKING:
    from defocus_edge.estimation.result import BlurEstimate

FloatArray = NDArray[np.float32]

#: Side in px of the tiles that are worked on one after the other; bounds the memory.
TILE_SIDE = 512
#: Smallest side in px of a tile: with less, most of the work is the surroundings that are solved with it.
LEAST_TILE_SIDE = 32
#: From this confidence on a map is trusted fully; below, the strength falls in proportion. At this confidence a radius
#: is as likely as not within 0.5 px of the truth.
TRUSTED_CONFIDENCE = 0.5
#: Error in px of an estimated map without confidence. Callers of `deblur` pass it: `deblur` takes an array for true.
ESTIMATE_ERROR = 0.5
#: The confidence of a `BlurEstimate` is the probability that the radius is about right. If it is wrong, it is off by
#: `OUTLIER_ERROR` px on average; if it is right, still by `LEAST_ESTIMATE_ERROR` px. On fourteen development scenes
#: 2.75 to 5 px were equally good within 0.1 dB; a normal error of that confidence gained 0.1 dB less where depth
#: varies.
OUTLIER_ERROR = 3.0
LEAST_ESTIMATE_ERROR = 0.05
#: Where a map may be off, radii below the first number, px, count as sharp, and from the second on as blurred.
#: Estimates of sharp parts are 0.5 to 0.9 px; when they were sharpened, seven development composites gained 1.8 dB
#: instead of 3.1. A true map is used from `MIN_RADIUS` on.
DOUBTFUL_RADII = (0.75, 0.9)
#: Least standard deviation of the noise in 8-bit steps: that of rounding to 8 bits. No map is so exact that less helps.
LEAST_NOISE_STEPS = 1 / np.sqrt(12)


@runtime_checkable
class _Estimate(Protocol):
    """What `deblur` uses of a `BlurEstimate`; importing the class would load the networks' backend."""

    @property
    def confidence(self) -> FloatArray: ...

    def __array__(self) -> NDArray[Any]: ...


def deblur(
    image: ArrayLike,
    blur_map: ArrayLike | BlurEstimate,
    *,
    confidence: ArrayLike | None = None,
    noise: float | None = None,
    map_error: ArrayLike | None = None,
    tile_side: int = TILE_SIDE,
    bit_depth: BitDepth = AUTO,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[Any]:
    """Sharpen a picture with its blur map.

    Parameters
    ----------
    image : (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) array_like
        uint8, uint16 or float in [0, 1], sRGB-encoded, as for `as_image`. Alpha is kept, and so is the range.
    blur_map : (H, W) array_like of float, or BlurEstimate
        Blur radius in px, >= 0; the confidence of a `BlurEstimate` is used.
    confidence : (H, W) array_like of float, optional
        0 to 1: how far the map can be trusted. From 0.5 on it is trusted fully; below, the result goes back to `image`
        in proportion.
    noise : float, optional
        Standard deviation of the noise in `image` in 8-bit steps (1/255 of the range), > 0; `estimate_noise` by
        default. More noise makes a smoother result.
    map_error : float or (H, W) array_like of float, optional
        How far the map may be off, in px, >= 0: more is safer and smoother. By default it follows from the confidence
        of a `BlurEstimate` and is 0 for an array: give it for an estimated map that was stored in a file.
    tile_side : int
        Side in px, >= 32, of the tiles that bound the memory.
    bit_depth : int or 'auto'
        Bits of the samples of a uint16 picture, as for `as_image`.
    progress : callable, optional
        Called with (tiles done, all tiles).

    Returns
    -------
    ndarray, shape and dtype of `image`
        Some pixels are exactly those of `image`: where the confidence is 0 and where the radius is at most 0.5 px, or
        0.75 px where the map may be off.

    Raises
    ------
    TypeError
        If `image` has a dtype that pictures do not have.
    ValueError
        If an argument is not as described.

    Notes
    -----
    As in [1]_ there is one deconvolution for each depth, here for each level in use: `deconvolve` solves the picture,
    and each pixel blends the two levels beside its radius. Levels are 0.25 px apart, so time grows with the range of
    radii. Pixels sharper than a level are blurred up to it first, so that they do not ring. Pixels that the level's
    disk cannot explain are left out of the data: saturated ones, and other depths with what they mix with within one
    radius. The noise of the light is that of the encoded values times the slope of the sRGB curve at each pixel.

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
    array = np.asarray(image)
    bits = find_bit_depth(array, bit_depth)
    colour = as_image(image, bit_depth=bits or AUTO)
    if array.ndim == 2 or array.shape[2] <= 2:
        colour = colour[..., :1]  # grey: three equal channels are one
    radius = check_radius_map(blur_map, colour.shape[:2])
    if confidence is None and isinstance(blur_map, _Estimate):
        confidence = blur_map.confidence
    if tile_side < LEAST_TILE_SIDE:
        raise ValueError(f"tile_side must be at least {LEAST_TILE_SIDE} px. Got: {tile_side}.")
    if map_error is None and isinstance(blur_map, _Estimate):
        map_error = convert_confidence(blur_map.confidence)
    error = _check_error(0.0 if map_error is None else map_error, radius.shape)
    strength = _find_strength(confidence, radius, error)
    deviation = max(_check_noise(noise, colour, radius), LEAST_NOISE_STEPS) / STEPS_OF_8_BITS

    result = array.copy()
    target = result[..., np.newaxis] if result.ndim == 2 else result[..., : colour.shape[2]]
    tiles = list(_cut_tiles(radius.shape, int(tile_side)))
    for done, tile in enumerate(tiles, start=1):
        changed = (radius[tile] > MIN_RADIUS) & (strength[tile] > 0)
        if changed.any():
            light = np.clip(_solve_tile(colour, radius, tile, deviation, error), 0, 1)
            if (strength[tile] < 1).any():
                before = decode_srgb(colour[tile])
                light = before + strength[tile][..., np.newaxis] * (light - before)
            target[tile][changed] = _encode(light[changed], array.dtype, bits)
        if progress:
            progress(done, len(tiles))
    return result


def _find_strength(confidence: ArrayLike | None, radius: FloatArray, error: FloatArray) -> FloatArray:
    """Strength of the sharpening at each pixel, 0 to 1: 0 leaves the pixel as it is."""
    low, high = DOUBTFUL_RADII
    strength = np.where(error > 0, np.clip((radius - low) / (high - low), 0, 1), 1).astype(np.float32)
    if confidence is not None:
        strength *= np.minimum(_check_confidence(confidence, radius.shape) / TRUSTED_CONFIDENCE, 1)
    return strength


def convert_confidence(confidence: ArrayLike) -> FloatArray:
    """Error in px that `deblur` expects of a map: 3 px times the probability that it is wrong, at least 0.05 px."""
    wrong = 1 - np.asarray(confidence, dtype=np.float32)
    return np.asarray(np.maximum(OUTLIER_ERROR * wrong, LEAST_ESTIMATE_ERROR), dtype=np.float32)


def _cut_tiles(shape: tuple[int, ...], side: int) -> Iterator[Window]:
    """Rows and columns of the tiles of a picture."""
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            yield slice(top, min(top + side, shape[0])), slice(left, min(left + side, shape[1]))


def _solve_tile(colour: FloatArray, radius: FloatArray, tile: Window, noise: float, error: FloatArray) -> FloatArray:
    """Linear light of a tile: the levels in use there, blended by radius."""
    position = np.maximum(radius[tile] - MIN_RADIUS, 0) / RADIUS_STEP
    lower = np.floor(position).astype(np.int64)
    blended = np.zeros_like(colour[tile])
    for level in np.union1d(lower, lower[position > lower] + 1):
        weight = np.maximum(1 - np.abs(position - level), 0).astype(np.float32)
        inner = _bound(weight > 0)
        window = tuple(slice(at.start + part.start, at.start + part.stop) for at, part in zip(tile, inner, strict=True))
        level_radius = MIN_RADIUS + float(level) * RADIUS_STEP
        solved = solve_level(colour, radius, (window[0], window[1]), level=level_radius, noise=noise, error=error)
        blended[inner] += weight[inner][..., np.newaxis] * solved
    return blended


def _bound(chosen: NDArray[np.bool_]) -> Window:
    """Smallest window around the pixels that are True; there is one."""
    rows, columns = np.flatnonzero(chosen.any(axis=1)), np.flatnonzero(chosen.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _encode(light: FloatArray, dtype: np.dtype[Any], bits: int | None) -> NDArray[Any]:
    """Linear light as values of a picture of that dtype and of samples of `bits` bits; None for floats."""
    encoded = np.clip(encode_srgb(light), 0, 1)  # rounding
    if bits:
        return np.rint(encoded * np.float32((1 << bits) - 1)).astype(dtype)
    return encoded.astype(dtype)


def _check_confidence(confidence: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """The confidence as float32; raise unless it fits the picture."""
    values = np.asarray(confidence, dtype=np.float32)
    if values.shape != shape:
        raise ValueError(f"confidence must have the shape of the image, {shape}. Got: {values.shape}.")
    if not (values.min() >= 0 and values.max() <= 1):  # False for NaN as well
        raise ValueError(f"confidence must be between 0 and 1. Got: values from {values.min():g} to {values.max():g}.")
    return values


def _check_noise(noise: float | None, colour: FloatArray, radius: FloatArray) -> float:
    """The noise in 8-bit steps; raise unless it is a positive number."""
    if noise is None:
        return measure_noise(colour, radius)
    if not (np.isfinite(noise) and noise > 0):
        raise ValueError(f"noise must be a finite number of 8-bit steps > 0. Got: {noise}.")
    return noise


def _check_error(map_error: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """The map's error of each pixel in px; raise unless it is a number >= 0."""
    values = np.asarray(map_error, dtype=np.float32)
    if values.shape not in ((), shape):
        raise ValueError(f"map_error must be a number or have the shape of the image, {shape}. Got: {values.shape}.")
    if not (np.isfinite(values).all() and values.min() >= 0):
        raise ValueError(f"map_error must be a finite number of px >= 0. Got: {values.min()}.")
    return np.broadcast_to(values, shape)
