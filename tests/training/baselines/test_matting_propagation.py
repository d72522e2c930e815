"""Propagation with the matting Laplacian against dense algebra."""

import sys

import numpy as np
import pytest

from training.baselines.matting_propagation import ZHUO_SIM_FIDELITY, propagate_by_matting


def build_laplacian_slowly(guide, epsilon):
    """Matting Laplacian of all 3×3 windows, from the definition."""
    height, width = guide.shape[:2]
    laplacian = np.zeros((height * width, height * width))
    numbers = np.arange(height * width).reshape(height, width)
    for row in range(height - 2):
        for column in range(width - 2):
            window = numbers[row : row + 3, column : column + 3].ravel()
            colours = guide.reshape(-1, 3)[window].astype(np.float64)
            centred = colours - colours.mean(axis=0)
            covariance = centred.T @ centred / 9 + epsilon / 9 * np.eye(3)
            affinity = (1 + centred @ np.linalg.inv(covariance) @ centred.T) / 9
            laplacian[np.ix_(window, window)] += np.eye(9) - affinity
    return laplacian


@pytest.fixture
def guide(rng):
    return rng.random((9, 11, 3), dtype=np.float32)


@pytest.fixture
def known(rng, guide):
    weight = np.where(rng.random(guide.shape[:2]) < 0.3, rng.uniform(0.5, 2, guide.shape[:2]), 0)
    return rng.uniform(2, 5, weight.shape).astype(np.float32), weight.astype(np.float32)


def test_constant_of_the_paper():
    assert ZHUO_SIM_FIDELITY == 0.001


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize(("fidelity", "epsilon"), [(0.1, 1e-4), (100.0, 1e-2), (0.1, 1e-7)])
def test_map_is_that_of_dense_algebra(guide, known, fidelity, epsilon, colour):
    values, weight = known
    guide = guide if colour else np.repeat(guide[..., :1], 3, axis=2)
    matrix = build_laplacian_slowly(guide, epsilon) + fidelity * np.diag(weight.ravel())
    solution = np.linalg.solve(matrix, fidelity * (weight * values).ravel()).reshape(weight.shape)
    expected = np.clip(solution, values[weight > 0].min(), values[weight > 0].max())
    result = propagate_by_matting(values, weight, guide, fidelity=fidelity, epsilon=epsilon)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-3)


def test_linear_functions_of_the_colours_come_back(rng):
    ramp = np.linspace(0, 1, 24, dtype=np.float32)
    guide = np.stack([*np.meshgrid(ramp, ramp), np.full((24, 24), 0.5, dtype=np.float32)], axis=2)
    wanted = 1 + 2 * guide[..., 0] + guide[..., 1]
    weight = (rng.random((24, 24)) < 0.1).astype(np.float32)
    weight[0, 0] = weight[-1, -1] = 1  # the smallest and the largest
    np.testing.assert_allclose(propagate_by_matting(wanted, weight, guide, fidelity=1.0), wanted, atol=0.01)


def test_values_spread_within_a_grey_value():
    guide = np.full((20, 30, 3), 0.2, dtype=np.float32)
    guide[:, 15:] = 0.8
    values, weight = np.full((20, 30), np.nan, dtype=np.float32), np.zeros((20, 30), dtype=np.float32)
    values[10, 3], values[10, 26] = 1, 4  # NaN where the weight is 0 does not matter
    weight[10, 3] = weight[10, 26] = 1
    result = propagate_by_matting(values, weight, guide)
    np.testing.assert_allclose(result[:, :15], 1, atol=0.02)
    np.testing.assert_allclose(result[:, 15:], 4, atol=0.02)


def test_one_value_fills_the_map(guide, known):
    _, weight = known
    result = propagate_by_matting(np.full(weight.shape, 3.0, dtype=np.float32), weight, guide)
    np.testing.assert_array_equal(result, 3)


def test_unit_does_not_matter(guide, known):
    values, weight = known
    result = propagate_by_matting(values, weight, guide)
    np.testing.assert_allclose(propagate_by_matting(100 * values - 50, weight, guide), 100 * result - 50, atol=1e-2)


@pytest.mark.parametrize("name", ["fidelity", "epsilon"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_numbers_must_be_positive(guide, known, name, value):
    with pytest.raises(ValueError, match=rf"{name} must be finite and greater than 0\. Got: "):
        propagate_by_matting(*known, guide, **{name: value})


def test_shapes_must_fit(guide, known):
    values, weight = known
    with pytest.raises(ValueError, match=r"guide must have shape \(H, W, 3\)\. Got: \(9, 11\)"):
        propagate_by_matting(values, weight, guide[..., 0])
    with pytest.raises(ValueError, match=r"sparse_values must have the shape of the guide, \(9, 11\)\. Got: \(8, 11\)"):
        propagate_by_matting(values[1:], weight, guide)
    with pytest.raises(ValueError, match=r"support_weight must have the shape of the guide"):
        propagate_by_matting(values, weight[1:], guide)


def test_values_must_fit(guide, known):
    values, weight = known
    with pytest.raises(ValueError, match=r"guide must be finite and within \[0, 1\]"):
        propagate_by_matting(values, weight, guide * 255)
    for other in (np.zeros_like(weight), -weight, np.where(weight > 0, np.nan, weight)):
        with pytest.raises(ValueError, match=r"support_weight must be finite, >= 0 and somewhere larger"):
            propagate_by_matting(values, other, guide)
    with pytest.raises(ValueError, match=r"sparse_values must be finite where support_weight is above 0"):
        propagate_by_matting(np.where(weight > 0, np.nan, values), weight, guide)


def test_without_pymatting_the_error_says_how_to_get_it(monkeypatch, guide, known):
    monkeypatch.setitem(sys.modules, "pymatting.laplacian.cf_laplacian", None)
    with pytest.raises(ImportError, match=r"pip install 'defocus-edge\[evaluation\]'"):
        propagate_by_matting(*known, guide)
