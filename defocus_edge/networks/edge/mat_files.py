"""One dense array of numbers from a MATLAB 5 file, read with bounds.

`scipy.io.loadmat` follows sizes and types of a damaged file out of its memory, which ends the process, and inflates
whatever a compressed element holds. This reader knows only the layout of one array: a header of 128 bytes, then an
element, compressed or not, that holds the flags, the dimensions, the name and the numbers of the array (MathWorks,
"MAT-File Format").
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_HEADER, _TAG = 128, 8
# What stands before the numbers, and the width of a number, at most.
_ROOM, _WIDEST = 512, 8
_MATRIX, _COMPRESSED, _INT8, _INT32, _UINT32 = 14, 15, 1, 5, 6
#: Types of the numbers in a file, by their code; MATLAB stores whole numbers of a double array in fewer bytes.
_TYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"}
#: Classes of arrays: double and single.
_FLOATS = (6, 7)
_COMPLEX = 0x0800
_MOST_AXES = 8


class MatFileError(ValueError):
    """A file holds no MATLAB array that can be read; the message tells what it holds."""


def read_mat_array(path: Path, name: str, *, largest: int) -> NDArray[np.float32]:
    """Read the array `name`, the first of a file, as float32; MatFileError if it is damaged or something else.

    An array of more than `largest` numbers is refused before it is inflated, and so is one that is not finite.
    """
    bound = largest * _WIDEST + _ROOM
    with path.open("rb") as file:
        _check_header(file.read(_HEADER))
        kind, size = _unpack("<II", file.read(_TAG))
        data = file.read(min(size, bound))
    if kind == _COMPRESSED:
        kind, data = _inflate(data, bound)
    if kind != _MATRIX:
        raise MatFileError(f"an element of type {kind} in place of an array")
    shape, rest = _read_shape(data, name)
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


def _read_shape(data: bytes, name: str) -> tuple[tuple[int, ...], bytes]:
    """Shape of an array of floats that must have a name, and what follows."""
    fields = []
    for wanted in (_UINT32, _INT32, _INT8):
        kind, field, data = _split(data)
        if kind != wanted:
            raise MatFileError(f"type {kind} in place of {wanted} in the header of the array")
        fields.append(field)
    flags, axes, found = fields
    (flag,) = _unpack("<I", flags[:4])
    if found != name.encode():
        raise MatFileError(f"the array {found[:32].decode(errors='replace')!r}")
    if flag & 0xFF not in _FLOATS or flag & _COMPLEX:
        raise MatFileError("an array that does not hold real floats")
    if len(axes) % 4 or not 1 <= len(axes) // 4 <= _MOST_AXES:
        raise MatFileError(f"{len(axes)} bytes of dimensions")
    shape = _unpack(f"<{len(axes) // 4}i", axes)
    if min(shape) < 1:
        raise MatFileError(f"the shape {shape}")
    return shape, data


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
