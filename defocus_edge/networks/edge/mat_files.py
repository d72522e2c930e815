"""One dense array of numbers from a MATLAB 5 file, read with bounds.

`scipy.io.loadmat` follows sizes and types of a damaged file out of its memory, which ends the process, and inflates
whatever a compressed element holds. This reader knows only the layout of dense arrays: a header of 128 bytes, then
elements, compressed or not, each with the flags, the dimensions, the name and the numbers of an array (MathWorks,
"MAT-File Format").
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_HEADER, _TAG = 128, 8
# What stands before the numbers, and the width of a number, at most.
_ROOM, _WIDEST = 512, 8
_MATRIX, _COMPRESSED, _INT8, _INT32, _UINT32 = 14, 15, 1, 5, 6
#: Types of the numbers in a file, by their code; MATLAB stores whole numbers of a double array in fewer bytes.
_TYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"}
#: Classes of arrays: double and single; signed and unsigned integers of 8, 16 and 32 bits.
_FLOATS, _INTEGERS = (6, 7), (8, 9, 10, 11, 12, 13)
_COMPLEX = 0x0800
_MOST_AXES = 8
# Arrays before the one that is looked for, at most.
_MOST_ARRAYS = 64


class MatFileError(ValueError):
    """A file holds no MATLAB array that can be read; the message tells what it holds."""


def read_mat_array(path: Path, name: str, *, largest: int, integers: bool = False) -> NDArray[np.float32]:
    """Read the array `name` of a file as float32; MatFileError if it is damaged or something else.

    An array of more than `largest` numbers is refused before it is inflated, and so is one that is not finite.
    `integers` also takes an array of integers.
    """
    bound = largest * _WIDEST + _ROOM
    names: list[str] = []
    with path.open("rb") as file:
        _check_header(file.read(_HEADER))
        while len(names) < _MOST_ARRAYS and (not names or _has_more(file)):
            data = _read_element(file, bound)
            flag, axes, found, rest = _read_fields(data)
            if found == name.encode():
                return _read_numbers(rest, _read_shape(flag, axes, integers=integers), largest)
            names.append(found[:32].decode(errors="replace"))
    raise MatFileError(f"the arrays {', '.join(map(repr, names))}" if len(names) > 1 else f"the array {names[0]!r}")


def _has_more(file: BinaryIO) -> bool:
    """Whether an element follows."""
    more = file.read(1)
    file.seek(-len(more), 1)
    return bool(more)


def _read_element(file: BinaryIO, bound: int) -> bytes:
    """Content of the next array, inflated if needed, up to a bound; the file is then at the one after it."""
    kind, size = _unpack("<II", file.read(_TAG))
    end = file.tell() + size
    data = file.read(min(size, bound))
    file.seek(end)
    if kind == _COMPRESSED:
        kind, data = _inflate(data, bound)
    if kind != _MATRIX:
        raise MatFileError(f"an element of type {kind} in place of an array")
    return data


def _read_numbers(rest: bytes, shape: tuple[int, ...], largest: int) -> NDArray[np.float32]:
    """Numbers of an array of a shape."""
    if math.prod(shape) > largest:
        raise MatFileError(f"shape {shape}, more than {largest} numbers")
    code, numbers, _ = _split(rest)
    if code not in _TYPES or len(numbers) != math.prod(shape) * np.dtype(_TYPES[code]).itemsize:
        raise MatFileError(f"{len(numbers)} bytes of type {code} for the shape {shape}")
    with np.errstate(over="ignore"):
        array = np.frombuffer(numbers, _TYPES[code]).astype(np.float32).reshape(shape, order="F")
    if not np.isfinite(array).all():
        raise MatFileError("NaN or infinite numbers")
    return array


def _check_header(header: bytes) -> None:
    """Refuse what is not of MATLAB 5 in the order of bytes of this kind of computer."""
    version, order = header[124:126], header[126:]
    if (version, order) == (b"\x00\x02", b"IM"):
        raise MatFileError("version 7.3, which is HDF5. Save it with the option -v7")
    if (version, order) != (b"\x00\x01", b"IM"):
        raise MatFileError(f"the first bytes {header[:16]!r}")


def _inflate(data: bytes, bound: int) -> tuple[int, bytes]:
    """Type and content of the element in a compressed one, up to a bound."""
    try:
        inflated = zlib.decompressobj().decompress(data, bound)
    except zlib.error as error:
        raise MatFileError(str(error)) from error
    kind, size = _unpack("<II", inflated[:_TAG])
    return kind, inflated[_TAG : _TAG + size]


def _read_fields(data: bytes) -> tuple[int, bytes, bytes, bytes]:
    """Flags, dimensions and name of an array, and what follows."""
    fields = []
    for wanted in (_UINT32, _INT32, _INT8):
        kind, field, data = _split(data)
        if kind != wanted:
            raise MatFileError(f"type {kind} in place of {wanted} in the header of the array")
        fields.append(field)
    flags, axes, found = fields
    (flag,) = _unpack("<I", flags[:4])
    return flag, axes, found, data


def _read_shape(flag: int, axes: bytes, *, integers: bool) -> tuple[int, ...]:
    """Shape of an array, which must hold real numbers."""
    if flag & 0xFF not in (*_FLOATS, *(_INTEGERS if integers else ())) or flag & _COMPLEX:
        raise MatFileError(f"an array that does not hold real {'numbers' if integers else 'floats'}")
    if len(axes) % 4 or not 1 <= len(axes) // 4 <= _MOST_AXES:
        raise MatFileError(f"{len(axes)} bytes of dimensions")
    shape = _unpack(f"<{len(axes) // 4}i", axes)
    if min(shape) < 1:
        raise MatFileError(f"the shape {shape}")
    return shape


def _split(data: bytes) -> tuple[int, bytes, bytes]:
    """Type and content of the first element of an array, and what follows it."""
    kind, size = _unpack("<II", data[:_TAG].ljust(_TAG, b"\0"))
    if kind > 0xFFFF:  # up to 4 bytes stand in the tag itself
        return kind & 0xFFFF, data[4 : 4 + min(kind >> 16, 4)], data[_TAG:]
    return kind, data[_TAG : _TAG + size], data[_TAG + -(-size // _TAG) * _TAG :]


def _unpack(layout: str, data: bytes) -> tuple[int, ...]:
    """`struct.unpack`, with the error of this module."""
    try:
        return struct.unpack(layout, data)
    except struct.error as error:
        raise MatFileError("cut short") from error
