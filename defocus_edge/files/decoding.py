"""Bytes of a picture file to an array, or an error that says why not; finds faults that decoders pass over."""

from __future__ import annotations

import os
import re
import struct
import zlib
from typing import Any

import cv2
import numpy.typing as npt

from defocus_edge.choices import DEFAULT_MAX_PIXELS
from defocus_edge.files.atomic import BROKEN_FILE, ImageReadError, PathLike, UnsupportedError, blame_picture, quote
from defocus_edge.files.formats.extras import decode_with_extra, needs_extra
from defocus_edge.files.formats.sizes import check_size
from defocus_edge.files.kinds import GIF_STARTS, JPEG_START, PNG_START, SUN_START, TIFF_STARTS
from defocus_edge.files.metadata import AS_COLOUR, decode_stored, find_orientation
from defocus_edge.files.raw import check_marked, develop_raw, is_raw
from defocus_edge.files.samples import MAX_PIXELS, turn_upright
from defocus_edge.files.sunraster import decode_sun_raster
from defocus_edge.files.tiff import decode_tiff

# A marker that ends the entropy-coded data of a scan: not a stuffed zero, not a restart (RST0-7), not a fill byte.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Limits of OpenCV as its errors name them, and their values unless a variable sets them.
_OPENCV_LIMIT = re.compile(r"CV_IO_MAX_IMAGE_(PIXELS|WIDTH|HEIGHT)")
_OPENCV_LIMITS = {"PIXELS": MAX_PIXELS, "WIDTH": 1 << 20, "HEIGHT": 1 << 20}
# Most pixels in a byte of a JPEG file, by the marker that holds the size: a block of 8 x 8 px takes at least a bit in
# Huffman's code (baseline, extended and progressive), but less in the arithmetic one.
_JPEG_DENSITY = {0xC0: 512, 0xC1: 512, 0xC2: 512, 0xC9: 1 << 15, 0xCA: 1 << 15}
# Most pixels in a byte of a GIF file, whose codes of 12 bits stand for up to 4096; but frames may not fill the canvas.
_GIF_DENSITY, _GIF_CANVAS = 4096, 1 << 24


def decode_picture(
    data: bytes, path: PathLike, *, raw: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> npt.NDArray[Any]:
    """Array of a picture file, upright and RGB, with the values of the file; the suffix of `path` tells raw files.

    With `raw`, files that only their suffix calls raw are developed, too. More than `max_pixels`
    are refused.
    """
    fault = _find_fault(data)
    if fault:
        raise ImageReadError(f"Cannot read picture {quote(path)}: {fault}. Copy or download the file again.")
    if is_raw(data, path):
        if not raw:
            check_marked(data, path)
        return develop_raw(data, path, max_pixels)
    check_size(data, path, max_pixels)
    if needs_extra(data):
        return decode_with_extra(data, path)[0]
    if data.startswith(SUN_START):
        with blame_picture(path):
            return decode_sun_raster(data)
    pixels = decode_tiff(data, path) if data.startswith(TIFF_STARTS) else None
    return _decode_with_opencv(data, path) if pixels is None else pixels


def _find_fault(data: bytes) -> str | None:
    """What is wrong with a picture file, or None; decoders make a partly grey picture of a file that is cut short."""
    if not data:
        return "the file is empty (0 bytes)"
    complete = True
    if data.startswith(JPEG_START):
        complete = _is_complete_jpeg(data)
    elif data.startswith(PNG_START):
        complete = _is_complete_png(data)
    elif data.startswith(GIF_STARTS):
        width, height = struct.unpack_from("<HH", data.ljust(10), 6)
        complete = width * height <= max(_GIF_CANVAS, _GIF_DENSITY * len(data))
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        complete = len(data) >= 8 + int.from_bytes(data[4:8], "little")
    return None if complete else "the file is cut short or damaged"


def _is_complete_jpeg(data: bytes) -> bool:
    """Walk the segments up to the end marker; a thumbnail with its own end marker is inside a segment.

    A file that is too short for the size in its header is not complete: the decoder would fill gigabytes with grey.
    """
    position = len(JPEG_START)
    while found := _JPEG_MARKER.search(data, position):
        marker, position = data[found.start() + 1], found.end()
        if marker == 0xD9:  # EOI
            return True
        if marker in _JPEG_DENSITY:
            height, width = struct.unpack_from(">HH", data.ljust(position + 7), position + 3)
            if height * width > _JPEG_DENSITY[marker] * len(data):
                return False
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


def _describe_refusal(error: cv2.error) -> str:
    """Why OpenCV refused a picture, in one line; what to do if it is beyond OpenCV's own limits."""
    limit = _OPENCV_LIMIT.search(str(error))
    if limit is None:
        return f"the decoder refused it. Got: {' '.join(str(error).split())}"
    variable = f"OPENCV_IO_MAX_IMAGE_{limit[1]}"
    value = os.environ.get(variable, _OPENCV_LIMITS[limit[1]])
    return f"it is beyond OpenCV's limit {variable}={value}. Set that variable higher, or save a TIFF file with tiles."


def _decode_with_opencv(data: bytes, path: PathLike) -> npt.NDArray[Any]:
    """RGB picture, upright, with 16 bits kept."""
    try:
        bgr, metadata, samples = decode_stored(data, path, AS_COLOUR)
    except cv2.error as error:
        raise ImageReadError(f"Cannot read picture {quote(path)}: {_describe_refusal(error)}") from error
    except UnsupportedError as error:
        raise ImageReadError(f"Cannot read picture {quote(path)} faithfully. Got: {error}.") from error
    except BROKEN_FILE as error:
        raise ImageReadError(f"Cannot read picture {quote(path)}: damaged. Got: {error}. Copy it again.") from error
    if bgr is None:
        advice = "Use JPEG, PNG, TIFF, WebP, HEIC or raw"
        raise ImageReadError(f"Cannot read picture {quote(path)}: no picture, damaged or of unknown format. {advice}.")
    return turn_upright(bgr[..., ::-1], find_orientation(metadata, samples))
