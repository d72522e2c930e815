"""Bytes of a picture file to an array, or an error that says why not; finds faults that decoders pass over."""

from __future__ import annotations

import io
import re
import zlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defocus_edge.files.atomic import BROKEN_FILE, ImageReadError, PathLike, quote
from defocus_edge.files.formats.extras import decode_with_extra, needs_extra
from defocus_edge.files.kinds import JPEG_START, PNG_START, TIFF_STARTS
from defocus_edge.files.metadata import decode_stored, find_orientation
from defocus_edge.files.raw import develop_raw, is_raw

# A marker that ends the entropy-coded data of a scan: not a stuffed zero, not a restart (RST0-7), not a fill byte.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# What tifffile unpacks without the imagecodecs package: no compression, deflate (two codes), PackBits.
_TIFFFILE_COMPRESSIONS, _TIFFFILE_PREDICTORS = (1, 8, 32946, 32773), (1, 2)
# OpenCV makes RGB of every file, keeps 16 bits and leaves the turning to us: it does not parse all EXIF.
_AS_COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
# Codecs of the libtiff in OpenCV's wheels; of a page with another one it makes a black picture. CCITT (2, 3, 4), LZW,
# JPEG, deflate (two codes), PackBits.
_OPENCV_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946)
_WHITE_IS_ZERO, _GREY, _RGB = 0, 1, 2  # TIFF tag PhotometricInterpretation


class _UnsupportedTiffError(Exception):
    """A sound TIFF file that neither tifffile nor OpenCV decodes correctly."""


def decode_picture(data: bytes, path: PathLike) -> npt.NDArray[Any]:
    """Array of a picture file, upright and RGB, with the values of the file; the suffix of `path` tells raw files."""
    fault = _find_fault(data)
    if fault:
        raise ImageReadError(f"Cannot read picture {quote(path)}: {fault}. Copy or download the file again.")
    if is_raw(data, path):
        return develop_raw(data, path)
    if needs_extra(data):
        return decode_with_extra(data, path)[0]
    return _decode_tiff(data, path) if data.startswith(TIFF_STARTS) else _decode_with_opencv(data, path)


def _find_fault(data: bytes) -> str | None:
    """What is wrong with a picture file, or None; decoders make a partly grey picture of a file that is cut short."""
    if not data:
        return "the file is empty (0 bytes)"
    complete = True
    if data.startswith(JPEG_START):
        complete = _is_complete_jpeg(data)
    elif data.startswith(PNG_START):
        complete = _is_complete_png(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        complete = len(data) >= 8 + int.from_bytes(data[4:8], "little")
    return None if complete else "the file is cut short or damaged"


def _is_complete_jpeg(data: bytes) -> bool:
    """Walk the segments up to the end marker; a thumbnail with its own end marker is inside a segment."""
    position = len(JPEG_START)
    while found := _JPEG_MARKER.search(data, position):
        marker, position = data[found.start() + 1], found.end()
        if marker == 0xD9:  # EOI
            return True
        if marker not in (0x01, 0xD8):  # all but TEM and SOI carry their length, which counts itself
            position += max(2, int.from_bytes(data[position : position + 2], "big"))
    return False


def _is_complete_png(data: bytes) -> bool:
    """Walk the chunks up to IEND and compare their checksums."""
    position, view = len(PNG_START), memoryview(data)
    while position + 12 <= len(data):
        length = int.from_bytes(view[position : position + 4], "big")
        end = position + 8 + length
        checksum = view[end : end + 4]
        if len(checksum) < 4 or zlib.crc32(view[position + 4 : end]) != int.from_bytes(checksum, "big"):
            return False
        if data[position + 4 : position + 8] == b"IEND":
            return True
        position = end + 4
    return False


def _decode_with_opencv(data: bytes, path: PathLike) -> npt.NDArray[Any]:
    """RGB picture, upright, with 16 bits kept."""
    try:
        bgr, metadata, samples = decode_stored(data, path, _AS_COLOUR)
    except cv2.error as error:
        raise ImageReadError(f"Cannot read picture {quote(path)}: the decoder refused it. Got: {error}") from error
    except BROKEN_FILE as error:
        raise ImageReadError(f"Cannot read picture {quote(path)}: damaged. Got: {error}. Copy it again.") from error
    if bgr is None:
        advice = "Use JPEG, PNG, TIFF, WebP, HEIC or raw"
        raise ImageReadError(f"Cannot read picture {quote(path)}: no picture, damaged or of unknown format. {advice}.")
    return turn_upright(bgr[..., ::-1], find_orientation(metadata, samples))


def _decode_tiff(data: bytes, path: PathLike) -> npt.NDArray[Any]:
    """Decode a TIFF file with tifffile, or with OpenCV if tifffile lacks the codec and OpenCV decodes it correctly."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            if max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))) > len(data):
                raise ValueError("the file ends before its data")
            if _is_plain_tiff(page):
                return _orient_page(page)
            if not _is_right_in_opencv(page):
                codec = getattr(page.compression, "name", page.compression)
                raise _UnsupportedTiffError(f"{page.samplesperpixel} channels of {page.dtype}, compressed with {codec}")
    except _UnsupportedTiffError as error:
        advice = "Save it as uncompressed or deflate TIFF, or as PNG"
        raise ImageReadError(f"Cannot read picture {quote(path)} faithfully. Got: {error}. {advice}.") from error
    except BROKEN_FILE as error:
        reason = "cut short or damaged"
        raise ImageReadError(f"Cannot read picture {quote(path)}: {reason}. Got: {error}. Copy it again.") from error
    return _decode_with_opencv(data, path)


def _is_plain_tiff(page: Any) -> bool:
    """Whether tifffile alone unpacks this page to grey or RGB."""
    return (
        page.photometric in (_WHITE_IS_ZERO, _GREY, _RGB)
        and page.compression in _TIFFFILE_COMPRESSIONS
        and page.predictor in _TIFFFILE_PREDICTORS
        and page.dtype is not None
        and page.bitspersample == 8 * page.dtype.itemsize
    )


def _is_right_in_opencv(page: Any) -> bool:
    """Whether OpenCV decodes the page correctly; version 5.0 silently fails on the pages that are excluded here."""
    if page.compression not in _OPENCV_COMPRESSIONS:
        return False
    if page.photometric not in (_WHITE_IS_ZERO, _GREY, _RGB):
        return True  # palette, YCbCr, CMYK: libtiff's own conversion
    bits, samples, is_float = page.bitspersample, page.samplesperpixel, page.sampleformat == 3
    if samples == 1:
        return not is_float and (page.photometric != _WHITE_IS_ZERO or bits <= 8)
    if page.planarconfig != 1 or (is_float and bits == 16):
        return False  # separate planes, half floats
    return bool(samples == 3 or (samples == 4 and bits == 16))  # 8-bit colours come back multiplied by alpha


def _orient_page(page: Any) -> npt.NDArray[Any]:
    """Pixels of a page with channels last, black as 0, turned upright."""
    array = np.asarray(page.asarray())
    if page.axes == "SYX":
        array = np.moveaxis(array, 0, -1)
    if page.photometric == _WHITE_IS_ZERO:
        array = (np.iinfo(array.dtype).max if array.dtype.kind in "ui" else 1) - array
    tag = page.tags.get("Orientation")
    return turn_upright(array, int(tag.value) if tag else 1)


def turn_upright(array: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """View of (H, W) or (H, W, C) values, turned as EXIF's orientation, 1 to 8, demands."""
    if orientation >= 5:  # 5-8 are 1-4 of the transposed picture, in another order
        array, orientation = np.swapaxes(array, 0, 1), {5: 1, 6: 2, 7: 3, 8: 4}.get(orientation, 1)
    flips: dict[int, Any] = {2: np.s_[:, ::-1], 3: np.s_[::-1, ::-1], 4: np.s_[::-1]}
    return array[flips[orientation]] if orientation in flips else array
