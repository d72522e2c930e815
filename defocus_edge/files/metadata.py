"""EXIF and colour profile of picture files, as bytes."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defocus_edge._extras import IMAGECODECS
from defocus_edge._quiet import QUIET_OPENCV, catch_complaints
from defocus_edge.arrays import ImageWarning
from defocus_edge.files.atomic import PathLike, UnsupportedError, quote
from defocus_edge.files.exif import extract_exif, read_orientation
from defocus_edge.files.samples import (
    JP2_STARTS,
    MAX_PIXELS,
    SampleRange,
    has_jp2_palette,
    has_jp2_ycc,
    pack_plain_pnm,
    read_jp2_size,
    read_sample_range,
)

#: OpenCV makes RGB of every file, keeps 16 bits and leaves the turning to us: it does not parse all EXIF.
AS_COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
# Warnings of libjpeg after which a part of the picture is grey or garbage. Superfluous bytes before the end marker (D9)
# are no such sign if they are few: some cameras write them.
_LOSSES = re.compile(
    r"Corrupt JPEG data: (?:premature end|bad Huffman|found marker|\d+ extraneous bytes before marker 0x(?!d9))"
    r"|Premature end of JPEG|Inconsistent progression"
)
_SUPERFLUOUS = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
# Share of the file that they may be.
_LARGEST_PADDING = 1 / 16
#: Bytes before EXIF in JPEG files and in some WebP files.
EXIF_MARK = b"Exif\0\0"
# Orientation in XMP, as an attribute or as an element (XMP specification part 2, TIFF namespace).
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']([1-8])[\"']|\s*>\s*([1-8])\s*<)")


@dataclass(frozen=True)
class Metadata:
    """Metadata that a sharpened photograph keeps; empty where its file has none.

    `exif` is a TIFF structure, without JPEG's mark before it. `icc_profile` is the colour profile.
    `xmp` is read where EXIF is missing; it is not written again.
    """

    exif: bytes = b""
    icc_profile: bytes = b""
    xmp: bytes = b""


def decode_stored(
    data: bytes, path: PathLike, flags: int = cv2.IMREAD_UNCHANGED
) -> tuple[npt.NDArray[Any] | None, Metadata, SampleRange | None]:
    """Decode a picture file with OpenCV, but do not turn it; TIFF files come upright and without metadata.

    `path` is named in warnings.

    Returns
    -------
    pixels : (H, W) or (H, W, C) ndarray of uint8, uint16 or float32, or None
        BGR; white is the largest value of an integer type. None if OpenCV cannot decode the file.
    metadata : Metadata
    samples : SampleRange or None
        See `read_sample_range`.

    Raises
    ------
    ValueError
        If the decoder reports that a part of the picture is lost. Its other remarks become an `ImageWarning`.
    """
    data = pack_plain_pnm(data)
    samples = read_sample_range(data)
    if has_jp2_palette(data):
        flags = AS_COLOUR
    with QUIET_OPENCV, catch_complaints() as complaints:
        pixels, kinds, parts = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), flags=flags)
    if data.startswith(JP2_STARTS) and (pixels is None or has_jp2_ycc(data)):
        pixels = _decode_rare_jp2(data, has_colours=flags == AS_COLOUR)
    if pixels is None:
        return None, Metadata(), None
    for complaint in complaints:
        padding = _SUPERFLUOUS.match(complaint)
        if _LOSSES.match(complaint) or (padding and int(padding[1]) > _LARGEST_PADDING * len(data)):
            raise ValueError(complaint)
        warnings.warn(ImageWarning(f"Picture {quote(path)} may be damaged. Got: {complaint}."), stacklevel=2)
    found = {kind: np.asarray(part).tobytes() for kind, part in zip(kinds, parts, strict=True)}
    metadata = Metadata(
        found.get(cv2.IMAGE_METADATA_EXIF, b"").removeprefix(EXIF_MARK),
        found.get(cv2.IMAGE_METADATA_ICCP, b""),
        found.get(cv2.IMAGE_METADATA_XMP, b""),
    )
    return np.asarray(pixels) if samples is None else samples.stretch(np.asarray(pixels)), metadata, samples


def _decode_rare_jp2(data: bytes, *, has_colours: bool) -> npt.NDArray[Any] | None:
    """Grey without a container, palettes of few colours, YCbCr: OpenCV refuses or misreads them; None if damaged."""
    width, height, bits = read_jp2_size(data)
    is_coloured = has_jp2_ycc(data) or has_jp2_palette(data)
    if IMAGECODECS.is_installed and width * height <= MAX_PIXELS:
        try:
            pixels = np.asarray(IMAGECODECS.load().jpeg2k_decode(data))
        except RuntimeError:
            return None
    elif has_jp2_ycc(data):
        pixels = _decode_ycc_with_pillow(data, bits)
    else:
        return None
    if is_coloured:
        return pixels[..., ::-1]
    if pixels.ndim == 3 and pixels.shape[2] != 2:  # colours that OpenCV does not know
        return None
    return np.dstack([pixels if pixels.ndim == 2 else pixels[..., 0]] * 3) if has_colours else pixels


def _decode_ycc_with_pillow(data: bytes, bits: int) -> npt.NDArray[Any]:
    """RGB of YCbCr samples, which Pillow knows in 8 bits only."""
    from PIL import Image

    if bits != np.iinfo(np.uint8).bits:
        raise UnsupportedError(f"JPEG 2000 with YCbCr of {bits} bits. {IMAGECODECS.advice}")
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def find_orientation(metadata: Metadata, samples: SampleRange | None = None) -> int:
    """EXIF's number for how a picture must be turned, 1 to 8: the container's word, else EXIF's, else XMP's."""
    if samples is not None and samples.orientation is not None:
        return samples.orientation
    if metadata.exif:
        return read_orientation(metadata.exif)
    found = _XMP_ORIENTATION.search(metadata.xmp)
    return int(found[1] or found[2]) if found else 1


def read_tiff_metadata(data: bytes) -> Metadata:
    """Metadata of a sound TIFF file."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        profile = file.pages[0].tags.valueof("InterColorProfile")
    return Metadata(extract_exif(data), profile if isinstance(profile, bytes) else b"")  # others are damaged
