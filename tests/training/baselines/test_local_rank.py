"""Local rank: ranks against matrices whose rank is known, and steps of known blur in all directions."""

import math

import numpy as np
import pytest
from baseline_cases import make_colour, make_step
from scipy.special import erf

from defocus_edge.blur_levels import sigma_to_radius
from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.canny import find_gradient
from training.baselines.local_rank import (
    ANGLES,
    GRADIENT_SIGMA,
    LARGEST_SIGMA,
    LEAST_SHARE,
    WINDOW_SIDE,
    convert_rank,
    estimate_local_rank,
    measure_largest_rank,
    measure_rank,
)


def make_turned_step(sigma, angle, offset):
    """Step of 64×64 px whose normal has an angle to the rows."""
    down, right = np.mgrid[:64, :64] - 32.0
    distance = right * math.cos(angle) + down * math.sin(angle) + offset
    return (0.5 + 0.3 * erf(distance / (sigma * math.sqrt(2)))).astype(np.float32)


def measure_rank_slowly(window):
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(window.astype(np.float64) @ window.T), 0))[::-1]
    shares = values / values[0]
    for number in range(1, len(shares)):
        if shares[number] < 0.1:
            above, below = math.log(shares[number - 1] / 0.1), math.log(0.1 / shares[number])
            return number - 1 + above / (above + below)
    return len(shares)


def test_constants():
    assert (GRADIENT_SIGMA, WINDOW_SIDE, LEAST_SHARE, LARGEST_SIGMA) == (1, 15, 0.1, 5)
    np.testing.assert_allclose(np.degrees(ANGLES), [0, 15, 30, 45, 60, 75])


def test_rank_is_that_of_one_window_at_a_time(rng):
    windows = rng.random((20, 7, 3)) @ rng.random((20, 3, 7)) + 0.3 * rng.random((20, 7, 7))
    windows = windows.astype(np.float32)
    np.testing.assert_allclose(measure_rank(windows), [measure_rank_slowly(window) for window in windows], rtol=1e-3)


def test_rank_of_known_matrices():
    full = np.eye(7, dtype=np.float32)
    three = np.diag([1, 0.5, 0.2, 0, 0, 0, 0]).astype(np.float32)
    at_threshold = np.diag([1, 0.5, 0.1, 0.01, 0, 0, 0]).astype(np.float32)
    ranks = measure_rank(np.stack([full, three, at_threshold, 1000 * three]))
    assert ranks[0] == 7
    assert 2 < ranks[1] < 2.1  # the fourth value is 0: the threshold is crossed at once
    assert ranks[2] == pytest.approx(2, abs=1e-5)
    assert ranks[3] == pytest.approx(ranks[1])
    assert measure_rank(np.zeros((1, 7, 7), dtype=np.float32)) == 7  # nothing to see is no blur


@pytest.mark.parametrize(("sigma", "tolerance"), [(0.5, 0.5), (1.0, 0.25), (2.0, 0.25), (4.0, 0.25)])
def test_error_on_blurred_steps_of_any_direction(sigma, tolerance):
    for angle in np.linspace(0, np.pi / 2, 8):
        for offset in (0.0, 0.4):
            step = make_turned_step(sigma, angle, offset)
            gradient = np.hypot(*find_gradient(step, sigma=1.0)).astype(np.float32)
            found = convert_rank(measure_largest_rank(gradient, np.array([[32, 32]])))
            assert abs(found[0] - sigma) < tolerance, (angle, offset)


def test_blur_beyond_the_limit_is_the_limit_and_a_full_rank_is_none():
    np.testing.assert_array_equal(convert_rank(np.array([0.2, 15.0])), [LARGEST_SIGMA, 0])


def test_map_is_a_radius():
    blur_map = estimate_local_rank(make_colour(make_step(2.0)))
    np.testing.assert_allclose(blur_map, sigma_to_radius(2.0), atol=0.5)


def test_a_gradient_too_faint_for_an_edge_is_refused():
    ramp = np.tile(np.linspace(0.5, 0.505, 800, dtype=np.float32), (20, 1))
    with pytest.raises(NoEdgesError, match="Got: none"):
        estimate_local_rank(make_colour(ramp))
