"""Maps in and out: float32, without loss, with their unit in the file if the format has room for it."""

from __future__ import annotations

import io
import json
import math
import tokenize
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from defocus_edge.arrays import check_map, check_radius_map
from defocus_edge.choices import DEFAULT_MAX_PIXELS
from defocus_edge.files.atomic import (
    BROKEN_FILE,
    ImageReadError,
    PathLike,
    UnsupportedError,
    atomic_write,
    check_suffix,
    quote,
    read_bytes,
)
from defocus_edge.files.exr import decode_exr, encode_exr, read_exr_comments, read_exr_size
from defocus_edge.files.formats.sizes import check_pixels, check_size
from defocus_edge.files.kinds import MAP_SUFFIXES, TIFF_SUFFIXES
from defocus_edge.files.tiff import decode_float_page

FloatArray = npt.NDArray[np.float32]


def write_map(path: PathLike, blur_map: npt.ArrayLike, *, description: Mapping[str, object] | None = None) -> None:
    """Write a map as float32, losslessly: uncompressed TIFF or OpenEXR with its unit in the file, or ``.npy``.

    Parameters
    ----------
    path : str or path
        Ends in ``.tif``, ``.tiff``, ``.npy`` or ``.exr``. Its folder exists. An existing file is replaced at the end.
    blur_map : array_like, shape (H, W)
        Finite numbers; blur radii in px unless `description` says otherwise.
    description : mapping, optional
        JSON values for the TIFF's ImageDescription or the EXR's ``comments``. They extend or replace
        ``{"quantity": "blur radius", "unit": "px"}``. An ``.npy`` file has no room for them.

    Raises
    ------
    TypeError
        If the map does not hold real numbers, or `description` does not fit into JSON.
    ValueError
        If the suffix is none of these, or the map is not 2-D, empty or not finite.
    OSError
        If the folder is missing or cannot be written to, see `atomic_write`.
    ImportError
        For ``.exr`` without the extra ``exr``.

    Notes
    -----
    An EXR file holds one channel, ``Y``, which viewers show as grey: 1 px is white, so lower the exposure.
    """
    suffix = check_suffix(path, MAP_SUFFIXES)
    array = np.asarray(blur_map)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"blur_map must hold real numbers. Got: dtype {array.dtype}. Write a mask with write_picture.")
    check_map(array)
    array = np.ascontiguousarray(array, dtype=np.float32)
    text = json.dumps({"quantity": "blur radius", "unit": "px", **(description or {})})
    encoded = _encode_map(array, suffix, text)
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded)


def _encode_map(array: FloatArray, suffix: str, text: str) -> bytes:
    """Bytes of the file, made in memory: NumPy and tifffile do not notice a disk that is full at the very end."""
    if suffix == ".exr":
        return encode_exr(array, text)
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, array, allow_pickle=False)
    else:
        import tifffile

        tifffile.imwrite(buffer, array, photometric="minisblack", description=text, metadata=None)
    return buffer.getvalue()


def read_map(path: PathLike, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> FloatArray:
    """Read a map of floats: TIFF, OpenEXR or ``.npy``, from `write_map` or another program.

    Parameters
    ----------
    path : str or path
        Ends in ``.tif``, ``.tiff``, ``.npy`` or ``.exr``. If an EXR file has several channels, ``Y`` is the map.
    max_pixels : int, optional
        Files whose header tells more pixels are refused before they take memory; ``.npy`` files are never larger in
        memory than on the disk.

    Returns
    -------
    ndarray, shape (H, W), float32
        The values as in the file, in its unit: px for a blur map.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file at `path`.
    ImageReadError
        If the file is damaged, has too many pixels or does not hold one finite 2-D array of floats, or for ``.exr``
        without the extra ``exr`` and some TIFF files without ``imagecodecs``. It is a `ValueError`.
    ValueError
        If the suffix is none of these.
    """
    suffix = check_suffix(path, MAP_SUFFIXES)
    data = read_bytes(path)
    with _blame_map(path):
        if suffix == ".exr":
            check_pixels(*read_exr_size(data), path, max_pixels, kind="map")
        elif suffix in TIFF_SUFFIXES:
            check_size(data, path, max_pixels, kind="map")
        array = _DECODERS.get(suffix, decode_float_page)(data)
    if array.dtype.kind != "f":
        advice = "A preview is no map: pass the float file"
        raise ImageReadError(f"map {quote(path)} must hold floats. Got: {array.dtype}. {advice}.")
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite, and are refused
        values = np.asarray(array, dtype=np.float32)
    try:
        check_map(values, f"map {quote(path)}")
    except ValueError as error:
        raise ImageReadError(str(error)) from error
    return np.ascontiguousarray(values)


@contextmanager
def _blame_map(path: PathLike) -> Iterator[None]:
    """Turn what parsers raise into an `ImageReadError` with the name of the file."""
    try:
        yield
    except ImportError as error:
        raise ImageReadError(f"Cannot read map {quote(path)}: {error}") from error
    except ImageReadError:
        raise
    except UnsupportedError as error:
        raise ImageReadError(f"Cannot read map {quote(path)}. Got: {error}.") from error
    except BROKEN_FILE as error:
        got = " ".join(str(error).split()) or type(error).__name__
        reason = "empty, damaged or no map"
        raise ImageReadError(f"Cannot read map {quote(path)}: {reason}. Got: {got}. Write it again.") from error


def read_map_description(path: PathLike) -> str:
    """Description in a map's file, as `write_map` or another program wrote it; empty if there is none.

    Raises what `read_map` raises at a missing or damaged file.
    """
    suffix = check_suffix(path, MAP_SUFFIXES)
    if suffix == ".npy":
        return ""
    data = read_bytes(path)
    with _blame_map(path):
        if suffix == ".exr":
            return read_exr_comments(data)
        import tifffile

        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return str(file.pages[0].description)


def read_radius_map(path: PathLike, shape: tuple[int, ...]) -> FloatArray:
    """Blur map of a picture of `shape` (H, W): `read_map`, with an `ImageReadError` if it does not fit."""
    blur_map = read_map(path, max_pixels=max(DEFAULT_MAX_PIXELS, math.prod(shape)))
    try:
        return check_radius_map(blur_map, shape)
    except ValueError as error:
        raise ImageReadError(f"Cannot use map {quote(path)}: {error} Pass the map of this picture.") from error


def read_map_source(path: PathLike) -> str | None:
    """Name of the picture that a map was estimated from, as `defocus-edge estimate` wrote it; None without one."""
    try:
        source = json.loads(read_map_description(path))["source"]
        return source if isinstance(source, str) else None
    except BROKEN_FILE:  # a description by another program
        return None


def _read_npy(data: bytes) -> npt.NDArray[Any]:
    """Array of an ``.npy`` file; files that could run code are refused, and shapes that the data do not fill."""
    file = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on headers of Python 2 and old names of types
            shape, by_columns, dtype = _NPY_HEADERS[np.lib.format.read_magic(file)](file)
    except (SyntaxError, tokenize.TokenError) as error:  # NumPy parses the header as Python
        raise ValueError(f"a damaged header: {error}") from error
    count, start = math.prod(shape), file.tell()
    if dtype.hasobject or min(shape, default=0) < 0 or count * dtype.itemsize > len(data) - start:
        raise ValueError(f"{len(data) - start} bytes for the shape {shape} of {dtype}")
    values = np.frombuffer(data, dtype, count, start) if count else np.empty(0, dtype)
    return values.reshape(shape, order="F" if by_columns else "C").copy()


# Version 3 differs from 2 by names in structured arrays, which are no maps.
_NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,
}
_DECODERS = {".npy": _read_npy, ".exr": decode_exr}
