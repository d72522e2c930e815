"""TIFF pages to arrays: which decoder reads a page right, and what its samples mean.

tifffile unpacks the common pages alone and most others with the extra ``imagecodecs``. OpenCV and Pillow unpack some of
those without it. A page that nobody unpacks right is refused with the name of its codec.
"""

from __future__ import annotations

import io
import lzma
import math
import re
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from defocus_edge._extras import IMAGECODECS
from defocus_edge.files.atomic import PathLike, UnsupportedError, blame_picture
from defocus_edge.files.samples import MAX_PIXELS, SampleRange, read_jp2_size, turn_upright

# TIFF tag PhotometricInterpretation.
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _GREY: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_PHOTOMETRIC, _ORIENTATION, _INK_SET = 262, 274, 332
# Tags that tell how the samples are stored: sizes, codec, order, strips, tiles, palette, tables.
_STORAGE_TAGS = {*range(256, 260), 262, 266, 273, 274, *range(277, 280), 284, 317, 320, *range(322, 326), 338, 339}
_STORAGE_TAGS |= {347, 530}
_STRAIGHT = 2  # TIFF tag ExtraSamples: the colours are not multiplied by alpha
_UNSIGNED, _FLOAT, _UNDEFINED = 1, 3, 4  # TIFF tag SampleFormat
_HORIZONTAL, _FLOATING_POINT = 2, 3  # TIFF tag Predictor
_SEPARATE = 2  # TIFF tag PlanarConfiguration
# TIFF tag Compression.
_NONE, _LZW, _OLD_JPEG, _JPEG, _PACKBITS, _PNG = 1, 5, 6, 7, 32773, 34933
_CCITT, _DEFLATE, _ZSTD, _JPEG_2000 = (2, 3, 4), (8, 32946), (50000, 34926), (34712, 33003, 33004, 33005)
_APERIO_YCBCR = 33003
_LZMA, _LERC, _WEBP, _JPEG_XR, _JPEG_XL = 34925, 34887, (50001, 34927), (22610, 34934), 50002
# What tifffile unpacks alone.
_ALONE = {_NONE, *_DEFLATE, _PACKBITS, _LZMA}
# Codecs whose data hold the samples of pictures, and know neither the predictor nor packed bits.
_PICTURES = {_JPEG, *_JPEG_2000, _PNG, *_WEBP, *_JPEG_XR, _JPEG_XL, _LERC}
# What tifffile unpacks with imagecodecs.
_WITH_IMAGECODECS = {*_ALONE, *_PICTURES, _LZW, *_ZSTD}
# Codecs of the libtiff in OpenCV's wheels; of a page with another one it makes a black picture.
_IN_OPENCV = {_NONE, *_CCITT, _LZW, _JPEG, *_DEFLATE, _PACKBITS}
# Codecs that the libtiff in Pillow's wheels may have.
_IN_PILLOW = {_NONE, _LZW, *_DEFLATE, _PACKBITS, _LZMA, 50000}
# Bytes that one byte can become at most: PackBits repeats a byte 128 times by two, deflate 258 times by two bits, LZW
# writes strings of up to 3838 bytes in 12 bits.
_EXPANSIONS = {_NONE: 1, _PACKBITS: 64, **dict.fromkeys(_DEFLATE, 1032), _LZW: 2560}
_MAX_BITS = 16
# What a strip or tile may become beyond its samples without tifffile's limit: LZMA by this factor at most, or memory.
_LARGEST_EXPANSION, _MOST_WASTE = 8192, 1 << 26
# Start of a JPEG frame: its marker and length, then the bits, height and width (ITU-T T.81, B.2.2).
_JPEG_FRAME = re.compile(rb"\xff([\xc0-\xc3\xc5-\xc7\xc9-\xcb])..(.{5})", re.DOTALL)
# Coding style of a JPEG 2000 codestream that stores its components as they are, not as differences of colours
# (ISO/IEC 15444-1, A.6.1).
_JPEG_2000_PLAIN = re.compile(rb"\xff\x52..(?:.{4})\0", re.DOTALL)
_LOSSLESS_FRAME = b"\xc3"
_FLOAT_BITS = (16, 24, 32, 64)

_Array = npt.NDArray[Any]
_ADVICE = "Save it as uncompressed or deflate TIFF with 8 or 16 bits, or as PNG"


def decode_tiff(data: bytes, path: PathLike) -> _Array | None:
    """Upright picture with all channels, black as 0, white as the largest value; None if OpenCV decodes it right."""
    with blame_picture(path):
        return _read_page(data, _decode_page)


def describe_channels(data: bytes) -> tuple[int, int]:
    """Number of channels that a sound TIFF file decodes to, and its kind of alpha (TIFF tag ExtraSamples)."""

    def describe(page: Any) -> tuple[int, int]:
        kinds = [int(kind) for kind in page.extrasamples]
        # Palette, CMYK and YCbCr become RGB.
        channels = page.samplesperpixel if page.photometric in (_WHITE_IS_ZERO, _GREY, _RGB) else 3
        return channels, kinds[0] if kinds else _STRAIGHT

    return _read_page(data, lambda page, _: describe(page))


def read_bits(data: bytes) -> int:
    """Bits of a sample of a sound TIFF file."""
    return int(_read_page(data, lambda page, _: page.bitspersample))


def decode_float_page(data: bytes) -> _Array:
    """Values of the first page, unchanged; UnsupportedError if they are no map, else any of `BROKEN_FILE`."""
    return _read_page(data, _decode_floats)


def _read_page(data: bytes, use: Callable[[Any, bytes], Any]) -> Any:
    """Open the first page, add a missing photometric interpretation by libtiff's rule, and hand it on."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        if _PHOTOMETRIC not in page.tags and page.photometric == _WHITE_IS_ZERO and page.compression not in _CCITT:
            page.photometric = _RGB if page.samplesperpixel - len(page.extrasamples) == 3 else _GREY
        return use(page, data)


def _decode_page(page: Any, data: bytes) -> _Array | None:
    """See `decode_tiff`."""
    _check_structure(page, data)
    _check_colours(page)
    _check_samples(page)
    _check_codes(page, data)
    if _is_for_tifffile(page, data):
        bits = _check_inner_sizes(page, data)
        samples = _unpack(page)
        return _turn(page, _interpret(page, samples, bits))
    if _is_right_in_opencv(page):
        return None
    if _is_right_in_pillow(page) and (pixels := _decode_with_pillow(data)) is not None:
        return pixels
    raise UnsupportedError(f"{_describe(page)}. {_advise(page)}")


def _decode_floats(page: Any, data: bytes) -> _Array:
    """See `decode_float_page`."""
    _check_structure(page, data)
    if page.sampleformat != _FLOAT or page.bitspersample not in _FLOAT_BITS or page.samplesperpixel != 1:
        kind = page.dtype or f"{page.bitspersample} bits"
        rule = "but a map has one float for each pixel. A preview is no map: pass the float file"
        raise UnsupportedError(f"{kind} in {page.samplesperpixel} channels, {rule}")
    if not _is_for_tifffile(page, data):
        raise UnsupportedError(f"{_describe(page)}. {_advise(page)}")
    _check_codes(page, data)
    _check_inner_sizes(page, data)
    return _unpack(page)


# --- Checks ----------------------------------------------------------------------------------------------------------


def _check_structure(page: Any, data: bytes) -> None:
    """Refuse pages whose size, strips or tiles do not fit each other or the file, before any memory is taken."""
    if page.imagedepth != 1 or (page.is_tiled and page.tiledepth != 1):
        raise UnsupportedError(f"a volume of {page.imagedepth} layers. Save one layer")
    height, width = page.imagelength, page.imagewidth
    tall, wide = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, width)
    segments = math.ceil(height / tall) * math.ceil(width / wide)
    pixels = max(height * width, segments * tall * wide if page.is_tiled else 0)
    _check_directory(page, data)
    if not 0 < pixels <= MAX_PIXELS:
        raise ValueError(f"{width} x {height} px, but a picture has 1 to {MAX_PIXELS} px")
    segments *= page.samplesperpixel if page.planarconfig == _SEPARATE else 1
    counts, offsets = page.databytecounts, page.dataoffsets
    if len(counts) != segments or len(offsets) != segments or 0 in counts or 0 in offsets:
        raise ValueError(f"{segments} strips or tiles are needed, but the file has {len(offsets)}, or empty ones")
    if max(map(sum, zip(offsets, counts, strict=True))) > len(data):
        raise ValueError("the file ends before its data")
    bits = page.bitspersample if isinstance(page.bitspersample, int) else min(page.bitspersample)
    needed = height * width * page.samplesperpixel * bits // 8
    if page.photometric == _YCBCR:  # one sample is whole, two have a 16th of its values at least
        needed //= 3
    if needed > sum(counts) * _EXPANSIONS.get(page.compression, needed):
        raise ValueError(f"{needed} bytes of samples cannot be in {sum(counts)} bytes")


def _check_directory(page: Any, data: bytes) -> None:
    """Refuse a directory that is cut, or tells how the samples are stored by values that are: tifffile skips those."""
    kind = page.parent.tiff
    (count,) = struct.unpack_from(kind.tagnoformat, data, page.offset)
    start = page.offset + kind.tagnosize
    end = start + count * kind.tagsize
    codes = {struct.unpack_from(f"{kind.byteorder}H", data, at)[0] for at in range(start, end, kind.tagsize)}
    lost = {code for code in codes & _STORAGE_TAGS if code not in page.tags}
    if lost or end + kind.offsetsize > len(data):
        raise ValueError(f"the file ends before its directory or the values of the tags {sorted(lost)} do")


def _check_colours(page: Any) -> None:
    """Refuse colours that nobody here turns into grey or RGB."""
    colours = _COLOURS.get(page.photometric)
    if colours is None or (page.photometric == _CMYK and page.tags.valueof(_INK_SET) not in (None, 1)):
        name = getattr(page.photometric, "name", page.photometric)
        raise UnsupportedError(f"colours of the kind {name}. Save it as RGB")
    extra = page.samplesperpixel - colours
    if extra < 0 or (extra > 1 and page.photometric in (_WHITE_IS_ZERO, _GREY, _RGB)):
        raise UnsupportedError(
            f"{page.samplesperpixel} channels, where {colours} and alpha are known. Save it as grey or RGB"
        )


def _check_samples(page: Any) -> None:
    """Refuse numbers that have no white, and combinations that decoders get wrong in silence."""
    bits, kind = page.bitspersample, page.sampleformat
    if not isinstance(bits, int):
        raise UnsupportedError(f"channels of different depths, {bits} bits. Save it with 8 or 16 bits")
    is_deep = kind in (_UNSIGNED, _UNDEFINED) and bits > _MAX_BITS
    if is_deep or kind not in (_UNSIGNED, _UNDEFINED, _FLOAT) or (kind == _FLOAT and bits not in _FLOAT_BITS):
        name = page.dtype or f"{bits} bits of format {kind}"
        advice = "Scale the values to uint8, uint16 or floats in [0, 1]"
        raise UnsupportedError(f"dtype {name}, whose white is not known. {advice}")
    is_packed = bits not in (8, 16, 32, 64)
    if page.predictor != 1 and page.compression not in _PICTURES and is_packed:
        raise UnsupportedError(f"samples of {bits} bits with predictor {page.predictor}. {_ADVICE}")
    if kind == _FLOAT and page.photometric not in (_WHITE_IS_ZERO, _GREY, _RGB):
        raise UnsupportedError(f"floats as {page.photometric.name}. Save it as RGB")


# --- Choice of the decoder -------------------------------------------------------------------------------------------


def _is_for_tifffile(page: Any, data: bytes) -> bool:
    """Whether tifffile unpacks the page right, with imagecodecs if that is installed and needed."""
    is_alone = (
        page.compression in _ALONE and page.predictor in (1, _HORIZONTAL) and page.bitspersample in (1, 8, 16, 32, 64)
    )
    if not _is_in_imagecodecs(page):
        return False
    return is_alone or (
        IMAGECODECS.is_installed and not (_is_left_to_libtiff(page, data) and _is_right_in_opencv(page))
    )


def _is_in_imagecodecs(page: Any) -> bool:
    """Whether tifffile unpacks the page right with imagecodecs."""
    if page.photometric == _YCBCR:  # only this codec makes RGB of it
        return page.compression == _JPEG and page.planarconfig != _SEPARATE and page.samplesperpixel == 3
    return page.compression in _WITH_IMAGECODECS and page.predictor in (1, _HORIZONTAL, _FLOATING_POINT)


def _is_left_to_libtiff(page: Any, data: bytes) -> bool:
    """Whether libtiff comes first: its colours of lossy JPEG are what other programs show, bit for bit."""
    if page.compression != _JPEG:
        return bool(page.photometric == _YCBCR)
    frame = _JPEG_FRAME.search(data, page.dataoffsets[0])
    return frame is None or frame[1] != _LOSSLESS_FRAME


def _is_right_in_opencv(page: Any) -> bool:
    """Whether OpenCV decodes the page right; version 5 silently fails on most of the pages that are excluded here."""
    bits, samples, is_float = page.bitspersample, page.samplesperpixel, page.sampleformat == _FLOAT
    if page.compression not in _IN_OPENCV or (is_float and bits != 32) or _PHOTOMETRIC not in page.tags:
        return False
    if page.photometric == _PALETTE:
        return bits in (1, 4, 8) and samples == 1
    if page.photometric in (_CMYK, _YCBCR):
        return bool(bits == 8 and samples == _COLOURS[page.photometric])  # libtiff's own conversion
    if samples == 1:
        return not is_float and (bits in (1, 8) or (bits == _MAX_BITS and page.photometric == _GREY))
    if page.planarconfig == _SEPARATE or bits not in (8, 16, 32):
        return False
    return bool(samples == 3 or (samples == 4 and bits == 16))  # 8-bit colours come back multiplied by alpha


def _is_right_in_pillow(page: Any) -> bool:
    """Whether Pillow decodes the page right, if its libtiff has the codec."""
    from PIL import Image

    bits, samples, is_grey = page.bitspersample, page.samplesperpixel, page.photometric == _GREY
    is_too_large = page.imagelength * page.imagewidth > (Image.MAX_IMAGE_PIXELS or MAX_PIXELS)
    if is_too_large or _PHOTOMETRIC not in page.tags:
        return False
    if page.compression == _OLD_JPEG:
        return bits == 8 and samples in (1, 3)
    if page.photometric == _PALETTE:  # of 16 bits, which OpenCV does not know with 2 bits in the samples
        return page.compression in _IN_PILLOW and samples == 1 and bits <= 8 and np.max(page.colormap) > 0xFF
    if page.compression not in _IN_PILLOW or not (is_grey or page.photometric == _RGB):
        return False
    if page.sampleformat == _FLOAT or bits != 8:
        depths = [(32, _FLOAT)] if page.sampleformat == _FLOAT else [(depth, _UNSIGNED) for depth in (2, 4, 16)]
        return is_grey and samples == 1 and (bits, page.sampleformat) in depths
    has_planes = page.planarconfig == _SEPARATE and samples > 1
    if tuple(map(int, page.extrasamples)) not in ((), (_STRAIGHT,)):
        return False  # Pillow divides the colours by alpha
    return not (is_grey and has_planes)  # the alpha of these comes out black


def _describe(page: Any) -> str:
    """What is special about a page."""
    codec = getattr(page.compression, "name", page.compression)
    predictor = f", predictor {int(page.predictor)}" if page.predictor != 1 else ""
    return f"{page.samplesperpixel} channels of {page.bitspersample} bits, compressed with {codec}{predictor}"


def _advise(page: Any) -> str:
    """What to do about a page that nobody decodes."""
    return IMAGECODECS.advice if _is_in_imagecodecs(page) and not IMAGECODECS.is_installed else _ADVICE


# --- Samples and colours ---------------------------------------------------------------------------------------------


def _unpack(page: Any) -> _Array:
    """Samples as in the file, (H, W) or (H, W, channels)."""
    whole = np.empty(page.shaped, page.dtype)
    for segment, (plane, _, top, left, _), _ in page.segments():
        if segment is None or segment.dtype != page.dtype:
            raise ValueError(f"samples of {page.dtype} are announced. Got: {getattr(segment, 'dtype', 'none')}")
        values = segment[0, : page.imagelength - top, : page.imagewidth - left]
        whole[plane, 0, top : top + values.shape[0], left : left + values.shape[1]] = values
    pixels = np.moveaxis(whole[:, 0, ..., 0], 0, -1) if page.planarconfig == _SEPARATE else whole[0, 0]
    return pixels[..., 0] if page.samplesperpixel == 1 else pixels


def _read_inner_size(page: Any, segment: bytes) -> tuple[int, int, int] | None:
    """Width, height and bits that a strip or tile itself announces; None if its codec is not asked here."""
    if page.compression in _JPEG_2000:
        may_be_ycc = page.compression == _APERIO_YCBCR and page.shaped[-1] == _COLOURS[_YCBCR]
        if may_be_ycc and _JPEG_2000_PLAIN.search(segment):
            raise UnsupportedError(f"YCbCr compressed with {page.compression.name}. {_ADVICE}")
        return read_jp2_size(segment)
    if page.compression == _PNG:
        width, height = struct.unpack_from(">II", segment, 16)
        return width, height, page.bitspersample
    if page.compression == _JPEG and (frame := _JPEG_FRAME.search(segment)):
        bits, height, width = struct.unpack(">BHH", frame[2])
        return width, height, bits
    return None


def _check_inner_sizes(page: Any, data: bytes) -> int:
    """Refuse strips and tiles that announce more pixels than their page, which would take memory; their depth."""
    tall, wide = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    bits = int(page.bitspersample)
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        inner = _read_inner_size(page, data[offset : offset + count])
        if inner is not None:
            width, height, bits = inner
            if width * height > tall * wide:
                raise ValueError(f"a strip or tile of {wide} x {tall} px announces {width} x {height} px")
    return bits


def _check_codes(page: Any, data: bytes) -> None:
    """Refuse LZW data without the clear code at their begin, which libtiff makes black, and data that inflate too far.

    The clear code is 256 in 9 bits, or its low bits first. Alone, tifffile inflates all of deflate and LZMA data.
    """
    begun = (data[at] == 0x80 or data[at : at + 2] == b"\0\1" for at in page.dataoffsets)
    if page.compression == _LZW and page.fillorder == 1 and not all(begun):
        raise ValueError("LZW data that do not begin with their clear code")
    if page.compression not in (*_DEFLATE, _LZMA):
        return
    tall = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    wide = page.tilewidth if page.is_tiled else page.imagewidth
    most = tall * wide * page.samplesperpixel * page.bitspersample // 8 + _MOST_WASTE
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if count * _EXPANSIONS.get(page.compression, _LARGEST_EXPANSION) > most:
            inflater: Any = lzma.LZMADecompressor() if page.compression == _LZMA else zlib.decompressobj()
            if len(inflater.decompress(data[offset : offset + count], most + 1)) > most:
                raise ValueError(f"a strip or tile of {wide} x {tall} px inflates to more than {most} bytes")


def _interpret(page: Any, samples: _Array, bits: int) -> _Array:
    """Grey, grey + alpha, RGB or RGBA; black is 0 and white the largest value of the type, 1 for floats."""
    if page.photometric == _PALETTE:
        return _apply_palette(page, samples)
    if samples.dtype.kind != "f" and bits not in (8, _MAX_BITS):
        white = (1 << bits) - 1
        codes = np.arange(white + 1, dtype=np.uint8 if bits <= 8 else np.uint16)
        samples = SampleRange(0, white).stretch(codes)[samples.astype(codes.dtype, copy=False)]
    full = 1 if samples.dtype.kind == "f" else np.iinfo(samples.dtype).max
    if page.photometric == _CMYK:
        # libtiff's formula, which rounds down; it knows no profile of the inks.
        lights = full - samples[..., :4].astype(np.uint32)
        return (lights[..., :3] * lights[..., 3:] // full).astype(samples.dtype)
    if page.photometric == _WHITE_IS_ZERO:
        if samples.ndim == 2:
            return full - samples
        return np.dstack([full - samples[..., :1], samples[..., 1:]])
    return samples


def _apply_palette(page: Any, samples: _Array) -> _Array:
    """RGB from the high bytes of the palette, as in libtiff; some programs write one of 8 bits."""
    palette = np.asarray(page.colormap)
    if palette.max() > 0xFF:
        palette = palette >> 8
    numbers = samples if samples.ndim == 2 else samples[..., 0]  # what follows is alpha
    return np.take(palette.T.astype(np.uint8), numbers.astype(np.intp), axis=0)


def _turn(page: Any, pixels: _Array) -> _Array:
    """Upright view of a picture."""
    orientation = page.tags.valueof(_ORIENTATION)
    return turn_upright(pixels, orientation if orientation in range(1, 9) else 1)


def _decode_with_pillow(data: bytes) -> _Array | None:
    """Upright picture; None if Pillow's libtiff lacks the codec."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)
    except OSError:
        return None
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
