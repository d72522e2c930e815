"""The fast blur with a disk equals the exact one, for pictures and mattes, by either of its methods."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defocus_edge.psf import LARGEST_DIRECT, blur_with_disk, blur_with_disk_fast, disk_kernel


@given(st.floats(0, 14), st.integers(16, 40), st.integers(16, 40), st.booleans(), st.integers(0, 99))
@settings(max_examples=40)
def test_same_as_the_direct_convolution(radius, height, width, is_grey, seed):
    values = np.random.default_rng(seed).random((height, width) if is_grey else (height, width, 3), dtype=np.float32)
    blurred = blur_with_disk_fast(values, radius)
    assert blurred.shape == values.shape
    assert blurred.dtype == np.float32
    np.testing.assert_allclose(blurred, blur_with_disk(values, radius), atol=2e-6)


@pytest.mark.parametrize("radius", [0.0, 1.0, 5.5, 5.625, 12.0])
def test_constant_light_stays_constant(radius):
    light = np.full((40, 33, 3), 0.7, dtype=np.float32)
    np.testing.assert_allclose(blur_with_disk_fast(light, radius), 0.7, atol=1e-6)


def test_both_methods_are_tested():
    assert len(disk_kernel(5.5)) <= LARGEST_DIRECT < len(disk_kernel(5.625))


def test_input_is_not_modified(rng):
    values = rng.random((30, 30, 3), dtype=np.float32)
    copy = values.copy()
    blur_with_disk_fast(values, 9.0)
    np.testing.assert_array_equal(values, copy)


@pytest.mark.parametrize("radius", [-1.0, np.nan])
def test_impossible_radius_is_refused(radius):
    with pytest.raises(ValueError, match="radius must be a finite number of pixels >= 0"):
        blur_with_disk_fast(np.zeros((20, 20), dtype=np.float32), radius)
