"""_raw.py: raw files, written here as DNG, come as the sensor saw them and never as their thumbnail."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from defocus_edge.cli.app import main
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.exif import insert_exif, name_byte_order
from defocus_edge.files.images import read_image
from defocus_edge.files.kinds import choose_suffix, looks_raw
from defocus_edge.files.maps import write_map
from defocus_edge.files.photos import read_photo
from defocus_edge.files.samples import turn_upright
from defocus_edge.psf import encode_srgb

HEIGHT, WIDTH, WHITE = 48, 64, 16383
# XYZ to a camera that sees sRGB's primaries, each as strong as `NEUTRAL` says.
NEUTRAL = np.array([0.5, 1, 0.625])
XYZ_TO_SRGB = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.969266, 1.8760108, 0.041556], [0.0556434, -0.2040259, 1.0572252]]
)
DARK_GREY, GREY, RED, GREEN, BLUE = (0.02,) * 3, (0.18,) * 3, (0.5, 0.1, 0.1), (0.1, 0.4, 0.1), (0.1, 0.1, 0.6)
BAYER = (0, 1, 1, 2)
COLOUR_FILTERS, MAKE, ORIENTATION, EXIF_IFD, EXPOSURE = 32803, 271, 274, 34665, 33434


def rationals(values):
    return tuple(number for value in np.ravel(values) for number in (round(value * 10000), 10000))


def list_camera_tags(orientation=1):
    return [
        (MAKE, "s", 0, "Test", True),
        (272, "s", 0, "Camera", True),
        (ORIENTATION, "H", 1, orientation, True),
        (50706, "B", 4, (1, 4, 0, 0), True),  # DNGVersion
        (50708, "s", 0, "Test Camera", True),  # UniqueCameraModel
    ]


def list_colour_tags():
    return [
        (50721, "2i", 9, rationals(XYZ_TO_SRGB * NEUTRAL[:, np.newaxis]), True),  # ColorMatrix1
        (50728, "2I", 3, rationals(NEUTRAL), True),  # AsShotNeutral
        (50778, "H", 1, 21, True),  # CalibrationIlluminant1: D65
    ]


def list_sensor_tags(samples=1):
    return [(50717, "I", samples, (WHITE,) * samples, True)]  # WhiteLevel


def list_bayer_tags():
    return [(33421, "H", 2, (2, 2), True), (33422, "B", 4, BAYER, True), *list_sensor_tags()]


def mosaic(light):
    """What the sensor counts, behind red, green and blue filters."""
    counts = np.rint(light * NEUTRAL * WHITE).astype(np.uint16)
    values = counts[..., 1].copy()
    values[::2, ::2], values[1::2, 1::2] = counts[::2, ::2, 0], counts[1::2, 1::2, 2]
    return values


def make_dng(light, orientation=1, *, byteorder="<"):
    file, tags = io.BytesIO(), [*list_camera_tags(orientation), *list_colour_tags(), *list_bayer_tags()]
    options = {"metadata": None, "software": False, "byteorder": byteorder}
    tifffile.imwrite(file, mosaic(light), photometric=COLOUR_FILTERS, extratags=tags, **options)
    return file.getvalue()


def make_dng_with_thumbnail(light):
    """As cameras and converters write them: a small RGB picture comes first."""
    file, options = io.BytesIO(), {"metadata": None, "software": False}
    thumbnail, thumbnail_tags = np.full((24, 32, 3), 200, np.uint8), [*list_camera_tags(), *list_colour_tags()]
    with tifffile.TiffWriter(file) as writer:
        writer.write(thumbnail, photometric="rgb", subfiletype=1, subifds=1, extratags=thumbnail_tags, **options)
        writer.write(mosaic(light), photometric=COLOUR_FILTERS, subfiletype=0, extratags=list_bayer_tags(), **options)
    return file.getvalue()


@pytest.fixture
def light():
    """Linear sRGB: grey, red, green and blue quarters, and white and dark corners."""
    quarters = np.array([[GREY, RED], [GREEN, BLUE]])
    picture = quarters.repeat(HEIGHT // 2, axis=0).repeat(WIDTH // 2, axis=1)
    picture[:8, :8], picture[-8:, :8] = 1, DARK_GREY
    return picture


@pytest.fixture
def photo(tmp_path, light):
    (tmp_path / "photo.dng").write_bytes(make_dng(light))
    return tmp_path / "photo.dng"


# --- Pictures --------------------------------------------------------------------------------------------------------


def test_colours_and_levels(photo, light):
    result = read_image(photo)
    assert (result.shape, result.dtype) == ((HEIGHT, WIDTH, 3), np.float32)
    for row, column in ((16, 16), (12, 48), (30, 16), (36, 48), (3, 3), (-4, 3)):
        np.testing.assert_allclose(result[row, column], encode_srgb(light[row, column]), atol=1e-3)


def test_dark_pictures_stay_dark(tmp_path):
    """As exposed, so that those of a series compare: nothing is stretched to fill the range."""
    (tmp_path / "a.dng").write_bytes(make_dng(np.full((HEIGHT, WIDTH, 3), 0.03)))
    np.testing.assert_allclose(read_image(tmp_path / "a.dng"), encode_srgb(np.float32(0.03)), atol=1e-3)


def test_noise_stays(tmp_path, rng):
    """Where a pixel has measured a colour, the picture has that value: neither smoothed nor sharpened nor shrunk."""
    light = np.repeat(rng.uniform(0.2, 0.4, (HEIGHT, WIDTH, 1)), 3, axis=2)
    (tmp_path / "a.dng").write_bytes(make_dng(light))
    inner = np.s_[4:-4:2, 5:-4:2, 1]  # green
    result = read_image(tmp_path / "a.dng")[inner]
    np.testing.assert_allclose(result, encode_srgb(light)[inner], atol=1e-4)
    assert len(np.unique(result)) > 256  # the depth stays as well


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(tmp_path, light, orientation):
    (tmp_path / "a.dng").write_bytes(make_dng(light, orientation))
    result, expected = read_image(tmp_path / "a.dng"), turn_upright(encode_srgb(light), orientation)
    assert result.shape == expected.shape
    assert np.abs(result - expected).mean() < 0.02  # there are edges between the quarters


@pytest.mark.parametrize("name", ["a.dng", "a.DNG", "a.tif", "a"])
def test_the_thumbnail_is_not_the_picture(tmp_path, light, name):
    (tmp_path / name).write_bytes(make_dng_with_thumbnail(light))
    np.testing.assert_allclose(read_image(tmp_path / name)[12, 48], encode_srgb(np.array(RED)), atol=1e-3)
    assert read_photo(tmp_path / name).pixels.shape == (HEIGHT, WIDTH, 3)


def test_sensor_without_filters(tmp_path, light):
    """Grey stays one channel."""
    file, options = io.BytesIO(), {"metadata": None, "software": False, "byteorder": "<"}
    tags = [*list_camera_tags(), *list_sensor_tags()]
    values = np.rint(light[..., 0] * WHITE).astype(np.uint16)
    tifffile.imwrite(file, values, photometric="minisblack", extratags=tags, **options)
    grey, linear_raw = struct.pack("<HHIH", 262, 3, 1, 1), struct.pack("<HHIH", 262, 3, 1, 34892)
    assert file.getvalue().count(grey) == 1  # tifffile writes linear raw of three samples only
    (tmp_path / "a.dng").write_bytes(file.getvalue().replace(grey, linear_raw))
    assert read_photo(tmp_path / "a.dng").pixels.shape == (HEIGHT, WIDTH)
    np.testing.assert_allclose(read_image(tmp_path / "a.dng"), encode_srgb(light[..., [0, 0, 0]]), atol=1e-3)


# --- Which files are raw ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "suffix", "is_raw"),
    [
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "", True),
        (b"II*\0\x10\0\0\0CR\2\0", ".tif", True),
        (b"FUJIFILMCCD-RAW ", ".jpg", True),
        (b"IIRO\x08\0\0\0", "", True),
        (b"IIU\0\x18\0\0\0", "", True),
        (b"\0" * 25 + b"ARECOYK", "", True),
        (b"", ".raw", True),
        (b"II*\0\x08\0\0\0", ".NEF", True),
        (b"II*\0\x08\0\0\0", ".tif", False),
        (b"\0\0\0\x18ftypavif", ".avif", False),
        (b"\xff\xd8\xff\xe1", ".nef", False),
        (b"\x89PNG\r\n\x1a\n", ".dng", False),
    ],
)
def test_which_files_are_raw(start, suffix, is_raw):
    assert looks_raw(start, suffix) is is_raw


def test_a_jpeg_with_the_name_of_a_raw_file(tmp_path):
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 99, np.uint8)).save(tmp_path / "a.nef", format="JPEG")
    np.testing.assert_allclose(read_image(tmp_path / "a.nef"), 99 / 255, atol=0.01)
    assert choose_suffix(tmp_path / "a.nef") == ".jpg"


# --- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.6, 0.99])
def test_cut_files_are_refused_in_silence(photo, share, capfd):
    data = photo.read_bytes()
    photo.write_bytes(data[: round(share * len(data))])
    with pytest.raises(ImageReadError, match=r"Cannot read picture '.*photo\.dng': "):
        read_image(photo)
    assert capfd.readouterr() == ("", "")


def test_no_raw_file(tmp_path, rng, capfd):
    (tmp_path / "a.cr3").write_bytes(b"\0\0\0\x18ftypcrx " + rng.bytes(5000))
    with pytest.raises(ImageReadError, match=r"a\.cr3': damaged, or no raw file that LibRaw knows\. Got: "):
        read_image(tmp_path / "a.cr3")
    assert capfd.readouterr() == ("", "")


# Of this length are the files of a camera that LibRaw knows by nothing else: 1024 x 768 px of 8 bits.
GUESSED_LENGTH = 786_432


@pytest.mark.parametrize("name", ["a.raw", "a.RAW", "a.arw", "a.nef", "a.dng"])
@pytest.mark.parametrize("start", [b"", b"II", b"text"])
def test_no_camera_is_guessed_from_the_length_of_a_file(tmp_path, rng, name, start):
    (tmp_path / name).write_bytes(start + rng.bytes(GUESSED_LENGTH - len(start)))
    for read in (read_image, read_photo):
        with pytest.raises(ImageReadError, match=rf"{name}': only its suffix says.*Convert it"):
            read(tmp_path / name)


def test_a_camera_is_guessed_if_that_is_asked_for(tmp_path, rng):
    (tmp_path / "a.raw").write_bytes(rng.bytes(GUESSED_LENGTH))
    assert read_image(tmp_path / "a.raw", raw=True).shape == (768, 1024, 3)
    assert read_photo(tmp_path / "a.raw", raw=True).pixels.shape == (768, 1024, 3)


def test_asking_for_raw_changes_nothing_else(tmp_path, photo):
    np.testing.assert_array_equal(read_image(photo, raw=True), read_image(photo))
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 99, np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", raw=True), read_image(tmp_path / "a.png"))


def test_without_the_extra_one_line_says_what_to_install(photo, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    complaint = r"photo\.dng': camera raw files need the package rawpy: pip install 'defocus-edge\[raw\]'\.$"
    with pytest.raises(ImageReadError, match=complaint):
        read_image(photo)
    np.save(tmp_path / "map.npy", np.ones((HEIGHT, WIDTH)))
    assert main(["deblur", str(photo), "--map", str(tmp_path / "map.npy")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: Cannot read picture")
    assert line.endswith("pip install 'defocus-edge[raw]'.")


# --- Photographs that are written again ------------------------------------------------------------------------------


def test_deblurred_raw_files_are_deep_tiff_files_with_exif(tmp_path, light, capsys):
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "Test"
    exif.get_ifd(EXIF_IFD)[EXPOSURE] = 0.008
    exif = exif.tobytes().removeprefix(b"Exif\0\0")
    dng = make_dng(light, 6, byteorder=name_byte_order(exif))
    (tmp_path / "photo.dng").write_bytes(insert_exif(dng, exif))
    write_map(tmp_path / "map.tif", np.full((WIDTH, HEIGHT), 2.0))
    arguments = ["deblur", str(tmp_path / "photo.dng"), "--map", str(tmp_path / "map.tif"), "--map-error", "0"]
    assert main(arguments) == 0
    assert len(capsys.readouterr().err.splitlines()) == 1
    before, after = read_photo(tmp_path / "photo.dng"), read_photo(tmp_path / "photo_deblurred.tif")
    assert (after.pixels.dtype, after.pixels.shape) == (np.uint16, (WIDTH, HEIGHT, 3))
    assert (after.pixels != before.pixels).any()
    with Image.open(tmp_path / "photo_deblurred.tif") as written:
        exif = written.getexif()
        assert (exif[MAKE], exif[ORIENTATION]) == ("Test", 1)
        assert exif.get_ifd(EXIF_IFD)[EXPOSURE] == pytest.approx(0.008)
        assert "icc_profile" not in written.info


@pytest.mark.parametrize("name", ["a.nef", "a.CR3", "a.dng"])
def test_name_of_the_result(tmp_path, light, name):
    (tmp_path / name).write_bytes(make_dng(light))
    assert choose_suffix(tmp_path / name) == ".tif"
