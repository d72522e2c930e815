"""EXIF, which has the structure of a TIFF file: reads texts, reads and resets the orientation, copies entries.

Values are copied as bytes, so that entries that this module does not know are kept as well.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from dataclasses import dataclass

#: Tags of a TIFF file that describe the photograph and not how its pixels are stored: ImageDescription, Make, Model,
#: Orientation, resolution (3), Software, DateTime, Artist, Copyright, EXIF and GPS, and Windows' five (XPTitle …).
PHOTO_TAGS = {270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853, *range(40091, 40096)}
_ORIENTATION = 274
_EXIF_DIRECTORY = 34665
# Make, Model, DateTimeOriginal, its fraction of a second, BodySerialNumber; Canon's CR3 has all in first directories.
_TEXT_TAGS = {271, 272, _EXIF_DIRECTORY, 36867, 37521, 42033}
_TEXT = 2
_UPRIGHT = 1
# All tags that there are.
_ANY_TAG = range(2**16)
# Tags whose value is the place of another directory.
_POINTERS = {34665, 34853}
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_HEADER_LENGTH, _ENTRY_LENGTH = 8, 12
# Types that an orientation may have: EXIF wants the second, BYTE and LONG occur.
_INTEGER_CODES = {1: "B", 3: "H", 4: "I"}
# Bytes of one value by TIFF field type (TIFF 6.0, section 2); 13 is a directory's place.
_VALUE_LENGTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
# Values of up to this many bytes stand in the entry itself.
_INLINE_LENGTH = 4


@dataclass(frozen=True)
class _Entry:
    """Type, count and bytes of a value, or the directory that it points to."""

    kind: int
    count: int
    value: bytes
    below: dict[int, _Entry] | None = None


_Directory = dict[int, _Entry]


def read_orientation(exif: bytes) -> int:
    """Orientation of the pixels, 1 to 8; 1, upright, if EXIF holds none or an impossible one."""
    found = _find_orientation(exif)
    if found is None:
        return _UPRIGHT
    place, code = found
    (orientation,) = struct.unpack_from(code, exif, place)
    return int(orientation) if 1 <= orientation <= 8 else _UPRIGHT


def read_texts(exif: bytes) -> dict[int, str]:
    """Texts of the first directory and of the EXIF directory by tag; ValueError if EXIF is damaged."""
    try:
        entries = _read_first_directory(exif, _TEXT_TAGS)
    except (struct.error, KeyError) as error:
        raise ValueError("damaged directories") from error
    entries |= entries.pop(_EXIF_DIRECTORY, _Entry(0, 0, b"", {})).below or {}
    texts = {code: entry.value for code, entry in entries.items() if entry.kind == _TEXT}
    return {code: value.partition(b"\0")[0].decode("ascii", "replace").strip() for code, value in texts.items()}


def set_upright(exif: bytes) -> bytes:
    """The same EXIF with orientation 1; nothing moves, since a maker's notes hold offsets that would break."""
    found = _find_orientation(exif)
    if found is None:
        return exif
    place, code = found
    return exif[:place] + struct.pack(code, _UPRIGHT) + exif[place + struct.calcsize(code) :]


def extract_exif(tiff: bytes) -> bytes:
    """EXIF with the `PHOTO_TAGS` of a TIFF file; empty if it has none, is damaged or a BigTIFF."""
    directory = _read_photo_tags(tiff)
    if not directory:
        return b""
    order = _find_order(tiff)
    return tiff[:4] + struct.pack(order + "I", _HEADER_LENGTH) + _pack_directory(directory, _HEADER_LENGTH, order)


def insert_exif(tiff: bytes, exif: bytes) -> bytes:
    """A TIFF file with the `PHOTO_TAGS` of EXIF of the same byte order, in a new directory at its end."""
    added = _read_photo_tags(exif)
    if not added:
        return tiff
    order = _find_order(tiff)
    start = len(tiff) + len(tiff) % 2
    body = tiff[_HEADER_LENGTH:].ljust(start - _HEADER_LENGTH, b"\0")
    directory = _pack_directory(_read_first_directory(tiff) | added, start, order)
    return tiff[:4] + struct.pack(order + "I", start) + body + directory


def name_byte_order(exif: bytes) -> str:
    """Byte order of EXIF, ``<`` or ``>``; ``<`` if it does not say."""
    return _ORDERS.get(exif[:4], "<")


def _find_order(data: bytes) -> str:
    """Byte order; KeyError if this is no TIFF header."""
    return _ORDERS[data[:4]]


def _find_orientation(exif: bytes) -> tuple[int, str] | None:
    """Place of the orientation and `struct`'s code of its type; None if there is none."""
    try:
        order = _find_order(exif)
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for place in range(start + 2, start + 2 + count * _ENTRY_LENGTH, _ENTRY_LENGTH):
            code, kind, _, _ = struct.unpack_from(order + "HHII", exif, place)
            if code == _ORIENTATION:
                return place + 8, order + _INTEGER_CODES[kind]
    except (struct.error, KeyError):  # damaged, or no integer
        pass
    return None


def _read_photo_tags(data: bytes) -> _Directory:
    """`PHOTO_TAGS` of the first directory; none if it is damaged."""
    try:
        return _read_first_directory(data, PHOTO_TAGS)
    except (struct.error, KeyError):
        return {}


def _read_first_directory(data: bytes, wanted: Container[int] = _ANY_TAG) -> _Directory:
    """The directory of the first picture, and those that it leads to."""
    order = _find_order(data)
    (start,) = struct.unpack_from(order + "I", data, 4)
    return _read_directory(data, start, order, _POINTERS, wanted)


def _read_directory(
    data: bytes, start: int, order: str, pointers: Container[int], wanted: Container[int] = _ANY_TAG
) -> _Directory:
    """Wanted entries of a directory that are whole.

    Values of a sound file lie apart, so all together they are not longer than the file; what goes beyond is left out.
    """
    directory: _Directory = {}
    room = len(data)
    (count,) = struct.unpack_from(order + "H", data, start)
    for place in range(start + 2, start + 2 + count * _ENTRY_LENGTH, _ENTRY_LENGTH):
        code, kind, values = struct.unpack_from(order + "HHI", data, place)
        if code not in wanted:
            continue
        length = _VALUE_LENGTHS.get(kind, 0) * values
        at, below = place + 8, None
        if length > _INLINE_LENGTH or code in pointers:
            (at,) = struct.unpack_from(order + "I", data, place + 8)
        if code in pointers:
            below = _read_directory(data, at, order, ())
        whole = bool(below) if code in pointers else 0 < length <= min(len(data) - at, room)
        if whole:
            room -= length
            directory[code] = _Entry(kind, values, data[at : at + length], below)
    return directory


def _pack_directory(directory: _Directory, start: int, order: str) -> bytes:
    """Bytes of a directory that begins at `start` of its file, followed by the values that it points to."""
    table = struct.pack(order + "H", len(directory))
    first = start + len(table) + len(directory) * _ENTRY_LENGTH + 4
    behind = b""
    for code, entry in sorted(directory.items()):
        value, place = entry.value, first + len(behind)
        if entry.below:
            behind += _pack_directory(entry.below, place, order)
        elif len(value) > _INLINE_LENGTH:
            behind += value + bytes(len(value) % 2)
        if entry.below or len(value) > _INLINE_LENGTH:
            value = struct.pack(order + "I", place)
        table += struct.pack(order + "HHI", code, entry.kind, entry.count) + value.ljust(_INLINE_LENGTH, b"\0")
    return table + bytes(4) + behind  # no next directory
