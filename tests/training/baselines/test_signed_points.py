"""Candidates, the choice among their costs, and the spread of signed radii."""

import numpy as np
import pytest

from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.signed_points import SignedPoints, choose_radii, list_candidates, spread_signed

POINTS = np.array([[3, 4]])


def test_candidates_are_symmetric_and_sharp_once():
    candidates = list_candidates(6.0)
    np.testing.assert_array_equal(candidates, -candidates[::-1])
    assert np.count_nonzero(np.abs(candidates) <= 0.5) == 1
    assert (candidates[0], candidates[-1]) == (-6, 6)
    assert np.diff(candidates).max() == 0.75  # on both sides of 0


@pytest.mark.parametrize("largest", [0.9, 50.1, np.nan])
def test_impossible_ranges_are_refused(largest):
    with pytest.raises(ValueError, match=r"largest must be between 1 and 50 px\. Got: "):
        list_candidates(largest)


@pytest.mark.parametrize("radius", [-5.7, -3.13, -0.9, -0.3, 0.0, 0.2, 1.04, 4.4])
def test_the_lowest_point_of_a_parabola_is_found_between_uneven_steps(radius):
    candidates = list_candidates(6.0)
    costs = 0.01 + 0.1 * (candidates[:, None] - radius) ** 2
    found = choose_radii(POINTS, costs.astype(np.float32), candidates)
    assert found.radius[0] == pytest.approx(radius, abs=1e-3)
    assert 0 < found.confidence[0] <= 1


def test_an_end_of_the_range_stays_there():
    candidates = list_candidates(2.0)
    costs = (3 - candidates[:, None]).astype(np.float32)
    assert choose_radii(POINTS, costs, candidates).radius[0] == 2


def test_points_without_a_best_radius_are_left_out():
    candidates = list_candidates(2.0)
    costs = np.stack([np.full(len(candidates), 0.5), np.abs(candidates - 1)], axis=1).astype(np.float32)
    found = choose_radii(np.array([[1, 2], [3, 4]]), costs, candidates)
    np.testing.assert_array_equal(found.points, [[3, 4]])
    with pytest.raises(NoEdgesError, match=r"edges whose blur has one explanation\. Got: none"):
        choose_radii(POINTS, costs[:, :1], candidates)
    with pytest.raises(NoEdgesError, match=r"edges that can be measured\. Got: none"):
        choose_radii(POINTS[:0], costs[:, :0], candidates)


def test_the_spread_of_turned_signs_is_the_turned_map(rng):
    image = rng.random((24, 30, 3), dtype=np.float32)
    points = np.array([[3, 4], [20, 25], [10, 12]])
    radius, confidence = np.array([-4, 2.5, 0], np.float32), np.array([0.9, 0.5, 0.7], np.float32)
    there, sure = spread_signed(image, SignedPoints(points, radius, confidence))
    turned, same = spread_signed(image, SignedPoints(points, -radius, confidence))
    np.testing.assert_allclose(there, -turned, atol=1e-4)
    np.testing.assert_array_equal(sure, same)
    assert there.min() < 0 < there.max()
