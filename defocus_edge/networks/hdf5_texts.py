"""Checks the texts of an HDF5 file before HDF5 reads them: it believes their lengths, whatever the file says.

The bytes are those of the format specification 3.0. Numbers are little-endian, addresses and sizes have 8 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# A heap holds texts (III.E): signature, version, 3 bytes, size; objects of a header (index, references, 4 bytes, size)
# and their bytes, padded to 8; the one of index 0 is what is free.
_HEAP_START, _HEAP_HEAD, _HEAP_OBJECT = b"GCOL\x01", struct.Struct("<8xQ"), struct.Struct("<HHIQ")
# The header of an object (IV.A.1.a): version, 1 byte, number of messages, references, size of what follows, 4 bytes.
_HEADER_VERSION, _HEADER = 1, struct.Struct("<BxHII4x")
# A message of it: kind, size, flags, 3 bytes. A header that is too long goes on elsewhere: address and size.
_MESSAGE, _ATTRIBUTE, _CONTINUATION, _ELSEWHERE = struct.Struct("<HHB3x"), 0x000C, 0x0010, struct.Struct("<QQ")
# An attribute (IV.A.2.m): version, 1 byte, sizes of name, type and shape; the three of them, padded to 8; the value.
_ATTRIBUTE_VERSION, _ATTRIBUTE_HEAD, _STEP = 1, struct.Struct("<BxHHH"), 8
# The class of a type is in the lower half of its first byte: 9 has any length. Such a value is its length, the address
# of its heap and its index there.
_CLASS_BITS, _ANY_LENGTH, _VALUE = 0x0F, 9, struct.Struct("<IQI")


def check_heaps(data: bytes) -> None:
    """Raise ValueError if the objects of a heap do not fill it: HDF5 looks for the next object for ever."""
    start = data.find(_HEAP_START)
    while start >= 0:
        if not _is_filled(data, start):
            raise ValueError(f"a heap of texts at byte {start} that its objects do not fill")
        start = data.find(_HEAP_START, start + 1)


def _is_filled(data: bytes, start: int) -> bool:
    """Whether the objects of the heap that begins there reach its end, and it lies in the file."""
    place = start + _HEAP_HEAD.size
    if place > len(data):
        return False
    end = start + _HEAP_HEAD.unpack_from(data, start)[0]
    if end > len(data):
        return False
    index = -1
    while index and place + _HEAP_OBJECT.size <= end:
        index, _, _, size = _HEAP_OBJECT.unpack_from(data, place)
        # What is free counts its own header.
        place += _HEAP_OBJECT.size + -(-size // 8) * 8 if index else size
    return end - _HEAP_OBJECT.size < place <= end


def check_texts(data: bytes, address: int) -> None:
    """Raise ValueError if an attribute of the object at `address` would take more bytes than the file has.

    HDF5 takes as many as the attribute says, before it looks into the heap.
    """
    try:
        for start, end in _find_attributes(data, address):
            _check_attribute(data, start, end)
    except (struct.error, IndexError):
        raise ValueError(f"an object at byte {address} that is not whole in the file") from None


def _find_attributes(data: bytes, address: int) -> Iterator[tuple[int, int]]:
    """Where the attributes of an object begin and end."""
    version, _, _, size = _HEADER.unpack_from(data, address)
    if version != _HEADER_VERSION:
        raise ValueError(f"an object at byte {address} of another version than {_HEADER_VERSION}")
    parts, seen = [(address + _HEADER.size, size)], set[int]()
    while parts:
        place, size = parts.pop()
        if place in seen:
            raise ValueError(f"an object at byte {address} that goes on within itself")
        seen.add(place)
        end = place + size
        while place + _MESSAGE.size <= end:
            kind, length, _ = _MESSAGE.unpack_from(data, place)
            place += _MESSAGE.size
            if kind == _ATTRIBUTE:
                yield place, place + length
            elif kind == _CONTINUATION:
                parts.append(_ELSEWHERE.unpack_from(data, place))
            place += length


def _check_attribute(data: bytes, start: int, end: int) -> None:
    """See `check_texts`."""
    version, *sizes = _ATTRIBUTE_HEAD.unpack_from(data, start)
    if version != _ATTRIBUTE_VERSION:
        raise ValueError(f"an attribute at byte {start} of another version than {_ATTRIBUTE_VERSION}")
    name, kind, shape = (-(-size // _STEP) * _STEP for size in sizes)
    kind_at = start + _ATTRIBUTE_HEAD.size + name
    if data[kind_at] & _CLASS_BITS != _ANY_LENGTH:
        return
    for value_at in range(kind_at + kind + shape, end - _VALUE.size + 1, _VALUE.size):
        length = _VALUE.unpack_from(data, value_at)[0]
        if length > len(data):
            raise ValueError(f"an attribute at byte {start} of {length} bytes, more than the file has")
