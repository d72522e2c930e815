"""Boxes of files that are built from them: AVIF, HEIF, JPEG XL (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator

_SIZE_LENGTH, _LONG_SIZE_LENGTH = 8, 16


def iterate_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes one after the other, up to the first that is damaged."""
    place = 0
    while place + _SIZE_LENGTH <= len(data):
        size, header = int.from_bytes(data[place : place + 4], "big"), _SIZE_LENGTH
        if size == 1:
            size, header = int.from_bytes(data[place + 8 : place + 16], "big"), _LONG_SIZE_LENGTH
        end = len(data) if size == 0 else place + size
        if end < place + header or end > len(data):
            return
        yield data[place + 4 : place + 8], data[place + header : end]
        place = end


def find_box(data: bytes, *kinds: bytes) -> bytes | None:
    """Content of the first box of the first kind, in it that of the second, and so on; None if one is missing."""
    for kind in kinds:
        content = next((content for name, content in iterate_boxes(data) if name == kind), None)
        if content is None:
            return None
        data = content
    return data
