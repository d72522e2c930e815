"""Blur of any radius: the networks see the picture at full size, at half, at a quarter and so on.

A radius of r px in the picture reduced by s is r · s px in the picture. The coarsest scale is measured first, and the
next finer one only where the blur is small enough for it, but not so small that only a still finer one counts. What
each scale says of a range of its own goes into the result: the finest all radii up to its ceiling, every other one
those that are beyond the finer ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.arrays import MIN_SIDE
from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.choices import MaxRadius
from defocus_edge.estimation.point_blur import PointBlur
from defocus_edge.propagation.depth_boundaries import close_depth_edges
from defocus_edge.psf import decode_srgb, encode_srgb

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

#: With ``"auto"``, the shorter side of the most reduced picture has at least so many px, and the reduction is at most
#: `LARGEST_SCALE`: radii up to 96 px.
LEAST_REDUCED_SIDE = 96
LARGEST_SCALE = 16
#: Radii in px of a reduced picture from which on the next coarser one is believed more: the highest levels also collect
#: all that is beyond them. In between the two are blended.
BLEND_FROM, CEILING = 4.5, 5.5
#: Where a reduced picture has radii of so many px and more, finer ones (twice as many px and more) are not looked at.
STRONG_FROM = 3.0
#: Where it has radii below so many px, the next finer one is passed over for the one after it: of the next one counts
#: only what is beyond `BLEND_FROM` of the one after it.
WEAK_TO = 0.9
#: Share of the points around a pixel, weighted by confidence, that may be different.
SKIP_TOLERANCE = 0.1
#: Reach in px of the reduced picture of "around" for these decisions: patches of the finer picture reach 10 px.
SKIP_REACH = 8
#: In the picture reduced to half, places of strong blur count if they hold a square of so many px: smaller ones save
#: next to nothing, and the picture itself shows whether they are something soft (clouds). More reduced pictures are
#: believed: what they call strong is beyond the ceiling of several finer scales, and now and then misread there.
LEAST_SKIPPED = 33
#: A coarse point is superseded by finer ones within so many px of the reduced picture.
NEAR = 2
#: A fine and a coarse radius that differ by more, in px of the finer picture, are not blended: the finer one counts.
AGREEMENT = 1.0
# Sums of confidences below this are rounding errors of a running sum.
_LEAST_SUPPORT = 1e-3
# Rows that are reduced at once; bounds the memory.
_STRIP_ROWS = 512

#: Measures the points of one picture where edges are; given the picture and where to look (everywhere if None).
MeasureScale = Callable[[FloatArray, BoolArray | None, int], PointBlur]


@dataclass(frozen=True, eq=False)
class PyramidBlur:
    """What all scales together say.

    Attributes
    ----------
    found : PointBlur
        Points, and radii in px, of the picture; the confidence is that of the scale.
    scale : (N,) ndarray of int32
        Reduction at which each point was measured: 1, 2, 4, …
    boundaries : (H, W) ndarray of bool, optional
        Closed depth boundaries of the reduced pictures; None if there are none.
    """

    found: PointBlur
    scale: NDArray[np.int32]
    boundaries: BoolArray | None


def choose_scales(shape: tuple[int, ...], max_radius: MaxRadius) -> list[int]:
    """Reductions of a picture that cover radii up to `max_radius`.

    Parameters
    ----------
    shape : tuple of int
        Height and width in px.
    max_radius : float or 'auto'
        px; 6 and less is a single scale.

    Returns
    -------
    list of int
        1, 2, 4, …

    Raises
    ------
    ValueError
        If a picture of that size is too small for such radii.
    """
    scales = [1]
    if max_radius == "auto":
        while scales[-1] < LARGEST_SCALE and min(shape[:2]) / (2 * scales[-1]) >= LEAST_REDUCED_SIDE:
            scales.append(2 * scales[-1])
        return scales
    while scales[-1] * MAX_RADIUS < max_radius:
        scales.append(2 * scales[-1])
        if min(shape[:2]) < MIN_SIDE * scales[-1]:
            largest = scales[-2] * MAX_RADIUS
            msg = (
                f"max_radius of a picture of {shape[0]}×{shape[1]} px can be at most {largest:g} px. Got: {max_radius}."
            )
            raise ValueError(msg)
    return scales


def reduce_image(image: FloatArray) -> FloatArray:
    """Halve a picture as a camera with pixels of twice the side would have taken it: the mean of the light.

    Parameters
    ----------
    image : (H, W, 3) ndarray of float32
        RGB in [0, 1], sRGB-encoded.

    Returns
    -------
    (⌈H/2⌉, ⌈W/2⌉, 3) ndarray of float32
        Pixel (i, j) is made of the rows 2i and 2i + 1 and columns 2j and 2j + 1, the last ones repeated if need be.
    """
    height, width = image.shape[:2]
    reduced = np.empty(((height + 1) // 2, (width + 1) // 2, image.shape[2]), dtype=np.float32)
    for top in range(0, height, _STRIP_ROWS):
        strip = image[top : top + _STRIP_ROWS]
        even = np.pad(strip, ((0, len(strip) % 2), (0, width % 2), (0, 0)), mode="edge")
        light = decode_srgb(even)
        mean = (light[::2, ::2] + light[1::2, ::2] + light[::2, 1::2] + light[1::2, 1::2]) / 4
        reduced[top // 2 : top // 2 + len(mean)] = encode_srgb(mean)
    return reduced


def reduce_any(marked: BoolArray, scale: int) -> BoolArray:
    """Mask of a reduced picture: True where any pixel of the block is.

    Parameters
    ----------
    marked : (H, W) ndarray of bool
    scale : int
        Power of 2.

    Returns
    -------
    (⌈H/scale⌉, ⌈W/scale⌉) ndarray of bool
    """
    if scale == 1:
        return marked
    even = np.pad(marked, [(0, side % 2) for side in marked.shape])
    halved = even[::2, ::2] | even[1::2, ::2] | even[::2, 1::2] | even[1::2, 1::2]
    return reduce_any(halved, scale // 2)


def measure_pyramid(image: FloatArray, scales: Sequence[int], measure: MeasureScale, *, close: bool) -> PyramidBlur:
    """Measure a picture at several scales, coarse to fine, and keep of each what it knows best.

    Parameters
    ----------
    image : (H, W, 3) ndarray of float32
        RGB in [0, 1].
    scales : sequence of int
        As `choose_scales` gives them.
    measure : callable
        Given a reduced picture, where to look in it and its scale, gives its points.
    close : bool
        Link depth edges of reduced pictures along contours, see `close_depth_edges`.

    Returns
    -------
    PyramidBlur
    """
    pictures = [image]
    for _ in scales[1:]:
        pictures.append(reduce_image(pictures[-1]))
    found: list[PointBlur] = []
    look_at: BoolArray | None = None
    small_enough = np.ones(pictures[-1].shape[:2], dtype=bool)
    for picture, scale in zip(reversed(pictures), reversed(scales), strict=True):
        found.insert(0, measure(picture, look_at, scale))
        if scale > 1:
            shape, finer = picture.shape[:2], pictures[scales.index(scale) - 1].shape[:2]
            pattern = found[0].select(~found[0].is_depth_edge)
            strong = _find_places(pattern, pattern.radius >= STRONG_FROM, shape)
            weak = _find_places(pattern, pattern.radius < WEAK_TO, shape)
            if scale == 2:  # next is the picture itself, which has the last word
                strong, weak = _keep_large(strong), np.zeros_like(weak)
            small_enough &= ~strong
            counts = small_enough & ~weak
            small_enough, look_at = _enlarge(small_enough, finer), _enlarge(counts, finer)
    if len(scales) == 1:
        return PyramidBlur(found[0], np.ones(len(found[0]), dtype=np.int32), None)
    return _merge(pictures, scales, found, close=close)


def _find_places(pattern: PointBlur, alike: BoolArray, shape: tuple[int, ...]) -> BoolArray:
    """Pixels around which there are points, and nearly all of some kind."""
    total = _sum_around(pattern.points, pattern.confidence, shape, SKIP_REACH)
    other = _sum_around(pattern.points, pattern.confidence * ~alike, shape, SKIP_REACH)
    return (total > _LEAST_SUPPORT) & (other < SKIP_TOLERANCE * total)


def _keep_large(marked: BoolArray) -> BoolArray:
    """Only what is in a square of `LEAST_SKIPPED` px that is marked all over."""
    square = np.ones((LEAST_SKIPPED, LEAST_SKIPPED), np.uint8)
    opened = cv2.morphologyEx(
        marked.view(np.uint8), cv2.MORPH_OPEN, square, borderType=cv2.BORDER_CONSTANT, borderValue=(0,)
    )
    return np.asarray(opened, dtype=bool)


def _merge(
    pictures: Sequence[FloatArray], scales: Sequence[int], found: Sequence[PointBlur], *, close: bool
) -> PyramidBlur:
    """Points of all scales in px of the picture, each radius from the scale that knows it best."""
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
        np.concatenate([part.is_depth_edge for part in parts]),
    )
    return PyramidBlur(joined, np.repeat(np.array(scales, dtype=np.int32), [len(part) for part in parts]), boundaries)


def _blend(here: PointBlur, coarser: PointBlur, coarser_shape: tuple[int, ...]) -> PointBlur:
    """Give points near their ceiling, by and by, the mean radius of the coarser points around them."""
    pattern = coarser.select(~coarser.is_depth_edge)
    support = _sum_around(pattern.points, pattern.confidence, coarser_shape, NEAR)
    mean = _sum_around(pattern.points, 2 * pattern.radius * pattern.confidence, coarser_shape, NEAR)
    mean /= np.maximum(support, _LEAST_SUPPORT)
    at = tuple(here.points.T // 2)
    share = np.clip((here.radius - BLEND_FROM) / (CEILING - BLEND_FROM), 0, 1, dtype=np.float32)
    # A coarser scale that says much less contradicts; one that says much more may be right only at the ceiling.
    differs = np.where(share < 1, np.abs(mean[at] - here.radius), here.radius - mean[at]) > AGREEMENT
    share[(support[at] <= _LEAST_SUPPORT) | differs] = 0
    radius = here.radius + share * (mean[at] - here.radius)
    return PointBlur(here.points, radius, here.confidence, here.is_depth_edge)


def _find_boundaries(picture: FloatArray, kept: PointBlur, found: PointBlur, *, close: bool) -> BoolArray:
    """Where the kept depth edges of a reduced picture stop the blur."""
    shape = picture.shape[:2]
    depth = _mark_around(kept.points[kept.is_depth_edge], shape, 0)
    if not close:
        return depth
    return depth | close_depth_edges(picture, depth, _mark_around(found.points[~found.is_depth_edge], shape, 0))


def _enlarge_boundaries(closed: BoolArray, scale: int, shape: tuple[int, ...], *, onto: BoolArray | None) -> BoolArray:
    """Boundaries before a pixel of the reduced picture are before the first row and column of its block."""
    enlarged = np.zeros(shape, dtype=bool) if onto is None else onto
    enlarged[::scale] |= np.repeat(closed, scale, axis=1)[:, : shape[1]]
    enlarged[:, ::scale] |= np.repeat(closed, scale, axis=0)[: shape[0]]
    return enlarged


def _scale_up(found: PointBlur, scale: int, shape: tuple[int, ...]) -> PointBlur:
    """Points and radii in px of the picture."""
    points = np.minimum(found.points * scale + scale // 2, np.array(shape) - 1).astype(np.int32)
    return PointBlur(points, found.radius * np.float32(scale), found.confidence, found.is_depth_edge)


def _sum_around(points: NDArray[np.int32], values: FloatArray, shape: tuple[int, ...], reach: int) -> FloatArray:
    """Sum of the values of the points in the square around each pixel."""
    drawn = np.zeros(shape, dtype=np.float32)
    drawn[tuple(points.T)] = values
    side = (2 * reach + 1, 2 * reach + 1)
    summed = cv2.boxFilter(drawn, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(summed, dtype=np.float32)


def _mark_around(points: NDArray[np.int32], shape: tuple[int, ...], reach: int) -> BoolArray:
    """True in the squares around points."""
    marked = np.zeros(shape, dtype=np.uint8)
    marked[tuple(points.T)] = 1
    return np.asarray(cv2.dilate(marked, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)), dtype=bool)


def _enlarge(marked: BoolArray, shape: tuple[int, ...]) -> BoolArray:
    """The same for a picture of twice the size."""
    return np.repeat(np.repeat(marked, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]
