"""Gathers what the heads see of the maps at edge points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defocus_edge._compiling import compile_kernel
from defocus_edge.networks.edge.architecture import HEAD_SIDE, HEADS, POOL_STRIDE

_ZERO = np.float32(0)


def gather_grids(
    coarse: NDArray[np.float32], fine: NDArray[np.float32], points: NDArray[np.int32], grid_step: int
) -> NDArray[np.float32]:
    """As `networks.edge.features.gather_head_input` in one pass over the maps; (2, N, 5, 5, filters), B-NET first.

    `coarse` and `fine` are the (1, H, W, C) maps of one tile.
    """
    filters = coarse.shape[-1] // len(HEADS)
    grids = np.empty((len(HEADS), len(points), HEAD_SIDE, HEAD_SIDE, filters), np.float32)
    _gather(coarse[0], fine[0], points, POOL_STRIDE // grid_step, grid_step, grids)
    return grids


@compile_kernel
def _gather(
    coarse: NDArray[np.float32],
    fine: NDArray[np.float32],
    points: NDArray[np.int32],
    spread: int,
    step: int,
    grids: NDArray[np.float32],
) -> None:
    """Fill `grids` with ``relu(coarse[p + spread * d] + fine[step * p + d])``."""
    heads, count, side, _, filters = grids.shape
    for number in range(count):
        row, col = points[number, 1], points[number, 2]
        for y in range(side):
            for x in range(side):
                wide, near = coarse[row + spread * y, col + spread * x], fine[step * row + y, step * col + x]
                for head in range(heads):
                    for channel in range(filters):
                        value = wide[head * filters + channel] + near[head * filters + channel]
                        grids[head, number, y, x, channel] = max(value, _ZERO)
