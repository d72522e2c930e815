"""LTCoP: patterns against one pixel at a time, and what the second ring is for."""

import numpy as np
from baseline_cases import load_photograph, make_colour, make_step

from training.baselines.lbp import find_patterns, sample_ring
from training.baselines.ltcop import RING_RADII, find_ternary_patterns, measure_ltcop, measure_ltcop_sharpness

STEPS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def sample_slowly(grey, row, column, radius, step):
    """Value at `radius` px in one of eight directions, bilinear and rounded down."""
    length = np.hypot(*step)
    y, x = row + radius * step[0] / length, column + radius * step[1] / length
    top, left = int(np.floor(y + 1e-9)), int(np.floor(x + 1e-9))
    down, right = y - top, x - left
    weights = np.outer([1 - down, down], [1 - right, right])
    return np.floor((weights * grey[top : top + 2, left : left + 2]).sum() + 1e-6)


def find_pattern_slowly(grey, row, column, sign):
    bits = []
    for step in STEPS:
        differences = [sample_slowly(grey, row, column, radius, step) - grey[row, column] for radius in (1, 2)]
        bits.append(all(sign * difference > 0.016 * 255 for difference in differences))
    changes = sum(bits[number] != bits[number - 1] for number in range(8))
    return sum(bits) if changes <= 2 else 9


def test_constants_of_the_descriptor():
    assert RING_RADII == (1, 2)


def test_patterns_are_those_of_one_pixel_at_a_time(rng):
    grey = rng.integers(100, 120, (40, 41)).astype(np.float32)
    upper, lower = find_ternary_patterns(grey)
    inner = [(row, column) for row in range(2, 37) for column in range(2, 38)]
    assert [upper[place] for place in inner] == [find_pattern_slowly(grey, *place, 1) for place in inner]
    assert [lower[place] for place in inner] == [find_pattern_slowly(grey, *place, -1) for place in inner]
    assert set(np.unique(upper)) == set(np.unique(lower)) == {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}


def test_rings_are_circles_on_a_ramp():
    down, right = np.mgrid[:9, :9].astype(np.float32)
    grey = 100 * down + 1000 * right
    for radius in RING_RADII:
        ring = sample_ring(grey, radius)[:, 4, 4] - grey[4, 4]
        exact = [100 * radius * y / np.hypot(y, x) + 1000 * radius * x / np.hypot(y, x) for y, x in STEPS]
        np.testing.assert_allclose(ring, np.floor(np.array(exact) + 1e-6))


def test_a_dot_of_one_pixel_is_the_upper_pattern_8_or_the_lower_one():
    grey = np.full((9, 9), 100, dtype=np.float32)
    grey[4, 4] = 80
    assert [pattern[4, 4] for pattern in find_ternary_patterns(grey)] == [8, 0]
    assert [pattern[4, 4] for pattern in find_ternary_patterns(200 - grey)] == [0, 8]


def test_noise_makes_fewer_sharp_patterns_than_with_one_ring(rng):
    noise = np.rint(rng.normal(128, 3, (60, 60))).astype(np.float32)
    with_two = np.mean([pattern >= 6 for pattern in find_ternary_patterns(noise)])
    assert with_two < 0.6 * (find_patterns(noise) >= 6).mean()


def test_map_and_blurriness():
    sharpness = measure_ltcop_sharpness(load_photograph("coffee"))
    assert 0 < sharpness.min() < 0.1
    assert 0.9 < sharpness.max() < 1
    blurriness = measure_ltcop(make_colour(make_step(6.0)))
    assert blurriness.min() > 0.89  # no sharp pattern: blurred everywhere
