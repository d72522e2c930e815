"""images.py: every kind of file is read right or refused with a reason; pictures are written."""

from __future__ import annotations

import errno
import os
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from defocus_edge._quiet import QUIET_OPENCV
from defocus_edge.arrays import ImageWarning, as_image
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import load_image, read_image, write_picture
from defocus_edge.files.photos import read_photo
from tests.defocus_edge.files.file_cases import (
    HEIGHT,
    UPRIGHT,
    WIDTH,
    encode,
    exif_orientation,
    jpeg_with_thumbnail,
    save_with_pillow,
    write,
)


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


def test_raw_files_are_not_read_as_their_thumbnail(tmp_path, picture):
    for name in ("a.nef", "a.tif"):
        tifffile.imwrite(tmp_path / name, picture, photometric="rgb", subfiletype=1)
        with pytest.raises(ImageReadError, match=rf"{name}': damaged, or no raw file that LibRaw knows"):
            read_image(tmp_path / name)


def test_first_page_of_several(tmp_path, deep_picture):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([deep_picture, 65535 - deep_picture]), photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", page=0), as_image(deep_picture))
    with pytest.warns(ImageWarning, match="one more page"):
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), as_image(deep_picture))


@pytest.mark.parametrize("dtype", [np.uint32, np.int16])
def test_tiff_of_other_integers(tmp_path, deep_picture, dtype):
    tifffile.imwrite(tmp_path / "a.tif", deep_picture.astype(dtype), photometric="rgb")
    with pytest.raises(ImageReadError, match=rf"a\.tif.*Got: dtype {np.dtype(dtype)}.*Scale the values"):
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


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes with names")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ImageReadError, match="ordinary file"):
        read_image(tmp_path / "a.jpg")


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
    def refuse(*_, **__):
        raise cv2.error("too many pixels")

    monkeypatch.setattr(cv2, "imdecodeWithMetadata", refuse)
    with pytest.raises(ImageReadError, match="the decoder refused it"):
        read_image(write(tmp_path / "a.png", encode(".png", picture)))


def test_log_level_of_opencv_is_put_back(tmp_path, picture):
    before = cv2.utils.logging.getLogLevel()
    read_image(write(tmp_path / "a.png", encode(".png", picture)))
    with QUIET_OPENCV, QUIET_OPENCV:
        assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_SILENT
    assert cv2.utils.logging.getLogLevel() == before


def test_load_image_takes_paths_and_arrays(tmp_path, picture):
    path = write(tmp_path / "a.png", encode(".png", picture))
    for source in (path, str(path), picture, Image.fromarray(picture)):
        np.testing.assert_array_equal(load_image(source), as_image(picture))


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


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_bits_of_a_16_bit_file_are_found_or_set(tmp_path, deep_picture, suffix):
    values = deep_picture >> 4
    path = write(tmp_path / f"a{suffix}", encode(suffix, values))
    np.testing.assert_array_equal(read_image(path), as_image(values, bit_depth=12))
    np.testing.assert_array_equal(read_image(path, bit_depth=16), as_image(values, bit_depth=16))
    assert read_photo(path).bit_depth == 12
    with pytest.raises(ImageReadError, match=r"Cannot use picture '.*': the values of a picture of 10 bits"):
        read_image(path, bit_depth=10)


def test_a_file_that_says_its_bits_is_believed(tmp_path, deep_picture):
    """A dark picture of 12 bits and one of 16 bits: neither is brightened."""
    dark = deep_picture >> 6  # 10 of 12 bits
    tifffile.imwrite(tmp_path / "a.tif", dark, bitspersample=12, photometric="rgb", metadata=None)
    header = b"P6\n%d %d\n65535\n" % (WIDTH, HEIGHT)
    write(tmp_path / "a.ppm", header + dark.astype(">u2").tobytes())
    for name, white in (("a.tif", 4095), ("a.ppm", 65535)):
        image = read_image(tmp_path / name)
        np.testing.assert_allclose(image, dark / np.float32(white), atol=1e-5)
        np.testing.assert_array_equal(image, read_image(tmp_path / name, bit_depth=14))
