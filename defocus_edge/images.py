"""Pictures and maps, in and out: any array or file becomes RGB float32, and every write is atomic.

This is the one module that knows of uint8, uint16, grey, alpha, EXIF and BGR. Past it, an image is ``(H, W, 3)``
float32 in [0, 1], sRGB-encoded as in the file. Colour profiles are not applied.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defocus_edge._decoding import (
    BROKEN_FILE,
    QUIET_OPENCV,
    ImageReadError,
    PathLike,
    decode_picture,
    quote,
    read_bytes,
    read_first_page,
    read_npy,
)

__all__ = [
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

MAP_SUFFIXES = (".tif", ".tiff", ".npy")
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
        holds values in [0, 1]. Of several pages or frames the first one is read; alpha is dropped.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        See `as_image`.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file at `path`.
    ImageReadError
        If the file is empty, no picture, cut short or damaged, or holds what `as_image` refuses. It is a `ValueError`.
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


def write_map(path: PathLike, blur_map: npt.ArrayLike, *, description: Mapping[str, object] | None = None) -> None:
    """Write a map as float32, losslessly: uncompressed TIFF with its unit in the file, or ``.npy``.

    Parameters
    ----------
    path : str or path
        Ends in ``.tif``, ``.tiff`` or ``.npy``. Its folder exists. An existing file is replaced, at the very end.
    blur_map : array_like, shape (H, W)
        Finite numbers; blur radii in px unless `description` says otherwise.
    description : mapping, optional
        JSON values for the TIFF's ImageDescription, added to ``{"quantity": "blur radius", "unit": "px"}`` or in place
        of these. An ``.npy`` file has no room for them.

    Raises
    ------
    TypeError
        If the map does not hold real numbers, or `description` does not fit into JSON.
    ValueError
        If the suffix is another one, or the map is not 2-D, empty or not finite.
    OSError
        If the folder is missing or cannot be written to, see `atomic_write`.
    """
    suffix = _check_suffix(path, MAP_SUFFIXES)
    array = np.asarray(blur_map)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"blur_map must hold real numbers. Got: dtype {array.dtype}. Write a mask with write_picture.")
    _check_map(array, "blur_map")
    array = np.ascontiguousarray(array, dtype=np.float32)
    text = json.dumps({"quantity": "blur radius", "unit": "px", **(description or {})})
    with atomic_write(path) as temporary:
        if suffix == ".npy":
            with temporary.open("wb") as file:
                np.save(file, array, allow_pickle=False)
        else:
            import tifffile

            tifffile.imwrite(temporary, array, photometric="minisblack", description=text, metadata=None)


def read_map(path: PathLike) -> FloatArray:
    """Read a map that `write_map`, or any program that writes float TIFF or ``.npy``, has written.

    Parameters
    ----------
    path : str or path
        Ends in ``.tif``, ``.tiff`` or ``.npy``.

    Returns
    -------
    ndarray, shape (H, W), float32
        The values as in the file, in its unit: px for a blur map.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file at `path`.
    ImageReadError
        If the file is damaged, or does not hold one finite 2-D array of floats. It is a `ValueError`.
    ValueError
        If the suffix is another one.
    """
    suffix = _check_suffix(path, MAP_SUFFIXES)
    data = read_bytes(path)
    try:
        array = read_npy(data) if suffix == ".npy" else read_first_page(data)
    except BROKEN_FILE as error:
        reason = "empty, damaged or no map"
        raise ImageReadError(f"Cannot read map {quote(path)}: {reason}. Got: {error}. Write it again.") from error
    if array.dtype.kind != "f":
        advice = "A preview is no map: pass the float file"
        raise ImageReadError(f"map {quote(path)} must hold floats. Got: {array.dtype}. {advice}.")
    try:
        _check_map(array, f"map {quote(path)}")
    except ValueError as error:
        raise ImageReadError(str(error)) from error
    return np.ascontiguousarray(array, dtype=np.float32)


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
    suffix = _check_suffix(path, PICTURE_SUFFIXES)
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


@contextmanager
def atomic_write(path: PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`; what is written there becomes `path` at once, at the end, or not at all.

    Parameters
    ----------
    path : str or path
        The file to write. A symbolic link is followed. On any failure, KeyboardInterrupt too, an existing file stays.

    Yields
    ------
    Path
        An empty file in the same folder, with the same suffix. It is gone afterwards.

    Raises
    ------
    IsADirectoryError, FileExistsError
        If `path` is a folder, or a device or pipe.
    OSError
        The fitting subclass if the folder is missing, no folder or not writable. The message names it.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(f"path must name a file to write. Got: the folder {quote(path)}. Add a file name.")
    if target.exists() and not target.is_file():  # a pipe, or /dev/null, which root could replace by a file
        raise FileExistsError(f"path must name a file to write. Got: the device {quote(path)}. Choose another name.")
    temporary = target.with_name(f".defocus-edge-{secrets.token_hex(6)}{target.suffix}")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        advice = "Create it first" if isinstance(error, FileNotFoundError) else "Choose a folder you can write to"
        reason = f"cannot write into the folder {quote(target.parent)}. Got: {error.strerror}. {advice}."
        raise OSError(error.errno, reason) from error
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


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


def _check_map(array: npt.NDArray[Any], name: str) -> None:
    """Raise unless the array is 2-D, not empty and finite."""
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must have shape (H, W), not empty. Got: {array.shape}. Pass the float map.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite. Got: NaN or infinity. Replace them first.")


def _check_suffix(path: PathLike, allowed: tuple[str, ...]) -> str:
    """Lower-case suffix of the path; raise if it is none of those allowed."""
    suffix = Path(path).suffix.lower()
    if suffix not in allowed:
        raise ValueError(f"path must end in one of {', '.join(allowed)}. Got: {quote(path)}. Change the suffix.")
    return suffix
