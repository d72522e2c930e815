"""When and by which camera a photograph was taken, by its EXIF."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from defocus_edge.files.atomic import BROKEN_FILE, ImageReadError, PathLike, blame_picture, quote, read_bytes
from defocus_edge.files.exif import read_texts
from defocus_edge.files.formats.extras import decode_with_extra, needs_extra
from defocus_edge.files.kinds import CLASSIC_TIFF_STARTS, JPEG_START, TIFF_STARTS, looks_raw
from defocus_edge.files.metadata import EXIF_MARK

# Tags of EXIF 3.0: Make, Model, BodySerialNumber; DateTimeOriginal, and the digits of its fraction of a second.
_CAMERA_TAGS = (271, 272, 42033)
_MOMENT_TAG, _FRACTION_TAG = 36867, 37521
_MOMENT = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
# Olympus and Panasonic write TIFF files with another second word.
_TIFF_LIKE = (b"IIRO", b"IIRS", b"IIU\0")
# Fujifilm's raw files: where the place of the JPEG file with EXIF stands.
_RAF_START, _RAF_JPEG = b"FUJIFILMCCD-RAW", slice(84, 88)
# Canon's CR3: boxes with the first directory and with that of EXIF, each as a TIFF file, near the beginning.
_CR3_BOXES, _CR3_START = (b"CMT1", b"CMT2"), 1 << 16


@dataclass(frozen=True)
class Capture:
    """Camera, empty if the file does not name it, and time on its clock."""

    camera: str
    moment: datetime


def read_capture(path: PathLike) -> Capture | None:
    """Camera and time of a photograph; None if its file does not tell the time.

    Pixels are decoded only where a format has no other way to its EXIF (HEIC, JPEG XL). Time zones do not count.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file at `path`.
    ImageReadError
        If the EXIF, or the file around it, is damaged. It is a `ValueError`.
    """
    data = read_bytes(path)
    texts: dict[int, str] = {}
    with blame_picture(path):
        parts = list(_find_exif(data, path))
    try:
        for exif in parts:
            texts |= read_texts(exif)
        moment = _parse_moment(texts.get(_MOMENT_TAG, ""), texts.get(_FRACTION_TAG, ""))
    except ValueError as error:
        raise ImageReadError(f"Cannot read EXIF of picture {quote(path)}. Got: {error}.") from error
    camera = " ".join(texts[tag] for tag in _CAMERA_TAGS if texts.get(tag))
    return None if moment is None else Capture(camera, moment)


def _find_exif(data: bytes, path: PathLike) -> Iterator[bytes]:
    """EXIF of a file, as TIFF structures."""
    if data.startswith(TIFF_STARTS):
        yield from [data] if data[:4] in CLASSIC_TIFF_STARTS else []
    elif data.startswith(_TIFF_LIKE):
        yield b"II*\0" + data[4:]
    elif data.startswith(_RAF_START):
        yield from _find_exif_with_pillow(data[int.from_bytes(data[_RAF_JPEG], "big") :])
    elif looks_raw(data, Path(path).suffix):
        places = (data.find(name, 0, _CR3_START) for name in _CR3_BOXES)
        yield from (data[place + len(_CR3_BOXES[0]) :] for place in places if place >= 0)
    elif needs_extra(data):
        yield from filter(None, [decode_with_extra(data, path)[1].exif])
    else:
        yield from _find_exif_with_pillow(data)


def _find_exif_with_pillow(data: bytes) -> Iterator[bytes]:
    """EXIF of the formats that Pillow knows; files that it cannot read have none, which is told when they are read."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data)) as picture:
                if not data.startswith(JPEG_START):
                    picture.getexif()  # in PNG files it may follow the pixels
                exif = picture.info.get("exif")
        except (*BROKEN_FILE, SyntaxError, Image.DecompressionBombError):
            return
    if isinstance(exif, bytes):
        yield exif.removeprefix(EXIF_MARK)


def _parse_moment(text: str, fraction: str) -> datetime | None:
    """Time of EXIF; None where blanks or zeros say that nobody knows it, ValueError for anything else."""
    if not text.strip(" :0"):
        return None
    found = _MOMENT.fullmatch(text)
    if not found:
        raise ValueError(f"the time {text!r}")
    digits = fraction.strip()
    part = float(f"0.{digits}") if digits.isascii() and digits.isdigit() else 0.0
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second) + timedelta(seconds=part)
    except ValueError as error:
        raise ValueError(f"the time {text!r}") from error
