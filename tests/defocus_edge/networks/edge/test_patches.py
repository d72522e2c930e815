"""Patches: the right pixels in the middle, mirrored ones beyond the border."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defocus_edge.networks.edge.patches import PATCH_RADIUS, PATCH_SIDE
from tests.defocus_edge.networks.edge.patch_oracle import extract_patches, pad_border


def numbered_image(height, width, channels=3):
    """Image in which each value occurs once."""
    return np.arange(height * width * channels, dtype=np.float32).reshape(height, width, channels)


def test_shapes():
    assert PATCH_SIDE == 2 * PATCH_RADIUS + 1 == 41
    assert pad_border(numbered_image(30, 25)).shape == (70, 65, 3)
    patches = extract_patches(numbered_image(30, 25), np.array([[0, 0], [29, 24]]))
    assert patches.shape == (2, 41, 41, 3)
    assert patches.dtype == np.float32
    assert patches.flags.c_contiguous
    assert extract_patches(numbered_image(30, 25), np.empty((0, 2), dtype=int)).shape == (0, 41, 41, 3)


@pytest.mark.parametrize("point", [(-1, 0), (0, -1), (30, 0), (0, 25)])
def test_point_outside_the_image_is_refused(point):
    with pytest.raises(ValueError, match=r"points must lie inside the image of 30×25 px\. Got: "):
        extract_patches(numbered_image(30, 25), np.array([point]))


def test_input_is_not_modified():
    image = numbered_image(30, 25)
    extract_patches(image, np.array([[3, 4]]))[...] = 0
    np.testing.assert_array_equal(image, numbered_image(30, 25))


def test_inside_a_patch_is_a_cut_of_the_image():
    image = numbered_image(60, 70)
    (patch,) = extract_patches(image, np.array([[25, 40]]))
    np.testing.assert_array_equal(patch, image[5:46, 20:61])


def test_border_is_mirrored_with_the_edge_pixel_repeated():
    image = numbered_image(60, 70)
    (patch,) = extract_patches(image, np.array([[0, 69]]))
    np.testing.assert_array_equal(patch[19::-1], patch[20:40])  # above the first row
    np.testing.assert_array_equal(patch[:, 21:], patch[:, 20:0:-1])  # right of the last column
    np.testing.assert_array_equal(patch[20:, :21], image[:21, 49:])


@settings(max_examples=50)
@given(st.data(), st.integers(1, 50), st.integers(1, 50))
def test_the_centre_of_a_patch_is_its_point(data, height, width):
    point = data.draw(st.tuples(st.integers(0, height - 1), st.integers(0, width - 1)))
    image = numbered_image(height, width, channels=1)
    (patch,) = extract_patches(image, np.array([point]))
    assert patch[PATCH_RADIUS, PATCH_RADIUS] == image[point]
    np.testing.assert_array_equal(
        patch, pad_border(image)[point[0] : point[0] + PATCH_SIDE, point[1] : point[1] + PATCH_SIDE]
    )


@settings(max_examples=25)
@given(st.data(), st.integers(1, 50), st.integers(1, 50))
def test_flip_in_is_flip_out(data, height, width):
    row, col = data.draw(st.tuples(st.integers(0, height - 1), st.integers(0, width - 1)))
    image = numbered_image(height, width)
    patch = extract_patches(image, np.array([[row, col]]))
    flipped = extract_patches(image[:, ::-1], np.array([[row, width - 1 - col]]))
    np.testing.assert_array_equal(flipped[:, :, ::-1], patch)
