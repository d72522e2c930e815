"""Outlines of masks are compared as by hand, and probabilities as counted one by one."""

import itertools

import numpy as np
import pytest

from defocus_edge.metrics import BETA_SQUARED, MaskProtocol, measure_mask, summarize_masks
from defocus_edge.metrics.boundaries import BOUNDARY_REACH, BoundaryHits, compare_boundaries


def list_outline(mask):
    """Pixels of an outline, one by one."""
    rows, cols = mask.shape
    found = []
    for row, col in itertools.product(range(rows), range(cols)):
        around = [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)]
        inside = [place for place in around if 0 <= place[0] < rows and 0 <= place[1] < cols]
        if any(mask[place] != mask[row, col] for place in inside):
            found.append((row, col))
    return found


def count_near(first, second, reach):
    return sum(any(np.hypot(a - c, b - d) <= reach for c, d in second) for a, b in first)


def make_half(shape, col):
    mask = np.zeros(shape, dtype=bool)
    mask[:, col:] = True
    return mask


def test_counts_are_those_of_the_slow_way(rng):
    masks = [rng.random((6, 8)).repeat(5, axis=0).repeat(5, axis=1) > 0.6 for _ in range(2)]
    found, true = (list_outline(mask) for mask in masks)
    reach = BOUNDARY_REACH * np.hypot(30, 40)
    hits = compare_boundaries(*masks)
    assert hits == BoundaryHits(len(found), count_near(found, true, reach), len(true), count_near(true, found, reach))
    assert 0 < hits.found_near < hits.found


@pytest.mark.parametrize(("shift", "near"), [(0, True), (2, True), (3, True), (4, False)])
def test_an_outline_within_a_hundredth_of_the_diagonal_is_right(shift, near):
    """On 120×160 px that is 2 px; an outline is 2 px wide, so its nearer half reaches 1 px further."""
    truth, found = make_half((120, 160), 80), make_half((120, 160), 80 + shift)
    hits = compare_boundaries(found, truth)
    assert (hits.found_near > 0) == near
    assert (hits.found_near == hits.found) == (shift <= 2)


def test_masks_without_an_outline():
    empty, half = np.zeros((20, 20), dtype=bool), make_half((20, 20), 10)
    assert compare_boundaries(empty, half) == BoundaryHits(0, 0, 40, 0)
    assert measure_mask(empty.astype(np.float32), half).boundary_f_beta == 0
    assert np.isnan(measure_mask(half.astype(np.float32), empty).boundary_f_beta)
    assert measure_mask(half.astype(np.float32), half).boundary_f_beta == pytest.approx(1)


def test_f_beta_is_that_of_precision_and_recall(rng):
    values, mask = rng.random((30, 40), dtype=np.float32), make_half((30, 40), 12)
    curves = measure_mask(values, mask, threshold=0.9)
    hits = compare_boundaries(values >= 0.9, mask)
    precision, recall = hits.found_near / hits.found, hits.true_near / hits.true
    expected = (1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)
    assert curves.boundary_f_beta == pytest.approx(expected)


def test_the_figure_is_a_mean_over_pictures_with_an_outline(rng):
    half, whole = make_half((30, 40), 12), np.ones((30, 40), dtype=bool)
    values = rng.random((30, 40), dtype=np.float32)
    curves = [measure_mask(values, half), measure_mask(half.astype(np.float32), half), measure_mask(values, whole)]
    row = summarize_masks(curves, MaskProtocol())
    assert row["boundary Fβ"] == pytest.approx((curves[0].boundary_f_beta + 1) / 2)
    pooled = summarize_masks(curves, MaskProtocol("pooled"))
    both = curves[0].boundary + curves[1].boundary + curves[2].boundary
    precision, recall = both.found_near / both.found, both.true_near / both.true
    expected = (1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)
    assert pooled["boundary Fβ"] == pytest.approx(expected)


def test_calibration_error_is_counted_step_by_step(rng):
    values = rng.random((50, 60), dtype=np.float32)
    mask = rng.random((50, 60)) < values**2  # too sure of blur
    error = measure_mask(values, mask).calibration_error
    steps = np.floor(values * 100).astype(int)
    expected = 0.0
    for step in np.unique(steps):
        own = mask[steps == step]
        expected += abs(own.sum() - (step / 100 + 0.005) * own.size) / mask.size
    assert error == pytest.approx(expected, abs=1e-3)
    assert error > 0.1
    honest = measure_mask(values, rng.random((50, 60)) < values).calibration_error
    assert honest < error / 2
