"""heif.py: HEIC files have their depth, channels and metadata, and are turned once, as their container says."""

from __future__ import annotations

import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from defocus_edge.arrays import ImageWarning, as_image
from defocus_edge.cli.app import main
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.exif import read_orientation
from defocus_edge.files.formats.heif import is_heif
from defocus_edge.files.images import count_pages, read_image
from defocus_edge.files.kinds import READABLE_SUFFIXES, choose_suffix
from defocus_edge.files.maps import write_map
from defocus_edge.files.photos import read_photo
from tests.defocus_edge.files.file_cases import HEIGHT, UPRIGHT, WIDTH, encode_heif, exif_orientation, write

MAKE, ORIENTATION = 271, 274


@pytest.fixture
def smooth():
    """8-bit RGB without detail, which HEVC keeps."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.dstack([rows * 6, columns * 4, 255 - rows * 3]).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".heic", ".heif", ".hif"])
def test_8_bits(tmp_path, smooth, suffix):
    path = write(tmp_path / f"a{suffix}", encode_heif(smooth))
    assert np.abs(read_image(path) - as_image(smooth)).max() < 0.02
    assert read_photo(path).pixels.dtype == np.uint8
    assert suffix in READABLE_SUFFIXES


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_deep_samples_fill_their_type(tmp_path, bits, channels, monkeypatch):
    """From 0 to 65535, without the dark last step that shifted bits have."""
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
    ramp = np.linspace(0, 65535, WIDTH).astype(np.uint16)
    deep = np.broadcast_to(ramp[:, np.newaxis], (HEIGHT, WIDTH, channels)).copy()
    path = write(tmp_path / "a.heic", encode_heif(deep if channels > 1 else deep[..., 0]))
    pixels = read_photo(path).pixels
    assert (pixels.dtype, pixels.shape[2:]) == (np.uint16, (channels,) if channels > 1 else ())
    assert (pixels.min(), pixels.max()) == (0, 65535)
    assert np.abs(read_image(path) - as_image(deep[..., :3] if channels > 1 else deep[..., 0])).max() < 0.01


def test_grey_and_alpha(tmp_path, smooth):
    grey = read_photo(write(tmp_path / "grey.heic", encode_heif(smooth[..., 0]))).pixels
    np.testing.assert_allclose(grey.astype(float), smooth[..., 0], atol=4)
    path = write(tmp_path / "alpha.heic", encode_heif(np.dstack([smooth, smooth[..., 1]])))
    np.testing.assert_allclose(read_photo(path).pixels[..., 3].astype(float), smooth[..., 1], atol=4)
    assert np.abs(read_image(path) - as_image(smooth)).max() < 0.02


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_container_turns_once(tmp_path, smooth, orientation):
    """The writer puts EXIF's orientation into the container, too; EXIF keeps it."""
    path = write(tmp_path / "a.heic", encode_heif(smooth, exif=exif_orientation(orientation).tobytes()))
    expected = UPRIGHT[orientation](as_image(smooth))
    photo = read_photo(path)
    assert read_orientation(photo.metadata.exif) == orientation
    for result in (read_image(path), as_image(photo.pixels)):
        assert result.shape == expected.shape
        assert np.abs(result - expected).max() < 0.02


@pytest.mark.parametrize("orientation", [1, 6])
def test_exif_that_contradicts_the_container_does_not_count(tmp_path, smooth, orientation):
    data = encode_heif(smooth, exif=exif_orientation(orientation).tobytes())
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00"
    assert data.count(entry + bytes([orientation])) == 1
    path = write(tmp_path / "a.heic", data.replace(entry + bytes([orientation]), entry + b"\x03"))
    assert np.abs(read_image(path) - UPRIGHT[orientation](as_image(smooth))).max() < 0.02


def test_deblur_writes_png_with_metadata(tmp_path, smooth, capsys):
    exif, profile = exif_orientation(6), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif[MAKE] = "Test"
    path = write(tmp_path / "a.heic", encode_heif(smooth, exif=exif.tobytes(), icc_profile=profile))
    write_map(tmp_path / "map.tif", np.full((WIDTH, HEIGHT), 2.0))
    assert choose_suffix(path) == ".png"
    assert main(["deblur", str(path), "--map", str(tmp_path / "map.tif"), "--map-error", "0"]) == 0
    assert len(capsys.readouterr().err.splitlines()) == 1
    with Image.open(tmp_path / "a_deblurred.png") as written:
        assert written.size == (HEIGHT, WIDTH)
        assert (written.getexif()[MAKE], written.getexif()[ORIENTATION]) == ("Test", 1)
        assert written.info["icc_profile"] == profile


def test_several_pictures(tmp_path, smooth):
    """The one that viewers show is the first, wherever it stands."""
    path = write(tmp_path / "a.heic", encode_heif(smooth, 255 - smooth, smooth // 2, primary_index=1))
    assert count_pages(path) == 3
    with pytest.warns(ImageWarning, match="2 more"):
        assert np.abs(read_image(path) - as_image(255 - smooth)).max() < 0.02
    assert np.abs(read_image(path, page=2) - as_image(smooth // 2)).max() < 0.02


@pytest.mark.parametrize("share", [0.01, 0.2, 0.6, 0.9, 0.99])
def test_cut_files_are_refused_in_silence(tmp_path, smooth, share, capfd):
    data = encode_heif(smooth)
    path = write(tmp_path / "a.heic", data[: max(1, round(share * len(data)))])
    with pytest.raises(ImageReadError, match=r"Cannot read picture '.*a\.heic': ") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", True),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", True),
        (b"\0\0\0\x18ftypmsf1\0\0\0\0hevcmsf1", True),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", False),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", False),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", False),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", False),
        (b"\xff\xd8\xff", False),
    ],
)
def test_which_files_are_heif(start, expected):
    assert is_heif(start) is expected


def test_without_the_extra_one_line_says_what_to_install(tmp_path, smooth, monkeypatch, capsys):
    path = write(tmp_path / "a.heic", encode_heif(smooth))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    advice = r"a\.heic': HEIC files need the package pillow_heif: pip install 'defocus-edge\[heif\]'\.$"
    with pytest.raises(ImageReadError, match=advice):
        read_image(path)
    assert main(["estimate", str(path)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_pillow_is_left_as_it_is(tmp_path, smooth, monkeypatch):
    """Other packages may have registered the format: what counts is that reading a file does not."""
    Image.init()
    before = {*Image.OPEN} - {"HEIF"}
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    read_image(write(tmp_path / "a.heic", encode_heif(smooth)))
    assert {*Image.OPEN} == before
