"""Size of a picture by the header of its file, before a decoder takes memory for it."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable

from defocus_edge.files.atomic import BROKEN_FILE, ImageReadError, PathLike, quote
from defocus_edge.files.formats.boxes import find_box, iterate_boxes
from defocus_edge.files.formats.jxl import is_jxl, read_jxl_size
from defocus_edge.files.kinds import GIF_STARTS, JPEG_START, PNG_START, SUN_START, TIFF_STARTS
from defocus_edge.files.samples import JP2_STARTS, PNM_HEADER, read_jp2_size

# A marker of a JPEG file that no zero or restart follows, and those that begin a frame (ITU-T T.81, B.1.1.3).
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd8\xff\x01])")
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# First bytes of formats that have width and height at one place, with its code for `struct`.
_PLACES = (((PNG_START,), ">II", 16), ((SUN_START,), ">II", 4), (GIF_STARTS, "<HH", 6), ((b"BM",), "<ii", 18))
# Plain PBM has no largest value.
_BITMAP_HEADER = re.compile(rb"P[14]" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 2)
# Floats: PFM, and the line of Radiance HDR that holds the size.
_PFM_HEADER = re.compile(rb"P[Ff]\s+(\d+)\s+(\d+)\s")
_HDR_START, _HDR_SIZE = b"#?", re.compile(rb"\n[-+]Y (\d+) [-+]X (\d+)\n")


def check_size(data: bytes, path: PathLike, max_pixels: int, *, kind: str = "picture") -> None:
    """Refuse a file whose header tells more than `max_pixels`; damaged headers are left to the decoder."""
    try:
        width, height = _read_size(data)
    except BROKEN_FILE:
        return
    check_pixels(width, height, path, max_pixels, kind=kind)


def check_pixels(width: int, height: int, path: PathLike, max_pixels: int, *, kind: str = "picture") -> None:
    """Refuse a picture of more than `max_pixels`; messages call it by its `kind`."""
    if width * height > max_pixels:
        rule = f"{kind} {quote(path)} must have at most {max_pixels} px"
        raise ImageReadError(
            f"{rule}. Got: {width} × {height}. If you trust the file, raise max_pixels (--max-pixels)."
        )


def _read_size(data: bytes) -> tuple[int, int]:
    """Width and height; (0, 0) if the kind of the file is not known here."""
    for starts, code, place in _PLACES:
        if data.startswith(starts):
            width, height = struct.unpack_from(code, data, place)
            return width, abs(height)  # BMP with the upper row first has a negative one
    for known, read in _READERS:
        if data.startswith(known):
            return read(data)
    if header := PNM_HEADER.match(data):
        return int(header[2]), int(header[3])
    if header := _BITMAP_HEADER.match(data) or _PFM_HEADER.match(data):
        return int(header[1]), int(header[2])
    if data.startswith(_HDR_START) and (header := _HDR_SIZE.search(data)):
        return int(header[2]), int(header[1])
    return _read_boxed_size(data)


def _read_jpeg_size(data: bytes) -> tuple[int, int]:
    """Size in the header of the frame."""
    position = len(JPEG_START)
    while found := _JPEG_MARKER.search(data, position):
        if found[1][0] in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, found.end() + 3)
            return width, height
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return 0, 0


def _read_webp_size(data: bytes) -> tuple[int, int]:
    """Size of the canvas, or of the only picture (RFC 9649)."""
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _read_tiff_size(data: bytes) -> tuple[int, int]:
    """Size of the first page."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return int(file.pages[0].imagewidth), int(file.pages[0].imagelength)


def _read_boxed_size(data: bytes) -> tuple[int, int]:
    """Size of a file that is known by what follows its length."""
    if data[8:12] == b"WEBP":
        return _read_webp_size(data)
    if is_jxl(data):
        return read_jxl_size(data)
    return _read_heif_size(data) if data[4:8] == b"ftyp" else (0, 0)


def _read_heif_size(data: bytes) -> tuple[int, int]:
    """Size of the largest picture of a HEIF or AVIF file: it may be put together from smaller ones."""
    meta = find_box(data, b"meta") or b""
    properties = find_box(meta[4:], b"iprp", b"ipco") or b""
    found = [struct.unpack_from(">II", content, 4) for kind, content in iterate_boxes(properties) if kind == b"ispe"]
    width, height = max(found, key=lambda size: size[0] * size[1], default=(0, 0))
    return width, height


_READERS: tuple[tuple[tuple[bytes, ...], Callable[[bytes], tuple[int, int]]], ...] = (
    ((JPEG_START,), _read_jpeg_size),
    (TIFF_STARTS, _read_tiff_size),
    (JP2_STARTS, lambda data: read_jp2_size(data)[:2]),
)
