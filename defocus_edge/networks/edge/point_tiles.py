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
# Side in px of the blocks that are divided as a whole: much fewer than points. A box is not divided if blocks with
# points take more than the second number of its area: little could be left out.
_BLOCK, _FULL = 12, 0.6
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
    located = points.astype(np.int64)
    order, starts = _sort_into_blocks(located, sides, image.shape[1])
    boxes = _bound(located[order], starts)
    counts = np.diff(starts, append=len(order))
    tiles = boxes[:, :2] // sides
    firsts = np.flatnonzero(np.any(np.diff(tiles, axis=0, prepend=-1), axis=1))
    for first, stop in zip(firsts, [*firsts[1:], len(boxes)], strict=True):
        parts, _ = _divide(boxes, np.arange(first, stop), sides, cut_step, grid)
        for part in parts:
            corner, shape = _find_box(boxes[part], sides, cut_step, grid)
            members = order[_list_ranges(starts[part], counts[part])]
            yield read_padded_window(image, corner, shape + PATCH_SIDE - 1)[None], corner, members


def _sort_into_blocks(
    points: NDArray[np.int64], sides: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order of points by tile and block of it, and where in that order each block starts."""
    key = np.zeros(len(points), np.int64)
    for step in (sides, np.array([_BLOCK, _BLOCK])):
        rows, columns = (points // step).T
        key = (key * (int(points[:, 0].max(initial=0)) // step[0] + 1) + rows) * (width // step[1] + 1) + columns
    order = np.argsort(key, kind="stable")
    return order, np.flatnonzero(np.diff(key[order], prepend=-1))


def _bound(points: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """First and last row and column of the points of each block: top, left, bottom, right."""
    sides = [choose.reduceat(points, starts, axis=0) for choose in (np.minimum, np.maximum)] if len(starts) else []
    return np.hstack(sides) if sides else np.empty((0, 4), np.int64)


def _list_ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers from each start on, as many as its count."""
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum()) + np.repeat(starts - before, counts)


def _find_box(
    boxes: NDArray[np.int64], largest: NDArray[np.int64], step: int, grid: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corner and sides of the box around boxes; the sides are multiples of `step`, up to the largest."""
    corner, last = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    corner -= corner % grid
    return corner, np.minimum(((last - corner) // step + 1) * step, largest)


def _divide(
    boxes: NDArray[np.int64], members: NDArray[np.int64], largest: NDArray[np.int64], step: int, grid: int
) -> tuple[list[NDArray[np.int64]], int]:
    """Halve the box around some of the blocks as long as the boxes around both halves together cost less.

    Returns the parts and their cost.
    """
    corner, shape = _find_box(boxes[members], largest, step, grid)
    cost = int(np.prod(shape + _CUT_MARGIN))
    axis = int(shape.argmax())
    is_first = boxes[members, axis] < corner[axis] + shape[axis] // 2
    is_full = len(members) * _BLOCK**2 > _FULL * np.prod(shape)
    if shape[axis] <= max(_LEAST_CUT, step) or is_full or is_first.all():
        return [members], cost
    halves = [_divide(boxes, half, largest, step, grid) for half in (members[is_first], members[~is_first])]
    divided = sum(cost for _, cost in halves)
    return ([part for parts, _ in halves for part in parts], divided) if divided < cost else ([members], cost)


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
