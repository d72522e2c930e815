"""_exif.py: the orientation alone changes, and nothing that is damaged stops a picture."""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from defocus_edge.files.exif import extract_exif, insert_exif, name_byte_order, read_orientation, set_upright

EXIF_IFD, GPS_IFD, ORIENTATION, MAKER_NOTE = 0x8769, 0x8825, 0x0112, 0x927C


def make_exif(orientation=6, *, order="<"):
    """Camera, orientation, exposure and notes, in either byte order; Pillow writes one only."""
    start, notes = 8 + 2 + 3 * 12 + 4, b"notes of the maker"
    below = start + 8
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    first = struct.pack(order + "H", 3)
    first += struct.pack(order + "HHII", 271, 2, 7, start)
    first += struct.pack(order + "HHIHH", ORIENTATION, 3, 1, orientation, 0)
    first += struct.pack(order + "HHIII", EXIF_IFD, 4, 1, below, 0)
    second = struct.pack(order + "H", 2)
    second += struct.pack(order + "HHII", 0x829A, 5, 1, below + 2 + 2 * 12 + 4)
    second += struct.pack(order + "HHIII", MAKER_NOTE, 7, len(notes), below + 2 + 2 * 12 + 4 + 8, 0)
    return head + first + b"Camera\0\0" + second + struct.pack(order + "II", 1, 125) + notes


def load(exif):
    """What Pillow reads."""
    found = Image.Exif()
    found.load(b"Exif\0\0" + exif)
    return found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_changes_two_bytes(order, orientation):
    exif = make_exif(orientation, order=order)
    assert load(exif)[ORIENTATION] == read_orientation(exif) == orientation
    upright = set_upright(exif)
    assert read_orientation(upright) == load(upright)[ORIENTATION] == 1
    assert sum(a != b for a, b in zip(exif, upright, strict=True)) == (orientation != 1)
    assert name_byte_order(exif) == order


def test_pillow_agrees():
    exif = Image.Exif()
    exif[ORIENTATION], exif[271] = 8, "Camera"
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    assert read_orientation(data) == 8
    assert load(set_upright(data))[271] == "Camera"


@pytest.mark.parametrize("exif", [b"", b"II*\0", b"nothing at all", make_exif()[:12], make_exif(0), make_exif(9)])
def test_damaged_exif_is_upright(exif):
    assert read_orientation(exif) == read_orientation(set_upright(exif)) == 1
    assert len(set_upright(exif)) == len(exif)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_into_a_tiff_file_and_out_again(rng, order, channels):
    pixels = rng.integers(0, 256, (21, 23, channels), dtype=np.uint8)
    file = io.BytesIO()
    photometric = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(file, pixels.squeeze(), byteorder=order, photometric=photometric, metadata=None, software=False)
    tiff = insert_exif(file.getvalue(), make_exif(order=order))
    with tifffile.TiffFile(io.BytesIO(tiff)) as found:
        page = found.pages[0]
        np.testing.assert_array_equal(page.asarray(), pixels.squeeze())
        assert page.tags["Make"].value == "Camera"
        assert page.tags["Orientation"].value == 6
        assert page.tags["ExifTag"].value["ExposureTime"] == (1, 125)
        assert page.tags["ExifTag"].value["MakerNote"] == b"notes of the maker"
    again = extract_exif(tiff)
    assert load(again).get_ifd(EXIF_IFD) == load(make_exif(order=order)).get_ifd(EXIF_IFD)
    assert load(again)[271] == "Camera"
    assert extract_exif(insert_exif(file.getvalue(), again)) == again


def test_what_pillow_writes_comes_out_whole(rng):
    exif = Image.Exif()
    exif[271] = "Camera"
    exif.get_ifd(EXIF_IFD)[0x9003] = "2026:11:20 19:00:00"
    exif.get_ifd(GPS_IFD)[1] = "N"
    exif.get_ifd(GPS_IFD)[2] = (48.0, 8.0, 14.0)
    file = io.BytesIO()
    exif = load(exif.tobytes().removeprefix(b"Exif\0\0"))  # Pillow's TIFF writer drops what was not loaded
    Image.fromarray(rng.integers(0, 256, (21, 23, 3), dtype=np.uint8)).save(file, "TIFF", exif=exif)
    found = load(extract_exif(file.getvalue()))
    assert found[271] == "Camera"
    assert found.get_ifd(EXIF_IFD)[0x9003] == "2026:11:20 19:00:00"
    assert found.get_ifd(GPS_IFD)[2] == (48.0, 8.0, 14.0)
    assert not {273, 279} & set(found)  # where the pixels were


def test_files_that_say_nothing(rng):
    file = io.BytesIO()
    tifffile.imwrite(file, rng.integers(0, 256, (21, 23), dtype=np.uint8), bigtiff=True)
    assert extract_exif(file.getvalue()) == b""
    assert extract_exif(b"no picture") == b""
    assert insert_exif(b"pixels", b"damaged") == b"pixels"


@given(st.binary(max_size=80), st.integers(0, 120))
def test_any_damage_is_survived(damage, place):
    whole = make_exif()
    exif = whole[:place] + damage + whole[place + len(damage) :]
    assert len(set_upright(exif)) == len(exif)
    assert 1 <= read_orientation(exif) <= 8
    extract_exif(exif)


@pytest.mark.parametrize("below", [False, True])
def test_tags_that_all_span_the_file_take_no_more_than_the_file(below):
    """4000 of them made 8 GB of a file of 2 MB; `below` puts them into the EXIF directory."""
    count, size = 4000, 2_000_000
    tags = b"".join(struct.pack("<HHII", 0x9000 + number, 1, size - 200_000, 100_000) for number in range(count))
    directory = struct.pack("<H", count) + tags + bytes(4)
    if below:
        start = 8 + 2 + 12 + 4
        data = struct.pack("<4sIHHHIII", b"II*\0", 8, 1, EXIF_IFD, 4, 1, start, 0) + directory
    else:
        data = struct.pack("<4sI", b"II*\0", 8) + directory
    data = data.ljust(size, b"x")
    tracemalloc.start()
    try:
        assert len(extract_exif(data)) <= 2 * size
        assert tracemalloc.get_traced_memory()[1] < 8 * size
    finally:
        tracemalloc.stop()
