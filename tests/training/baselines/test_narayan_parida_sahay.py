"""Narayan, Parida and Sahay 2017: the gradients against differences of the energy, and what the turns do."""

import numpy as np
import pytest
from baseline_cases import load_photograph

from training.baselines.narayan_parida_sahay import (
    LEVELS,
    MAP_GAMMA,
    MAP_WEIGHT,
    PICTURE_GAMMA,
    PICTURE_WEIGHT,
    blur,
    blur_back,
    find_prior_slope,
    improve_map,
    improve_picture,
)
from training.baselines.pictures import convert_to_grey


def measure_energy_slowly(taken, sharp, sigmas):
    """The energy of the paper, with both priors."""
    total = ((blur(sharp, sigmas).astype(float) - taken) ** 2).sum()
    for values, weight, gamma in ((sharp, PICTURE_WEIGHT, PICTURE_GAMMA), (sigmas, MAP_WEIGHT, MAP_GAMMA)):
        for axis in (0, 1):
            difference = np.diff(values.astype(float), axis=axis)
            total += weight * (gamma - gamma * np.exp(-(difference**2) / gamma)).sum()
    return total


@pytest.fixture(scope="module")
def sharp():
    return convert_to_grey(load_photograph("grass"))[:80, :100]


@pytest.fixture(scope="module")
def taken(sharp):
    return blur(sharp, np.full(sharp.shape, 2.0, dtype=np.float32))


def test_each_pixel_is_blurred_by_its_own_gaussian(rng):
    values = np.zeros((41, 41), dtype=np.float32)
    values[20, 20] = 1
    sigmas = rng.choice(LEVELS[2:7], (41, 41)).astype(np.float32)
    rows, columns = np.mgrid[-20:21, -20:21]
    expected = np.exp(-(rows**2 + columns**2) / (2 * sigmas**2)) / (2 * np.pi * sigmas**2)
    np.testing.assert_allclose(blur(values, sigmas), expected, atol=1e-3)
    np.testing.assert_array_equal(blur(values, np.zeros_like(values)), values)


def test_blur_between_levels_is_linear(sharp):
    lower, upper = (blur(sharp, np.full_like(sharp, sigma)) for sigma in (1.5, 2.0))
    np.testing.assert_allclose(blur(sharp, np.full_like(sharp, 1.6)), 0.8 * lower + 0.2 * upper, atol=1e-6)


def test_adjoint(rng):
    one, other = rng.random((2, 30, 34), dtype=np.float32)
    sigmas = rng.uniform(0, 5, one.shape).astype(np.float32)
    assert (blur(one, sigmas) * other).sum() == pytest.approx((one * blur_back(other, sigmas)).sum(), rel=1e-4)


def test_slope_of_the_prior_is_that_of_its_differences(rng):
    values = rng.random((5, 6), dtype=np.float32)
    slope = find_prior_slope(values, 0.3)

    def measure(row, column, change):
        moved = values.astype(float)
        moved[row, column] += change
        return sum((0.3 - 0.3 * np.exp(-(np.diff(moved, axis=axis) ** 2) / 0.3)).sum() for axis in (0, 1))

    for place in ((0, 0), (2, 3), (4, 5), (3, 0)):
        expected = (measure(*place, 1e-4) - measure(*place, -1e-4)) / 2e-4
        assert slope[place] == pytest.approx(expected, abs=1e-4)


def test_energy_falls_in_every_turn(taken):
    sharp, sigmas = taken, np.full(taken.shape, 2.6, dtype=np.float32)
    energies = [measure_energy_slowly(taken, sharp, sigmas)]
    for _ in range(2):
        sharp = improve_picture(taken, sharp, sigmas)
        energies.append(measure_energy_slowly(taken, sharp, sigmas))
        sigmas = improve_map(taken, sharp, sigmas)
        energies.append(measure_energy_slowly(taken, sharp, sigmas))
    assert (np.diff(energies) < 0).all(), energies


def test_picture_becomes_sharper_with_the_true_map(sharp, taken):
    sigmas = np.full(taken.shape, 2.0, dtype=np.float32)
    improved = improve_picture(taken, taken, sigmas, steps=20)
    assert ((improved - sharp) ** 2).mean() < 0.8 * ((taken - sharp) ** 2).mean()


@pytest.mark.parametrize("wrong", [1.4, 2.6])
def test_map_becomes_right_with_the_true_picture(sharp, taken, wrong):
    sigmas = improve_map(taken, sharp, np.full(taken.shape, wrong, dtype=np.float32), steps=100)
    assert np.abs(sigmas - 2).mean() < 0.5 * abs(wrong - 2)


def test_too_large_a_map_shrinks_without_the_true_picture(taken):
    sharp, sigmas = taken, np.full(taken.shape, 2.6, dtype=np.float32)
    for _ in range(3):
        sharp = improve_picture(taken, sharp, sigmas)
        sigmas = improve_map(taken, sharp, sigmas)
    assert 1.9 < sigmas.mean() < 2.5
