"""Laplacian of the graph in which each pixel is tied to its four neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import laplacian


def build_grid_laplacian(down: NDArray[np.floating], right: NDArray[np.floating]) -> Any:
    """Laplacian, (H·W, H·W) and sparse, from the ties of pixels; borders are closed.

    Parameters
    ----------
    down : (H - 1, W) ndarray of float
        Tie of each pixel with the one below, >= 0.
    right : (H, W - 1) ndarray of float
        Tie of each pixel with the one to its right, >= 0.
    """
    shape = (right.shape[0], down.shape[1])
    numbers = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)
    here = np.concatenate([numbers[:-1].ravel(), numbers[:, :-1].ravel()])
    there = np.concatenate([numbers[1:].ravel(), numbers[:, 1:].ravel()])
    ties = sparse.coo_array((np.concatenate([down.ravel(), right.ravel()]), (here, there)), shape=(numbers.size,) * 2)
    return laplacian((ties + ties.T).tocsr())
