"""images.py: every kind of array and file comes in right or is refused with a reason; nothing half-written goes out."""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from defocus_edge.arrays import MIN_SIDE, ROUNDING_TOLERANCE, as_image
from defocus_edge.files import decoding as _decoding
from defocus_edge.files.atomic import ImageReadError, atomic_write
from defocus_edge.files.images import load_image, read_image, write_picture
from defocus_edge.files.maps import read_map, write_map

HEIGHT, WIDTH = 40, 56


@pytest.fixture
def picture():
    """Smooth uint8 RGB picture, each corner and channel different."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def deep_picture():
    """Uint16 RGB picture whose low bytes matter."""
    return np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)


@pytest.fixture
def blur_map():
    return np.random.default_rng(2).uniform(0.5, 6, (HEIGHT, WIDTH)).astype(np.float32)


def encode(suffix, rgb, *params):
    ok, data = cv2.imencode(suffix, rgb if rgb.ndim == 2 else rgb[..., ::-1], params)
    assert ok
    return data.tobytes()


def save_with_pillow(rgb, file_format, **options):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, file_format, **options)
    return file.getvalue()


def exif_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def jpeg_with_thumbnail(rgb):
    """JPEG whose APP1 segment holds a whole small JPEG, with an end marker of its own."""
    jpeg, thumbnail = encode(".jpg", rgb), encode(".jpg", rgb[::4, ::4])
    body = b"Exif\0\0" + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def write(path, data):
    path.write_bytes(data)
    return path


# --- as_image: smoke, shapes, errors, values -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64, ">u2", ">f4"])
@pytest.mark.parametrize("shape", [(30, 20), (30, 20, 1), (30, 20, 2), (30, 20, 3), (30, 20, 4)])
def test_as_image_shape_and_type(dtype, shape):
    result = as_image(np.ones(shape, dtype=dtype))
    assert result.shape == (30, 20, 3)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    assert result.flags.writeable


@pytest.mark.parametrize(
    ("image", "error", "match"),
    [
        (np.ones(30), ValueError, r"shape \(H, W\).*Got: \(30,\)"),
        (np.float32(1), ValueError, r"Got: \(\)"),
        (np.ones((1, 30, 30, 3)), ValueError, r"one picture at a time, such as image\[0\]"),
        (np.ones((3, 30, 40)), ValueError, r"Channels come first.*moveaxis"),
        (np.ones((30, 30, 5)), ValueError, r"Got: \(30, 30, 5\)\. Pick three"),
        (np.ones((30, 30, 0)), ValueError, r"Got: \(30, 30, 0\)"),
        (np.ones((0, 0, 3)), ValueError, r"at least 20 px.*Got: \(0, 0, 3\)"),
        (np.ones((1, 1)), ValueError, r"at least 20 px on each side\. Got: \(1, 1\)"),
        (np.ones((10, 10, 3)), ValueError, r"at least 20 px.*Got: \(10, 10, 3\)"),
        (np.ones((MIN_SIDE - 1, 500)), ValueError, "at least 20 px"),
        (np.full((30, 30), np.nan), ValueError, r"finite.*Got: NaN or infinity"),
        (np.full((30, 30), np.inf), ValueError, r"finite.*Got: NaN or infinity"),
        (np.full((30, 30), -0.5), ValueError, r"Got: minimum -0\.5"),
        (np.full((30, 30), 255.0), ValueError, r"Got: maximum 255\. Divide by 255"),
        (np.full((30, 30), 1 + 2 * ROUNDING_TOLERANCE), ValueError, r"Got: maximum 1\.002"),
        (np.ones((30, 30), bool), TypeError, r"Got: dtype bool\. A mask is no picture"),
        (np.ones((30, 30), np.int64), TypeError, r"Got: dtype int64\. Divide"),
        (np.ones((30, 30), np.int8), TypeError, "Got: dtype int8"),
        (np.ones((30, 30), np.uint32), TypeError, "Got: dtype uint32"),
        (np.ones((30, 30), complex), TypeError, "Got: dtype complex128"),
        ("photo.jpg", TypeError, "Read files with read_image"),
        (None, TypeError, r"dtype object"),
    ],
)
def test_as_image_refuses(image, error, match):
    with pytest.raises(error, match=match):
        as_image(image)


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "HSV"])
def test_as_image_refuses_pillow_modes_that_are_not_rgb(picture, mode):
    with pytest.raises(ValueError, match=f"mode '{mode}'.*convert"):
        as_image(Image.fromarray(picture).convert(mode))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_as_image_takes_pillow_images(picture, mode):
    image = Image.fromarray(picture).convert(mode)
    np.testing.assert_array_equal(as_image(image), as_image(np.asarray(image)))


def test_integers_keep_their_ends():
    ramp8 = np.arange(256, dtype=np.uint8)[np.newaxis].repeat(MIN_SIDE, axis=0)
    np.testing.assert_array_equal(as_image(ramp8)[0, :, 1], np.arange(256, dtype=np.float32) / np.float32(255))
    ramp16 = np.arange(65536, dtype=np.uint16)[np.newaxis].repeat(MIN_SIDE, axis=0)
    np.testing.assert_array_equal(as_image(ramp16)[0, :, 2], np.arange(65536, dtype=np.float32) / np.float32(65535))


def test_grey_is_repeated_and_alpha_dropped(picture):
    grey = picture[..., 0]
    expected = np.repeat(as_image(picture)[..., :1], 3, axis=2)
    for image in (grey, grey[..., np.newaxis], np.dstack([grey, 255 - grey])):
        np.testing.assert_array_equal(as_image(image), expected)
    transparent = np.dstack([picture, np.zeros_like(grey)])
    np.testing.assert_array_equal(as_image(transparent), as_image(picture))


def test_rounding_is_clipped():
    image = np.full((30, 30), 1 + ROUNDING_TOLERANCE / 2)
    image[0, 0] = -ROUNDING_TOLERANCE / 2
    result = as_image(image)
    assert result.min() == 0
    assert result.max() == 1


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_input_is_neither_modified_nor_shared(dtype, order):
    image = np.asarray(np.full((30, 40, 3), 1, dtype=dtype), order=order)
    before = image.copy()
    result = as_image(image)
    result[:] = 0.25
    np.testing.assert_array_equal(image, before)
    assert not np.shares_memory(result, image)


@given(hnp.arrays(np.float32, (MIN_SIDE, MIN_SIDE + 1, 3), elements=st.floats(0, 1, width=32), fill=st.just(0.5)))
def test_valid_floats_come_back_as_they_were(image):
    np.testing.assert_array_equal(as_image(image), image)
    np.testing.assert_array_equal(as_image(image[::-1, ::-1]), as_image(image)[::-1, ::-1])


# --- read_image ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".ppm"])
def test_read_lossless_8_bit(tmp_path, picture, suffix):
    path = write(tmp_path / f"a{suffix}", encode(suffix, picture))
    np.testing.assert_array_equal(read_image(path), as_image(picture))
    np.testing.assert_array_equal(read_image(str(path)), as_image(picture))


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_read_lossy(tmp_path, picture, suffix):
    path = write(tmp_path / f"a{suffix}", encode(suffix, picture))
    assert np.abs(read_image(path) - as_image(picture)).mean() < 0.03


def test_read_lossless_webp(tmp_path, picture):
    path = write(tmp_path / "a.webp", save_with_pillow(picture, "WEBP", lossless=True))
    np.testing.assert_array_equal(read_image(path), as_image(picture))


def test_suffix_does_not_matter(tmp_path, picture):
    path = write(tmp_path / "photo", encode(".png", picture))
    np.testing.assert_array_equal(read_image(path), as_image(picture))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_stays_16_bit(tmp_path, deep_picture, suffix):
    path = write(tmp_path / f"a{suffix}", encode(suffix, deep_picture))
    np.testing.assert_array_equal(read_image(path), as_image(deep_picture))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey(tmp_path, deep_picture, suffix):
    path = write(tmp_path / f"a{suffix}", encode(suffix, deep_picture[..., 0]))
    np.testing.assert_array_equal(read_image(path), as_image(deep_picture[..., 0]))


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_alpha_does_not_darken_colours(tmp_path, picture, file_format):
    rgba = np.dstack([picture, picture[..., 0] // 2])
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    path = write(tmp_path / "a", save_with_pillow(rgba, file_format, **options))
    np.testing.assert_array_equal(read_image(path), as_image(picture))


def test_palette_and_grey_alpha_png(tmp_path, picture):
    palette = Image.fromarray(picture).quantize(16)
    path = tmp_path / "palette.png"
    palette.save(path)
    np.testing.assert_array_equal(read_image(path), as_image(palette.convert("RGB")))
    path = write(tmp_path / "la.png", save_with_pillow(picture[..., :2], "PNG"))
    np.testing.assert_array_equal(read_image(path), as_image(picture[..., 0]))


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(tmp_path, picture, file_format, orientation):
    data = save_with_pillow(picture, file_format, exif=exif_orientation(orientation))
    expected = UPRIGHT[orientation](as_image(picture))
    result = read_image(write(tmp_path / "a", data))
    assert result.shape == expected.shape
    assert np.abs(result - expected).mean() < 0.05


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_tiff(tmp_path, deep_picture, dtype, orientation):
    array = (deep_picture / 65535).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), UPRIGHT[orientation](as_image(array)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "deflate"},
        {"compression": "deflate", "predictor": 2},
        {"tile": (16, 16)},
        {"rowsperstrip": 7},
        {"byteorder": ">"},
        {"bigtiff": True},
    ],
)
def test_tiff_variants(tmp_path, deep_picture, options):
    tifffile.imwrite(tmp_path / "a.tif", deep_picture, photometric="rgb", **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), as_image(deep_picture))


def test_tiff_kinds_that_opencv_misreads(tmp_path, deep_picture):
    path = tmp_path / "a.tif"
    planes = np.ascontiguousarray(np.moveaxis(deep_picture, -1, 0))
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(path), as_image(deep_picture))
    tifffile.imwrite(path, deep_picture[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(read_image(path), as_image(65535 - deep_picture[..., 0]))
    grey = (deep_picture[..., 0] / 65535).astype(np.float32)
    tifffile.imwrite(path, grey)
    np.testing.assert_array_equal(read_image(path), as_image(grey))
    tifffile.imwrite(path, 1 - grey, photometric="miniswhite")
    np.testing.assert_allclose(read_image(path), as_image(grey), atol=1e-6)


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw"])
def test_tiff_with_codecs_of_opencv(tmp_path, picture, compression):
    path = write(tmp_path / "a.tif", save_with_pillow(picture, "TIFF", compression=compression))
    assert np.abs(read_image(path) - as_image(picture)).mean() < 0.03


def test_tiff_palette_and_bilevel(tmp_path, picture):
    bilevel = Image.fromarray(picture).convert("1")
    bilevel.save(tmp_path / "bilevel.tif", compression="group4")
    np.testing.assert_array_equal(read_image(tmp_path / "bilevel.tif"), as_image(bilevel.convert("RGB")))
    palette = Image.fromarray(picture).quantize(16)
    palette.save(tmp_path / "palette.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.tif"), as_image(palette.convert("RGB")))


def test_tiff_that_no_decoder_reads_truly(tmp_path, picture):
    rgba = np.dstack([picture, picture[..., 0]])
    path = write(tmp_path / "a.tif", save_with_pillow(rgba, "TIFF", compression="tiff_lzw"))
    with pytest.raises(ImageReadError, match=r"faithfully\. Got: 4 channels of uint8, compressed with LZW.*Save it as"):
        read_image(path)


def fake_page(**changes):
    """Header of a compressed 8-bit RGB page, as tifffile names its parts."""
    page = {"photometric": 2, "bitspersample": 8, "samplesperpixel": 3, "sampleformat": 1, "planarconfig": 1}
    return type("Page", (), page | changes)


@pytest.mark.parametrize(
    ("changes", "is_right"),
    [
        ({}, True),
        ({"samplesperpixel": 1, "photometric": 1}, True),
        ({"samplesperpixel": 1, "photometric": 0, "bitspersample": 1}, True),
        ({"samplesperpixel": 1, "photometric": 0, "bitspersample": 16}, False),
        ({"samplesperpixel": 1, "photometric": 1, "bitspersample": 32, "sampleformat": 3}, False),
        ({"samplesperpixel": 2, "photometric": 1}, False),
        ({"bitspersample": 32, "sampleformat": 3}, True),
        ({"bitspersample": 16, "sampleformat": 3}, False),
        ({"planarconfig": 2}, False),
        ({"samplesperpixel": 4}, False),
        ({"samplesperpixel": 4, "bitspersample": 16}, True),
        ({"samplesperpixel": 4, "photometric": 5}, True),
    ],
)
def test_which_tiff_pages_opencv_may_decode(changes, is_right):
    assert _decoding._is_right_in_opencv(fake_page(**changes)) is is_right


def test_raw_files_are_not_read_as_their_thumbnail(tmp_path, picture):
    for name in ("a.nef", "a.tif"):
        tifffile.imwrite(tmp_path / name, picture, photometric="rgb", subfiletype=1)
        with pytest.raises(ImageReadError, match=rf"{name}': damaged, or no raw file that LibRaw knows"):
            read_image(tmp_path / name)


def test_first_page_of_several(tmp_path, deep_picture):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([deep_picture, 65535 - deep_picture]), photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), as_image(deep_picture))


@pytest.mark.parametrize("dtype", [np.uint32, np.int16])
def test_tiff_of_other_integers(tmp_path, deep_picture, dtype):
    tifffile.imwrite(tmp_path / "a.tif", deep_picture.astype(dtype), photometric="rgb")
    with pytest.raises(ImageReadError, match=rf"Cannot use picture.*a\.tif.*Got: dtype {np.dtype(dtype)}"):
        read_image(tmp_path / "a.tif")


def test_float_tiff_out_of_range(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((30, 30), 200, np.float32))
    with pytest.raises(ImageReadError, match=r"a\.tif.*Got: maximum 200"):
        read_image(tmp_path / "a.tif")


def test_small_picture_file_is_named(tmp_path, picture):
    path = write(tmp_path / "small.png", encode(".png", picture[:10, :10]))
    with pytest.raises(ImageReadError, match=r"small\.png.*at least 20 px"):
        read_image(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.jpg"):
        read_image(tmp_path / "nothing.jpg")
    with pytest.raises(IsADirectoryError, match="Got: the folder"):
        read_image(tmp_path)


def test_permission_error_is_left_as_it_is(tmp_path, picture, monkeypatch):
    path = write(tmp_path / "a.png", encode(".png", picture))

    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        read_image(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"Some text. " * 40, b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF\0\0\0\0WEBP", bytes(999)],
    ids=["empty", "text", "jpeg start", "png start", "tiff start", "webp start", "zeros"],
)
def test_not_a_picture(tmp_path, data, capfd):
    path = write(tmp_path / "a.jpg", data)
    with pytest.raises(ImageReadError, match=r"Cannot read picture '.*a\.jpg'"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_empty_file_says_so(tmp_path):
    with pytest.raises(ImageReadError, match="0 bytes"):
        read_image(write(tmp_path / "a.png", b""))


WHOLE_FILES = {
    "jpeg": lambda a: encode(".jpg", a),
    "progressive jpeg": lambda a: save_with_pillow(a, "JPEG", progressive=True),
    "jpeg with restarts": lambda a: encode(".jpg", a, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "jpeg with thumbnail": jpeg_with_thumbnail,
    "png": lambda a: encode(".png", a),
    "webp": lambda a: encode(".webp", a, cv2.IMWRITE_WEBP_QUALITY, 80),
    "lossless webp": lambda a: save_with_pillow(a, "WEBP", lossless=True),
    "lzw tiff": lambda a: encode(".tif", a),
    "tiff": lambda a: save_with_pillow(a, "TIFF"),
    "bmp": lambda a: encode(".bmp", a),
}


@pytest.mark.parametrize("kind", WHOLE_FILES)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95, 1.0])
def test_cut_files_are_refused_in_silence(tmp_path, picture, kind, share, capfd):
    data = WHOLE_FILES[kind](picture)
    path = write(tmp_path / "cut", data)
    assert read_image(path).shape == (HEIGHT, WIDTH, 3)
    write(path, data[: min(round(len(data) * share), len(data) - 2)])
    with pytest.raises(ImageReadError, match=r"Cannot read picture '.*cut'"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_thumbnail_marker_is_not_the_end(tmp_path, picture):
    data = jpeg_with_thumbnail(picture)
    assert data.count(b"\xff\xd9") >= 2
    with pytest.raises(ImageReadError, match="cut short or damaged"):
        read_image(write(tmp_path / "a.jpg", data[: data.index(b"\xff\xd9") + 200]))


@pytest.mark.parametrize("kind", ["jpeg", "jpeg with thumbnail", "png", "webp", "tiff"])
@pytest.mark.parametrize("tail", [bytes(100), b"\xff" * 7 + b"tail \xff\xc0"])
def test_bytes_after_the_end_do_no_harm(tmp_path, picture, kind, tail):
    data = WHOLE_FILES[kind](picture)
    expected = read_image(write(tmp_path / "a", data))
    np.testing.assert_array_equal(read_image(write(tmp_path / "b", data + tail)), expected)


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_flipped_bit_in_png(tmp_path, deep_picture, share):
    data = bytearray(encode(".png", deep_picture))
    data[int(len(data) * share)] ^= 1
    with pytest.raises(ImageReadError, match="damaged"):
        read_image(write(tmp_path / "a.png", bytes(data)))


def test_picture_larger_than_the_decoder_allows(tmp_path, capfd):
    header = struct.pack(">IIBBBBB", 2**19, 2**19, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    path = write(tmp_path / "huge.png", data)
    with pytest.raises(ImageReadError, match=r"huge\.png"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_refusal_of_the_decoder_is_an_image_read_error(tmp_path, picture, monkeypatch):
    def refuse(*_):
        raise cv2.error("too many pixels")

    monkeypatch.setattr(cv2, "imdecode", refuse)
    with pytest.raises(ImageReadError, match="the decoder refused it"):
        read_image(write(tmp_path / "a.png", encode(".png", picture)))


def test_log_level_of_opencv_is_put_back(tmp_path, picture):
    before = cv2.utils.logging.getLogLevel()
    read_image(write(tmp_path / "a.png", encode(".png", picture)))
    with _decoding.QUIET_OPENCV, _decoding.QUIET_OPENCV:
        assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_SILENT
    assert cv2.utils.logging.getLogLevel() == before


def test_load_image_takes_paths_and_arrays(tmp_path, picture):
    path = write(tmp_path / "a.png", encode(".png", picture))
    for source in (path, str(path), picture, Image.fromarray(picture)):
        np.testing.assert_array_equal(load_image(source), as_image(picture))


# --- maps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["map.tif", "map.tiff", "map.npy", "map.exr", "MAP.TIF", "MAP.NPY", "MAP.EXR"])
def test_map_round_trip(tmp_path, blur_map, name):
    write_map(tmp_path / name, blur_map)
    result = read_map(str(tmp_path / name))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, blur_map)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_map_is_readable_by_others(tmp_path, blur_map):
    write_map(tmp_path / "map.tif", blur_map, description={"model": "café", "quantity": "confidence"})
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "map.tif"), cv2.IMREAD_UNCHANGED), blur_map)
    with Image.open(tmp_path / "map.tif") as file:
        np.testing.assert_array_equal(np.asarray(file), blur_map)
        text = file.tag_v2[270]
    assert json.loads(text) == {"quantity": "confidence", "unit": "px", "model": "café"}


def test_map_says_its_unit(tmp_path, blur_map):
    write_map(tmp_path / "map.tif", blur_map)
    with tifffile.TiffFile(tmp_path / "map.tif") as file:
        assert json.loads(file.pages[0].description) == {"quantity": "blur radius", "unit": "px"}


def test_same_map_same_bytes(tmp_path, blur_map):
    for suffix in (".tif", ".npy", ".exr"):
        write_map(tmp_path / f"a{suffix}", blur_map)
        write_map(tmp_path / f"b{suffix}", np.asfortranarray(blur_map.astype(np.float64)))
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("array", "error", "match"),
    [
        (np.ones((30, 30, 3)), ValueError, r"blur_map must have shape \(H, W\).*Got: \(30, 30, 3\)"),
        (np.ones((0, 5)), ValueError, "not empty"),
        (np.full((30, 30), np.nan), ValueError, "blur_map must be finite"),
        (np.ones((30, 30), bool), TypeError, r"Got: dtype bool\. Write a mask with write_picture"),
        (np.ones((30, 30), complex), TypeError, "Got: dtype complex128"),
    ],
)
def test_write_map_refuses(tmp_path, array, error, match):
    with pytest.raises(error, match=match):
        write_map(tmp_path / "map.tif", array)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["map.png", "map", "map.npz"])
def test_map_suffix(tmp_path, blur_map, name):
    with pytest.raises(ValueError, match=r"path must end in one of \.tif, \.tiff, \.npy, \.exr\. Got: '.*map"):
        write_map(tmp_path / name, blur_map)
    with pytest.raises(ValueError, match="path must end in one of"):
        read_map(tmp_path / name)


def test_description_must_fit_into_json(tmp_path, blur_map):
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_map(tmp_path / "map.tif", blur_map, description={"map": object()})


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".exr"])
def test_read_map_refuses_broken_files(tmp_path, blur_map, suffix, capfd):
    path = tmp_path / f"map{suffix}"
    write_map(path, blur_map)
    data = path.read_bytes()
    for broken in (b"", b"text", data[:50], data[:-8]):
        write(path, broken)
        with pytest.raises(ImageReadError, match=r"Cannot read map '.*map.*Write it again"):
            read_map(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.ones((30, 30), np.uint8), r"must hold floats\. Got: uint8"),
        (np.ones((4, 30, 3), np.float32), r"must have shape \(H, W\)"),
        (np.full((30, 30), np.inf, np.float32), "must be finite"),
    ],
)
def test_read_map_refuses_what_is_no_map(tmp_path, suffix, array, match):
    path = tmp_path / f"map{suffix}"
    if suffix == ".npy":
        np.save(path, array)
    else:
        tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 else "minisblack")
    with pytest.raises(ImageReadError, match=match):
        read_map(path)


def test_read_map_runs_no_code_of_a_file(tmp_path):
    np.save(tmp_path / "map.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(ImageReadError, match="Cannot read map"):
        read_map(tmp_path / "map.npy")


def test_read_map_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"map\.tif"):
        read_map(tmp_path / "map.tif")
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(IsADirectoryError, match="folder"):
        read_map(tmp_path / "folder.tif")


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".PNG"])
def test_write_picture_round_trip(tmp_path, picture, suffix):
    for name, array in (("colour", picture), ("grey", picture[..., 1]), ("turned", picture.swapaxes(0, 1))):
        path = tmp_path / f"{name}{suffix}"
        write_picture(path, array)
        np.testing.assert_array_equal(read_image(path), as_image(array))


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_write_lossy_picture(tmp_path, picture, suffix):
    write_picture(tmp_path / f"a{suffix}", picture)
    assert np.abs(read_image(tmp_path / f"a{suffix}") - as_image(picture)).mean() < 0.03


def test_mask_is_0_and_255(tmp_path, picture):
    mask = picture[..., 0] > 127
    write_picture(tmp_path / "mask.png", mask)
    stored = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint8
    np.testing.assert_array_equal(stored, np.where(mask, 255, 0))


@pytest.mark.parametrize(
    ("name", "array", "error", "match"),
    [
        ("a.png", np.ones((30, 30)), TypeError, r"Got: dtype float64\. Write float maps with write_map"),
        ("a.png", np.ones((30, 30, 4), np.uint8), ValueError, r"Got: \(30, 30, 4\)"),
        ("a.png", np.ones((30,), np.uint8), ValueError, r"Got: \(30,\)"),
        ("a.png", np.ones((0, 30), np.uint8), ValueError, "not empty"),
        ("a.png", np.ones((30, 30, 3), bool), ValueError, r"a mask \(H, W\)"),
        ("a.jpg", np.ones((30, 30), bool), ValueError, r"A mask needs one of \.png.*Got: '\.jpg'"),
        ("a.xyz", np.ones((30, 30), np.uint8), ValueError, r"path must end in one of \.png"),
        ("a.jpg", np.ones((1, 70000), np.uint8), ValueError, r"A \.jpg file cannot hold.*\(1, 70000\)"),
    ],
)
def test_write_picture_refuses(tmp_path, name, array, error, match, capfd):
    with pytest.raises(error, match=match):
        write_picture(tmp_path / name, array)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


# --- atomic writes ---------------------------------------------------------------------------------------------------


def test_temporary_file_is_a_neighbour_with_the_same_suffix(tmp_path):
    target = tmp_path / "map.tif"
    with atomic_write(str(target)) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".tif"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_the_old_file_and_no_other(tmp_path, error):
    target = write(tmp_path / "map.tif", b"old")

    def write_half():
        with atomic_write(target) as temporary:
            temporary.write_bytes(b"half")
            raise error("half way")

    with pytest.raises(error, match="half way"):
        write_half()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".exr", ".png"])
def test_full_disk_leaves_the_old_file(tmp_path, blur_map, suffix, monkeypatch):
    def fail(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = write(tmp_path / f"a{suffix}", b"old")
    monkeypatch.setattr(tifffile, "imwrite", fail)
    monkeypatch.setattr(np, "save", fail)
    monkeypatch.setattr(Path, "write_bytes", fail)
    save = write_picture if suffix == ".png" else write_map
    array = blur_map > 3 if suffix == ".png" else blur_map
    with pytest.raises(OSError, match="No space left"):
        save(target, array)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_failed_replace_leaves_the_old_file(tmp_path, monkeypatch):
    target = write(tmp_path / "a.png", b"old")

    def fail(*_):
        raise PermissionError(errno.EACCES, "target is locked")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(PermissionError, match="target is locked"), atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_folder_problems_name_the_folder(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"into the folder '.*missing'.*Create it first"):
        atomic_write(tmp_path / "missing" / "a.png").__enter__()
    write(tmp_path / "file", b"")
    with pytest.raises(NotADirectoryError, match=r"into the folder '.*file'.*Choose a folder"):
        atomic_write(tmp_path / "file" / "a.png").__enter__()
    with pytest.raises(IsADirectoryError, match="path must name a file to write"):
        atomic_write(tmp_path).__enter__()
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(FileExistsError, match=r"path must name a file to write\. Got: the device '.*pipe"):
        atomic_write(tmp_path / "pipe.png").__enter__()

    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(PermissionError, match=r"cannot write into the folder '.*Permission denied\. Choose"):
        atomic_write(tmp_path / "a.png").__enter__()


def test_symbolic_link_is_followed(tmp_path):
    target = write(tmp_path / "real.png", b"old")
    link = tmp_path / "link.png"
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_written_file_has_ordinary_permissions(tmp_path, blur_map):
    write_map(tmp_path / "map.tif", blur_map)
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "map.tif").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_long_file_name(tmp_path):
    target = tmp_path / ("x" * 251 + ".png")
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
    assert os.listdir(tmp_path) == [target.name]  # noqa: PTH208 - the plain name is what we compare


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of resources")
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_a_map_that_does_not_fit_on_the_disk_is_an_error_and_leaves_nothing(suffix, tmp_path):
    program = """
import resource, sys
import numpy as np
from defocus_edge import write_map
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    write_map(sys.argv[1], np.ones((40, 25), np.float32))
except OSError as error:
    print(error.strerror)
"""
    # 4000 bytes of values: what is over the limit is in the last buffer.
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / f"map{suffix}")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "File too large\n"
    assert list(tmp_path.iterdir()) == []
