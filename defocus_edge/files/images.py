"""Pictures in and out: a file of any kind becomes RGB float32, and every write is atomic."""

from __future__ import annotations

import os

import cv2
import numpy as np
import numpy.typing as npt

from defocus_edge._quiet import QUIET_OPENCV
from defocus_edge.arrays import as_image
from defocus_edge.files.atomic import ImageReadError, PathLike, atomic_write, check_suffix, quote, read_bytes
from defocus_edge.files.decoding import decode_picture
from defocus_edge.files.kinds import LOSSLESS_SUFFIXES, PICTURE_SUFFIXES

FloatArray = npt.NDArray[np.float32]


def read_image(path: PathLike, *, raw: bool = False) -> FloatArray:
    """Read a picture file as RGB float32 in [0, 1], turned upright by its EXIF orientation.

    Parameters
    ----------
    path : str or path
        JPEG, PNG, TIFF, WebP or another format that OpenCV decodes (BMP, GIF, AVIF, ...). 16 bits stay 16 bits. A float
        TIFF holds values in [0, 1]. Only the first page or frame is read; alpha is dropped. With the extra ``raw`` also
        camera raw files, see Notes; with the extra ``imagecodecs`` also TIFF files with rare codecs or depths.
    raw : bool, optional
        Develop files with the suffix of a camera's raw files although nothing inside says which camera wrote them.
        LibRaw then guesses one from the length of the file. The default refuses them: a ``.raw`` file may be anything.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        See `as_image`.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file at `path`.
    ImageReadError
        If the file is empty, no picture, cut short or damaged, if `as_image` refuses it, or if it is a raw file and the
        extra is missing. It is a `ValueError`.

    Notes
    -----
    Raw files (CR2, CR3, NEF, ARW, RAF, ORF, RW2, DNG, ...) are developed by LibRaw in full size: the camera's white
    balance, sRGB, no brightening, no sharpening, no noise reduction. They are often darker than the camera's own JPEG.
    """
    data = read_bytes(path)
    array = decode_picture(data, path, raw=raw)
    try:
        return as_image(array)
    except (TypeError, ValueError) as error:
        raise ImageReadError(f"Cannot use picture {quote(path)}: {error}") from error


def load_image(source: PathLike | npt.ArrayLike) -> FloatArray:
    """Read a picture file with `read_image`, or convert an array with `as_image`; errors are theirs."""
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
