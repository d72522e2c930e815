"""light_range.py: the range of a picture is stretched, in place or not, and 8 bits are known from more."""

import numpy as np
import pytest

from defocus_edge.estimation.light_range import find_step, stretch_range


@pytest.fixture
def image(rng):
    return rng.uniform(0, 1, (40, 50, 3)).astype(np.float32)


@pytest.mark.parametrize(("factor", "offset"), [(1 / 16, 0), (0.5, 0.25), (1 / 3, 0.6)])
def test_gain_and_offset_are_undone(image, factor, offset):
    expected = (image - image.min()) / (image.max() - image.min())
    dim = (factor * image + offset).astype(np.float32)
    before = dim.copy()
    stretched = stretch_range(dim)
    np.testing.assert_allclose(stretched, expected, atol=2e-6)
    assert (stretched.min(), stretched.max()) == (0, 1)
    np.testing.assert_array_equal(dim, before)


def test_overwriting_takes_no_memory_and_gives_the_same(image):
    expected = stretch_range(image)
    assert stretch_range(image, overwrite=True) is image
    np.testing.assert_array_equal(image, expected)
    assert stretch_range(image) is image  # it fills its range now


@pytest.mark.parametrize("value", [0, 0.3, 1])
def test_a_flat_picture_stays(value):
    flat = np.full((20, 30, 3), value, np.float32)
    assert stretch_range(flat) is flat


@pytest.mark.parametrize("height", [20, 64, 500])
def test_eight_bits_are_known(rng, height):
    eight = rng.integers(0, 256, (height, 30, 3)).astype(np.float32) / np.float32(255)
    assert find_step(eight) == pytest.approx(1 / 255)
    assert find_step(rng.integers(0, 4096, (height, 30, 3)).astype(np.float32) / np.float32(4095)) == 0
    assert find_step(eight * np.float32(0.9)) == 0
