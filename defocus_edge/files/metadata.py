"""EXIF and colour profile of picture files, as bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defocus_edge._quiet import QUIET_OPENCV
from defocus_edge.files.exif import extract_exif

#: Bytes before EXIF in JPEG files and in some WebP files.
EXIF_MARK = b"Exif\0\0"


@dataclass(frozen=True)
class Metadata:
    """Metadata that a sharpened photograph keeps; empty where its file has none.

    `exif` is a TIFF structure, without JPEG's mark before it. `icc_profile` is the colour profile.
    """

    exif: bytes = b""
    icc_profile: bytes = b""


def decode_stored(data: bytes) -> tuple[npt.NDArray[Any], Metadata]:
    """Pixels with all channels, BGR, and metadata of a sound file; TIFF files come upright and without metadata."""
    with QUIET_OPENCV:
        pixels, kinds, parts = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), flags=cv2.IMREAD_UNCHANGED)
    found = {kind: np.asarray(part).tobytes() for kind, part in zip(kinds, parts, strict=True)}
    exif = found.get(cv2.IMAGE_METADATA_EXIF, b"").removeprefix(EXIF_MARK)
    return np.asarray(pixels), Metadata(exif, found.get(cv2.IMAGE_METADATA_ICCP, b""))


def read_tiff_metadata(data: bytes) -> Metadata:
    """Metadata of a sound TIFF file."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        profile = file.pages[0].tags.valueof("InterColorProfile")
    return Metadata(extract_exif(data), profile if isinstance(profile, bytes) else b"")  # others are damaged
