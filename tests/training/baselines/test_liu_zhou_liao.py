"""Liu, Zhou and Liao 2016: edges whose two sides are blurred unlike, against a search over all pairs."""

import itertools

import numpy as np
import pytest
from baseline_cases import make_colour, make_step
from scipy.special import ndtr

from defocus_edge.blur_levels import sigma_to_radius
from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.liu_zhou_liao import (
    EDGE_FACTOR,
    SIGMA_STEP,
    estimate_liu_zhou_liao,
    fit_edges,
    fit_profiles,
    place_sides,
    weigh_edges,
)

RIGHT = np.array([[0.0, 1.0]])


def make_two_sided_step(dark, bright, offset=0.0):
    """A vertical edge from dark to bright whose sides have blurs of their own."""
    place = np.arange(96) - 48 + offset
    edge = 0.2 + 0.6 * np.where(place < 0, ndtr(place / dark), ndtr(place / bright))
    return np.tile(edge, (48, 1)).astype(np.float32)


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
@pytest.mark.parametrize(
    ("dark", "bright"), [(0.5, 0.5), (1, 1), (2, 2), (4, 4), (0.5, 2), (3, 1), (1, 3), (4, 2), (1.9, 1.1)]
)
def test_blur_of_both_sides(dark, bright, offset):
    points, normals, sigmas = fit_edges(make_two_sided_step(dark, bright, offset))
    assert len(points) >= 46
    np.testing.assert_allclose(normals, np.tile(RIGHT, (len(points), 1)), atol=1e-6)
    np.testing.assert_allclose(sigmas, np.tile([dark, bright], (len(points), 1)), atol=2 * SIGMA_STEP)


def test_the_bright_side_stays_the_bright_side():
    turned = np.ascontiguousarray(make_two_sided_step(1, 3)[:, ::-1])
    _, normals, sigmas = fit_edges(turned)
    assert (normals[:, 1] < -0.99).all()
    np.testing.assert_allclose(sigmas.mean(axis=0), [1, 3], atol=SIGMA_STEP)


def test_fit_is_the_least_squares_of_all_pairs(rng):
    profiles = np.cumsum(rng.random((6, 7)), axis=1)
    place = np.arange(-3, 4)
    for profile, fit, pair in zip(profiles, *fit_profiles(profiles), strict=True):
        left = {}
        for offset in np.arange(-1, 1.1, 0.25):
            for dark, bright in itertools.product(np.arange(0.25, 1.3, 0.25), repeat=2):
                x = place - offset
                edge = np.where(x < 0, ndtr(x / dark), ndtr(x / bright))
                basis = np.column_stack([edge, np.ones(7)])
                error = ((basis @ np.linalg.lstsq(basis, profile)[0] - profile) ** 2).sum()
                left[offset, dark, bright] = error
        best = min(left, key=left.get)
        assert tuple(pair) == best[1:]
        assert fit == pytest.approx(1 - left[best] / ((profile - profile.mean()) ** 2).sum())


def test_a_falling_profile_is_no_rising_edge():
    fit, _ = fit_profiles(np.linspace(1, 0, 7)[None])
    assert fit == 0


def test_a_line_is_no_edge():
    grey = np.full((40, 40), 0.4, dtype=np.float32)
    grey[:, 20] = 0.6
    with pytest.raises(NoEdgesError, match="edges that can be measured"):
        fit_edges(grey)


def test_values_stand_on_both_sides_and_share_pixels():
    points = np.array([[5, 5], [5, 9], [5, 1]])
    sides = np.float32([[1, 2], [4, 3], [7, 8]])
    known, weight = place_sides(points, np.tile(RIGHT, (3, 1)), sides, (8, 12))
    # The dark side of one edge and the bright side of another; then the other way round.
    assert (known[5, 3], weight[5, 3]) == pytest.approx(((1 / 1 + 1 / 8) / (1 + 1 / 64), 1 + 1 / 64))
    assert (known[5, 7], weight[5, 7]) == pytest.approx(((1 / 2 + 1 / 4) / (1 / 4 + 1 / 16), 1 / 4 + 1 / 16))
    assert (known[5, 11], weight[5, 11]) == pytest.approx((3, 1 / 9))
    assert np.count_nonzero(weight) == 3  # one side lies outside


def test_pattern_edges_cost_more_and_depth_edges_less():
    weight = weigh_edges(np.array([[3, 3], [3, 12]]), np.float32([1, 0]), (8, 16))
    assert (weight[1:6, 1:6] == EDGE_FACTOR).all()
    assert (weight[1:6, 10:15] == 1 / EDGE_FACTOR).all()
    assert (weight[6:] == 1).all()


def test_map_is_a_radius():
    blur_map = estimate_liu_zhou_liao(make_colour(make_step(2.0)))
    np.testing.assert_allclose(blur_map, sigma_to_radius(2.0), atol=0.5)


def test_map_differs_between_the_sides_of_an_edge():
    blur_map = estimate_liu_zhou_liao(make_colour(make_two_sided_step(1, 3)))
    assert blur_map[:, :44].mean() == pytest.approx(sigma_to_radius(1), abs=0.5)
    assert blur_map[:, 52:].mean() == pytest.approx(4.1, abs=0.2)  # as the docstring admits
