"""HEIF files with HEVC pictures (HEIC): how to know them, and their pictures, by pillow-heif.

The container says how a picture is turned, and libheif turns it. The orientation in EXIF does not count: many programs
that turn HEIF files leave it as it was.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from defocus_edge._extras import HEIF
from defocus_edge._quiet import catch_complaints
from defocus_edge.files.formats.boxes import find_box
from defocus_edge.files.metadata import EXIF_MARK, Metadata
from defocus_edge.files.samples import SampleRange

# Brands of the box that begins a file (ISO/IEC 23008-12): pictures and sequences in HEVC, and in any codec.
_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_FULL_BYTE = 8  # bits


def is_heif(data: bytes) -> bool:
    """Whether a file is HEIF, but not AVIF, by the brands that it names."""
    if data[4:8] != b"ftyp":
        return False
    length = int.from_bytes(data[:4], "big")
    major, others = data[8:12], {data[at : at + 4] for at in range(16, min(length, len(data)), 4)}
    return major in _BRANDS and not _AVIF_BRANDS & {major, *others}


def decode_heif(data: bytes, page: int = 0) -> tuple[npt.NDArray[Any], Metadata]:
    """Upright picture, (H, W) or (H, W, C), with its EXIF and colour profile; the first is the one that viewers show.

    Raises
    ------
    ImportError
        If the extra is missing.
    ValueError, RuntimeError, SyntaxError, EOFError, OSError
        If the file is damaged.
    """
    with catch_complaints():
        pictures = _open_pictures(data)
        if page >= len(pictures):
            raise ValueError(f"frames of a sequence cannot be read. Got: {len(pictures)} still pictures")
        picture = pictures[page]
        pixels = np.array(picture)
    depth = int(picture.info["bit_depth"])
    if pixels.dtype.itemsize * _FULL_BYTE > depth:
        pixels = SampleRange(0, (1 << depth) - 1).stretch(pixels)
    exif = bytes(picture.info.get("exif") or b"").removeprefix(EXIF_MARK)
    return pixels, Metadata(exif, bytes(picture.info.get("icc_profile") or b""))


def count_heif_pictures(data: bytes) -> int:
    """Number of still pictures, without thumbnails, depth and other auxiliary ones, or of frames of a sequence."""
    samples = find_box(data, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz")
    with catch_complaints():
        return max(len(_open_pictures(data)), 0 if samples is None else int.from_bytes(samples[8:12], "big"))


def _open_pictures(data: bytes) -> list[Any]:
    """The pictures of a file, not yet decoded, the one that viewers show first."""
    file = HEIF.load().open_heif(io.BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    pictures = list(file)
    return [pictures.pop(file.primary_index), *pictures]
