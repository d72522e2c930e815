"""Blur of any radius, from points of the picture and of reduced pictures.

Scales are measured from coarse to fine. `Places` says where the next finer scale is measured: where the coarser ones
found radii that it can tell. `merge_scales` then takes each radius from the finest scale that can tell it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.estimation.point_blur import PointBlur
from defocus_edge.estimation.reduction import reduce_any
from defocus_edge.propagation.depth_boundaries import close_depth_edges

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

# Radii below are in px of the picture of one scale. The networks know radii up to 6 px; their highest levels also
# collect everything beyond. `python -m training evaluate range` measures what these numbers give.
#: A scale is believed up to this radius, and the next coarser one from `CEILING` on; in between the two are blended.
BLEND_FROM, CEILING = 4.5, 5.5
#: A fine and a coarse radius that differ by more than this, in px of the finer picture, are not blended: the finer one
#: counts.
AGREEMENT = 1.0
#: Where a scale finds radii of at least this, finer scales are not measured: there they are at least twice as large.
STRONG_FROM = 3.0
#: Where a scale finds radii below this, the next finer scale is not measured, but the one after it may be. The next
#: scale counts only for radii that the scale after it cannot measure (above `BLEND_FROM`).
WEAK_TO = 0.9
#: Share of the points around a pixel, weighted by confidence, that may contradict a decision to skip a finer scale.
SKIP_TOLERANCE = 0.1
#: The points within this many px of a pixel of the reduced picture decide. Patches of the finer picture reach 20 px,
#: which are 10 px of the reduced one.
SKIP_REACH = 8
#: At half size, places of strong blur are skipped only if they hold a square of this side in px. A smaller place saves
#: little time, and the picture itself shows better whether it is something soft, such as a cloud.
LEAST_SKIPPED = 33
#: A point of a reduced picture is dropped if a finer scale has a point within this many px of the reduced picture.
NEAR = 2
# Sums of confidences below this are rounding errors of a running sum.
_LEAST_SUPPORT = 1e-3


@dataclass(frozen=True, eq=False)
class PyramidBlur:
    """Blur at the edge points of a picture and of its reductions.

    Attributes
    ----------
    found : PointBlur
        Points and radii in px of the picture, those of reduced pictures last.
    scale : (N,) ndarray of int32
        Reduction at which each point was measured: 1, 2, 4, …
    boundaries : (H, W) ndarray of bool, optional
        Closed depth boundaries of the reduced pictures; None if there are none.
    """

    found: PointBlur
    scale: NDArray[np.int32]
    boundaries: BoolArray | None = None

    @classmethod
    def at_one_scale(cls, found: PointBlur) -> Self:
        """All points were measured in the picture itself."""
        return cls(found, np.ones(len(found), dtype=np.int32))


@dataclass(frozen=True, eq=False)
class Places:
    """Where a scale is measured.

    Attributes
    ----------
    look_at : (H, W) ndarray of bool
        True where points of this scale are measured.
    small_enough : (H, W) ndarray of bool
        True where no coarser scale found strong blur: only there finer scales may be measured.
    """

    look_at: BoolArray
    small_enough: BoolArray

    @classmethod
    def everywhere(cls, shape: tuple[int, ...]) -> Self:
        """All places of the coarsest picture."""
        return cls(np.ones(shape[:2], dtype=bool), np.ones(shape[:2], dtype=bool))

    def narrow(self, found: PointBlur, scale: int, finer: tuple[int, ...]) -> Places:
        """Places of the next finer scale, of shape `finer`, from what was found at this scale."""
        pattern = found.select(~found.is_depth_edge)
        shape = self.small_enough.shape
        strong = _find_places(pattern, pattern.radius >= STRONG_FROM, shape)
        weak = _find_places(pattern, pattern.radius < WEAK_TO, shape)
        if scale == 2:  # next comes the picture itself, which has the last word
            strong, weak = _keep_large(strong), np.zeros_like(weak)
        small_enough = self.small_enough & ~strong
        return Places(_enlarge(small_enough & ~weak, finer), _enlarge(small_enough, finer))


def drop_unproven(found: PointBlur, finer_edges: BoolArray, *, is_coarsest: bool) -> PointBlur:
    """Drop points of a reduced picture whose radius nothing else proves: soft light and shadows give such points.

    A radius is proven if the next finer picture has an edge near its point, and if the coarsest picture can tell it:
    one at the ceiling of that may be a gradient of any width. `finer_edges` are the edges of the finer picture. Depth
    edges stay.
    """
    marked = reduce_any(finer_edges, 2)
    proven = _mark_around(np.argwhere(marked).astype(np.int32), marked.shape, NEAR)[tuple(found.points.T)]
    if is_coarsest:
        proven &= found.radius < CEILING
    return found.select(proven | found.is_depth_edge)


def merge_scales(
    pictures: Sequence[FloatArray], scales: Sequence[int], found: Sequence[PointBlur], *, close: bool
) -> PyramidBlur:
    """Join the points of all scales, each radius from the finest scale that can tell it.

    `pictures` are the (H, W, 3) picture and its reductions, RGB in [0, 1]; `scales` and `found` hold the reduction
    (1, 2, 4, …) and the points of each. `close` links depth edges of reduced pictures along contours, see
    `close_depth_edges`.
    """
    if len(scales) == 1:
        return PyramidBlur.at_one_scale(found[0])
    shape = pictures[0].shape[:2]
    superseded = np.zeros(shape, dtype=bool)
    boundaries: BoolArray | None = None
    parts: list[PointBlur] = []
    blended = list(found)
    for number in reversed(range(len(found) - 1)):
        blended[number] = _blend(found[number], blended[number + 1], pictures[number + 1].shape[:2])
    for number, (picture, scale) in enumerate(zip(pictures, scales, strict=True)):
        here = blended[number]
        if number:
            superseded = reduce_any(superseded, 2)
            free = ~superseded[tuple(here.points.T)]
            here = here.select(free & (here.is_depth_edge | (here.radius >= BLEND_FROM / 2)))
        superseded |= _mark_around(here.points, superseded.shape, 2 * NEAR)
        if number and here.is_depth_edge.any():
            closed = _find_boundaries(picture, here, found[number], close=close)
            boundaries = _enlarge_boundaries(closed, scale, shape, onto=boundaries)
        parts.append(_scale_up(here, scale, shape))
    joined = PointBlur(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.radius for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate([part.depth_probability for part in parts]),
        found[0].depth_threshold,
    )
    return PyramidBlur(joined, np.repeat(np.array(scales, dtype=np.int32), [len(part) for part in parts]), boundaries)


def _find_places(pattern: PointBlur, alike: BoolArray, shape: tuple[int, ...]) -> BoolArray:
    """Pixels that have points around them, nearly all of which are `alike`."""
    total = _sum_around(pattern.points, pattern.confidence, shape, SKIP_REACH)
    other = _sum_around(pattern.points, pattern.confidence * ~alike, shape, SKIP_REACH)
    return (total > _LEAST_SUPPORT) & (other < SKIP_TOLERANCE * total)


def _keep_large(marked: BoolArray) -> BoolArray:
    """Keep the pixels that lie in a fully marked square of `LEAST_SKIPPED` px."""
    square = np.ones((LEAST_SKIPPED, LEAST_SKIPPED), np.uint8)
    opened = cv2.morphologyEx(
        marked.view(np.uint8), cv2.MORPH_OPEN, square, borderType=cv2.BORDER_CONSTANT, borderValue=(0,)
    )
    return np.asarray(opened, dtype=bool)


def _blend(here: PointBlur, coarser: PointBlur, coarser_shape: tuple[int, ...]) -> PointBlur:
    """Move radii near the ceiling towards the mean radius of the coarser points around them."""
    pattern = coarser.select(~coarser.is_depth_edge)
    support = _sum_around(pattern.points, pattern.confidence, coarser_shape, NEAR)
    mean = _sum_around(pattern.points, 2 * pattern.radius * pattern.confidence, coarser_shape, NEAR)
    mean /= np.maximum(support, _LEAST_SUPPORT)
    at = tuple(here.points.T // 2)
    share = np.clip((here.radius - BLEND_FROM) / (CEILING - BLEND_FROM), 0, 1, dtype=np.float32)
    # A coarser scale that says much less contradicts; one that says much more may be right only at the ceiling.
    differs = np.where(share < 1, np.abs(mean[at] - here.radius), here.radius - mean[at]) > AGREEMENT
    share[(support[at] <= _LEAST_SUPPORT) | differs] = 0
    return replace(here, radius=here.radius + share * (mean[at] - here.radius))


def _find_boundaries(picture: FloatArray, kept: PointBlur, found: PointBlur, *, close: bool) -> BoolArray:
    """Mark where the kept depth edges of a reduced picture stop the blur."""
    shape = picture.shape[:2]
    depth = _mark_around(kept.points[kept.is_depth_edge], shape, 0)
    if not close:
        return depth
    return depth | close_depth_edges(picture, depth, _mark_around(found.points[~found.is_depth_edge], shape, 0))


def _enlarge_boundaries(closed: BoolArray, scale: int, shape: tuple[int, ...], *, onto: BoolArray | None) -> BoolArray:
    """Draw boundaries of a reduced picture along the first row and column of the block of each marked pixel."""
    enlarged = np.zeros(shape, dtype=bool) if onto is None else onto
    enlarged[::scale] |= np.repeat(closed, scale, axis=1)[:, : shape[1]]
    enlarged[:, ::scale] |= np.repeat(closed, scale, axis=0)[: shape[0]]
    return enlarged


def _scale_up(found: PointBlur, scale: int, shape: tuple[int, ...]) -> PointBlur:
    """Convert points and radii of a reduced picture to px of the picture."""
    points = np.minimum(found.points * scale + scale // 2, np.array(shape) - 1).astype(np.int32)
    return replace(found, points=points, radius=found.radius * np.float32(scale))


def _sum_around(points: NDArray[np.int32], values: FloatArray, shape: tuple[int, ...], reach: int) -> FloatArray:
    """Sum the values of the points in the square around each pixel."""
    drawn = np.zeros(shape, dtype=np.float32)
    drawn[tuple(points.T)] = values
    side = (2 * reach + 1, 2 * reach + 1)
    summed = cv2.boxFilter(drawn, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(summed, dtype=np.float32)


def _mark_around(points: NDArray[np.int32], shape: tuple[int, ...], reach: int) -> BoolArray:
    """Mark the squares around points."""
    marked = np.zeros(shape, dtype=np.uint8)
    marked[tuple(points.T)] = 1
    return np.asarray(cv2.dilate(marked, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)), dtype=bool)


def _enlarge(marked: BoolArray, shape: tuple[int, ...]) -> BoolArray:
    """Double a mask in size and cut it to a shape."""
    return np.repeat(np.repeat(marked, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]
