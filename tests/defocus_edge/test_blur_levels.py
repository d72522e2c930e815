"""The 23 levels: where they lie, and the ways between radius, class, sigma and softmax."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defocus_edge.blur_levels import (
    BLUR_LEVELS,
    MAX_RADIUS,
    MIN_RADIUS,
    N_LEVELS,
    RADIUS_STEP,
    class_to_radius,
    radius_to_class,
    radius_to_sigma,
    read_radius,
    sigma_to_radius,
)
from defocus_edge.choices import READ_OUTS
from defocus_edge.psf import disk_kernel, gaussian_kernel


def test_there_are_23_levels_from_a_half_to_six_pixels():
    assert N_LEVELS == len(BLUR_LEVELS) == 23
    assert BLUR_LEVELS.dtype == np.float32
    assert (BLUR_LEVELS[0], BLUR_LEVELS[-1]) == (MIN_RADIUS, MAX_RADIUS) == (0.5, 6.0)
    np.testing.assert_array_equal(np.diff(BLUR_LEVELS), np.float32(RADIUS_STEP))


def test_shapes_and_dtypes_are_kept():
    assert radius_to_class(np.ones((2, 3))).shape == (2, 3)
    assert radius_to_class(1.0).dtype == np.int64
    assert class_to_radius(np.zeros((4, 1), dtype=int)).shape == (4, 1)
    assert class_to_radius(np.zeros(0, dtype=int)).shape == (0,)
    assert class_to_radius(3).dtype == np.float32
    assert read_radius(np.full((2, 5, N_LEVELS), 1 / N_LEVELS)).shape == (2, 5)
    assert read_radius(np.full((7, N_LEVELS), 1 / N_LEVELS), read_out="argmax").dtype == np.float32


def test_levels_cannot_be_overwritten():
    with pytest.raises(ValueError, match="read-only"):
        BLUR_LEVELS[0] = 1


@pytest.mark.parametrize("label", [-1, 23, [0, 40]])
def test_unknown_class_is_refused(label):
    with pytest.raises(IndexError, match=r"label must be between 0 and 22\. Got: "):
        class_to_radius(label)


@pytest.mark.parametrize("shape", [(), (22,), (23, 2)])
def test_wrong_number_of_probabilities_is_refused(shape):
    with pytest.raises(ValueError, match=r"probabilities must have 23 values on the last axis\. Got: shape"):
        read_radius(np.zeros(shape))


def test_unknown_read_out_is_refused():
    with pytest.raises(ValueError, match=r"read_out must be one of .*expectation.*Got: 'mean'"):
        read_radius(np.zeros(N_LEVELS), read_out="mean")


def test_class_and_radius_are_inverse():
    labels = np.arange(N_LEVELS)
    np.testing.assert_array_equal(radius_to_class(class_to_radius(labels)), labels)


@given(st.floats(-5, 20))
def test_the_class_of_a_radius_is_the_nearest_level(radius):
    nearest = np.abs(BLUR_LEVELS - radius).min()
    assert abs(BLUR_LEVELS[radius_to_class(radius)] - radius) == pytest.approx(nearest, abs=1e-6)


@given(st.floats(0, 100, allow_subnormal=False))
def test_sigma_and_radius_are_inverse(radius):
    assert radius_to_sigma(radius) == radius / 2
    assert sigma_to_radius(radius_to_sigma(radius)) == radius


def measure_variance(kernel):
    """Second moment along one axis about the middle, px²."""
    position = np.arange(len(kernel)) - len(kernel) // 2
    return (kernel.sum(axis=0, dtype=np.float64) * position**2).sum() / kernel.sum(dtype=np.float64)


@pytest.mark.parametrize("radius", [20.0, 37.5, 60.0])
def test_disk_and_gaussian_of_the_conversion_have_one_second_moment(radius):
    sigma = float(radius_to_sigma(radius))
    position = np.arange(-400, 401)
    line = np.exp(-(position**2) / (2 * sigma**2))
    gaussian = measure_variance(np.outer(line, line))
    # So large that the pixel, 1/12 px², and the rim's sampling do not count.
    assert measure_variance(disk_kernel(radius)) == pytest.approx(gaussian, rel=2e-3)
    assert gaussian == pytest.approx(radius**2 / 4, rel=1e-6)


@pytest.mark.parametrize("radius", BLUR_LEVELS[3:].tolist())
def test_kernels_of_one_level_have_about_one_second_moment(radius):
    sigma = float(radius_to_sigma(radius))
    assert measure_variance(gaussian_kernel(radius)) == pytest.approx(sigma**2 + 1 / 12, rel=0.01)
    assert measure_variance(disk_kernel(radius)) == pytest.approx(sigma**2 + 1 / 12, abs=0.08)


@pytest.mark.parametrize("read_out", READ_OUTS)
def test_a_certain_level_is_read_out_as_itself(read_out):
    np.testing.assert_allclose(read_radius(np.eye(N_LEVELS), read_out=read_out), BLUR_LEVELS, rtol=1e-6)


def test_read_outs_differ_between_two_levels():
    probabilities = np.zeros(N_LEVELS)
    probabilities[[4, 6]] = 0.6, 0.4  # 1.5 and 2.0 px
    assert read_radius(probabilities, read_out="expectation") == pytest.approx(1.7)
    assert read_radius(probabilities) == read_radius(probabilities, read_out="median") == 1.5
    assert read_radius(probabilities, read_out="argmax") == 1.5


def test_rounding_cannot_leave_the_levels():
    assert read_radius(np.eye(N_LEVELS)[-1] * 1.00001) == MAX_RADIUS
    assert read_radius(np.eye(N_LEVELS)[0] * 0.99999) == MIN_RADIUS


def test_median_halves_the_distribution():
    probabilities = np.zeros((3, N_LEVELS))
    probabilities[0, [0, 10, 22]] = 0.3, 0.3, 0.4  # most probable is the last
    probabilities[1, [2, 3]] = 0.5, 0.5
    probabilities[2] = 1 / N_LEVELS
    np.testing.assert_array_equal(read_radius(probabilities), [3.0, 1.0, 3.25])
