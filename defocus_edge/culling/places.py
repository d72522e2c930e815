"""Where it matters: the region of a burst that is in focus, or given boxes, and how sharp a frame is there.

Maps are reduced to grids of at most `GRID_SIDE` cells, so that a burst of hundreds of frames fits into memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.arrays import shrink
from defocus_edge.culling.bursts import Frame
from defocus_edge.files.sidecars.box_tables import Box
from defocus_edge.thresholds import find_threshold, summarize_map

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
#: Cells along the longer side of a picture.
GRID_SIDE = 256
#: What a frame was judged by: the region in focus, the sharpest box of a burst where nothing is in focus, or boxes.
PlaceKind = Literal["region", "sharpest box", "boxes", "faces"]
# Regions count as equally like the others if they agree so far: sums of the same numbers differ by their order.
_LIKENESS_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class View:
    """What is kept of a frame: its map, reduced, the size of the picture, and the boxes that count in it, if any."""

    frame: Frame
    grid: FloatArray
    shape: tuple[int, int]
    boxes: Sequence[Box] = ()
    box_kind: Literal["boxes", "faces"] = "boxes"


@dataclass(frozen=True)
class Measurement:
    """How sharp a frame is where it matters.

    `radius` is the median radius there, px. `box` is the outline of the place, (row, column, height, width) in px.
    """

    frame: Frame
    radius: float
    kind: PlaceKind
    box: Box


def reduce_map(radius: FloatArray) -> FloatArray:
    """Mean radii of the cells of a map; a map that is no larger than the grid stays."""
    return shrink(radius, GRID_SIDE)


def measure_views(views: Sequence[View]) -> list[Measurement]:
    """Measure all frames of a burst where it matters.

    Frames of one size show about the same view. They are measured in their boxes. A frame without any takes those of
    the first frame that has some; without any in the burst, all are measured in `find_region`.
    """
    groups = defaultdict[tuple[int, int], list[View]](list)
    for view in views:
        groups[view.shape].append(view)
    return [measurement for group in groups.values() for measurement in _measure_group(group)]


def find_region(grids: Sequence[FloatArray]) -> tuple[BoolArray, PlaceKind]:
    """Where the frames of a burst are in focus.

    Parameters
    ----------
    grids : sequence of (H, W) ndarray of float32
        Blur radii in px of each frame.

    Returns
    -------
    region : (H, W) ndarray of bool
        Each frame has its largest connected region in focus. Of these, the one that is most like those of all other
        frames (sum of intersection over union), and of equals the largest. So neither one frame with its focus
        elsewhere moves the region, nor many frames that missed it. In focus are radii up to the package's threshold
        (`find_threshold`) for all frames together.
    kind : {'region', 'sharpest box'}
        The latter if nothing is in focus: the region is then the box of a quarter of the sides with the smallest sum of
        the smallest radii of all frames.
    """
    stack = np.stack(grids)
    threshold = find_threshold(stack)
    regions = np.stack([_find_largest(grid <= threshold) for grid in grids])
    areas = regions.sum(axis=(1, 2))
    if not areas.any():
        region = np.zeros(stack.shape[1:], dtype=bool)
        row, column, height, width = summarize_map(stack.min(axis=0)).sharpest_box
        region[row : row + height, column : column + width] = True
        return region, "sharpest box"
    cells = regions.reshape(len(regions), -1).astype(np.float32)
    common = cells @ cells.T  # exact: whole numbers below 2^24
    unions = np.maximum(areas[:, np.newaxis] + areas - common, 1)
    likeness = (common / unions).sum(axis=1).round(_LIKENESS_DECIMALS)
    best = max(range(len(regions)), key=lambda number: (likeness[number], areas[number]))
    return regions[best], "region"


def _find_largest(mask: BoolArray) -> BoolArray:
    """The largest connected region of a mask; nothing if there is none."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:  # the ground alone
        return mask
    return np.asarray(labels == 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA])))


def _measure_group(views: Sequence[View]) -> list[Measurement]:
    """Measure frames of one size."""
    marked = next((view for view in views if view.boxes), None)
    region = None if marked else find_region([view.grid for view in views])
    found = []
    for view in views:
        if region:
            mask, kind = region
        else:
            source = view if view.boxes or marked is None else marked
            mask, kind = _mark_boxes(source), source.box_kind
        radius = float(np.median(view.grid[mask]))
        found.append(Measurement(view.frame, radius, kind, _outline(mask, view)))
    return found


def _mark_boxes(view: View) -> BoolArray:
    """Cells of the grid that the boxes touch."""
    mask = np.zeros(view.grid.shape, dtype=bool)
    down, across = (cells / pixels for cells, pixels in zip(view.grid.shape, view.shape, strict=True))
    for row, column, height, width in view.boxes:
        rows = slice(int(row * down), max(int(np.ceil((row + height) * down)), int(row * down) + 1))
        columns = slice(int(column * across), max(int(np.ceil((column + width) * across)), int(column * across) + 1))
        mask[rows, columns] = True
    return mask


def _outline(mask: BoolArray, view: View) -> Box:
    """Box around the cells of a mask, in px of the picture."""
    sides = []
    for axis, pixels in enumerate(view.shape):
        cells = np.flatnonzero(mask.any(axis=1 - axis))
        scale = pixels / mask.shape[axis]
        first, last = round(float(cells[0] * scale)), round(float((cells[-1] + 1) * scale))
        sides.append((first, max(last - first, 1)))
    (row, height), (column, width) = sides
    return row, column, height, width
