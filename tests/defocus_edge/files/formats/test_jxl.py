"""jxl.py: JPEG XL files have their depth and channels, and are turned once, as their codestream says."""

from __future__ import annotations

import io
import struct
import sys

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from defocus_edge.arrays import ImageWarning, as_image
from defocus_edge.cli.app import main
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.exif import read_orientation
from defocus_edge.files.images import count_pages, read_image
from defocus_edge.files.kinds import READABLE_SUFFIXES, choose_suffix
from defocus_edge.files.photos import read_photo
from tests.defocus_edge.files.file_cases import HEIGHT, UPRIGHT, WIDTH, exif_orientation, write

CODESTREAM, CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
MAKE = 271


def encode_jxl(pixels, **options):
    """Lossless, unless `distance` is given."""
    options = options if "distance" in options else {"lossless": True, **options}
    return imagecodecs.jpegxl_encode(np.ascontiguousarray(pixels), **options)


def put_box(kind, content):
    return struct.pack(">I", 8 + len(content)) + kind + content


@pytest.mark.parametrize("has_container", [False, True])
def test_8_bits(tmp_path, picture, has_container):
    data = encode_jxl(picture, usecontainer=has_container)
    assert data.startswith(CONTAINER if has_container else CODESTREAM)
    np.testing.assert_array_equal(read_image(write(tmp_path / "a.jxl", data)), as_image(picture))
    assert ".jxl" in READABLE_SUFFIXES


@pytest.mark.parametrize("bits", [4, 9, 10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_samples_fill_their_type(tmp_path, rng, bits, channels):
    white = (1 << bits) - 1
    values = rng.integers(0, white + 1, (HEIGHT, WIDTH, channels)).astype(np.uint8 if bits <= 8 else np.uint16)
    values = values[..., 0] if channels == 1 else values
    pixels = read_photo(write(tmp_path / "a.jxl", encode_jxl(values, bitspersample=bits))).pixels
    assert (pixels.dtype, pixels.shape) == (values.dtype, values.shape)
    full = np.iinfo(pixels.dtype).max
    np.testing.assert_array_equal(pixels, np.rint(values * (full / white)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_floats(tmp_path, deep_picture, dtype):
    values = (deep_picture / 65535).astype(dtype)
    path = write(tmp_path / "a.jxl", encode_jxl(values))
    np.testing.assert_array_equal(read_image(path), as_image(values))
    with pytest.raises(ImageReadError, match="floats must be in a TIFF file"):
        read_photo(path)


def test_lossy(tmp_path, picture):
    path = write(tmp_path / "a.jxl", encode_jxl(picture, distance=0.5))
    assert np.abs(read_image(path) - as_image(picture)).mean() < 0.03


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_codestream_turns_once(tmp_path, picture, orientation):
    """The encoder takes the orientation from the JPEG's EXIF and keeps EXIF as it was."""
    jpeg = io.BytesIO()
    Image.fromarray(picture).save(jpeg, "JPEG", quality=95, exif=exif_orientation(orientation))
    path = write(tmp_path / "a.jxl", imagecodecs.jpegxl_encode_jpeg(jpeg.getvalue()))
    expected = read_image(write(tmp_path / "a.jpg", jpeg.getvalue()))
    photo = read_photo(path)
    assert read_orientation(photo.metadata.exif) == orientation
    for result in (read_image(path), as_image(photo.pixels)):
        assert result.shape == expected.shape
        assert np.abs(result - expected).max() < 0.03


def test_exif_that_contradicts_the_codestream_does_not_count(tmp_path, picture):
    exif = exif_orientation(6)
    exif[MAKE] = "Test"
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    boxes = put_box(b"ftyp", b"jxl \0\0\0\0jxl ") + put_box(b"Exif", bytes(4) + body)
    codestream = encode_jxl(picture, usecontainer=False)
    parts = put_box(b"jxlp", struct.pack(">I", 0) + codestream[:5])
    parts += put_box(b"jxlp", struct.pack(">I", 0x80000001) + codestream[5:])
    path = write(tmp_path / "a.jxl", CONTAINER + boxes + parts)
    np.testing.assert_array_equal(read_image(path), as_image(picture))
    assert read_photo(path).metadata.exif == body
    assert choose_suffix(path) == ".png"


def test_animation(tmp_path, picture):
    path = write(tmp_path / "a.jxl", encode_jxl(np.stack([picture, 255 - picture, picture // 2])))
    assert count_pages(path) == 3
    with pytest.warns(ImageWarning, match="2 more"):
        np.testing.assert_array_equal(read_image(path), as_image(picture))
    np.testing.assert_array_equal(read_image(path, page=2), as_image(picture // 2))
    with pytest.raises(ImageReadError, match="Got: 3 pages"):
        read_image(path, page=3)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.6, 0.9, 0.99])
def test_cut_files_are_refused_in_silence(tmp_path, picture, share, capfd):
    data = encode_jxl(picture)
    path = write(tmp_path / "a.jxl", data[: max(2, round(share * len(data)))])
    with pytest.raises(ImageReadError, match=r"Cannot read picture '.*a\.jxl': ") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_impossible_sizes_are_refused(tmp_path):
    """2^30 px in both directions: what the header says is not believed."""
    sides = (0b1 << 0) * 0 | 0b11 << 1 | ((1 << 30) - 1) << 3 | 0b000 << 33 | 0b11 << 36 | ((1 << 30) - 1) << 38
    path = write(tmp_path / "a.jxl", CODESTREAM + sides.to_bytes(9, "little") + bytes(100))
    with pytest.raises(ImageReadError, match="too large"):
        read_image(path)


def test_without_the_extra_one_line_says_what_to_install(tmp_path, picture, monkeypatch, capsys):
    path = write(tmp_path / "a.jxl", encode_jxl(picture))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImageReadError, match=r"a\.jxl': .*pip install 'defocus-edge\[imagecodecs\]'\.$"):
        read_image(path)
    assert main(["estimate", str(path)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
