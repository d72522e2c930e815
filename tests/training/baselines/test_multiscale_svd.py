"""Multiscale SVD: bands against one window at a time, segments, and the map."""

import numpy as np
import pytest
from baseline_cases import load_photograph

from training.baselines.multiscale_svd import (
    BANDS,
    SHIFT_COLOUR,
    SHIFT_SPACE,
    STEP,
    WINDOW_SIDES,
    average_segments,
    find_segments,
    fuse_bands,
    measure_bands,
    measure_multiscale_svd,
    measure_multiscale_svd_sharpness,
)


def measure_bands_slowly(gradient, side, row, column):
    padded = np.pad(gradient, side // 2, mode="symmetric")
    window = padded[row : row + side, column : column + side]
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(window @ window.T)[::-1], 0))
    third = (side - 1) // 3
    assert third * 3 == side - 1
    return [values[1 + third * band : 1 + third * (band + 1)].mean() for band in range(3)]


def test_constants():
    assert WINDOW_SIDES == (7, 15, 31)
    assert (BANDS, STEP) == (3, 2)
    assert (SHIFT_SPACE, SHIFT_COLOUR) == (8, 8)


@pytest.mark.parametrize("side", [7, 31])
def test_bands_are_those_of_one_window_at_a_time(rng, side):
    gradient = 100 * rng.random((71, 72))
    bands = measure_bands(gradient, side)
    assert bands.shape == (3, 36, 36)
    for row, column in ((20, 20), (30, 44), (0, 36)):
        expected = measure_bands_slowly(gradient, side, row, column)
        np.testing.assert_allclose(bands[:, row // 2, column // 2], expected, rtol=1e-3, atol=1e-3)


def test_bands_share_the_singular_values_after_the_first(rng):
    gradient = rng.random((15, 15))
    values = np.linalg.svd(gradient, compute_uv=False)
    # 14 values in three bands: 4, 5 and 5.
    expected = [values[1:5].mean(), values[5:10].mean(), values[10:].mean()]
    middle = measure_bands(np.pad(gradient, 1), 15)[:, 4, 4]  # the window around (8, 8) is `gradient`
    np.testing.assert_allclose(middle, expected, rtol=1e-3)


def test_one_straight_edge_has_no_sharp_band():
    gradient = np.zeros((20, 20))
    gradient[:, 10] = 1  # rank 1
    assert measure_bands(gradient, 7).max() < 1e-6


def test_bands_count_alike():
    bands = np.array([[[0.0, 50.0, 100.0]], [[3.0, 1.0, 2.0]], [[0.0, 0.0, 0.0]]], dtype=np.float32)
    np.testing.assert_allclose(fuse_bands(bands), [[1, 0.5, 1.5]])


def test_segments_are_the_parts_of_one_colour():
    picture = np.full((30, 40, 3), 0.2, dtype=np.float32)
    picture[:, 20:] = 0.8
    picture[12:18, 4:14] = (0.9, 0.1, 0.1)
    segments = find_segments(picture)
    assert len(np.unique(segments)) == 3
    assert segments[0, 0] == segments[29, 19] != segments[0, 20]
    assert len(np.unique(segments[12:18, 4:14])) == 1


def test_means_of_segments():
    segments = np.array([[0, 0, 1], [2, 1, 1]], dtype=np.int32)
    means = average_segments(np.array([[1.0, 3.0, 4.0], [7.0, 5.0, 6.0]]), segments)
    np.testing.assert_allclose(means, [[2, 2, 5], [7, 5, 5]])


def test_map_fills_0_to_1_and_blurriness_is_the_rest():
    picture = load_photograph("coffee")[:40, :50]
    sharpness = measure_multiscale_svd_sharpness(picture)
    assert (sharpness.min(), sharpness.max()) == (0, 1)
    np.testing.assert_array_equal(measure_multiscale_svd(picture), 1 - sharpness)
