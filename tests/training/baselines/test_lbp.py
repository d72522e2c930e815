"""LBP: patterns against one pixel at a time, and the map."""

import math

import numpy as np
import pytest
from baseline_cases import load_photograph, make_colour, make_step

from training.baselines.lbp import (
    FIRST_SHARP_PATTERN,
    LEAST_DIFFERENCE,
    SURELY_BLURRED,
    SURELY_SHARP,
    WINDOW_SIDES,
    find_patterns,
    measure_lbp,
    measure_lbp_sharpness,
    measure_share,
)


def find_pattern_slowly(grey, row, column):
    """Pattern of one pixel inside the picture, by bilinear interpolation on the circle."""
    bits = []
    for number in range(8):
        y = row - round(math.sin(number * math.pi / 4), 9)
        x = column + round(math.cos(number * math.pi / 4), 9)
        top, left = math.floor(y), math.floor(x)
        down, right = y - top, x - left
        value = sum(
            weight * grey[top + i, left + j]
            for i, j, weight in (
                (0, 0, (1 - down) * (1 - right)),
                (0, 1, (1 - down) * right),
                (1, 0, down * (1 - right)),
                (1, 1, down * right),
            )
            if weight > 0
        )
        bits.append(math.floor(value + 1e-6) - grey[row, column] > 0.016 * 255)
    changes = sum(bits[number] != bits[number - 1] for number in range(8))
    return sum(bits) if changes <= 2 else 9


def test_constants_of_the_paper():
    assert WINDOW_SIDES == (11, 15, 21)
    assert LEAST_DIFFERENCE == 0.016
    assert FIRST_SHARP_PATTERN == 6
    assert (SURELY_SHARP, SURELY_BLURRED) == (0.3, 0.01)


def test_patterns_are_those_of_one_pixel_at_a_time(rng):
    grey = rng.integers(100, 112, (14, 15)).astype(np.float32)
    expected = [[find_pattern_slowly(grey, row, column) for column in range(1, 14)] for row in range(1, 13)]
    patterns = find_patterns(grey)
    np.testing.assert_array_equal(patterns[1:-1, 1:-1], expected)
    assert set(np.unique(patterns)) == set(range(10))


def test_patterns_turn_with_the_picture(rng):
    grey = rng.integers(0, 255, (12, 12)).astype(np.float32)
    np.testing.assert_array_equal(find_patterns(np.rot90(grey)), np.rot90(find_patterns(grey)))


def test_a_dark_dot_is_pattern_8_and_small_differences_are_none():
    grey = np.full((5, 5), 100, dtype=np.float32)
    grey[2, 2] = 90
    assert find_patterns(grey)[2, 2] == 8
    grey[2, 2] = 96
    np.testing.assert_array_equal(find_patterns(grey), 0)


def test_share_counts_the_window():
    sharp = np.zeros((30, 30), dtype=bool)
    sharp[15, 15:17] = True
    share = measure_share(sharp, 11)
    assert share[15, 15] == pytest.approx(2 / 121)
    assert share[15, 21] == pytest.approx(1 / 121)
    assert share[15, 22] == 0


def test_map_fills_most_of_0_to_1_and_blurriness_is_the_rest():
    picture = load_photograph("coffee")
    sharpness = measure_lbp_sharpness(picture)
    assert 0 < sharpness.min() < 0.1
    assert 0.9 < sharpness.max() < 1
    np.testing.assert_array_equal(measure_lbp(picture), 1 - sharpness)


def test_a_picture_without_sharp_patterns_is_blurred_everywhere():
    blurriness = measure_lbp(make_colour(make_step(6.0)))
    assert blurriness.min() > 0.89
    np.testing.assert_allclose(blurriness[5:-5, 5:-5], blurriness.max(), atol=0.001)  # less sure at the border
