"""One scene through every format, depth and orientation that is read: the same pixels, and the same map."""

from __future__ import annotations

import io
from functools import cache

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from defocus_edge.arrays import as_image
from defocus_edge.files.images import read_image
from defocus_edge.files.kinds import READABLE_SUFFIXES
from defocus_edge.files.photos import Photo, read_photo, write_photo
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.psf import blur_with_disk, encode_srgb
from tests.defocus_edge.files.file_cases import UPRIGHT, write
from tests.defocus_edge.files.format_cases import (
    CASES,
    FLOAT,
    FORMATS,
    encode_jpeg_as_jxl,
    fill,
    name_case,
    read_list,
    save,
    write_list,
)

HEIGHT, WIDTH, BLOCK = 120, 160, 10
SHARP, BLURRED = 0.6, 3.0  # px
LEVEL = 0.25  # px between the levels that the networks know
# Median difference of maps in px: by rounding to 7 bits or more, and by a loss of up to 1 % of the range.
ROUNDED, LOSSY = 0.02, 0.06
LOSSLESS = [case for case in CASES if not case[0].tolerance]
WITH_LOSS = [case for case in CASES if case[0].tolerance]
TURNED = [(form, depth) for form in FORMATS for depth in form.turned_depths]


def make_scene():
    """Blocks of a little colour: sharp at the left, blurred at the right, in sRGB."""
    rng = np.random.default_rng(5)
    coarse = rng.uniform(0.05, 0.6, (HEIGHT // BLOCK, WIDTH // BLOCK, 1)) * [1, 0.9, 0.8]
    light = coarse.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1).astype(np.float32)
    is_left = np.arange(WIDTH)[:, np.newaxis] < WIDTH // 2
    return encode_srgb(np.where(is_left, blur_with_disk(light, SHARP), blur_with_disk(light, BLURRED)))


SCENE = make_scene()


@pytest.fixture(scope="module")
def estimate():
    """Map of a picture; equal pictures are estimated once.

    Without the context network, which looks at fine detail: what the compression does to that is not what is tested.
    """
    estimator, maps = BlurEstimator(context=False), {}

    def estimate_once(image):
        key = image.tobytes()
        if key not in maps:
            maps[key] = estimator.estimate(image).radius
        return maps[key]

    return estimate_once


@cache
def encode(form, depth):
    return form.encode(SCENE, depth, 1)


def read(tmp_path, form, data):
    return read_image(write(tmp_path / f"a{form.suffixes[0]}", data))


def check_halves(radius):
    """The map tells the blurred half from the sharp one, whatever the file was."""
    margin = 10
    assert np.median(radius[:, : WIDTH // 2 - margin]) == pytest.approx(SHARP, abs=LEVEL)
    assert np.median(radius[:, WIDTH // 2 + margin :]) == pytest.approx(BLURRED, abs=LEVEL)


# --- Maps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "depth"), LOSSLESS, ids=name_case)
def test_formats_without_loss_give_the_map_of_the_array(tmp_path, estimate, form, depth):
    image, expected = read(tmp_path, form, encode(form, depth)), as_image(fill(SCENE, depth))
    np.testing.assert_array_equal(image, expected)
    radius = estimate(image)
    np.testing.assert_allclose(radius, estimate(expected), atol=1e-6)
    assert np.median(np.abs(radius - estimate(as_image(SCENE)))) < ROUNDED
    check_halves(radius)


@pytest.mark.parametrize(("form", "depth"), WITH_LOSS, ids=name_case)
def test_formats_with_loss_give_nearly_the_same_map(tmp_path, estimate, form, depth):
    image = read(tmp_path, form, encode(form, depth))
    assert np.abs(image - SCENE).mean() < form.tolerance
    radius = estimate(image)
    assert np.median(np.abs(radius - estimate(as_image(SCENE)))) < LOSSY
    check_halves(radius)


def decode_with_pillow(data, _):
    with Image.open(io.BytesIO(data)) as picture:
        return as_image(picture.convert("RGB"))


def decode_avif(data, depth):
    return (imagecodecs.avif_decode(data) / ((1 << depth) - 1)).astype(np.float32)


def decode_jpeg_in_jxl(data, depth):
    assert data == encode_jpeg_as_jxl(SCENE, depth, 1)
    return decode_with_pillow(save(SCENE, 1, "JPEG", quality=95, subsampling=0), depth)


OTHER_DECODERS = {
    **dict.fromkeys(("JPEG", "progressive JPEG", "JPEG TIFF", "lossy WebP", "GIF"), decode_with_pillow),
    "AVIF": decode_avif,
    "JPEG XL of JPEG": decode_jpeg_in_jxl,
}


@pytest.mark.parametrize(
    ("form", "depth"), [case for case in WITH_LOSS if case[0].name in OTHER_DECODERS], ids=name_case
)
def test_what_the_reader_adds_to_the_loss_is_nothing(tmp_path, estimate, form, depth):
    """Another decoder of the same file, to a step of 8 bits; then the maps agree far better than with the scene's."""
    data = encode(form, depth)
    image, other = read(tmp_path, form, data), OTHER_DECODERS[form.name](data, depth)
    assert np.abs(image - other).mean() < 1 / 255
    assert np.median(np.abs(estimate(image) - estimate(other))) < ROUNDED


# --- Pixels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("form", "depth"), TURNED, ids=name_case)
def test_all_orientations_give_the_same_pixels(tmp_path, form, depth, orientation):
    """Turned as the file says; in formats with loss, blocks fall elsewhere."""
    image = read(tmp_path, form, form.encode(SCENE, depth, orientation))
    expected = UPRIGHT[orientation](SCENE if depth == FLOAT or form.tolerance else as_image(fill(SCENE, depth)))
    assert image.shape == expected.shape
    assert np.abs(image - expected).mean() <= form.tolerance


@pytest.mark.parametrize("form", FORMATS, ids=name_case)
def test_all_suffixes_are_those_of_pictures(form):
    assert form.extra == "raw" or set(form.suffixes) <= set(READABLE_SUFFIXES)


# --- The list in the documentation -----------------------------------------------------------------------------------


def test_each_suffix_belongs_to_a_format():
    assert set(READABLE_SUFFIXES) <= {suffix for form in FORMATS for suffix in form.suffixes}


def test_the_documentation_lists_what_is_read():
    assert read_list() == write_list()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_a_photo_of_one_channel_is_written_as_grey(tmp_path, suffix):
    path = tmp_path / f"grey{suffix}"
    write_photo(path, Photo(np.zeros((HEIGHT, WIDTH, 1), dtype=np.uint8)))
    assert read_photo(path).pixels.shape == (HEIGHT, WIDTH)
