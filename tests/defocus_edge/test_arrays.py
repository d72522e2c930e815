"""arrays.py: every kind of array becomes an image, or is refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from defocus_edge.arrays import MIN_SIDE, ROUNDING_TOLERANCE, as_image, find_bit_depth, shrink


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
        (
            np.ones((30, 30), np.int64),
            TypeError,
            r"Got: dtype int64\. If no value is negative, pass image\.astype\(np\.uint16\)",
        ),
        (np.ones((30, 30), np.int8), TypeError, "Got: dtype int8"),
        (
            np.ones((30, 30), np.uint32),
            TypeError,
            r"Got: dtype uint32\. If it holds 8 to 16 bits, pass image\.astype\(np\.uint16\) with bit_depth",
        ),
        (np.ones((30, 30), complex), TypeError, "Got: dtype complex128"),
        ("photo.jpg", TypeError, "Read files with read_image"),
        (None, TypeError, r"dtype object"),
    ],
)
def test_as_image_refuses(image, error, match):
    with pytest.raises(error, match=match):
        as_image(image)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_bits_of_16_bit_pictures_are_found(rng, bits):
    white = (1 << bits) - 1
    values = rng.integers(0, white, (30, 40, 3), dtype=np.uint16)
    values[0, 0] = white
    assert find_bit_depth(values) == bits
    np.testing.assert_allclose(as_image(values), values / np.float32(white), rtol=1e-6)
    with_alpha = np.dstack([values, np.full((30, 40), 65535, np.uint16)])
    assert find_bit_depth(with_alpha) == bits
    np.testing.assert_array_equal(as_image(with_alpha), as_image(values))


@pytest.mark.parametrize("bits", range(8, 17))
def test_bits_that_are_set_count(bits):
    values = np.full((30, 40), (1 << bits) - 1, np.uint16)
    assert find_bit_depth(values, bits) == bits
    assert (as_image(values, bit_depth=bits) == 1).all()
    np.testing.assert_allclose(as_image(values, bit_depth=16), values.max() / 65535, rtol=1e-6)


def test_other_types_have_their_own_range(picture):
    assert find_bit_depth(picture, 12) == 8
    np.testing.assert_array_equal(as_image(picture, bit_depth=12), as_image(picture))
    assert find_bit_depth(np.zeros((30, 40), np.float32), 12) is None


@pytest.mark.parametrize("bits", [7, 17, 12.0, "12", True, None])
def test_wrong_bit_depths_are_refused(bits):
    with pytest.raises(ValueError, match="bit_depth must be 'auto' or a whole number of bits from 8 to 16"):
        as_image(np.zeros((30, 40), np.uint16), bit_depth=bits)


def test_values_beyond_the_bit_depth_are_refused():
    with pytest.raises(ValueError, match=r"12 bits must be at most 4095\. Got: maximum 4096\."):
        as_image(np.full((30, 40), 4096, np.uint16), bit_depth=12)


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


@pytest.mark.parametrize("shape", [(40, 20), (20, 40, 3), (10, 10), (400, 1)])
def test_shrinking_averages_down_to_a_side(shape):
    values = np.full(shape, 0.25, dtype=np.float32)
    small = shrink(values, 10)
    assert max(small.shape[:2]) == 10
    assert min(small.shape[:2]) == max(1, min(shape[:2]) * 10 // max(shape[:2]))
    np.testing.assert_allclose(small, 0.25, atol=1e-6)
    assert shrink(small, 10) is small
