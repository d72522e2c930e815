"""Masks from maps; and the examples in the docstrings of the ground floor."""

import doctest
import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from defocus_edge.thresholds import DEFAULT_ALPHA, DEFAULT_RADII, find_threshold, threshold_blur_map, widen_mask

MAP = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=np.float32)


def test_mask_is_bool_and_as_large_as_the_map():
    mask = threshold_blur_map(MAP)
    assert mask.shape == MAP.shape
    assert mask.dtype == bool


def test_two_thresholds_are_refused():
    with pytest.raises(ValueError, match=r"Give alpha or radius, not both\. Got: alpha=0\.5, radius=2"):
        threshold_blur_map(MAP, alpha=0.5, radius=2)


@pytest.mark.parametrize("radius", [-1, np.nan])
def test_impossible_radius_is_refused(radius):
    with pytest.raises(ValueError, match=r"radius must be a number of pixels >= 0\. Got: "):
        threshold_blur_map(MAP, radius=radius)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, np.nan])
def test_impossible_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha must be between 0 and 1\. Got: "):
        threshold_blur_map(MAP, alpha=alpha)


def test_radius_is_a_threshold_in_pixels():
    assert threshold_blur_map(MAP, radius=3).tolist() == [[False, False, False], [True, True, True]]
    assert threshold_blur_map(MAP, radius=0).all()


def test_alpha_is_a_share_of_the_range():
    assert threshold_blur_map(MAP, alpha=0.5).tolist() == [[False, False, False], [True, True, True]]  # τ = 3.5
    assert threshold_blur_map(MAP, alpha=0).sum() == 5
    assert not threshold_blur_map(MAP, alpha=1).any()


@pytest.mark.parametrize(
    ("low", "high", "threshold"),
    [(0.5, 6.0, 1.325), (0.5, 1.0, DEFAULT_RADII[0]), (3.0, 6.0, DEFAULT_RADII[1]), (1.0, 3.0, 1.3)],
    ids=["between", "sharp all over", "blurred all over", "little blur"],
)
def test_default_adapts_within_limits(low, high, threshold):
    blur_map = np.array([[low, high]], dtype=np.float32)
    assert DEFAULT_ALPHA == 0.15
    assert find_threshold(blur_map) == pytest.approx(threshold)
    assert threshold_blur_map(blur_map).tolist() == [[low > threshold, high > threshold]]


def test_alpha_finds_no_blur_in_a_map_without_contrast():
    assert not threshold_blur_map(np.full((3, 3), 4, dtype=np.float32), alpha=0.3).any()


@given(st.floats(0.5, 6, width=32), st.floats(0, 1))
def test_no_rounding_makes_a_plain_map_blurred(radius, alpha):
    assert not threshold_blur_map(np.full((2, 2), radius, dtype=np.float32), alpha=alpha).any()


@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(0.5, 6, width=32)), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_alpha_marks_no_further_pixel(blur_map, one, other):
    low, high = sorted((one, other))
    assert not (threshold_blur_map(blur_map, alpha=high) & ~threshold_blur_map(blur_map, alpha=low)).any()


@pytest.mark.parametrize(
    "name",
    [
        "blur_levels",
        "thresholds",
        "propagation.propagate",
        "propagation.domain_transform",
        "psf",
        "networks.edge.patches",
    ],
)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(f"defocus_edge.{name}")
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0


@pytest.mark.parametrize("margin", [0, 1, 1.5, 3.2, 100])
def test_a_wider_mask_is_all_that_is_near_enough(margin):
    mask = np.random.default_rng(0).random((12, 15)) > 0.97
    rows, cols = np.indices(mask.shape)
    near = [np.hypot(rows - row, cols - col) <= margin for row, col in np.argwhere(mask)]
    np.testing.assert_array_equal(widen_mask(mask, margin=margin), np.any(near, axis=0))


def test_an_empty_mask_stays_empty():
    assert not widen_mask(np.zeros((4, 5), bool), margin=3).any()


@pytest.mark.parametrize("margin", [-1, np.nan, np.inf])
def test_wrong_margins_are_refused(margin):
    with pytest.raises(ValueError, match="margin must be a finite number"):
        widen_mask(np.ones((4, 5), bool), margin=margin)
