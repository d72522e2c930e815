"""Checks and conversion of arrays: an image becomes RGB float32 in [0, 1], a map holds blur radii in px.

Only this module knows uint8, uint16, grey and alpha. Everywhere else an image is ``(H, W, 3)`` float32, sRGB-encoded as
in the file. Colour profiles are not applied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from defocus_edge.choices import AUTO, BitDepth

FloatArray = npt.NDArray[np.float32]

#: Smallest side of an image in px: the networks' 41 px patch mirrors the border by 20 px, and a mirror needs as many.
MIN_SIDE = 20
#: Values of a float image up to this far outside [0, 1] are rounding errors and are clipped; others are refused.
ROUNDING_TOLERANCE = 1e-3
#: Largest radius in px that a map may hold. Larger values show that the map is in another unit.
LARGEST_RADIUS = 64.0

#: Bits that uint16 samples may have; ``"auto"`` chooses among the even ones, which cameras and microscopes give.
LEAST_BIT_DEPTH, LARGEST_BIT_DEPTH = 8, 16
_USUAL_BIT_DEPTHS = (8, 10, 12, 14, 16)

# PIL modes whose numbers are not grey or RGB values, although their arrays look like it (palette indices, CMYK, ...).
_PIL_MODES_TO_CONVERT = {"P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La"}


class ImageWarning(UserWarning):
    """A picture was read, but something about it should be known: ignored pages, damage, an unlikely bit depth."""


def as_image(image: npt.ArrayLike, *, bit_depth: BitDepth = AUTO) -> FloatArray:
    """Convert an array to the one kind of image that the package works on: RGB float32 in [0, 1].

    Parameters
    ----------
    image : array_like, shape (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4)
        Grey, grey + alpha, RGB or RGBA; uint8 (0..255), uint16 or float in [0, 1], sRGB-encoded. Each side has at least
        `MIN_SIDE` px. Alpha is dropped: the colours stay as they are under it. Pillow images work; their EXIF rotation
        is not applied here, `read_image` does that.
    bit_depth : int or 'auto'
        Bits of the samples of a uint16 picture, 8 to 16: white is 2 to that power, less 1. ``"auto"`` takes the
        smallest of 8, 10, 12, 14 and 16 bits that holds all values; see `find_bit_depth`. Other types have their own
        range.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        C-contiguous copy; `image` is neither modified nor shared. The values stay sRGB-encoded.

    Raises
    ------
    TypeError
        If the numbers are bool, complex, text or integers other than uint8 and uint16.
    ValueError
        If the shape, the size or the values break a rule above, or a Pillow image is in a mode such as palette or CMYK.
        If `bit_depth` is out of range, or too small for the values.
    """
    mode = getattr(image, "mode", None)
    if isinstance(mode, str) and mode in _PIL_MODES_TO_CONVERT:
        got = f"a Pillow image of mode {mode!r}"
        raise ValueError(f"image must hold grey or RGB values. Got: {got}. Pass image.convert('RGB').")
    array = np.asarray(image)
    _check_dtype(array)
    _check_shape(array.shape)
    colour = array[..., np.newaxis] if array.ndim == 2 else array
    colour = colour[..., :1] if colour.shape[2] <= 2 else colour[..., :3]
    bits = find_bit_depth(array, bit_depth)
    if bits:
        result = np.divide(colour, np.float32((1 << bits) - 1), dtype=np.float32)
    else:
        _check_unit_range(colour)
        result = np.clip(colour, 0, 1).astype(np.float32, copy=False)
    return np.ascontiguousarray(result if result.shape[2] == 3 else np.repeat(result, 3, axis=2))


def find_bit_depth(image: npt.ArrayLike, bit_depth: BitDepth = AUTO) -> int | None:
    """Find the bits of the samples of a picture; alpha does not count.

    Parameters
    ----------
    image : array_like
        As for `as_image`.
    bit_depth : int or 'auto'
        As for `as_image`.

    Returns
    -------
    int or None
        8 for uint8. For uint16 `bit_depth`, or with ``"auto"`` the smallest of 8, 10, 12, 14 and 16 that holds all
        values. None for floats.

    Raises
    ------
    ValueError
        If `bit_depth` is out of range, or too small for the values.
    """
    is_number = isinstance(bit_depth, int | np.integer) and LEAST_BIT_DEPTH <= bit_depth <= LARGEST_BIT_DEPTH
    if not is_number and bit_depth != AUTO:
        raise ValueError(f"bit_depth must be 'auto' or a whole number of bits from 8 to 16. Got: {bit_depth!r}.")
    array = np.asarray(image)
    if array.dtype.kind != "u":
        return None
    if array.dtype.itemsize == 1:
        return 8
    colours = array[..., :-1] if array.ndim == 3 and array.shape[2] in (2, 4) else array
    highest = int(colours.max())
    if bit_depth == AUTO:
        return min(bits for bits in _USUAL_BIT_DEPTHS if highest >> bits == 0)
    if highest >> bit_depth:
        rule = f"the values of a picture of {bit_depth} bits must be at most {(1 << bit_depth) - 1}"
        raise ValueError(f"{rule}. Got: maximum {highest}. Set bit_depth higher, or leave it at 'auto'.")
    return bit_depth


def shrink(values: FloatArray, side: int) -> FloatArray:
    """Average (H, W) or (H, W, C) values down until the longer side has `side` px; smaller ones stay as they are."""
    height, width = values.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return values
    import cv2  # here: the command line loads this module before it has checked its arguments

    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def check_radius_map(blur_map: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return the radii as an array if they fit the picture.

    Parameters
    ----------
    blur_map : (H, W) array_like of float
        Blur radius in px.
    shape : tuple of int
        (H, W) of the picture.

    Returns
    -------
    (H, W) ndarray of float32
        Not copied if `blur_map` is such an array.

    Raises
    ------
    ValueError
        If the shape differs, or a radius is negative, above 64 px or not finite.
    """
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
    if radius.max() > LARGEST_RADIUS:
        rule = f"blur_map must hold radii of at most {LARGEST_RADIUS:g} px"
        msg = f"{rule}. Got: maximum {radius.max():g}. Check its unit."
        raise ValueError(msg)
    return radius


def check_map(values: npt.NDArray[Any], name: str = "blur_map") -> None:
    """Raise ValueError unless the values, called `name` in the message, are a finite (H, W) map."""
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"{name} must have shape (H, W), not empty. Got: {values.shape}. Pass the float map.")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite. Got: NaN or infinity. Replace them first.")


def _check_dtype(array: npt.NDArray[Any]) -> None:
    """Raise unless the numbers are uint8, uint16 or float."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" or (kind == "u" and size <= 2):
        return
    advice = "If it holds 8 to 16 bits, pass image.astype(np.uint16) with bit_depth; else floats in [0, 1]"
    if kind == "i":
        advice = "If no value is negative, pass image.astype(np.uint16) with bit_depth; else shift and scale to [0, 1]"
    elif kind == "b":
        advice = "A mask is no picture; if you mean black and white, pass image.astype(float)"
    elif kind in "USO":
        advice = "Read files with read_image"
    raise TypeError(f"image must be uint8, uint16 or float. Got: dtype {array.dtype}. {advice}.")


def _check_shape(shape: tuple[int, ...]) -> None:
    """Raise unless the shape is that of a grey or colour picture with sides of at least `MIN_SIDE`."""
    rule = "image must have shape (H, W) or (H, W, C) with C = 1, 2, 3 or 4"
    if len(shape) not in (2, 3):
        advice = "Pass one picture at a time, such as image[0]" if len(shape) == 4 else "Pass one picture"
        raise ValueError(f"{rule}. Got: {shape}. {advice}.")
    if len(shape) == 3 and shape[2] not in (1, 2, 3, 4):
        channels_first = shape[0] in (1, 2, 3, 4)
        advice = "Channels come first here: pass np.moveaxis(image, 0, -1)" if channels_first else "Pick three channels"
        raise ValueError(f"{rule}. Got: {shape}. {advice}.")
    if min(shape[:2]) < MIN_SIDE:
        raise ValueError(f"image must have at least {MIN_SIDE} px on each side. Got: {shape}. Pass a larger picture.")


def _check_unit_range(colour: npt.NDArray[Any]) -> None:
    """Raise unless all floats are finite and in [0, 1], up to `ROUNDING_TOLERANCE`."""
    with np.errstate(invalid="ignore"):  # NaN is what we look for
        low, high = float(colour.min()), float(colour.max())
    rule = "a float image must be finite and within [0, 1]"
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{rule}. Got: NaN or infinity. Replace them, for instance with np.nan_to_num.")
    if low < -ROUNDING_TOLERANCE:
        raise ValueError(f"{rule}. Got: minimum {low:g}. Shift and scale the values, or np.clip them to [0, 1].")
    if high > 1 + ROUNDING_TOLERANCE:
        raise ValueError(f"{rule}. Got: maximum {high:g}. Divide by 255 (8 bits), 4095 (12 bits) or 65535 (16 bits).")
