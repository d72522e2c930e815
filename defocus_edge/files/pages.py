"""Pages of TIFF files, frames of animations and pictures of HEIF files: how many, and each of them.

Animations are GIF, PNG, WebP, AVIF and JPEG XL. Counting reads headers only, except for an animated JPEG XL file. JPEG
files have one page: the further pictures of an MPO file are previews, or what the other eye sees.
"""

from __future__ import annotations

import io
import warnings
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from defocus_edge._quiet import QUIET_OPENCV, catch_complaints
from defocus_edge.arrays import ImageWarning
from defocus_edge.choices import DEFAULT_MAX_PIXELS
from defocus_edge.files.atomic import BROKEN_FILE, ImageReadError, PathLike, quote
from defocus_edge.files.decoding import decode_picture
from defocus_edge.files.formats.boxes import find_box
from defocus_edge.files.formats.extras import count_with_extra, decode_with_extra, needs_extra
from defocus_edge.files.formats.sizes import check_size
from defocus_edge.files.kinds import GIF_STARTS, PNG_START, TIFF_STARTS
from defocus_edge.files.metadata import decode_stored, find_orientation
from defocus_edge.files.raw import is_raw
from defocus_edge.files.samples import turn_upright

# Blocks of a GIF file (GIF89a specification): a frame, an extension; and the flag of a colour table.
_GIF_FRAME, _GIF_EXTENSION, _GIF_TABLE = 0x2C, 0x21, 0x80
_BIG_TIFF_STARTS = (b"II+\0", b"MM\0+")
# TIFF tag NewSubfileType: a smaller version of another page, or a mask for one.
_REDUCED_OR_MASK = 1 | 4
# A later page of the same shape is a thumbnail if its sides are at most this share of those of the first.
_THUMBNAIL_SHARE = 0.5


def count_pages(data: bytes, path: PathLike) -> int:
    """Number of pages, frames or pictures of a file, 1 or more; 1 for a file that is damaged.

    In TIFF files only pages in full size count: no smaller versions, thumbnails, masks, or directories below others.
    """
    try:
        if data.startswith(TIFF_STARTS):
            return 1 if is_raw(data, path) else len(_find_tiff_pages(data))
        return max(1, _count_frames(data))
    except (*BROKEN_FILE, ImportError, RuntimeError, SyntaxError):  # reported when the picture is decoded
        return 1


def decode_page(
    data: bytes,
    path: PathLike,
    page: int | None = None,
    *,
    raw: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> npt.NDArray[Any]:
    """Array of one page, upright, as `decode_picture` gives it, which says what `raw` and `max_pixels` mean.

    `page` counts from 0. None is the first page, with an `ImageWarning` if there are others.

    Raises
    ------
    ImageReadError
        If there is no such page, or it cannot be read.
    """
    if not page:
        picture = decode_picture(data, path, raw=raw, max_pixels=max_pixels)
        if page is None:
            warn_of_pages(data, path)
        return picture
    count = count_pages(data, path)
    if not 0 <= page < count:
        raise ImageReadError(f"{quote(path)} must have the page {page}, counted from 0. Got: {count} pages.")
    if data.startswith(TIFF_STARTS):
        return decode_picture(_put_page_first(data, page), path, max_pixels=max_pixels)
    check_size(data, path, max_pixels)
    return decode_with_extra(data, path, page)[0] if needs_extra(data) else _decode_frame(data, path, page)


def warn_of_pages(data: bytes, path: PathLike) -> None:
    """Warn if a file has more than one page."""
    others = count_pages(data, path) - 1
    if others:
        told = f"{others} more pages or frames are" if others > 1 else "one more page or frame is"
        warnings.warn(ImageWarning(f"Only the first page of {quote(path)} is read; {told} ignored."), stacklevel=3)


def _count_frames(data: bytes) -> int:
    """Number of frames or pictures of a file that is no TIFF."""
    if needs_extra(data):
        return count_with_extra(data)
    if data.startswith(PNG_START):
        place = data.find(b"acTL", 0, data.find(b"IDAT"))  # number of frames (PNG, third edition, 11.3.6.1)
        return int.from_bytes(data[place + 4 : place + 8], "big") if place > 0 else 1
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _count_webp_frames(data)
    if data.startswith(GIF_STARTS):
        return _count_gif_frames(data)
    if data[4:12] == b"ftypavis":
        samples = find_box(data, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz")
        return int.from_bytes(samples[8:12], "big") if samples else 1
    return 1


def _count_webp_frames(data: bytes) -> int:
    """Number of chunks with frames of an animation; 0 if it is none."""
    frames, place = 0, 12
    while place + 8 <= len(data):
        frames += data[place : place + 4] == b"ANMF"
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + length + length % 2
    return frames


def _count_gif_frames(data: bytes) -> int:
    """Number of frames, up to the end of the file or to what is no block."""
    frames, place = 0, 13 + _measure_table(data[10])
    while place + 10 < len(data) and data[place] in (_GIF_FRAME, _GIF_EXTENSION):
        if data[place] == _GIF_FRAME:
            frames += 1
            place += 11 + _measure_table(data[place + 9])
        else:
            place += 2
        while place < len(data) and data[place]:  # parts, each with its length
            place += 1 + data[place]
        place += 1
    return frames


def _measure_table(flags: int) -> int:
    """Number of bytes of a colour table of a GIF file."""
    return 3 << ((flags & 7) + 1) if flags & _GIF_TABLE else 0


def _decode_frame(data: bytes, path: PathLike, page: int) -> npt.NDArray[Any]:
    """Composed frame of an animation, RGB and upright; the orientation and the range are those of the file."""
    reason = f"Cannot read frame {page} of {quote(path)}"
    try:
        _, metadata, samples = decode_stored(data, path)
        with QUIET_OPENCV, catch_complaints():
            _, animation = cv2.imdecodeanimation(np.frombuffer(data, np.uint8), page, 1)
        if not len(animation.frames):
            raise ValueError("no such frame")
    except (cv2.error, *BROKEN_FILE) as error:
        got = " ".join(str(error).split())
        raise ImageReadError(f"{reason}: damaged. Got: {got}. Copy it again.") from error
    pixels = np.asarray(animation.frames[0])
    pixels = pixels if samples is None else samples.stretch(pixels)
    colours = pixels if pixels.ndim == 2 or pixels.shape[2] == 1 else pixels[..., 2::-1]
    return turn_upright(colours, find_orientation(metadata, samples))


def _find_tiff_pages(data: bytes) -> list[int]:
    """Places of the directories of all pages in full size, that of the first page first."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if len(file.pages) == 1:
            return [0]
        first, *others = file.pages
        return [first.offset, *(page.offset for page in others if _is_full_page(page, first))]


def _is_full_page(page: Any, first: Any) -> bool:
    """Whether a later page is no smaller version of the first, and no mask."""
    if int(page.subfiletype) & _REDUCED_OR_MASK:
        return False
    scale = page.imagewidth / first.imagewidth
    same_shape = abs(page.imagelength - scale * first.imagelength) <= 1
    return not (scale <= _THUMBNAIL_SHARE and same_shape)


def _put_page_first(data: bytes, page: int) -> bytes:
    """The same file, but its header names a later page as the first: decoders then read that one."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    start, length = (8, 8) if data.startswith(_BIG_TIFF_STARTS) else (4, 4)
    offset = _find_tiff_pages(data)[page].to_bytes(length, order)
    return data[:start] + offset + data[start + length :]
