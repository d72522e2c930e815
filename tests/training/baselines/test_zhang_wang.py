"""Zhang et al. 2016: its filter of the edge points and its graph of neighbours, one pixel at a time."""

import numpy as np
import pytest
from baseline_cases import make_colour, make_step

from defocus_edge.blur_levels import sigma_to_radius
from training.baselines.canny import find_canny_edges
from training.baselines.zhang_wang import (
    DIAGONAL,
    EDGE_SIGMA,
    FIDELITY,
    FILTER_REACH,
    LARGEST_SIGMA,
    NEIGHBOURS,
    REBLUR_SIGMA,
    build_knn_laplacian,
    estimate_zhang_wang,
    filter_edge_values,
)
from training.baselines.zhuo_sim import measure_edge_sigmas


def test_constants_of_the_authors():
    assert (REBLUR_SIGMA, EDGE_SIGMA, LARGEST_SIGMA) == (3.5, 1, 3)
    assert (FILTER_REACH, FIDELITY, NEIGHBOURS, DIAGONAL) == (5, 0.05, 10, 30)


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0, 2.8])
def test_error_on_blurred_steps(sigma, offset):
    grey = make_step(sigma, offset=offset)
    edges = find_canny_edges(grey, sigma=EDGE_SIGMA)
    points, sigmas = measure_edge_sigmas(grey, edges, reblur_sigma=REBLUR_SIGMA, largest_sigma=LARGEST_SIGMA)
    assert len(points) >= 46
    assert np.abs(sigmas - sigma).max() < 0.4


def test_edge_points_get_the_mean_of_the_means(rng):
    mask = (rng.random((40, 44)) < 0.2).astype(np.float32)
    values = mask * rng.uniform(0.5, 3, mask.shape).astype(np.float32)
    filtered = filter_edge_values(values, mask)
    side = 2 * FILTER_REACH + 1
    for row, column in ((20, 20), (15, 25), (22, 18)):
        means = []
        for top in range(row - side + 1, row + 1):
            for left in range(column - side + 1, column + 1):
                window = (slice(top, top + side), slice(left, left + side))
                means.append(values[window].sum() / mask[window].sum() if mask[window].any() else 0)
        expected = np.mean(means) * mask[row, column]
        assert filtered[row, column] == pytest.approx(expected, abs=1e-3)


def test_ties_are_those_of_one_pixel_at_a_time(rng):
    picture = rng.random((7, 9, 3), dtype=np.float32)
    places = np.array([[row, column] for row in range(7) for column in range(9)]) * DIAGONAL / np.hypot(7, 9)
    features = np.column_stack([picture.reshape(-1, 3), places])
    weights = np.zeros((63, 63))
    for number, feature in enumerate(features):
        order = np.argsort(((features - feature) ** 2).sum(axis=1))
        assert order[0] == number
        for other in order[1:NEIGHBOURS]:
            tie = max(1 - np.abs(features[other] - feature).sum() / 5, 0)
            weights[number, other] += tie
            weights[other, number] += tie
    expected = np.diag(weights.sum(axis=1)) - weights
    np.testing.assert_allclose(build_knn_laplacian(picture).toarray(), expected, atol=1e-6)


def test_map_is_a_radius():
    blur_map = estimate_zhang_wang(make_colour(make_step(2.0)))
    np.testing.assert_allclose(blur_map, sigma_to_radius(2.0), atol=0.5)


def test_the_brightest_channel_counts():
    picture = make_colour(make_step(1.0))
    picture[..., 0] = np.maximum(picture[..., 0], 0.05 + make_step(2.5))
    blur_map = estimate_zhang_wang(picture)
    assert blur_map.mean() > sigma_to_radius(1.8)
