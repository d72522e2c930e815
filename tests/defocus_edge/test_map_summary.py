"""map_summary.py against a slow oracle."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from defocus_edge.thresholds import BOX_SHARE, MapSummary, summarize_map, threshold_blur_map


def find_box_slowly(blur_map, share):
    """The first box with the smallest mean of whole numbers, one after the other."""
    height, width = (max(1, round(side * share)) for side in blur_map.shape)
    best, place = None, None
    for row in range(blur_map.shape[0] - height + 1):
        for col in range(blur_map.shape[1] - width + 1):
            total = int(blur_map[row : row + height, col : col + width].astype(np.int64).sum())
            if best is None or total < best:
                best, place = total, (row, col, height, width)
    return place


def test_figures(rng):
    blur_map = rng.uniform(0.5, 6, (40, 60)).astype(np.float32)
    found = summarize_map(blur_map)
    assert (found.height, found.width) == (40, 60)
    assert found.blurred_share == threshold_blur_map(blur_map).mean()
    np.testing.assert_allclose([found.median_radius, found.p95_radius], np.quantile(blur_map, (0.5, 0.95)))
    row, col, height, width = found.sharpest_box
    assert (height, width) == (10, 15)
    inside = blur_map[row : row + height, col : col + width]
    np.testing.assert_allclose(found.sharpest_radius, inside.mean(), rtol=1e-6)


@given(
    arrays.arrays(np.int64, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3)),
    st.floats(0.05, 1),
)
@example(np.array([[0, 2, 3], [1, 1, 1]]), 0.5)  # a tie only where thirds of the largest radius are exact, too
def test_box_is_the_slow_one_with_ties(whole, share):
    """Halves of whole numbers are exact in floats, so that the oracle sees the same ties."""
    assert summarize_map((whole / 2).astype(np.float32), box_share=share).sharpest_box == find_box_slowly(whole, share)


@pytest.mark.parametrize("radius", [0.0, 1.2e-38, 0.1, 1.3, 1e6])
def test_of_a_plain_map_the_first_box_is_the_sharpest(radius):
    found = summarize_map(np.full((50, 70), radius, dtype=np.float32))
    assert found.sharpest_box == (0, 0, 12, 18)
    np.testing.assert_allclose([found.median_radius, found.p95_radius, found.sharpest_radius], radius, rtol=1e-6)


def test_smallest_map():
    assert summarize_map([[2.5]]) == MapSummary(1, 1, 1.0, 2.5, 2.5, (0, 0, 1, 1), 2.5)


def test_the_map_is_not_changed(rng):
    blur_map = rng.uniform(0, 6, (30, 20)).astype(np.float32)
    before = blur_map.copy()
    summarize_map(blur_map)
    np.testing.assert_array_equal(blur_map, before)


def test_share_of_the_box():
    assert summarize_map(np.ones((10, 10)), box_share=1).sharpest_box == (0, 0, 10, 10)
    assert BOX_SHARE == 0.25


@pytest.mark.parametrize(
    ("blur_map", "message"),
    [
        (np.ones(3), r"must have shape \(H, W\), not empty. Got: \(3,\)"),
        (np.ones((0, 3)), r"not empty. Got: \(0, 3\)"),
        ([[1.0, np.nan]], "finite radii of 0 px or more. Got: nan to nan"),
        ([[1.0, np.inf]], "finite radii of 0 px or more. Got: 1 to inf"),
        ([[1.0, -0.5]], "finite radii of 0 px or more. Got: -0.5 to 1"),
    ],
)
def test_bad_maps(blur_map, message):
    with pytest.raises(ValueError, match=message):
        summarize_map(blur_map)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, np.nan])
def test_bad_share(share):
    with pytest.raises(ValueError, match="box_share must be above 0 and at most 1"):
        summarize_map(np.ones((4, 4)), box_share=share)
