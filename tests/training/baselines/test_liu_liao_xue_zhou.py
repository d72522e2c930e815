"""Liu, Liao, Xue and Zhou 2020: maxima of the likelihood and how maps agree with them, one pixel at a time."""

import numpy as np
import pytest
from baseline_cases import make_colour, make_step

from defocus_edge.blur_levels import BLUR_LEVELS, N_LEVELS, sigma_to_radius
from training.baselines.liu_liao_xue_zhou import (
    PEAKS,
    TOLERANCE,
    estimate_liu_liao_xue_zhou,
    find_peaks,
    measure_agreement,
)


def find_peaks_slowly(curve):
    """(height, radius) of the maxima of one pixel, the highest first."""
    found = []
    for number, value in enumerate(curve):
        before = curve[number - 1] if number else -1
        after = curve[number + 1] if number + 1 < len(curve) else -1
        if value >= before and value > after:
            found.append((value, BLUR_LEVELS[number]))
    return sorted(found, key=lambda pair: -pair[0])[:PEAKS]


def test_peaks_are_the_highest_local_maxima(rng):
    likelihood = rng.random((4, 5, N_LEVELS), dtype=np.float32)
    radii, heights = find_peaks(likelihood)
    for place in np.ndindex(4, 5):
        assert list(zip(heights[place], radii[place], strict=True)) == find_peaks_slowly(likelihood[place])


def test_one_hill_is_one_peak():
    hill = np.exp(-((BLUR_LEVELS - 2) ** 2)).astype(np.float32)
    radii, heights = find_peaks(np.tile(hill, (2, 2, 1)))
    assert (radii[..., 0] == 2).all()
    np.testing.assert_array_equal(heights[..., 1:], 0)


def test_agreement_is_that_of_the_definition(rng):
    likelihood = rng.random((3, 4, N_LEVELS), dtype=np.float32)
    basis = rng.uniform(0, 6, (2, 3, 4)).astype(np.float32)
    agreement = measure_agreement(basis, likelihood)
    for number, row, column in np.ndindex(2, 3, 4):
        shares = [
            height * np.exp(-((basis[number, row, column] - radius) ** 2) / (2 * TOLERANCE**2))
            for height, radius in find_peaks_slowly(likelihood[row, column])
        ]
        assert agreement[number, row, column] == pytest.approx(max(shares), rel=1e-4)


def test_the_map_that_agrees_counts():
    likelihood = np.tile(np.exp(-((BLUR_LEVELS - 4) ** 2)).astype(np.float32), (1, 1, 1))
    low, high = measure_agreement(np.float32([[[1]], [[4]]]), likelihood)
    assert high > 100 * low


def test_map_is_a_radius():
    blur_map = estimate_liu_liao_xue_zhou(make_colour(make_step(2.0)))
    np.testing.assert_allclose(blur_map, sigma_to_radius(2.0), atol=0.5)
