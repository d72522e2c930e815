"""sunraster.py: Sun raster files of all depths, colour orders and colour maps have the right colours."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import read_image
from defocus_edge.files.photos import read_photo

HEIGHT = 40
OLD, STANDARD, RUNS, RGB = range(4)


@pytest.fixture(params=[56, 55])
def picture(request):
    """Pictures of even and odd width, since rows are filled up to 16 bits; some rows are 128, which starts runs."""
    rows, columns = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : request.param * 1j]
    values = (np.dstack([(rows + columns) / 2, columns, 1 - rows]) * 255).astype(np.uint8)
    values[5:8] = 128
    values[9:12] = 99
    return values


def pack_rows(values):
    """Bytes of the rows, each filled up to 16 bits."""
    rows = [row.tobytes() for row in values]
    return b"".join(row + bytes(len(row) % 2) for row in rows)


def write_runs(data):
    """The slow, obvious encoder of runs."""
    encoded, place = b"", 0
    while place < len(data):
        length = 1
        while length < 256 and data[place : place + length + 1] == data[place : place + 1] * (length + 1):
            length += 1
        value = data[place]
        if length > 2:
            encoded += bytes([0x80, length - 1, value])
        else:
            encoded += (b"\x80\0" if value == 0x80 else bytes([value])) * length
        place += length
    return encoded


def make_sun_raster(body, width, depth, kind, colours=b""):
    body = write_runs(body) if kind == RUNS else body
    header = struct.pack(">8I", 0x59A66A95, width, HEIGHT, depth, len(body), kind, 1 if colours else 0, len(colours))
    return header + colours + body


def read(tmp_path, data):
    (tmp_path / "a.ras").write_bytes(data)
    pixels = read_photo(tmp_path / "a.ras").pixels
    grey = np.dstack([pixels] * 3) if pixels.ndim == 2 else pixels
    np.testing.assert_array_equal(read_image(tmp_path / "a.ras"), grey / np.float32(255))
    return pixels


@pytest.mark.parametrize("kind", [OLD, STANDARD, RUNS, RGB])
@pytest.mark.parametrize("depth", [24, 32])
def test_colours(tmp_path, picture, kind, depth):
    ordered = picture if kind == RGB else picture[..., ::-1]
    padding = np.full((*picture.shape[:2], 1), 7, np.uint8)
    stored = ordered if depth == 24 else np.dstack([padding, ordered])
    data = make_sun_raster(pack_rows(stored), picture.shape[1], depth, kind)
    np.testing.assert_array_equal(read(tmp_path, data), picture)


@pytest.mark.parametrize("kind", [OLD, STANDARD, RUNS, RGB])
def test_grey(tmp_path, picture, kind):
    grey = picture[..., 0]
    np.testing.assert_array_equal(read(tmp_path, make_sun_raster(pack_rows(grey), grey.shape[1], 8, kind)), grey)


@pytest.mark.parametrize("kind", [OLD, STANDARD, RUNS, RGB])
def test_bilevel(tmp_path, picture, kind):
    black = picture[..., 0] < 100
    data = make_sun_raster(pack_rows(np.packbits(black, axis=1)), black.shape[1], 1, kind)
    np.testing.assert_array_equal(read(tmp_path, data), np.where(black, 0, 255))


@pytest.mark.parametrize("kind", [OLD, STANDARD, RUNS, RGB])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_colour_maps(tmp_path, picture, kind, bits, rng):
    numbers, colours = picture[..., 0] >> (8 - bits), rng.integers(0, 256, (3, 1 << bits), dtype=np.uint8)
    stored = np.packbits(numbers, axis=1) if bits == 1 else numbers
    data = make_sun_raster(pack_rows(stored), numbers.shape[1], 1 if bits == 1 else 8, kind, colours.tobytes())
    np.testing.assert_array_equal(read(tmp_path, data), colours.T[numbers])


def test_other_programs_agree(tmp_path, picture):
    """The files of these tests mean to others what they mean here, where others know them."""
    data = make_sun_raster(pack_rows(picture[..., ::-1]), picture.shape[1], 24, STANDARD)
    (tmp_path / "a.ras").write_bytes(data)
    with Image.open(tmp_path / "a.ras") as other:
        np.testing.assert_array_equal(np.asarray(other), picture)


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        (12, 4, "faithfully.*4 bits"),
        (20, 4, "type 4"),
        (24, 2, "map of type 2"),
        (4, 1 << 20, "do not fit"),
        (4, 0, "fit"),
    ],
)
def test_other_kinds_and_damaged_files_are_refused(tmp_path, picture, place, value, match):
    data = bytearray(make_sun_raster(pack_rows(picture), picture.shape[1], 24, STANDARD))
    struct.pack_into(">I", data, place, value)
    with pytest.raises(ImageReadError, match=match):
        read(tmp_path, bytes(data))


@pytest.mark.parametrize("kind", [STANDARD, RUNS])
@pytest.mark.parametrize("share", [0.005, 0.3, 0.9])
def test_cut_files_are_refused(tmp_path, picture, kind, share):
    data = make_sun_raster(pack_rows(picture), picture.shape[1], 24, kind)
    with pytest.raises(ImageReadError, match="damaged"):
        read(tmp_path, data[: round(len(data) * share)])


def test_numbers_without_a_colour_are_refused(tmp_path, picture):
    data = make_sun_raster(pack_rows(picture[..., 0]), picture.shape[1], 8, STANDARD, bytes(12))
    with pytest.raises(ImageReadError, match="damaged"):
        read(tmp_path, data)
