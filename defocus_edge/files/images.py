"""Pictures and maps, in and out: any array or file becomes RGB float32, and every write is atomic.

This is the one module that knows of uint8, uint16, grey, alpha, EXIF, BGR and raw. Past it, an image is ``(H, W, 3)``
float32 in [0, 1], sRGB-encoded as in the file. Colour profiles are not applied.
"""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defocus_edge._quiet import QUIET_OPENCV
from defocus_edge.files.atomic import ImageReadError, PathLike, atomic_write, check_suffix, quote, read_bytes
from defocus_edge.files.decoding import decode_picture
from defocus_edge.files.maps import MAP_SUFFIXES, read_map, write_map

__all__ = [
    "MAP_SUFFIXES",
    "MIN_SIDE",
    "ImageReadError",
    "as_image",
    "atomic_write",
    "load_image",
    "read_image",
    "read_map",
    "write_map",
    "write_picture",
]

FloatArray = npt.NDArray[np.float32]

#: Smallest side of an image in px: the networks' 41 px patch mirrors the border by 20 px, and a mirror needs as many.
MIN_SIDE = 20
#: How far a float image may leave [0, 1]: rounding goes that far and is clipped, anything beyond is refused.
ROUNDING_TOLERANCE = 1e-3

LOSSLESS_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
PICTURE_SUFFIXES = (*LOSSLESS_SUFFIXES, ".jpg", ".jpeg", ".webp")

# PIL modes whose numbers are not grey or RGB values, although their arrays look like it (palette indices, CMYK, ...).
_PIL_MODES_TO_CONVERT = {"P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La"}


def as_image(image: npt.ArrayLike) -> FloatArray:
    """Turn an array into the one kind of image the package works on: RGB float32 in [0, 1].

    Parameters
    ----------
    image : array_like, shape (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4)
        Grey, grey + alpha, RGB or RGBA; uint8 (0..255), uint16 (0..65535) or float in [0, 1], sRGB-encoded. Each side
        has at least `MIN_SIDE` px. Alpha is dropped: the colours stay as they are under it. Pillow images work; their
        EXIF rotation is not applied here, `read_image` does that.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        C-contiguous copy; `image` is neither modified nor shared. Values are as they came, no gamma is applied.

    Raises
    ------
    TypeError
        If the numbers are bool, complex, text or integers other than uint8 and uint16.
    ValueError
        If the shape, the size or the values break a rule above, or a Pillow image is in a mode such as palette or CMYK.
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
    if array.dtype.kind == "u":
        result = np.divide(colour, np.float32(np.iinfo(array.dtype).max), dtype=np.float32)
    else:
        _check_unit_range(colour)
        result = np.clip(colour, 0, 1).astype(np.float32, copy=False)
    return np.ascontiguousarray(result if result.shape[2] == 3 else np.repeat(result, 3, axis=2))


def read_image(path: PathLike) -> FloatArray:
    """Read a picture file as RGB float32 in [0, 1], turned upright by its EXIF orientation.

    Parameters
    ----------
    path : str or path
        JPEG, PNG, TIFF or WebP, and what else OpenCV decodes (BMP, GIF, AVIF, ...). 16 bits stay 16 bits. A float TIFF
        holds values in [0, 1]. Of several pages or frames the first one is read; alpha is dropped. With the extra
        ``raw`` also camera raw files, see Notes.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        See `as_image`.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file at `path`.
    ImageReadError
        If the file is empty, no picture, cut short or damaged, or holds what `as_image` refuses, or is a raw file and
        the extra is missing. It is a `ValueError`.

    Notes
    -----
    Raw files (CR2, CR3, NEF, ARW, RAF, ORF, RW2, DNG, ...) are developed by LibRaw in full size: the camera's white
    balance, sRGB, no brightening, no sharpening, no noise reduction. They are often darker than the camera's own JPEG.
    """
    data = read_bytes(path)
    array = decode_picture(data, path)
    try:
        return as_image(array)
    except (TypeError, ValueError) as error:
        raise ImageReadError(f"Cannot use picture {quote(path)}: {error}") from error


def load_image(source: PathLike | npt.ArrayLike) -> FloatArray:
    """Read `source` if it is a path, convert it if it is an array: `read_image` and `as_image` behind one name.

    Parameters
    ----------
    source : str, path or array_like
        A picture file, or an array as `as_image` takes it.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        RGB in [0, 1].

    Raises
    ------
    FileNotFoundError, IsADirectoryError, ImageReadError, TypeError, ValueError
        As `read_image` and `as_image` do.
    """
    return read_image(source) if isinstance(source, str | os.PathLike) else as_image(source)


def write_picture(path: PathLike, picture: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]) -> None:
    """Write a preview, or a mask as 8 bits with 0 and 255.

    Parameters
    ----------
    path : str or path
        Its suffix names the format: ``.png``, ``.jpg``, ``.jpeg``, ``.webp``, ``.tif``, ``.tiff`` or ``.bmp``.
    picture : ndarray, shape (H, W) or (H, W, 3), uint8, or (H, W), bool
        Grey, RGB, or a mask, which needs a lossless format: PNG, TIFF or BMP.

    Raises
    ------
    TypeError
        If `picture` is neither uint8 nor bool.
    ValueError
        If the shape or the suffix is another one, or the format cannot hold a picture of that size.
    OSError
        If the folder is missing or cannot be written to, see `atomic_write`.
    """
    suffix = check_suffix(path, PICTURE_SUFFIXES)
    array = np.asarray(picture)
    is_mask = array.dtype == np.bool_
    if not is_mask and array.dtype != np.uint8:
        raise TypeError(f"picture must be uint8 or bool. Got: dtype {array.dtype}. Write float maps with write_map.")
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3 and not is_mask)):
        raise ValueError(f"picture must have shape (H, W) or (H, W, 3), a mask (H, W), not empty. Got: {array.shape}.")
    if is_mask and suffix not in LOSSLESS_SUFFIXES:
        raise ValueError(f"A mask needs one of {', '.join(LOSSLESS_SUFFIXES)}. Got: {suffix!r}, which is lossy.")
    values = array.astype(np.uint8) * np.uint8(255) if is_mask else array
    values = values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2BGR)
    with QUIET_OPENCV:
        done, encoded = cv2.imencode(suffix, values)
    if not done:
        raise ValueError(f"A {suffix} file cannot hold this picture. Got: shape {array.shape}. Write a .png file.")
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _check_dtype(array: npt.NDArray[Any]) -> None:
    """Raise unless the numbers are uint8, uint16 or float."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" or (kind == "u" and size <= 2):
        return
    advice = "Divide by the largest value the format can hold and pass floats in [0, 1]"
    if kind == "b":
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
    """Raise unless all floats are finite and in [0, 1], but for `ROUNDING_TOLERANCE`."""
    with np.errstate(invalid="ignore"):  # NaN is what we look for
        low, high = float(colour.min()), float(colour.max())
    rule = "a float image must be finite and within [0, 1]"
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{rule}. Got: NaN or infinity. Replace them, for instance with np.nan_to_num.")
    if low < -ROUNDING_TOLERANCE:
        raise ValueError(f"{rule}. Got: minimum {low:g}. Shift and scale the values, or np.clip them to [0, 1].")
    if high > 1 + ROUNDING_TOLERANCE:
        raise ValueError(f"{rule}. Got: maximum {high:g}. Divide by 255 (8 bit) or 65535 (16 bit), or np.clip it.")
