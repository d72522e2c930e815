"""Pictures in and out: a file of any kind becomes RGB float32, and every write is atomic."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from defocus_edge._quiet import QUIET_OPENCV
from defocus_edge.arrays import LARGEST_BIT_DEPTH, as_image, find_bit_depth
from defocus_edge.choices import AUTO, DEFAULT_MAX_PIXELS, BitDepth
from defocus_edge.files import pages
from defocus_edge.files.atomic import ImageReadError, PathLike, atomic_write, check_suffix, quote, read_bytes
from defocus_edge.files.kinds import (
    LOSSLESS_SUFFIXES,
    PICTURE_SUFFIXES,
    PNG_START,
    TIFF_STARTS,
    may_have_pages,
    read_start,
)
from defocus_edge.files.raw import is_raw
from defocus_edge.files.tiff import read_bits

FloatArray = npt.NDArray[np.float32]


def read_image(
    path: PathLike,
    *,
    page: int | None = None,
    bit_depth: BitDepth = AUTO,
    raw: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> FloatArray:
    """Read a picture file as RGB float32 in [0, 1], turned upright by its EXIF orientation.

    Parameters
    ----------
    path : str or path
        JPEG, PNG, TIFF, WebP or another format that OpenCV decodes (BMP, GIF, AVIF, ...). 16 bits stay 16 bits. A float
        TIFF holds values in [0, 1]. Alpha is dropped. With the extra ``raw`` also camera raw files, see Notes; with the
        extra ``imagecodecs`` also JPEG XL and rare kinds of TIFF; with the extra ``heif`` also HEIC.
    page : int or None
        Page, frame of an animation or picture of a HEIC file, from 0 to `count_pages` - 1. None is the first, and warns
        if there are others.
    bit_depth : int or 'auto'
        As for `as_image`, for PNG and TIFF files of 16 bits. Other files say which value is white.
    raw : bool, optional
        Develop files with the suffix of a camera's raw files although nothing inside says which camera wrote them.
        LibRaw then guesses one from the length of the file. The default refuses them: a ``.raw`` file may be anything.
    max_pixels : int, optional
        Files whose header tells more pixels are refused before they take memory.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        See `as_image`.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file at `path`.
    ImageReadError
        If the file is empty, no picture, cut short or damaged, if it has no such page or too many pixels, if `as_image`
        refuses it, or if the extra that it needs is missing. It is a `ValueError`.

    Warns
    -----
    ImageWarning
        If `page` is None and other pages are ignored, or if the file may be damaged.

    Notes
    -----
    Raw files (CR2, CR3, NEF, ARW, RAF, ORF, RW2, DNG, ...) are developed by LibRaw in full size: the camera's white
    balance, sRGB, no brightening, no sharpening, no noise reduction. They are often darker than the camera's own JPEG.
    """
    return read_with_depth(path, page=page, bit_depth=bit_depth, raw=raw, max_pixels=max_pixels)[0]


def read_with_depth(
    path: PathLike,
    *,
    page: int | None = None,
    bit_depth: BitDepth = AUTO,
    raw: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> tuple[FloatArray, int | None]:
    """Picture of `read_image`, and the bits that were taken for the range of its samples; None for floats."""
    data = read_bytes(path)
    array = pages.decode_page(data, path, page, raw=raw, max_pixels=max_pixels)
    try:
        bits = find_bit_depth(array, choose_bit_depth(data, path, bit_depth))
        return as_image(array, bit_depth=bits or AUTO), bits
    except (TypeError, ValueError) as error:
        raise ImageReadError(f"Cannot use picture {quote(path)}: {error}") from error


def count_pages(path: PathLike) -> int:
    """Count the pages of a TIFF file, the frames of an animation or the pictures of a HEIC file.

    Parameters
    ----------
    path : str or path
        A picture file. Only its headers are read, except those of an animated JPEG XL file.

    Returns
    -------
    int
        1 or more; 1 for a file that `read_image` cannot read. In TIFF files, pages in full size count, but not their
        smaller versions, thumbnails, masks and subdirectories. JPEG files have one: the further pictures of an MPO file
        are previews, or what the other eye sees.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file at `path`.
    """
    start = read_start(Path(path))
    if start and not may_have_pages(start, Path(path).suffix):
        return 1
    return pages.count_pages(read_bytes(path), path)


def choose_bit_depth(data: bytes, path: PathLike, bit_depth: BitDepth) -> BitDepth:
    """Bits of a decoded picture: those asked for if it is PNG or TIFF of 16 bits, which often hold 10 to 14.

    All other files, and the development of raw files, say which value is white: decoded, they have all 16.
    """
    is_tiff = data.startswith(TIFF_STARTS) and not is_raw(data, path)
    is_open = data.startswith(PNG_START) or (is_tiff and read_bits(data) == LARGEST_BIT_DEPTH)
    return bit_depth if is_open else LARGEST_BIT_DEPTH


def load_with_depth(source: PathLike | npt.ArrayLike, *, bit_depth: BitDepth = AUTO) -> tuple[FloatArray, int | None]:
    """Read a picture file with `read_with_depth`, or do the same with an array; errors are those of `load_image`."""
    if isinstance(source, str | os.PathLike):
        return read_with_depth(source, bit_depth=bit_depth)
    return as_image(source, bit_depth=bit_depth), find_bit_depth(source, bit_depth)


def load_image(source: PathLike | npt.ArrayLike, *, bit_depth: BitDepth = AUTO) -> FloatArray:
    """Read a picture file with `read_image`, or convert an array with `as_image`; errors are theirs."""
    return load_with_depth(source, bit_depth=bit_depth)[0]


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
    TypeError, ValueError
        If `picture` or the suffix is none of these, or the format cannot hold a picture of that size.
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
