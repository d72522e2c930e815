"""Kinds of picture files by their first bytes and their names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

#: Number of first bytes that tell the kind of a file.
START_LENGTH = 32
JPEG_START, PNG_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
SUN_START = b"\x59\xa6\x6a\x95"
CLASSIC_TIFF_STARTS = (b"II*\0", b"MM\0*")
TIFF_STARTS = (*CLASSIC_TIFF_STARTS, b"II+\0", b"MM\0+")
GIF_STARTS = (b"GIF87a", b"GIF89a")
JPEG_SUFFIXES, PNG_SUFFIXES, TIFF_SUFFIXES = (".jpg", ".jpeg"), (".png",), (".tif", ".tiff")
#: Pictures without loss that can be written, masks among them.
LOSSLESS_SUFFIXES = (*PNG_SUFFIXES, *TIFF_SUFFIXES, ".bmp")
#: Pictures that can be written; folders of source pictures are searched for the same.
PICTURE_SUFFIXES = (*LOSSLESS_SUFFIXES, *JPEG_SUFFIXES, ".webp")
#: Pictures that can be read, for folders of photographs of any origin; raw files are known by `looks_raw`.
READABLE_SUFFIXES = (
    *PICTURE_SUFFIXES,
    *(".jpe", ".jfif", ".jif", ".pjpeg", ".mpo"),
    *(
        ".gif",
        ".avif",
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        ".jp2",
        ".j2k",
        ".dib",
        ".ras",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
    ),
)
#: Pictures in sets with true blur maps, which hold no others.
SET_SUFFIXES = (*PNG_SUFFIXES, *JPEG_SUFFIXES, *TIFF_SUFFIXES)
#: Maps of floats.
MAP_SUFFIXES = (*TIFF_SUFFIXES, ".npy", ".exr")
_SUFFIXES_BY_START = {JPEG_START: JPEG_SUFFIXES, PNG_START: PNG_SUFFIXES, **dict.fromkeys(TIFF_STARTS, TIFF_SUFFIXES)}
# Suffixes of raw files whose first bytes do not tell: many are TIFF files that begin with a preview.
_RAW_SUFFIXES = {
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef", ".mos"),
    *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
}
# First bytes of raw files: Fujifilm, Olympus (3), Panasonic, Canon (CRW), Minolta and Sigma; Nokia, Arri, Sinar, Rollei
# and Apple (2).
_RAW_STARTS = (
    *(b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"II\x1a\0\0\0HEAPCCDR", b"\0MRM", b"FOVb"),
    *(b"NOKIARAW", b"ARRI", b"PWAD", b"DSC-Image", b"qktk", b"qktn"),
)
# Marks and their places in Canon's CR2 (a TIFF file) and CR3 (an MP4 file) and in Contax files.
_RAW_MARKS = ((8, b"CR\2"), (4, b"ftypcrx "), (25, b"ARECOYK"))


def looks_raw(start: bytes, suffix: str) -> bool:
    """Whether a file is raw by its first bytes, or else by its suffix."""
    if start.startswith((JPEG_START, PNG_START)):
        return False
    is_marked = any(start[place : place + len(mark)] == mark for place, mark in _RAW_MARKS)
    return is_marked or start.startswith(_RAW_STARTS) or suffix.lower() in _RAW_SUFFIXES


def read_start(path: Path) -> bytes:
    """First bytes of an ordinary file; empty if it cannot be read, which is reported when the file is read."""
    with suppress(OSError):
        if path.is_file():  # opening a pipe would wait for it
            with path.open("rb") as file:
                return file.read(START_LENGTH)
    return b""


def may_have_pages(start: bytes, suffix: str) -> bool:
    """Whether a file can hold several pages or frames, as it is neither JPEG nor raw."""
    return not (start.startswith(JPEG_START) or looks_raw(start, suffix))


def choose_suffix(path: Path) -> str:
    """Suffix for a photograph that is written again: its own for JPEG, PNG and TIFF, ``.tif`` for raw, else ``.png``.

    TIFF keeps the depth and the EXIF of raw files.
    """
    start = read_start(path)
    if looks_raw(start, path.suffix):
        return TIFF_SUFFIXES[0]
    kinds = [suffixes for known, suffixes in _SUFFIXES_BY_START.items() if start.startswith(known)] or [PNG_SUFFIXES]
    return path.suffix if path.suffix.lower() in kinds[0] else kinds[0][0]
