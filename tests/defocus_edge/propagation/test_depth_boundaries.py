"""Broken lines of depth edges become closed boundaries along contours, and only there."""

import cv2
import numpy as np
import pytest

from defocus_edge.propagation import depth_boundaries
from defocus_edge.propagation.depth_boundaries import close_depth_edges


def square_scene(low=0.3, high=0.6):
    """A bright square on a dark ground, and its outline."""
    image = np.full((80, 90, 3), low, dtype=np.float32)
    image[20:60, 25:65] = high
    outline = np.zeros((80, 90), dtype=bool)
    outline[20:60, [25, 64]] = outline[[20, 59], 25:65] = True
    return image, outline


def fill_from(closed, start):
    """Pixels that can be reached from one without stepping over a closed boundary."""
    seen, todo = np.zeros(closed.shape, dtype=bool), [start]
    seen[start] = True
    while todo:
        row, col = todo.pop()
        for step_row, step_col in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            there = (row + step_row, col + step_col)
            if not (0 <= there[0] < closed.shape[0] and 0 <= there[1] < closed.shape[1]) or seen[there]:
                continue
            later = max((row, col), there)  # the wall lies before the right or lower one of the two
            if not closed[later]:
                seen[there] = True
                todo.append(there)
    return seen


@pytest.mark.parametrize("gap", [0, 6, 14])
def test_an_outline_with_gaps_is_closed(gap):
    image, outline = square_scene()
    broken = outline.copy()
    broken[40 : 40 + gap, 25] = broken[20, 45 : 45 + gap] = False
    closed = close_depth_edges(image, broken, np.zeros_like(broken))
    outside = fill_from(closed, (0, 0))
    assert outside[5, 5]
    assert outside[75, 85]
    assert not outside[40, 45]
    inside = ~outside
    assert abs(int(inside.sum()) - 40 * 40) < 200


def test_pattern_edges_stay_open():
    image, outline = square_scene()
    nothing = np.zeros_like(outline)
    assert not close_depth_edges(image, nothing, outline).any()
    few = nothing.copy()
    few[20:24, 25] = True
    assert fill_from(close_depth_edges(image, few, outline & ~few), (0, 0))[40, 45]


def test_the_boundary_lies_on_the_contour():
    """Depth-edge points up to two pixels off the contour close the contour itself."""
    image, _ = square_scene()
    beside = np.zeros(image.shape[:2], dtype=bool)
    beside[20:60, [23, 66]] = True
    rows, cols = np.nonzero(close_depth_edges(image, beside, np.zeros_like(beside)))
    found = cols[(rows > 25) & (rows < 55)]
    assert len(found) >= 2 * 29
    assert (np.minimum(np.abs(found - 25), np.abs(found - 65)) <= 1).all()


def test_a_picture_without_contours_has_no_boundaries():
    plain = np.full((30, 40, 3), 0.5, dtype=np.float32)
    points = np.zeros((30, 40), dtype=bool)
    points[10, 5:30] = True
    assert not close_depth_edges(plain, points, np.zeros_like(points)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2)])
def test_thin_pictures(shape, rng):
    image = rng.random((*shape, 3), dtype=np.float32)
    points = np.ones(shape, dtype=bool)
    closed = close_depth_edges(image, points, ~points)
    assert closed.shape == shape
    assert closed.dtype == bool


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_strips_change_nothing(rows, rng, monkeypatch):
    noise = cv2.GaussianBlur(rng.random((120, 90, 3), dtype=np.float32), (0, 0), 2)
    image = (noise - noise.min()) / np.ptp(noise)
    depth, pattern = rng.random((2, 120, 90)) < 0.1
    whole = close_depth_edges(image, depth, pattern & ~depth)
    assert 0.05 < whole.mean() < 0.5
    monkeypatch.setattr(depth_boundaries, "STRIP_ROWS", rows)
    np.testing.assert_array_equal(close_depth_edges(image, depth, pattern & ~depth), whole)
