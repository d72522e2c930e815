"""The Laplacian of the grid against its energy."""

import numpy as np
import pytest

from training.baselines.grid import build_grid_laplacian


def test_energy_is_the_sum_over_neighbours(rng):
    down, right = rng.random((4, 6)), rng.random((5, 5))
    values = rng.random((5, 6))
    energy = (down * np.diff(values, axis=0) ** 2).sum() + (right * np.diff(values, axis=1) ** 2).sum()
    matrix = build_grid_laplacian(down, right)
    assert values.ravel() @ (matrix @ values.ravel()) == pytest.approx(energy)
    np.testing.assert_array_equal((matrix - matrix.T).toarray(), 0)
    np.testing.assert_allclose(matrix @ np.ones(30), 0, atol=1e-12)
