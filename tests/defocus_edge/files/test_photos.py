"""photo_files.py: what a file holds besides its pixels is in the next file, too, whatever the format and the depth."""

from __future__ import annotations

import os
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from defocus_edge.arrays import ImageWarning
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.exif import insert_exif
from defocus_edge.files.images import read_image
from defocus_edge.files.kinds import choose_suffix
from defocus_edge.files.metadata import Metadata
from defocus_edge.files.photos import Photo, read_photo, write_photo
from defocus_edge.files.samples import turn_upright

HEIGHT, WIDTH = 40, 56
ORIENTATION, MAKE, EXPOSURE, EXIF_IFD = 0x0112, 271, 0x829A, 0x8769
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE = PROFILE[:16] + b"GRAY" + PROFILE[20:]
CMYK_PROFILE = PROFILE[:16] + b"CMYK" + PROFILE[20:]


@pytest.fixture
def picture():
    """Smooth uint8 RGBA picture, each corner and channel different."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def deep_picture():
    """Uint16 RGBA picture whose low bytes matter."""
    return np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)


def make_exif(orientation=1):
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = orientation, "Camera"
    exif.get_ifd(EXIF_IFD)[EXPOSURE] = 0.008
    return load_exif(exif.tobytes()[6:])  # else Pillow's TIFF writer drops the second directory


def save_with_pillow(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def load_exif(exif):
    found = Image.Exif()
    found.load(b"Exif\0\0" + exif)
    return found


def read_exif_with_pillow(path):
    with Image.open(path) as image:
        image.load()
        return image.info["exif"].removeprefix(b"Exif\0\0")


def resize_profile(profile):
    """What the profile says of its length becomes true."""
    return len(profile).to_bytes(4, "big") + profile[4:]


def pack_png_chunk(name, body):
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def list_png_chunks(data):
    names, position = [], 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        body = data[position + 4 : position + 8 + length]
        assert zlib.crc32(body) == int.from_bytes(data[position + 8 + length : position + 12 + length], "big")
        names.append(body[:4])
        position += 12 + length
    return names


# --- Pixels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [None, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_lossless_formats_keep_everything(tmp_path, deep_picture, suffix, dtype, channels):
    pixels = deep_picture[..., 0] if channels is None else deep_picture[..., :channels]
    pixels = (
        (pixels / 65535).astype(dtype) if dtype == np.float32 else (pixels >> 8 * (dtype == np.uint8)).astype(dtype)
    )
    path = tmp_path / f"a{suffix}"
    if suffix == ".png" and dtype == np.float32:
        with pytest.raises(ValueError, match=r"path must end in .*Got: '.*a\.png' for float32"):
            write_photo(path, Photo(pixels))
        return
    write_photo(path, Photo(pixels))
    found = read_photo(path).pixels
    if suffix == ".png" and channels == 2:  # OpenCV neither reads nor writes these
        pixels = pixels[..., [0, 0, 0, 1]]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_is_of_high_quality(tmp_path, picture, suffix):
    for pixels in (picture[..., :3], picture[..., 0]):
        write_photo(tmp_path / f"a{suffix}", Photo(pixels))
        found = read_photo(tmp_path / f"a{suffix}").pixels
        assert found.shape == pixels.shape
        assert np.abs(found.astype(int) - pixels).mean() < 1.5


@pytest.mark.parametrize("pixels", ["16 bits", "alpha"])
def test_jpeg_cannot_hold_all(tmp_path, picture, deep_picture, pixels):
    photo = Photo(deep_picture[..., :3] if pixels == "16 bits" else picture)
    with pytest.raises(ValueError, match=r"\.jpg \(8 bits, no alpha\).*Got: '.*a\.jpg' for uint"):
        write_photo(tmp_path / "a.jpg", photo)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_pixels_are_upright(tmp_path, picture, suffix, orientation):
    """Alpha and grey as well, and as `read_image` turns them."""
    for pixels in (picture[..., 0], picture[..., :3], picture):
        if pixels.shape[2:] == (4,) and suffix == ".jpg":
            continue
        options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
        path = save_with_pillow(tmp_path / f"a{suffix}", pixels, exif=make_exif(orientation), **options)
        found = read_photo(path).pixels
        expected = turn_upright(pixels, orientation)
        if suffix == ".webp" and pixels.ndim == 2:  # the format has no grey
            expected = np.dstack([expected] * 3)
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).max() <= (40 if suffix == ".jpg" else 0)
        colour = found if found.ndim == 2 else found[..., :3]
        colour = np.dstack([colour] * 3) if colour.ndim == 2 else colour
        np.testing.assert_array_equal(read_image(path), colour / np.float32(255))


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_avif_is_upright_with_its_alpha(tmp_path, picture, orientation):
    exif = make_exif(orientation).tobytes()[6:]
    bgra = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA)
    encoded = cv2.imencodeWithMetadata(".avif", bgra, [cv2.IMAGE_METADATA_EXIF], [np.frombuffer(exif, np.uint8)])[1]
    (tmp_path / "a.avif").write_bytes(encoded.tobytes())
    photo = read_photo(tmp_path / "a.avif")
    expected = turn_upright(picture, orientation)
    assert photo.pixels.shape == expected.shape
    assert np.abs(photo.pixels.astype(int) - expected).mean() < 5
    assert photo.metadata.exif == exif


@pytest.mark.parametrize("orientation", [1, 6])
def test_compressed_deep_tiff_with_alpha(tmp_path, deep_picture, orientation):
    """OpenCV decodes it, and turns it even where it leaves other formats as they are."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, deep_picture, photometric="rgb", byteorder="<", extratags=[(274, "H", 1, orientation, True)])
    photo = read_photo(path)
    plain, exif = photo.pixels, photo.metadata.exif
    encoded = cv2.imencode(".tif", cv2.cvtColor(deep_picture, cv2.COLOR_RGBA2BGRA))[1].tobytes()
    path.write_bytes(insert_exif(encoded, exif))
    np.testing.assert_array_equal(read_photo(path).pixels, plain)


def test_grey_and_palette_by_other_codecs(tmp_path, picture):
    grey = save_with_pillow(tmp_path / "grey.tif", picture[..., 0], compression="tiff_lzw")
    np.testing.assert_array_equal(read_photo(grey).pixels, picture[..., 0])
    palette = Image.fromarray(picture[..., :3]).quantize(16)
    for name in ("a.tif", "a.png"):
        palette.save(tmp_path / name)
        np.testing.assert_array_equal(read_photo(tmp_path / name).pixels, np.asarray(palette.convert("RGB")))


def test_alpha_keeps_its_kind(tmp_path, picture):
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", extrasamples=["assocalpha"])
    write_photo(tmp_path / "b.tif", read_photo(tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert [int(kind) for kind in file.pages[0].extrasamples] == [1]


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_byte_orders(tmp_path, deep_picture, byteorder):
    tifffile.imwrite(tmp_path / "a.tif", deep_picture[..., :3], photometric="rgb", byteorder=byteorder)
    photo = read_photo(tmp_path / "a.tif")
    for name in ("b.tif", "b.png"):
        write_photo(tmp_path / name, photo)
        np.testing.assert_array_equal(read_photo(tmp_path / name).pixels, deep_picture[..., :3])


# --- Metadata --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target"),
    [("jpg", "jpg"), ("png", "png"), ("tif", "tif"), ("webp", "png"), ("jpg", "png"), ("png", "tif")],
)
def test_exif_and_profile_go_along(tmp_path, picture, source, target):
    path = save_with_pillow(
        tmp_path / f"a.{source}", picture[..., :3], exif=make_exif(6), icc_profile=PROFILE, dpi=(300, 300)
    )
    photo = read_photo(path)
    assert photo.metadata.icc_profile == PROFILE
    write_photo(tmp_path / f"b.{target}", photo)
    with Image.open(tmp_path / f"b.{target}") as written:
        written.load()
        exif = written.getexif()
        assert written.size == (HEIGHT, WIDTH)
        assert written.info["icc_profile"] == PROFILE
    assert (exif[ORIENTATION], exif[MAKE]) == (1, "Camera")
    assert exif.get_ifd(EXIF_IFD)[EXPOSURE] == pytest.approx(0.008)


def test_all_bytes_of_exif_but_the_orientation_stay(tmp_path, picture):
    for suffix in (".jpg", ".png", ".webp"):
        path = save_with_pillow(tmp_path / f"a{suffix}", picture[..., :3], exif=make_exif(3))
        target = tmp_path / f"b{choose_suffix(path)}"
        write_photo(target, read_photo(path))
        before, after = read_exif_with_pillow(path), read_exif_with_pillow(target)
        assert read_photo(path).metadata.exif == before
        assert read_photo(target).metadata.exif == after
        assert [a - b for a, b in zip(before, after, strict=True) if a != b] == [2]


def test_chunks_of_a_png_are_in_order(tmp_path, picture):
    write_photo(tmp_path / "a.png", Photo(picture, Metadata(make_exif().tobytes()[6:], PROFILE)))
    names = list_png_chunks((tmp_path / "a.png").read_bytes())
    assert names[:3] == [b"IHDR", b"iCCP", b"eXIf"]
    assert b"sRGB" not in names  # which must not stand beside a profile


def test_large_profile_in_parts(tmp_path, picture):
    profile = PROFILE[:20] + np.random.default_rng(0).bytes(200_000)
    write_photo(tmp_path / "a.jpg", Photo(picture[..., :3], Metadata(icc_profile=profile)))
    with Image.open(tmp_path / "a.jpg") as written:
        assert written.info["icc_profile"] == profile
    assert read_photo(tmp_path / "a.jpg").metadata.icc_profile == profile


@pytest.mark.parametrize(
    ("profile", "is_grey", "is_kept"),
    [(PROFILE, False, True), (PROFILE, True, False), (GREY_PROFILE, True, True), (CMYK_PROFILE, False, False)],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_profile_of_other_colours_is_left_out(tmp_path, picture, suffix, profile, is_grey, is_kept):
    pixels = picture[..., 0] if is_grey else picture[..., :3]
    write_photo(tmp_path / f"a{suffix}", Photo(pixels, Metadata(icc_profile=profile)))
    assert read_photo(tmp_path / f"a{suffix}").metadata.icc_profile == (profile if is_kept else b"")


def test_cmyk_becomes_rgb_without_its_profile(tmp_path, picture):
    Image.fromarray(picture[..., :3]).convert("CMYK").save(tmp_path / "a.jpg", icc_profile=CMYK_PROFILE)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.pixels.shape == (HEIGHT, WIDTH, 3)
    write_photo(tmp_path / "b.jpg", photo)
    assert read_photo(tmp_path / "b.jpg").metadata.icc_profile == b""


def test_files_without_metadata(tmp_path, picture):
    for suffix in (".jpg", ".png", ".tif", ".bmp", ".webp"):
        path = save_with_pillow(tmp_path / f"a{suffix}", picture[..., :3])
        photo = read_photo(path)
        assert photo.metadata.icc_profile == b""
        if suffix != ".tif":  # which holds a resolution
            assert photo.metadata == Metadata()


def test_profiles_of_wrong_type_or_without_end_are_none(tmp_path, picture):
    tifffile.imwrite(tmp_path / "a.tif", picture[..., :3], photometric="rgb", extratags=[(34675, "H", 2, (1, 2), True)])
    assert read_photo(tmp_path / "a.tif").metadata.icc_profile == b""
    jpeg = cv2.imencode(".jpg", picture[..., :3])[1].tobytes()
    mark = b"ICC_PROFILE\0"
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + b"\xff\xe2\x00\x0e" + mark + jpeg[2:])
    assert read_photo(tmp_path / "a.jpg").metadata.icc_profile == b""


def test_damaged_profile_is_none(tmp_path, picture):
    png, path = cv2.imencode(".png", picture)[1].tobytes(), tmp_path / "a.png"
    packed, head = zlib.compress(PROFILE), 8 + 25  # signature and IHDR
    path.write_bytes(png[:head] + pack_png_chunk(b"iCCP", b"name\0\0" + packed) + png[head:])
    assert read_photo(path).metadata.icc_profile == PROFILE
    damaged = packed[:20] + bytes(40) + packed[60:]
    path.write_bytes(png[:head] + pack_png_chunk(b"iCCP", b"name\0\0" + damaged) + png[head:])
    with pytest.warns(ImageWarning, match="libpng warning: iCCP"):
        assert read_photo(path).metadata.icc_profile == b""


@pytest.mark.parametrize(
    ("profile", "is_kept"),
    [
        (PROFILE, True),
        (resize_profile(PROFILE + b"\0\0\0\0"), True),
        (PROFILE + b"\0\0\0\0", False),
        (PROFILE[:-4], False),
        (resize_profile(PROFILE + b"\0"), False),
        (resize_profile(PROFILE[:8] + b"\2" + PROFILE[9:] + b"\0"), True),
    ],
    ids=["sound", "longer", "shorter than it is", "longer than it is", "odd", "odd, version 2"],
)
def test_png_holds_whole_profiles_only(tmp_path, picture, profile, is_kept):
    """The others would cost the picture: libpng writes none with them."""
    for suffix in (".png", ".jpg", ".tif"):
        write_photo(tmp_path / f"a{suffix}", Photo(picture[..., :3], Metadata(icc_profile=profile)))
        expected = profile if is_kept or suffix != ".png" else b""
        assert read_photo(tmp_path / f"a{suffix}").metadata.icc_profile == expected


def test_exif_after_the_pixels_of_a_png(tmp_path, picture):
    png, exif = cv2.imencode(".png", picture)[1].tobytes(), make_exif(6).tobytes()[6:]
    end = png.index(b"IEND") - 4
    (tmp_path / "a.png").write_bytes(png[:end] + pack_png_chunk(b"eXIf", exif) + png[end:])
    assert read_photo(tmp_path / "a.png").metadata.exif == exif


def test_jpeg_with_fill_bytes_and_without_jfif(tmp_path, picture):
    exif, path = make_exif().tobytes()[6:], tmp_path / "a.jpg"
    write_photo(path, Photo(picture[..., :3], Metadata(exif, PROFILE)))
    jpeg = path.read_bytes()
    assert jpeg[2:4] == b"\xff\xe0"
    bare = jpeg[:2] + jpeg[4 + int.from_bytes(jpeg[4:6], "big") :]
    for data in (jpeg, bare):
        place = data.index(b"\xff\xe1")
        for fill in (b"", b"\xff\xff"):
            path.write_bytes(data[:place] + fill + data[place:])
            assert read_photo(path).metadata == Metadata(exif, PROFILE)


# --- Names and errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file_format", "suffix"),
    [
        ("a.jpg", "JPEG", ".jpg"),
        ("a.JPEG", "JPEG", ".JPEG"),
        ("a.tiff", "TIFF", ".tiff"),
        ("a.png", "JPEG", ".jpg"),
        ("a.jpg", "PNG", ".png"),
        ("a", "TIFF", ".tif"),
        ("a.webp", "WEBP", ".png"),
        ("a.bmp", "BMP", ".png"),
    ],
)
def test_suffix_is_that_of_the_content(tmp_path, picture, name, file_format, suffix):
    save_with_pillow(tmp_path / name, picture[..., :3], format=file_format)
    assert choose_suffix(tmp_path / name) == suffix


def test_suffix_of_what_cannot_be_read(tmp_path):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path, tmp_path / "missing.jpg", tmp_path / f"{'long' * 80}.jpg", tmp_path / "pipe.jpg"):
        assert choose_suffix(path) == ".png"


def test_unusable_pictures(tmp_path, picture):
    save_with_pillow(tmp_path / "small.png", picture[:10, :10])
    with pytest.raises(ImageReadError, match=r"Cannot use picture '.*small\.png': image must have at least 20 px"):
        read_photo(tmp_path / "small.png")
    (tmp_path / "a.pfm").write_bytes(b"PF\n30 30\n-1.0\n" + np.full(2700, 0.5, "<f4").tobytes())
    with pytest.raises(ImageReadError, match=r"a\.pfm': floats must be in a TIFF file"):
        read_photo(tmp_path / "a.pfm")
    with pytest.raises(FileNotFoundError, match="missing"):
        read_photo(tmp_path / "missing.jpg")


def test_other_suffixes_are_refused(tmp_path, picture):
    with pytest.raises(ValueError, match=r"path must end in .*Got: '.*a\.webp' for uint8 with 4 channels"):
        write_photo(tmp_path / "a.webp", Photo(picture))


def test_picture_that_the_format_is_too_small_for(tmp_path):
    with pytest.raises(ValueError, match=r"A \.jpg file cannot hold this picture\. Got: shape \(20, 70000\)"):
        write_photo(tmp_path / "a.jpg", Photo(np.zeros((20, 70_000), np.uint8)))
    with pytest.raises(ValueError, match=r"A \.png file cannot hold this picture\. Got: shape \(20, 1000001\)"):
        write_photo(tmp_path / "a.png", Photo(np.zeros((20, 1_000_001), np.uint8)))
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_leaves_the_old_file(tmp_path, picture, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_photo(tmp_path / "a.png", Photo(picture))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
