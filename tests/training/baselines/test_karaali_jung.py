"""Karaali and Jung 2018 on edges of known blur, and the connected edge filter against dense algebra."""

import numpy as np
import pytest
from baseline_cases import make_colour, make_step

from defocus_edge.blur_levels import sigma_to_radius
from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.karaali_jung import (
    COARSE_SHARE,
    CONSISTENT_SCALES,
    EDGE_SIGMAS,
    EDGE_SMOOTHNESS,
    FINE_SIGMA,
    LARGEST_SIGMA,
    estimate_edge_sigmas,
    estimate_karaali_jung,
    filter_connected_edges,
)


def test_scales():
    np.testing.assert_array_equal(EDGE_SIGMAS, [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5])
    # Else the two gradients could be at one scale and say nothing.
    assert EDGE_SIGMAS[CONSISTENT_SCALES - 1] * COARSE_SHARE > FINE_SIGMA


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
def test_error_on_blurred_steps(sigma, offset):
    points, sigmas, persistence = estimate_edge_sigmas(make_step(sigma, offset=offset))
    assert len(points) >= 46
    assert np.abs(sigmas - sigma).max() < 0.25
    assert persistence.min() >= CONSISTENT_SCALES


def test_scale_is_finer_where_edges_are_close():
    step = make_step(1.0, offset=4)
    bar = np.minimum(step, step[:, ::-1])
    assert set(estimate_edge_sigmas(step)[2]) == {len(EDGE_SIGMAS)}
    points, sigmas, persistence = estimate_edge_sigmas(bar)
    assert persistence.max() < len(EDGE_SIGMAS)
    assert set(points[:, 1]) == {44, 51}
    assert np.abs(sigmas - 1).max() < 0.1  # a Gaussian of 5 px would see both edges


def test_blur_beyond_the_limit_is_the_limit():
    assert estimate_edge_sigmas(make_step(8.0, shape=(48, 200)))[1].max() == np.float32(LARGEST_SIGMA)


def test_map_is_a_radius():
    blur_map = estimate_karaali_jung(make_colour(make_step(2.0)))
    np.testing.assert_allclose(blur_map, sigma_to_radius(2.0), atol=0.2)


def test_a_plain_picture_has_no_edges():
    with pytest.raises(NoEdgesError, match="edges that can be measured"):
        estimate_edge_sigmas(np.zeros((32, 32), dtype=np.float32))


def test_connected_edge_filter_is_the_least_squares_of_the_paper(rng):
    points = np.argwhere(rng.random((9, 11)) < 0.3)
    sigmas = rng.uniform(0.5, 3, len(points)).astype(np.float32)
    persistence = rng.integers(4, 10, len(points))
    # Each pair twice, as in the sum.
    rows = [np.sqrt(1.0 + persistence)[:, None] * np.eye(len(points))]
    target = [np.sqrt(1.0 + persistence) * sigmas]
    for i, p in enumerate(points):
        for j, q in enumerate(points):
            if i != j and np.abs(p - q).max() == 1:
                row = np.zeros(len(points))
                row[i], row[j] = np.sqrt(EDGE_SMOOTHNESS), -np.sqrt(EDGE_SMOOTHNESS)
                rows.append(row[None])
                target.append(np.zeros(1))
    expected = np.linalg.lstsq(np.concatenate(rows), np.concatenate(target))[0]
    np.testing.assert_allclose(filter_connected_edges(points, sigmas, persistence), expected, rtol=1e-5)


def test_edges_that_do_not_touch_do_not_mix():
    points = np.array([[0, 0], [0, 1], [1, 2], [5, 5], [7, 5]])
    sigmas = np.array([1, 1, 4, 2, 3], dtype=np.float32)
    smooth = filter_connected_edges(points, sigmas, np.full(5, 4))
    assert smooth[:3].std() < 0.5
    np.testing.assert_allclose(smooth[3:], [2, 3], rtol=1e-6)


def test_a_single_point_stays():
    smooth = filter_connected_edges(np.array([[3, 4]]), np.array([1.5], dtype=np.float32), np.array([9]))
    np.testing.assert_allclose(smooth, [1.5])
