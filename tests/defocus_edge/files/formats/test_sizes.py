"""Sizes by the headers of files: small files that tell large sizes are refused before they take memory."""

from __future__ import annotations

import io
import lzma
import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from defocus_edge.files import decoding
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import read_image
from defocus_edge.files.maps import read_map, write_map
from defocus_edge.files.photos import read_photo
from tests.defocus_edge.files.file_cases import encode, encode_heif, write
from tests.defocus_edge.files.tiff_cases import list_tags, pack_tiff

WIDTH, HEIGHT = 56, 40
PICTURE = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def save(file_format, **options):
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, file_format, **options)
    return file.getvalue()


FILES = {
    "a.jpg": save("JPEG", progressive=True),
    "a.png": save("PNG"),
    "a.gif": save("GIF"),
    "a.bmp": save("BMP"),
    "a.webp": save("WEBP"),
    "b.webp": save("WEBP", lossless=True),
    "c.webp": save("WEBP", exif=b"Exif\0\0II*\0"),
    "a.tif": save("TIFF"),
    "a.ppm": encode(".ppm", PICTURE),
    "a.pbm": encode(".pbm", PICTURE[..., 0]),
    "a.ras": encode(".ras", PICTURE),
    "a.jp2": encode(".jp2", PICTURE),
    "a.jxl": imagecodecs.jpegxl_encode(PICTURE),
    "a.avif": save("AVIF"),
    "a.hdr": cv2.imencode(".hdr", PICTURE.astype(np.float32) / 255)[1].tobytes(),
    "a.pfm": cv2.imencode(".pfm", PICTURE.astype(np.float32) / 255)[1].tobytes(),
}
MAPS = [".tif", ".exr"]


@pytest.mark.parametrize("name", FILES)
def test_the_limit_holds_for_every_format(tmp_path, name):
    path = write(tmp_path / name, FILES[name])
    assert read_image(path, max_pixels=WIDTH * HEIGHT).shape == (HEIGHT, WIDTH, 3)
    for read in (read_image, read_photo):
        with pytest.raises(ImageReadError, match=rf"{name}' must have at most 2239 px\. Got: {WIDTH} × {HEIGHT}\."):
            read(path, max_pixels=WIDTH * HEIGHT - 1)


@pytest.mark.parametrize("suffix", MAPS)
def test_the_limit_holds_for_maps(tmp_path, suffix):
    path = tmp_path / f"map{suffix}"
    write_map(path, PICTURE[..., 0].astype(np.float32))
    assert read_map(path, max_pixels=WIDTH * HEIGHT).shape == (HEIGHT, WIDTH)
    with pytest.raises(
        ImageReadError, match=rf"map '.*{suffix}' must have at most 2239 px\. Got: {WIDTH} × {HEIGHT}\."
    ):
        read_map(path, max_pixels=WIDTH * HEIGHT - 1)


def test_heic_is_as_large_as_its_blocks(tmp_path):
    path = write(tmp_path / "a.heic", encode_heif(PICTURE))
    assert read_image(path, max_pixels=64 * 64).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageReadError, match=r"must have at most 4095 px\. Got: 64 × 64\."):
        read_image(path, max_pixels=64 * 64 - 1)


def make_large_jpeg():
    """A header of 30 000 × 30 000 px over the data of a small picture, padded to a plausible length."""
    data = FILES["a.jpg"]
    place = data.index(b"\xff\xc2") + 5
    return data[:place] + struct.pack(">HH", 30_000, 30_000) + data[place + 4 : -2] + bytes(1_800_000) + b"\xff\xd9"


def make_large_png():
    body = zlib.compress(bytes(1 << 20))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)), (b"IDAT", body), (b"IEND", b"")]
    parts = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def make_large_tiff():
    body = zlib.compress(bytes(1 << 20))
    return pack_tiff([body], list_tags(30_000, 30_000, bits=[8], photometric=1, compression=8))


@pytest.mark.parametrize("make", [make_large_jpeg, make_large_png, make_large_tiff])
def test_a_small_file_that_tells_a_large_size_is_refused(tmp_path, make):
    path = write(tmp_path / "a", make())
    with pytest.raises(ImageReadError, match=r"must have at most 178956970 px\. Got: 30000 × 30000\. If you trust"):
        read_image(path)


def test_the_limit_of_opencv_is_one_line_with_the_way_out(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise cv2.error("error: (-215:Assertion failed)\n  pixels <= CV_IO_MAX_IMAGE_PIXELS in function 'validate'\n")

    monkeypatch.setattr(decoding, "decode_stored", refuse)
    path = write(tmp_path / "a.png", FILES["a.png"])
    message = r"beyond OpenCV's limit OPENCV_IO_MAX_IMAGE_PIXELS=1073741824\. Set that variable higher, or save a TIFF"
    with pytest.raises(ImageReadError, match=message):
        read_image(path)


@pytest.mark.parametrize("rows", [100, 2**32 - 1])  # the latter stands for all rows
@pytest.mark.parametrize(("compression", "compress"), [(8, zlib.compress), (34925, lzma.compress)])
def test_a_strip_that_inflates_beyond_its_page_is_refused(tmp_path, compression, compress, rows):
    tags = list_tags(100, 100, bits=[8], photometric=1, compression=compression, rows=rows)
    path = write(tmp_path / "a.tif", pack_tiff([compress(bytes(100 << 20))], tags))
    with pytest.raises(ImageReadError, match=r"a strip or tile of 100 x 100 px inflates to more than \d+ bytes"):
        read_image(path)
