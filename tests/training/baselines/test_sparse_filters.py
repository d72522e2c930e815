"""The filters of sparse radii against slow sums, and what they must leave alone."""

import numpy as np
import pytest

from training.baselines.sparse_filters import (
    COLOUR_SIGMA,
    SPACE_SIGMA,
    filter_by_colour_and_confidence,
    smooth_along_edges,
)


@pytest.fixture
def points(rng):
    """Every third pixel of 20×30."""
    return np.argwhere(rng.random((20, 30)) < 1 / 3).astype(np.int32)


@pytest.fixture
def guide(rng):
    return rng.random((20, 30, 3), dtype=np.float32)


def filter_slowly(points, radius, confidence, guide, space, colour):
    result = []
    for here in points:
        total = share = 0.0
        for there, other, sure in zip(points, radius, confidence, strict=True):
            distance = np.sum((here - there) ** 2.0)
            if distance > (3 * space) ** 2:
                continue
            unlike = np.sum((guide[tuple(here)].astype(float) - guide[tuple(there)]) ** 2)
            weight = sure * np.exp(-distance / (2 * space**2) - unlike / (2 * colour**2))
            total, share = total + weight * other, share + weight
        result.append(total / share)
    return np.array(result)


def test_bilateral_filter_is_the_weighted_mean(points, guide, rng):
    radius, confidence = rng.uniform(0.5, 6, (2, len(points))).astype(np.float32) / [[1], [6]]
    filtered = filter_by_colour_and_confidence(points, radius, confidence, guide)
    assert filtered.dtype == np.float32
    expected = filter_slowly(points, radius, confidence, guide, SPACE_SIGMA, COLOUR_SIGMA)
    np.testing.assert_allclose(filtered, expected, rtol=1e-5)


def test_points_of_other_colours_and_without_confidence_do_not_count(points):
    radius = np.where(points[:, 1] < 15, 1, 5).astype(np.float32)
    guide = np.zeros((20, 30, 3), dtype=np.float32)
    guide[:, 15:] = 1
    certain = np.ones(len(points), dtype=np.float32)
    np.testing.assert_allclose(filter_by_colour_and_confidence(points, radius, certain, guide), radius, rtol=1e-6)
    plain = np.zeros_like(guide)
    mixed = filter_by_colour_and_confidence(points, radius, certain, plain)
    assert np.abs(mixed - radius).max() > 0.5
    unsure = np.where(radius == 1, certain, np.float32(1e-6))
    near = points[:, 1] == 15
    assert filter_by_colour_and_confidence(points, radius, unsure, plain)[near].max() < 1.1


def test_a_single_point_keeps_its_radius(guide):
    one = np.float32([2.5])
    assert filter_by_colour_and_confidence(np.array([[3, 4]]), one, one / 5, guide) == one


def test_connected_edges_become_alike_and_others_stay():
    line = np.array([[5, column] for column in range(10)] + [[9, 2]])
    radius = np.float32([1, 1, 1, 1, 6, 1, 1, 1, 1, 1, 4])
    smooth = smooth_along_edges(line, radius)
    assert smooth[4] < 2.5
    assert smooth[3] > 1.1
    assert smooth[:10].mean() == pytest.approx(radius[:10].mean(), rel=1e-5)  # equal weights keep the mean
    assert smooth[10] == pytest.approx(4)
