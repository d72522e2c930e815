"""Tiles of an image around its edge points, with the mirrored border that the patches at these points need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from defocus_edge.networks.edge.patches import PATCH_RADIUS, PATCH_SIDE

Sample = TypeVar("Sample", bound=np.generic)

# Sides of tiles in px are multiples of this, so that pictures of many sizes share few shapes. It is a multiple of all
# steps of grids.
_TILE_STEP = 12
#: Sides in px of the parts of a tile are multiples of this. Only parts that hold points are evaluated.
CUT_STEP = 36
# Parts with sides of at most this many px are not divided further.
_LEAST_CUT = 64
# A part costs as much time as if each side were longer by this many px, since most maps reach into the border.
_CUT_MARGIN = 25


def cut_tiles(
    image: NDArray[np.float32],
    points: NDArray[np.integer],
    *,
    tile_side: int,
    cut_step: int = CUT_STEP,
    grid: int = 1,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]]:
    """Cut an (H, W, C) image into tiles around its points, (N, 2) rows and columns inside the image.

    Parameters
    ----------
    tile_side : int
        Largest side of a tile in px, without its border.
    cut_step : int
        Sides of smaller tiles are multiples of this, in px; a small step gives many shapes. With `tile_side` all tiles
        have one shape.

    Yields
    ------
    tile : (1, h + 40, w + 40, C) ndarray of float32
        Part of the mirrored image; 0 beyond its end.
    corner : (2,) ndarray of int64
        Row and column of the image at which the tile starts, without its border.
    members : (n,) ndarray of int64
        Numbers of the points in the tile. Each point comes once.
    """
    tile_side, cut_step = (-(-length // grid) * grid for length in (tile_side, cut_step))
    sides = np.array([_choose_side(size, tile_side) for size in image.shape[:2]])
    columns = int(image.shape[1] // sides[1] + 1)
    numbers = (points[:, 0] // sides[0] * columns + points[:, 1] // sides[1]).astype(np.int32)
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        for members in _divide(points, order[start:stop], sides, cut_step, grid):
            corner, shape = _find_box(points[members], sides, cut_step, grid)
            yield read_padded_window(image, corner, shape + PATCH_SIDE - 1)[None], corner, members


def _find_box(
    points: NDArray[np.integer], largest: NDArray[np.int64], step: int, grid: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corner and sides of the box around points; the sides are multiples of `step`, up to the largest."""
    corner, last = (choose(points, axis=0).astype(np.int64) for choose in (np.min, np.max))
    corner -= corner % grid
    return corner, np.minimum(((last - corner) // step + 1) * step, largest)


def _divide(
    points: NDArray[np.integer], members: NDArray[np.int64], largest: NDArray[np.int64], step: int, grid: int
) -> list[NDArray[np.int64]]:
    """Halve the box around some of the points as long as the boxes around both halves together cost less."""
    corner, shape = _find_box(points[members], largest, step, grid)
    axis = int(shape.argmax())
    if shape[axis] <= max(_LEAST_CUT, step):
        return [members]
    first = points[members, axis] < corner[axis] + shape[axis] // 2
    parts = [part for half in (members[first], members[~first]) for part in _divide(points, half, largest, step, grid)]
    costs = [np.prod(_find_box(points[part], largest, step, grid)[1] + _CUT_MARGIN) for part in parts]
    return parts if sum(costs) < np.prod(shape + _CUT_MARGIN) else [members]


def _choose_side(size: int, largest: int) -> int:
    """Shortest side of equal tiles along an axis, for as few tiles as `largest` allows."""
    even = -(-size // -(-size // largest))
    return min(-(-even // _TILE_STEP) * _TILE_STEP, largest)


def read_padded_window(
    image: NDArray[Sample], corner: NDArray[np.integer], shape: NDArray[np.integer]
) -> NDArray[Sample]:
    """Cut a window out of the mirrored image without mirroring all of it.

    `corner` is a place in the mirrored image, whose pixel (20, 20) is the first one of the image.
    """
    rows, cols = (
        _mirror(np.arange(start, start + length) - PATCH_RADIUS, size)
        for start, length, size in zip(corner, shape, image.shape[:2], strict=True)
    )
    return image[rows[:, None], cols[None, :]]


def _mirror(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Index for positions beyond the ends of an axis, as `numpy.pad(mode="symmetric")`: the end pixel is repeated."""
    index = index % (2 * size)
    return np.where(index < size, index, 2 * size - 1 - index)
