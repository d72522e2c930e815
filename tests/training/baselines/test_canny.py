"""Canny edges whose thresholds follow from the picture."""

import numpy as np
import pytest
from baseline_cases import make_step
from scipy.ndimage import gaussian_filter

from training.baselines.canny import LOW_RATIO, SHARE_WITHOUT_EDGE, find_canny_edges, find_gradient


def test_constants_of_matlab():
    assert (SHARE_WITHOUT_EDGE, LOW_RATIO) == (0.7, 0.4)


@pytest.mark.parametrize("sigma", [1.0, 2.5, 5.0])
def test_a_step_is_a_line_of_one_pixel(sigma):
    edges = find_canny_edges(make_step(1.0, offset=0.2), sigma=sigma)
    np.testing.assert_array_equal(edges.sum(axis=1)[1:-1], 1)
    assert set(np.argwhere(edges)[:, 1]) == {48}


def test_contrast_does_not_matter():
    faint, strong = (make_step(2.0, low=0.5, high=high) for high in (0.52, 1.0))
    np.testing.assert_array_equal(find_canny_edges(faint, sigma=1.0), find_canny_edges(strong, sigma=1.0))


def test_edges_need_a_gradient_above_that_of_most_pixels(rng):
    grey = gaussian_filter(rng.random((64, 64)), 2).astype(np.float32)
    edges = find_canny_edges(grey, sigma=1.0)
    magnitude = np.hypot(*find_gradient(grey, sigma=1.0))
    assert 0.02 < edges.mean() < 1 - SHARE_WITHOUT_EDGE
    assert magnitude[edges].min() >= 0.99 * LOW_RATIO * np.quantile(magnitude, SHARE_WITHOUT_EDGE)


def test_a_plain_picture_has_none():
    assert not find_canny_edges(np.full((32, 32), 0.3, dtype=np.float32), sigma=1.0).any()


def test_gradient_of_a_ramp_is_its_slope():
    ramp = np.add.outer(0.01 * np.arange(40), 0.003 * np.arange(60)).astype(np.float32)
    along_columns, along_rows = find_gradient(ramp, sigma=1.0)
    np.testing.assert_allclose(along_columns[10:-10, 10:-10], 0.003, atol=1e-6)
    np.testing.assert_allclose(along_rows[10:-10, 10:-10], 0.01, atol=1e-6)


def test_given_thresholds_are_shares_of_the_largest_gradient():
    steps = np.concatenate([make_step(1.0, low=0.2, high=0.2 + contrast) for contrast in (0.6, 0.3)])
    for thresholds, rows in (((0.2, 0.45), {0, 1}), ((0.52, 0.55), {0})):
        found = np.argwhere(find_canny_edges(steps, sigma=1.0, thresholds=thresholds))
        inside = found[np.abs(found[:, 0] - 48) > 4]
        assert set(inside[:, 0] // 48) == rows
