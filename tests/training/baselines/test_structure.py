"""TV-L1: the minimum of its energy, and what it removes."""

import numpy as np
import pytest
from scipy.optimize import linprog

from training.baselines.structure import find_structure


def test_one_row_is_the_minimum_of_linear_programming(rng):
    row, fidelity = rng.random(12), 0.7
    weight = rng.uniform(0.5, 2, 12)
    # Variables: u, then |u - f|, then |du| of 11 differences.
    same, steps = np.eye(12), np.diff(np.eye(12), axis=0)
    none, pad = np.zeros((12, 11)), np.zeros((11, 12))
    above = np.block([[same, -same, none], [-same, -same, none], [steps, pad, -np.eye(11)], [-steps, pad, -np.eye(11)]])
    bound = np.concatenate([row, -row, np.zeros(22)])
    cost = np.concatenate([np.zeros(12), np.full(12, fidelity), weight[:-1]])
    exact = linprog(cost, A_ub=above, b_ub=bound, bounds=[(None, None)] * 12 + [(0, None)] * 23)
    picture = row.astype(np.float32)[None, :, None]
    found = find_structure(picture, weight.astype(np.float32)[None], fidelity=fidelity, steps=3000)[0, :, 0]
    energy = (weight[:-1] * np.abs(np.diff(found))).sum() + fidelity * np.abs(found - row).sum()
    assert energy == pytest.approx(exact.fun, rel=1e-3)


def test_a_small_disk_vanishes_and_a_large_one_stays():
    rows, columns = np.mgrid[:64, :96]
    small = np.hypot(rows - 32, columns - 20) < 3
    large = np.hypot(rows - 32, columns - 65) < 12
    picture = (0.2 + 0.6 * (small | large)).astype(np.float32)[..., None]
    structure = find_structure(picture, np.ones((64, 96), dtype=np.float32), steps=400)
    assert structure[small].mean() < 0.3
    assert structure[large].mean() > 0.7
    kept = find_structure(picture, np.full((64, 96), 0.25, dtype=np.float32), steps=400)
    assert kept[small].mean() > 0.7


def test_range_and_constants_stay(rng):
    picture = rng.uniform(0.3, 0.6, (20, 24, 3)).astype(np.float32)
    before = picture.copy()
    structure = find_structure(picture, np.ones((20, 24), dtype=np.float32))
    assert picture.min() <= structure.min() <= structure.max() <= picture.max()
    np.testing.assert_array_equal(picture, before)
    plain = np.full((20, 24, 3), 0.4, dtype=np.float32)
    np.testing.assert_allclose(find_structure(plain, np.ones((20, 24), dtype=np.float32)), 0.4, atol=1e-6)
