"""Edge DCT on edges of known blur, and the ratio against one coefficient at a time."""

import numpy as np
import pytest
from baseline_cases import load_photograph, make_colour, make_step
from scipy.ndimage import gaussian_filter

from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.edge_dct import (
    ANGLES,
    COMMON_SIGMA,
    LEAST_DISTANCE,
    WINDOW_SIDES,
    choose_reblur_sigmas,
    convert_ratio,
    measure_edge_dct,
    measure_ratio,
)

POINT = np.array([[24, 48]])


def sum_bands_slowly(window):
    """Each coefficient by its definition, times u + v."""
    side = len(window)
    position = np.arange(side)
    total = 0.0
    for u in range(side):
        for v in range(side):
            waves = np.outer(*(np.cos(np.pi * (position + 0.5) * k / side) for k in (u, v)))
            scale = np.prod([np.sqrt((1 if k == 0 else 2) / side) for k in (u, v)])
            total += (u + v) * abs(scale * (window * waves).sum())
    return total


def test_constants():
    assert WINDOW_SIDES == (9, 15)
    np.testing.assert_allclose(np.degrees(ANGLES), [0, 22.5, 45, 67.5])
    assert COMMON_SIGMA == 2.5


def test_ratio_is_that_of_the_definition(rng, monkeypatch):
    monkeypatch.setattr("training.baselines.edge_dct.ANGLES", (0.0,))
    grey = rng.random((20, 22)).astype(np.float32)
    again = gaussian_filter(grey, 1.5, mode="reflect")
    points = np.array([[8, 9], [11, 15]])
    expected = [
        sum_bands_slowly(again[row - 4 : row + 5, column - 4 : column + 5])
        / sum_bands_slowly(grey[row - 4 : row + 5, column - 4 : column + 5])
        for row, column in points
    ]
    np.testing.assert_allclose(measure_ratio(grey, points, sigma=1.5, side=9), expected, rtol=1e-4)


@pytest.mark.parametrize("reblur", [1.0, 2.5])
@pytest.mark.parametrize(("sigma", "tolerance"), [(0.5, 0.2), (1.0, 0.15), (1.5, 0.3), (2.0, 0.6), (3.0, 0.7)])
def test_ratio_tells_the_blur_of_a_step(sigma, tolerance, reblur):
    for side in WINDOW_SIDES:
        ratio = convert_ratio(measure_ratio(make_step(sigma), POINT, sigma=reblur, side=side), reblur)
        found = COMMON_SIGMA * ratio / np.sqrt(1 - ratio**2)
        assert abs(found[0] - sigma) < tolerance


def test_converting_to_the_same_blur_changes_nothing():
    ratios = np.array([0.0, 0.3, 0.8, 0.99])
    np.testing.assert_allclose(convert_ratio(ratios, COMMON_SIGMA), ratios)
    assert convert_ratio(np.array([1.2]), 1.0) < 1


def test_reblur_is_finer_where_edges_are_close():
    step = make_step(1.0, offset=4)
    assert set(np.unique(choose_reblur_sigmas(step))) == {0, COMMON_SIGMA}
    assert set(np.unique(choose_reblur_sigmas(np.minimum(step, step[:, ::-1])))) - {0} < {1.25, 1.5, 1.75, 2, 2.25, 2.5}


def test_edges_of_the_coarsest_scale_join_where_no_other_is_near(rng):
    noise = 0.02 * rng.standard_normal((64, 96))  # the finer scales break the edge
    soft = (make_step(6.0, shape=(64, 96)) + noise).astype(np.float32)
    sigmas = choose_reblur_sigmas(soft)
    assert (sigmas[:, 40:56] == COMMON_SIGMA).sum() > 20
    assert LEAST_DISTANCE == 3


def test_map_and_no_edges():
    blur_map = measure_edge_dct(load_photograph("coffee")[:60, :80])
    assert 0.05 < blur_map.min() < 0.4
    assert 0.4 < blur_map.max() < 1
    assert measure_edge_dct(make_colour(make_step(2.0))).mean() == pytest.approx(2 / np.hypot(2, 2.5), abs=0.05)
    grey = np.full((40, 40), 0.5, dtype=np.float32)
    grey[20, 20] = 0.51
    with pytest.raises(NoEdgesError, match="Got: none"):
        measure_edge_dct(make_colour(grey))
