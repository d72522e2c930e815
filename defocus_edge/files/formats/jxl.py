"""JPEG XL files: how to know them, the meaning of their samples, and their pictures, by imagecodecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from defocus_edge._extras import IMAGECODECS
from defocus_edge._quiet import catch_complaints
from defocus_edge.files.formats.boxes import iterate_boxes
from defocus_edge.files.metadata import Metadata
from defocus_edge.files.samples import MAX_PIXELS, SampleRange

_CODESTREAM, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
# Enough bytes for the header below.
_HEADER_LENGTH = 64
# Choices of numbers as (bits to read, number to add), see ISO/IEC 18181-1: sides of a picture and of its preview (in
# pixels, in eighths), parts of the time of an animation, and bits of a sample (integers, floats).
_SIDES = ((9, 1), (13, 1), (18, 1), (30, 1))
_PREVIEW_SIDES = ((6, 1), (8, 65), (10, 321), (12, 1345))
_PREVIEW_EIGHTHS = ((0, 16), (0, 32), (5, 1), (9, 33))
_TICKS, _TICKS_BELOW = ((0, 100), (0, 1000), (10, 1), (30, 1)), ((0, 1), (0, 1001), (8, 1), (10, 1))
_LOOPS_LENGTHS = (0, 3, 16, 32)
_INTEGER_BITS = ((0, 8), (0, 10), (0, 12), (6, 1))
_DEFAULT_BITS = 8
# Most bytes of EXIF that is compressed; JPEG files hold 64 kB.
_LONGEST_EXIF = 1 << 20


@dataclass(frozen=True)
class _Header:
    """Depth of the samples; 0 for floats."""

    bits: int
    is_animated: bool


class _BitReader:
    """Numbers of any length from bytes, the lowest bit first."""

    def __init__(self, data: bytes) -> None:
        self._left, self._length = int.from_bytes(data, "little"), 8 * len(data)

    def read(self, length: int) -> int:
        """The next bits as a number; ValueError behind the last."""
        if length > self._length:
            raise ValueError("the header is cut short")
        value = self._left & ((1 << length) - 1)
        self._left, self._length = self._left >> length, self._length - length
        return value

    def choose(self, choices: tuple[tuple[int, int], ...]) -> int:
        """A number that says itself how many bits it has."""
        length, added = choices[self.read(2)]
        return self.read(length) + added


def is_jxl(data: bytes) -> bool:
    """Whether a file is JPEG XL, bare or in a container."""
    return data.startswith((_CODESTREAM, _CONTAINER))


def decode_jxl(data: bytes, page: int = 0) -> tuple[npt.NDArray[Any], Metadata]:
    """Upright picture, (H, W) or (H, W, C), and EXIF; of an animation the frame of that number.

    The codestream says how the picture is turned, and libjxl turns it; the orientation in EXIF does not count.

    Raises
    ------
    ImportError
        If the extra is missing.
    ValueError, RuntimeError
        If the file is damaged.
    """
    imagecodecs = IMAGECODECS.load()
    header = _read_header(data)
    with catch_complaints():
        pixels = np.asarray(imagecodecs.jpegxl_decode(data, index=page))
    if header.bits and pixels.dtype.kind == "u":
        pixels = SampleRange(0, (1 << header.bits) - 1).stretch(pixels)
    return pixels, Metadata(_read_exif(data, imagecodecs))


def count_jxl_frames(data: bytes) -> int:
    """Number of frames; those of an animation must be decoded for that."""
    if not _read_header(data).is_animated:
        return 1
    imagecodecs = IMAGECODECS.load()
    frames, first = imagecodecs.jpegxl_decode(data), imagecodecs.jpegxl_decode(data, index=0)
    return len(frames) if frames.ndim > first.ndim else 1


def _read_header(data: bytes) -> _Header:
    """Depth and kind of the picture; ValueError if it is damaged or too large."""
    bits = _BitReader(_find_codestream(data))
    bits.read(8 * len(_CODESTREAM))
    _read_size(bits)
    depth, is_animated = _DEFAULT_BITS, False
    if bits.read(1):  # all as usual
        return _Header(depth, is_animated)
    if bits.read(1):
        bits.read(3)  # orientation
        if bits.read(1):
            _read_size(bits)  # size at which it is to be shown
        if bits.read(1):
            _skip_preview(bits)
        is_animated = bool(bits.read(1))
        if is_animated:
            bits.choose(_TICKS)
            bits.choose(_TICKS_BELOW)
            bits.read(_LOOPS_LENGTHS[bits.read(2)] + 1)  # loops, and whether there are time codes
    is_float = bits.read(1)
    return _Header(0 if is_float else bits.choose(_INTEGER_BITS), is_animated)


def _find_codestream(data: bytes) -> bytes:
    """First bytes of the codestream, which a container may hold whole or in numbered parts."""
    if data.startswith(_CODESTREAM):
        return data[:_HEADER_LENGTH]
    start = b""
    for kind, content in iterate_boxes(data):
        if kind == b"jxlc":
            return content[:_HEADER_LENGTH]
        if kind == b"jxlp":
            start += content[4 : 4 + _HEADER_LENGTH]  # behind its number
    if not start:
        raise ValueError("no codestream")
    return start[:_HEADER_LENGTH]


def read_jxl_size(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG XL file."""
    bits = _BitReader(_find_codestream(data))
    bits.read(8 * len(_CODESTREAM))
    return _read_size(bits)


def _read_size(bits: _BitReader) -> tuple[int, int]:
    """Width and height; refuse a size that no picture has."""
    ratios = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
    in_eighths = bits.read(1)
    height = 8 * (bits.read(5) + 1) if in_eighths else bits.choose(_SIDES)
    ratio = bits.read(3)
    if ratio:
        above, below = ratios[ratio]
        width = height * above // below
    else:
        width = 8 * (bits.read(5) + 1) if in_eighths else bits.choose(_SIDES)
    if height * width > MAX_PIXELS:
        raise ValueError(f"the size {height} x {width} is too large")
    return width, height


def _skip_preview(bits: _BitReader) -> None:
    """Skip the size of the preview."""
    sides = _PREVIEW_EIGHTHS if bits.read(1) else _PREVIEW_SIDES
    bits.choose(sides)
    if not bits.read(3):
        bits.choose(sides)


def _read_exif(data: bytes, imagecodecs: Any) -> bytes:
    """EXIF from its box, plain or compressed, behind the number of bytes before it; empty if there is none."""
    for kind, content in iterate_boxes(data):
        if kind == b"brob" and content.startswith(b"Exif"):
            try:
                kind, content = b"Exif", bytes(imagecodecs.brotli_decode(content[4:], out=_LONGEST_EXIF))
            except RuntimeError:  # damaged, or too long
                return b""
        if kind == b"Exif":
            return content[4 + int.from_bytes(content[:4], "big") :]
    return b""
