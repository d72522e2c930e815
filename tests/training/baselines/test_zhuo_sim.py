"""Zhuo and Sim 2011 on edges of known blur."""

import numpy as np
import pytest
from baseline_cases import make_colour, make_step

from defocus_edge.blur_levels import sigma_to_radius
from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.zhuo_sim import (
    BILATERAL_RANGE,
    BILATERAL_SPACE,
    LARGEST_SIGMA,
    REBLUR_SIGMA,
    estimate_edge_sigmas,
    estimate_zhuo_sim,
    filter_bilaterally,
)


def test_constants_of_the_paper():
    assert REBLUR_SIGMA == 1
    assert (BILATERAL_SPACE, BILATERAL_RANGE) == (0.1, 0.1)


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0, 4.0])
def test_error_on_blurred_steps(sigma, offset):
    points, sigmas = estimate_edge_sigmas(make_step(sigma, offset=offset))
    assert len(points) >= 46
    assert np.abs(sigmas - sigma).max() < 0.3


def test_estimate_rises_below_the_range_and_stops_above():
    medians = [np.median(estimate_edge_sigmas(make_step(sigma))[1]) for sigma in (0.3, 0.5, 0.7, 1.0)]
    assert (np.diff(medians) > 0).all()
    assert medians[1] == pytest.approx(0.9, abs=0.1)  # as the docstring admits
    assert estimate_edge_sigmas(make_step(8.0, shape=(48, 200)))[1].max() == np.float32(LARGEST_SIGMA)


def test_map_is_a_radius():
    blur_map = estimate_zhuo_sim(make_colour(make_step(2.0)))
    np.testing.assert_allclose(blur_map, sigma_to_radius(2.0), atol=0.3)


def test_edges_that_another_blur_does_not_soften_are_no_edges():
    with pytest.raises(NoEdgesError, match="edges that can be measured"):
        estimate_edge_sigmas(np.zeros((32, 32), dtype=np.float32))


def test_bilateral_filter_is_that_of_two_loops(rng):
    grey = rng.random((30, 40), dtype=np.float32)
    points = np.argwhere(rng.random((30, 40)) < 0.1)
    values = rng.random(len(points), dtype=np.float32)
    space, alike = 0.1 * 30, 0.1 * np.ptp(grey)
    expected = []
    for point in points:
        weights = [
            np.exp(
                -((other - point) ** 2).sum() / (2 * space**2)
                - (grey[tuple(other)] - grey[tuple(point)]) ** 2 / (2 * alike**2)
            )
            for other in points
        ]
        expected.append(np.dot(weights, values) / np.sum(weights))
    np.testing.assert_allclose(filter_bilaterally(points, values, grey), expected, rtol=1e-4)


def test_bilateral_filter_removes_an_outlier():
    grey = make_step(1.0, shape=(60, 60))
    points = np.column_stack([np.arange(60), np.full(60, 30)])
    values = np.full(60, 2.0, dtype=np.float32)
    values[30] = 5.0
    smooth = filter_bilaterally(points, values, grey)
    assert smooth.max() < 2.3
    assert smooth.min() >= 2.0
