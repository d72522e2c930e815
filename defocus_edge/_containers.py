"""Kinds of picture files by their bytes, and EXIF and colour profile taken out of them and put into fresh ones.

By hand, since that is the one way for all depths: Pillow writes no colour picture of 16 bits, OpenCV keeps metadata
from version 4.12 on, and not in TIFF files.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from defocus_edge._exif import extract_exif, set_upright

JPEG_START, PNG_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEG_SUFFIXES, PNG_SUFFIXES, TIFF_SUFFIXES = (".jpg", ".jpeg"), (".png",), (".tif", ".tiff")
_SUFFIXES_BY_START = {JPEG_START: JPEG_SUFFIXES, PNG_START: PNG_SUFFIXES, **dict.fromkeys(TIFF_STARTS, TIFF_SUFFIXES)}
# What begins the segments of JPEG files that hold EXIF and a part of a profile.
_EXIF_MARK, _PROFILE_MARK = b"Exif\0\0", b"ICC_PROFILE\0"
_APP1, _APP2, _START_OF_SCAN, _END_OF_IMAGE, _FILL = 0xE1, 0xE2, 0xDA, 0xD9, 0xFF
# A segment counts its own length in 16 bits; before each part of a profile come its mark, its number and their number.
_LONGEST_PART = 0xFFFF - 2 - len(_PROFILE_MARK) - 2
# The signature and the chunk IHDR: 13 bytes between length, name and checksum.
_PNG_HEAD = len(PNG_START) + 4 + 4 + 13 + 4


@dataclass(frozen=True)
class Metadata:
    """What goes from a photograph into its sharpened version.

    Attributes
    ----------
    exif : bytes
        A TIFF structure, without JPEG's mark before it; empty if there is none.
    icc_profile : bytes
        Empty if there is none.
    """

    exif: bytes = b""
    icc_profile: bytes = b""


def choose_suffix(path: Path) -> str:
    """Suffix of a file that can hold what a photograph's file holds: for JPEG, PNG and TIFF its own, else ``.png``."""
    start = b""
    with suppress(OSError):  # told when the file is read
        if path.is_file():  # opening a pipe would wait for it
            with path.open("rb") as file:
                start = file.read(len(PNG_START))
    kinds = [suffixes for known, suffixes in _SUFFIXES_BY_START.items() if start.startswith(known)] or [PNG_SUFFIXES]
    return path.suffix if path.suffix.lower() in kinds[0] else kinds[0][0]


def read_metadata(data: bytes) -> Metadata:
    """What a whole JPEG, PNG, WebP or TIFF file holds, its orientation as it is; nothing for other files."""
    if data.startswith(JPEG_START):
        return _read_jpeg(data)
    if data.startswith(PNG_START):
        return _read_png(data)
    if data.startswith(TIFF_STARTS):
        return _read_tiff(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        chunks = dict(_walk_webp(data))
        return Metadata(chunks.get(b"EXIF", b"").removeprefix(_EXIF_MARK), chunks.get(b"ICCP", b""))
    return Metadata()


def insert_metadata(encoded: bytes, metadata: Metadata) -> bytes:
    """A JPEG or PNG file without metadata, with these; its orientation becomes upright."""
    exif, profile = set_upright(metadata.exif), metadata.icc_profile
    if encoded.startswith(JPEG_START):
        has_jfif = encoded[2:4] == b"\xff\xe0"  # comes first
        head = 4 + int.from_bytes(encoded[4:6], "big") if has_jfif else 2
        segments = _pack_segment(_APP1, _EXIF_MARK + exif) if exif else b""
        parts = [profile[at : at + _LONGEST_PART] for at in range(0, len(profile), _LONGEST_PART)]
        for number, part in enumerate(parts, start=1):
            segments += _pack_segment(_APP2, _PROFILE_MARK + bytes([number, len(parts)]) + part)
        return encoded[:head] + segments + encoded[head:]
    chunks = _pack_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)) if profile else b""
    chunks += _pack_chunk(b"eXIf", exif) if exif else b""
    return encoded[:_PNG_HEAD] + chunks + encoded[_PNG_HEAD:]


def _read_jpeg(data: bytes) -> Metadata:
    exif, parts = b"", dict[int, bytes]()
    for marker, body in _walk_jpeg(data):
        if marker == _APP1 and body.startswith(_EXIF_MARK) and not exif:
            exif = body.removeprefix(_EXIF_MARK)
        if marker == _APP2 and body.startswith(_PROFILE_MARK):
            part = body.removeprefix(_PROFILE_MARK)
            parts[int.from_bytes(part[:1])] = part[2:]
    return Metadata(exif, b"".join(part for _, part in sorted(parts.items())))


def _read_png(data: bytes) -> Metadata:
    chunks, profile = dict(_walk_png(data)), b""
    with suppress(zlib.error, IndexError):  # a damaged profile is none
        profile = zlib.decompress(chunks.get(b"iCCP", b"").partition(b"\0")[2][1:])  # after its name and method
    return Metadata(chunks.get(b"eXIf", b""), profile)


def _read_tiff(data: bytes) -> Metadata:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        profile = file.pages[0].tags.valueof("InterColorProfile")
    return Metadata(extract_exif(data), profile if isinstance(profile, bytes) else b"")  # else damaged


def _walk_jpeg(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of the segments before the pixels."""
    position = len(JPEG_START)
    while position + 4 <= len(data):
        marker = data[position + 1]
        if marker == _FILL:
            position += 1
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        end = position + 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
        yield marker, data[position + 4 : end]
        position = end


def _walk_png(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of all chunks."""
    position = len(PNG_START)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        yield data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length


def _walk_webp(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of all chunks."""
    position = len(b"RIFF") + 4 + len(b"WEBP")
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        yield data[position : position + 4], data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _pack_segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", _FILL, marker, len(body) + 2) + body


def _pack_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
