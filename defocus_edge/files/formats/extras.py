"""Pictures that packages of extras decode: HEIC and JPEG XL."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from defocus_edge.files.atomic import BROKEN_FILE, ImageReadError, PathLike, quote
from defocus_edge.files.formats.heif import count_heif_pictures, decode_heif, is_heif
from defocus_edge.files.formats.jxl import count_jxl_frames, decode_jxl, is_jxl
from defocus_edge.files.metadata import Metadata


def needs_extra(data: bytes) -> bool:
    """Whether a file is of one of these kinds, by its first bytes."""
    return is_heif(data) or is_jxl(data)


def decode_with_extra(data: bytes, path: PathLike, page: int = 0) -> tuple[npt.NDArray[Any], Metadata]:
    """Upright picture, (H, W) or (H, W, C), and its metadata; `path` is named in the ImageReadError."""
    decode = decode_heif if is_heif(data) else decode_jxl
    try:
        return decode(data, page)
    except ImportError as error:
        raise ImageReadError(f"Cannot read picture {quote(path)}: {error}") from error
    except (*BROKEN_FILE, RuntimeError, SyntaxError) as error:
        reason, got = "cut short, damaged or of an unsupported kind", " ".join(str(error).split())
        raise ImageReadError(f"Cannot read picture {quote(path)}: {reason}. Got: {got}. Copy it again.") from error


def count_with_extra(data: bytes) -> int:
    """Number of pictures or frames of a sound file."""
    return count_heif_pictures(data) if is_heif(data) else count_jxl_frames(data)
