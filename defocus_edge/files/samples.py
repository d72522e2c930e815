"""How the samples of a file are to be read, where OpenCV does not look: their range and how AVIF turns a picture."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from defocus_edge.files.atomic import UnsupportedError
from defocus_edge.files.formats.boxes import find_box, iterate_boxes

#: Header of PNM: type, width, height and largest value, with white space and comments between them (netpbm, ppm(5)).
PNM_HEADER = re.compile(rb"P([2356])" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s")
# Binary kind of each kind of PNM in plain text.
_BINARY_PNM = {b"2": b"5", b"3": b"6"}
_JP2_START = b"\0\0\0\x0cjP  \r\n\x87\n"
# Markers that begin a JPEG 2000 codestream: SOC and SIZ (ISO/IEC 15444-1, A.4 and A.5).
_JP2_CODESTREAM = b"\xff\x4f\xff\x51"
#: First bytes of JPEG 2000 files, with and without a container.
JP2_STARTS = (_JP2_START, _JP2_CODESTREAM)
#: Pixels of the largest picture that is read, as in OpenCV (CV_IO_MAX_IMAGE_PIXELS).
MAX_PIXELS = 1 << 30
# Places in the codestream of the picture's four borders and of the number of components; each component has a byte of
# depth, which is bits - 1, and 128 more if signed, and the steps between its samples, across and down.
_JP2_EXTENT, _JP2_COMPONENTS = 8, 40
_DEPTH_BITS, _SIGNED = 0x7F, 0x80
# Colour spaces that can be read: sRGB, grey and sYCC by number, RGB and grey by profile.
_SRGB, _GREY, _SYCC = 16, 17, 18
_JP2_SPACES = (_SRGB, _GREY, _SYCC, b"RGB ", b"GRAY")
# Place of the number of components in a palette (ISO/IEC 15444-1, I.5.3.4), and that number and depths for 8-bit RGB.
_PCLR_COMPONENTS, _PCLR_RGB = 2, bytes([3, 7, 7, 7])
# Levels of black and white in 8 bits where luma does not use the full range (ITU-R BT.709); more bits multiply them.
_LIMITED_BLACK, _LIMITED_WHITE, _LIMITED_BITS = 16, 235, 8
# EXIF orientation of a picture that AVIF turns by this many quarters against the clock.
_QUARTERS = {0: 1, 1: 8, 2: 3, 3: 6}
# EXIF orientation of one that is also mirrored after that, top for bottom (axis 0) or left for right (axis 1).
_MIRRORED = {
    0: {1: 4, 8: 5, 3: 2, 6: 7},
    1: {1: 2, 8: 7, 3: 4, 6: 5},
}


@dataclass(frozen=True)
class SampleRange:
    """What the samples of a file mean.

    Attributes
    ----------
    black, white : int
        Values of black and white.
    orientation : int or None
        EXIF's number for how the container turns the picture; None if EXIF itself counts.
    """

    black: int
    white: int
    orientation: int | None = None

    def stretch(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Integers whose black is 0 and whose white is the largest value of their type."""
        if values.dtype.kind != "u":
            return values
        full = np.iinfo(values.dtype).max
        if (self.black, self.white) == (0, full):
            return values
        scaled = (values.astype(np.float64) - self.black) * (full / (self.white - self.black))
        return np.clip(np.rint(scaled), 0, full).astype(values.dtype)


def read_sample_range(data: bytes) -> SampleRange | None:
    """Range of the samples in a PNM, JPEG 2000 or AVIF file; None for other files, which use that of their type.

    Raises
    ------
    ValueError
        If the file gives no range that can be used.
    """
    if data[:1] == b"P" and (header := PNM_HEADER.match(data)):
        return SampleRange(0, _check_white(int(header[4])))
    if data.startswith(JP2_STARTS):
        check_jp2_colours(data)
        if has_jp2_palette(data):
            return SampleRange(0, np.iinfo(np.uint8).max)
        return SampleRange(0, (1 << read_jp2_size(data)[2]) - 1)
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return _read_avif_range(data)
    return None


def pack_plain_pnm(data: bytes) -> bytes:
    """The same picture with binary samples if it is PNM in plain text, which OpenCV rounds in its own way.

    Raises
    ------
    ValueError
        If the number of samples is not that of the header.
    """
    header = PNM_HEADER.match(data)
    if header is None or header[1] not in _BINARY_PNM:
        return data
    width, height, white = (int(number) for number in header.groups()[1:])
    samples = np.array(data[header.end() :].split(), dtype=np.int64)
    expected = width * height * (3 if header[1] == b"3" else 1)
    if len(samples) != expected or samples.min(initial=0) < 0 or samples.max(initial=0) > _check_white(white):
        raise ValueError(f"it must hold {expected} samples of 0 to {white}. Got: {len(samples)}")
    start = b"P%b\n%d %d\n%d\n" % (_BINARY_PNM[header[1]], width, height, white)
    return start + samples.astype(np.uint8 if white < 256 else ">u2").tobytes()


def _check_white(white: int) -> int:
    """Refuse what no PNM file may say."""
    if not 0 < white < 1 << 16:
        raise ValueError(f"the largest value must be 1 to 65535. Got: {white}")
    return white


def read_jp2_size(data: bytes) -> tuple[int, int, int]:
    """Width, height and bits of a JPEG 2000 file, the same for all components.

    Raises
    ------
    ValueError
        If the header is damaged.
    UnsupportedError
        If the components have signs, different depths or different sizes.
    """
    start = data.index(_JP2_CODESTREAM)
    right, bottom, left, top = struct.unpack_from(">4I", data, start + _JP2_EXTENT)
    (count,) = struct.unpack_from(">H", data, start + _JP2_COMPONENTS)
    first = start + _JP2_COMPONENTS + 2
    components = {data[place : place + 3] for place in range(first, first + 3 * count, 3)}
    if len(components) != 1:
        raise UnsupportedError("components of different sizes or depths. Convert it to PNG or TIFF")
    depth, *steps = components.pop()
    if depth & _SIGNED:
        raise UnsupportedError("components with signs. Convert it to PNG or TIFF")
    if steps != [1, 1]:
        raise UnsupportedError("components that are smaller than the picture. Convert it to PNG or TIFF")
    return right - left, bottom - top, (depth & _DEPTH_BITS) + 1


def check_jp2_colours(data: bytes) -> None:
    """Refuse JPEG 2000 with other colours than grey, RGB and YCbCr, such as CIELab: decoders take them for RGB."""
    space = _read_jp2_space(data)
    if space is not None and space not in _JP2_SPACES:
        raise UnsupportedError(f"JPEG 2000 with the colour space {space!r}. Convert it to PNG or TIFF")


def has_jp2_ycc(data: bytes) -> bool:
    """Whether a JPEG 2000 file has YCbCr colours, which OpenCV converts by the formula of another video standard."""
    return _read_jp2_space(data) == _SYCC


def has_jp2_palette(data: bytes) -> bool:
    """Whether the samples of a JPEG 2000 file are numbers of colours; OpenCV makes colours of them only if it must.

    Raises
    ------
    UnsupportedError
        If the colours do not have three components of 8 bits.
    """
    palette = dict(_read_jp2_header(data)).get(b"pclr")
    if palette is not None and palette[_PCLR_COMPONENTS : _PCLR_COMPONENTS + 4] != _PCLR_RGB:
        raise UnsupportedError("a palette without three components of 8 bits. Convert it to PNG or TIFF")
    return palette is not None


def _read_jp2_header(data: bytes) -> list[tuple[bytes, bytes]]:
    """Boxes of the header of a JPEG 2000 file; none without a container."""
    return list(iterate_boxes(find_box(data, b"jp2h") or b"")) if data.startswith(_JP2_START) else []


def _read_jp2_space(data: bytes) -> int | bytes | None:
    """Colour space by its number, or as its profile names it; the first one counts (ISO/IEC 15444-1, I.5.3.3)."""
    for kind, content in _read_jp2_header(data):
        if kind == b"colr":
            return int.from_bytes(content[3:7], "big") if content[0] == 1 else content[3 + 16 : 3 + 20]
    return None


def _read_avif_range(data: bytes) -> SampleRange:
    """Range and orientation from the properties of the primary item (ISO/IEC 23008-12, AV1 Image File Format)."""
    properties = _read_primary_properties(data)
    # Version and flags, the number of channels, the bits of each.
    pixels = properties.get(b"pixi", bytes([0, 0, 0, 0, 3, _LIMITED_BITS]))
    channels, bits = pixels[4:6]
    colours = properties.get(b"colr", b"")
    is_limited = channels == 1 and colours[:4] == b"nclx" and not colours[10] & 0x80
    step = 1 << (bits - _LIMITED_BITS)
    orientation = _QUARTERS[properties[b"irot"][0] & 3] if b"irot" in properties else 1
    if b"imir" in properties:
        orientation = _MIRRORED[properties[b"imir"][0] & 1][orientation]
    if is_limited:
        return SampleRange(_LIMITED_BLACK * step, _LIMITED_WHITE * step, orientation)
    return SampleRange(0, (1 << bits) - 1, orientation)


def _read_primary_properties(data: bytes) -> dict[bytes, bytes]:
    """Properties of the primary item by kind; of several colour descriptions the one that names its range."""
    described = find_box(data, b"meta")
    if described is None:
        raise ValueError("no box meta")
    meta = dict(iterate_boxes(described[4:]))
    pitm, properties = meta[b"pitm"], dict(iterate_boxes(meta[b"iprp"]))
    primary = int.from_bytes(pitm[4:6] if pitm[0] == 0 else pitm[4:8], "big")
    known = list(iterate_boxes(properties[b"ipco"]))
    found: dict[bytes, bytes] = {}
    for number in _read_associations(properties[b"ipma"], primary):
        if 0 < number <= len(known):
            kind, content = known[number - 1]
            if kind != b"colr" or content[:4] == b"nclx":
                found[kind] = content
    return found


def _read_associations(ipma: bytes, item: int) -> list[int]:
    """Numbers of the properties of an item, from 1."""
    id_length, number_length = (4 if ipma[0] else 2), (2 if ipma[3] & 1 else 1)
    place = 8
    for _ in range(int.from_bytes(ipma[4:8], "big")):
        found = int.from_bytes(ipma[place : place + id_length], "big")
        length = ipma[place + id_length]
        place += id_length + 1
        numbers = [
            int.from_bytes(ipma[at : at + number_length], "big") & (0x7FFF if number_length == 2 else 0x7F)
            for at in range(place, place + length * number_length, number_length)
        ]
        if found == item:
            return numbers
        place += length * number_length
    return []


def turn_upright(array: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """View of (H, W) or (H, W, C) values, turned as EXIF's orientation, 1 to 8, demands."""
    if 5 <= orientation <= 8:  # 5-8 are 1-4 of the transposed picture, in another order
        array, orientation = np.swapaxes(array, 0, 1), orientation - 4
    flips: dict[int, Any] = {2: np.s_[:, ::-1], 3: np.s_[::-1, ::-1], 4: np.s_[::-1]}
    return array[flips[orientation]] if orientation in flips else array


def turn_back(array: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Undo `turn_upright`: a quarter turn is undone by the one the other way, all others by themselves."""
    return turn_upright(array, {6: 8, 8: 6}.get(orientation, orientation))
