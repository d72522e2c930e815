"""captures.py: camera and time of photographs of every kind, and what is damaged."""

import io
import struct
from datetime import datetime

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.exif import insert_exif
from defocus_edge.files.metadata import EXIF_MARK
from defocus_edge.files.sidecars.captures import Capture, read_capture

EXIF_IFD, MOMENT, FRACTION, SERIAL = 0x8769, 36867, 37521, 42033
TAKEN = "2026:05:01 10:20:30"
CAPTURE = Capture("Maker Model 77", datetime(2026, 5, 1, 10, 20, 30, 250_000))


def make_exif(moment=TAKEN, fraction="25"):
    exif = Image.Exif()
    exif[271], exif[272] = "Maker", "Model"
    exif.get_ifd(EXIF_IFD).update({MOMENT: moment, FRACTION: fraction, SERIAL: "77"})
    return exif


def encode(kind, exif):
    file = io.BytesIO()
    if kind == "TIFF":  # Pillow leaves the EXIF directory out
        tifffile.imwrite(file, np.zeros((16, 16, 3), np.uint8), photometric="rgb", metadata=None)
        return insert_exif(file.getvalue(), exif.tobytes().removeprefix(EXIF_MARK))
    Image.new("RGB", (16, 16)).save(file, kind, exif=exif)
    return file.getvalue()


def make_directory(tags):
    """TIFF structure with one directory of texts."""
    start, texts, table = 10 + 12 * len(tags) + 4, b"", b""
    for tag, text in sorted(tags.items()):
        value = text.encode() + b"\0"
        place = struct.pack("<I", start + len(texts)) if len(value) > 4 else value.ljust(4, b"\0")
        table += struct.pack("<HHI", tag, 2, len(value)) + place
        texts += value if len(value) > 4 else b""
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + bytes(4) + texts


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_formats(tmp_path, kind):
    path = tmp_path / f"photo.{kind}"
    path.write_bytes(encode(kind, make_exif()))
    assert read_capture(path) == CAPTURE


def test_heic(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "photo.heic"
    heif.from_pillow(Image.new("RGB", (64, 64))).save(path, exif=make_exif().tobytes())
    assert read_capture(path) == CAPTURE


def test_raw_files(tmp_path):
    """Their headers only: Olympus and Panasonic, Fujifilm, Canon's CR3."""
    tiff = encode("TIFF", make_exif())
    jpeg = encode("JPEG", make_exif())
    fuji = b"FUJIFILMCCD-RAW".ljust(84, b" ") + struct.pack(">II", 92, len(jpeg)) + jpeg
    canon = b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"CMT1" + make_directory({271: "Maker", 272: "Model"})
    canon += b"CMT2" + make_directory({MOMENT: TAKEN, FRACTION: "25", SERIAL: "77"})
    files = {"a.orf": b"IIRO" + tiff[4:], "a.rw2": b"IIU\0" + tiff[4:], "a.raf": fuji, "a.cr3": canon}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert read_capture(tmp_path / name) == CAPTURE, name


@pytest.mark.parametrize(
    ("moment", "fraction", "expected"),
    [
        (TAKEN, "", datetime(2026, 5, 1, 10, 20, 30)),
        (TAKEN, "999", datetime(2026, 5, 1, 10, 20, 30, 999_000)),
        (TAKEN, "x", datetime(2026, 5, 1, 10, 20, 30)),
        ("0000:00:00 00:00:00", "", None),
        ("    :  :     :  :  ", "", None),
    ],
)
def test_times(tmp_path, moment, fraction, expected):
    (tmp_path / "a.jpg").write_bytes(encode("JPEG", make_exif(moment, fraction)))
    found = read_capture(tmp_path / "a.jpg")
    assert (found and found.moment) == expected


def test_files_without_exif(tmp_path):
    big = io.BytesIO()
    tifffile.imwrite(big, np.zeros((8, 8), np.uint8), bigtiff=True)
    plain = cv2.imencode(".ppm", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    files = {
        "a.png": encode("PNG", None),
        "a.tif": big.getvalue(),
        "a.ppm": plain,
        "a.jpg": b"no picture",
        "b.jpg": b"",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert read_capture(tmp_path / name) is None


def test_damaged_exif(tmp_path):
    exif = make_exif().tobytes()
    at = exif.index(b"II*\0") if b"II*\0" in exif else exif.index(b"MM\0*")
    for name, damaged in {"cut": exif[: at + 20], "text": make_exif("last May").tobytes()}.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(encode("JPEG", damaged))
        with pytest.raises(ImageReadError, match=f"Cannot read EXIF of picture '{path}'. Got: "):
            read_capture(path)
    with pytest.raises(FileNotFoundError):
        read_capture(tmp_path / "missing.jpg")


@given(st.data())
def test_damage_is_told_or_harmless(tmp_path_factory, data):
    whole = bytearray(encode("TIFF", make_exif()))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    path.write_bytes(bytes(whole))
    try:
        found = read_capture(path)
    except ImageReadError:
        return
    assert found is None or isinstance(found.moment, datetime)
