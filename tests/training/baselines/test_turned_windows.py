"""Windows around points, against one value at a time."""

import math

import numpy as np
from scipy.ndimage import map_coordinates

from training.baselines.patches import sample_windows

POINTS = np.array([[0, 0], [12, 15], [29, 39], [3, 30]])


def test_straight_windows_are_slices_of_the_mirrored_picture(rng):
    values = rng.random((30, 40)).astype(np.float32)
    (windows,) = sample_windows(values, POINTS, side=7, angle=0.0)
    padded = np.pad(values, 3, mode="symmetric")
    expected = [padded[row : row + 7, column : column + 7] for row, column in POINTS]
    np.testing.assert_allclose(windows, expected, atol=1e-6)


def test_turned_windows_are_interpolated(rng):
    values = rng.random((30, 40)).astype(np.float32)
    angle = 0.4
    (windows,) = sample_windows(values, POINTS, side=5, angle=angle)
    down, right = np.mgrid[-2:3, -2:3]
    for window, (row, column) in zip(windows, POINTS, strict=True):
        places = (
            row + math.cos(angle) * down - math.sin(angle) * right,
            column + math.sin(angle) * down + math.cos(angle) * right,
        )
        # OpenCV rounds places to 1/32 px.
        np.testing.assert_allclose(window, map_coordinates(values, places, order=1, mode="reflect"), atol=0.07)


def test_a_quarter_turn_turns_the_window(rng):
    values = rng.random((31, 31)).astype(np.float32)
    (straight,), (turned,) = (
        sample_windows(values, np.array([[15, 15]]), side=9, angle=angle) for angle in (0.0, math.pi / 2)
    )
    np.testing.assert_allclose(np.rot90(straight[0], -1), turned[0], atol=1e-5)


def test_batches_keep_the_order(rng):
    values = rng.random((25, 25)).astype(np.float32)
    points = rng.integers(0, 25, (20_003, 2))
    batches = list(sample_windows(values, points, side=1, angle=0.0))
    assert [len(batch) for batch in batches] == [20_000, 3]
    np.testing.assert_allclose(np.concatenate(batches)[:, 0, 0], values[tuple(points.T)], atol=1e-6)
