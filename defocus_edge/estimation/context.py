"""Edge points in their context: what surrounds a point tells whether its radius is right and whether depth jumps there.

The networks see a patch of 41 px. A radius that no neighbour shares, a smooth gradient without detail, equal radii on
both sides of a supposed depth edge: all that is seen in wider windows around a point. `describe_points` puts it into
numbers, from which a small network corrects the points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from defocus_edge._ahead import map_ahead
from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.estimation.point_blur import CONFIDENCE_REACH, LEAST_CONFIDENCE
from defocus_edge.estimation.pyramid import PyramidBlur
from defocus_edge.networks.context import ANSWERS, ContextEvaluator

FloatArray = NDArray[np.float32]

# All lengths are in px of the picture in which a point was measured; all numbers are ours.
#: Windows reach this far from a point.
REACHES = (2, 5, 12, 30)
#: Distances from a point across its edge, to the reach of the windows there.
SIDES = {7: 5, 16: 12, 34: 30}
#: The smallest radius around a point is that of points of at least this confidence, which are no depth edges.
SURE_CONFIDENCE, SURE_DEPTH = 0.6, 0.5
#: Standard deviations of the Gaussians behind the gradients; the second one also gives the direction across the edge.
GRADIENT_SIGMAS = (0.7, 1.5, 3.0, 6.0)
#: Side of the window whose range of light is the local contrast, and reach of the one for fine detail.
CONTRAST_SIDE, DETAIL_REACH = 41, 8
#: Longest side of a piece of the picture that is described at once, and width of the border that its windows need.
PIECE_SIDE, BORDER = 768, 96
#: Pieces that are described side by side: while one waits for Python, the other one keeps the cores busy.
PIECES_AT_ONCE = 2
#: Differences of log2 of radii are cut off at this.
LARGEST_DIFFERENCE = 4.0
# Added to weights, so that points of no confidence count a little; weights below the second number are none.
_LEAST_WEIGHT, _NO_WEIGHT = 1e-4, 1e-3
# Added to gradients and detail before their logarithms: a fraction of an 8-bit step.
_LEAST_GRADIENT, _LEAST_DETAIL = 1e-3, 1e-4
# Stands for "no sure point around".
_NOTHING = np.float32(9.0)


def judge_points(
    blur: PyramidBlur, pictures: Sequence[FloatArray], evaluator: ContextEvaluator, *, grid_step: int = 1
) -> PyramidBlur:
    """Correct points by what surrounds them: their radius and confidence, and which are no depth edges.

    `pictures` are the picture and its reductions by 2, 4, …, (H, W, 3) RGB in [0, 1]. The confidence becomes the
    probability that the radius is within 0.5 · s px at a point of the picture reduced by s, if errors have a Laplace
    distribution of the width that the network gives. Above 6 · s px a twelfth of the radius takes the place of 0.5 · s
    px. The probability of a depth edge becomes 0 where the network finds one unlikely. Points of one square of
    `grid_step` px were measured as one, and are judged as one.
    """
    found = blur.found
    deputies = _find_deputies(blur, grid_step) if grid_step > 1 else None
    chosen = None if deputies is None else deputies == np.arange(len(found))
    answer = np.zeros((len(found), ANSWERS), np.float32)
    pieces = (
        piece for number, picture in enumerate(pictures) for piece in _list_pieces(blur, picture, 2**number, chosen)
    )
    for rows, said in map_ahead(
        lambda rows, piece: (rows, evaluator.predict(piece.describe())), pieces, threads=PIECES_AT_ONCE
    ):
        answer[rows] = said
    answer = answer if deputies is None else answer[deputies]
    least = np.float32(MIN_RADIUS) * blur.scale.astype(np.float32)
    radius = np.maximum(found.radius * np.exp2(answer[:, 0]), least)
    confidence = -np.expm1(-CONFIDENCE_REACH * np.exp(-answer[:, 1]))
    depth = np.where(answer[:, 2] < logit(evaluator.config.least_depth), np.float32(0), found.depth_probability)
    return replace(
        blur, found=replace(found, radius=radius, confidence=confidence, depth_probability=depth, softmax=None)
    )


def describe_points(
    blur: PyramidBlur, picture: FloatArray, scale: int, chosen: NDArray[np.bool_] | None = None
) -> Iterator[tuple[NDArray[np.int64], FloatArray]]:
    """Describe the points that were measured in one picture, which is the given one reduced by `scale`.

    Of these only the `chosen` ones are described, if given; all points count as surroundings.

    Yields, piece by piece, the numbers of the points in `blur` and their values, (n, `POINT_VALUES`), in this order:

    - log2 of the radius, confidence, probability of a depth edge, 1 in a reduced picture and 0 in the picture itself;
    - for each of `REACHES`: mean of log2 of the radii less that of the point, their standard deviation, log2 of their
      weight per px, mean probability of a depth edge, log2 of their number per px;
    - for each of `SIDES`: the same mean on the side of the edge where it is smaller, on the other side, their
      difference, log2 of both weights per px;
    - for the larger three of `REACHES`: smallest log2 of a sure radius less that of the point;
    - for each of `GRADIENT_SIGMAS`: logarithm of the gradient of light;
    - local contrast, light, logarithm of the fine detail.

    Points weigh as their confidence squared times the probability that they are no depth edge.
    """
    for rows, piece in _list_pieces(blur, picture, scale, chosen):
        yield rows, piece.describe()


def _list_pieces(
    blur: PyramidBlur, picture: FloatArray, scale: int, chosen: NDArray[np.bool_] | None
) -> Iterator[tuple[NDArray[np.int64], _Piece]]:
    """Pieces of a picture that hold points to describe, and the numbers of these."""
    shift = scale.bit_length() - 1  # shifting is much faster than dividing
    rows, columns = (
        np.minimum(blur.found.points[:, axis] >> shift, size - 1) for axis, size in enumerate(picture.shape[:2])
    )
    measured_here = blur.scale == scale
    measured_here = measured_here if chosen is None else measured_here & chosen
    for band, top in _cut_axis(picture.shape[0]):
        in_band = np.flatnonzero((rows >= top.start) & (rows < top.stop))
        for part, left in _cut_axis(picture.shape[1]):
            near = in_band[(columns[in_band] >= left.start) & (columns[in_band] < left.stop)]
            row, column = rows[near], columns[near]
            inside = measured_here[near] & (row >= band.start) & (row < band.stop)
            inside &= (column >= part.start) & (column < part.stop)
            if inside.any():
                places = np.stack([row - top.start, column - left.start], axis=1).astype(np.int64)
                yield near[inside], _Piece(blur, near, places, picture[top, left], scale, inside)


def _cut_axis(size: int) -> Iterator[tuple[slice, slice]]:
    """Parts of an axis of equal length, and the same parts with their border as far as the axis goes."""
    length = -(-size // -(-size // PIECE_SIDE))
    for first in range(0, size, length):
        last = min(first + length, size)
        yield slice(first, last), slice(max(first - BORDER, 0), min(last + BORDER, size))


def _find_deputies(blur: PyramidBlur, grid_step: int) -> NDArray[np.int32]:
    """For each point, the number of the one that stands for all points of its square of `grid_step` · scale px.

    That is the middle one in reading order.
    """
    square = blur.scale.astype(np.int64)
    side = square * grid_step
    square <<= 48
    for axis, shift in ((0, 24), (1, 0)):
        square += blur.found.points[:, axis] // side << shift
    order = np.argsort(square, kind="stable")
    starts = np.flatnonzero(np.diff(square[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    deputies = np.empty(len(order), np.int32)
    deputies[order] = np.repeat(order[starts + counts // 2], counts)
    return deputies


class _Piece:
    """A part of a picture with the points in it, of which those `inside` are described."""

    def __init__(
        self,
        blur: PyramidBlur,
        numbers: NDArray[np.int64],
        places: NDArray[np.int64],
        picture: FloatArray,
        scale: int,
        inside: NDArray[np.bool_],
    ) -> None:
        found = blur.found
        self.inside = inside
        self.places, self.shape = places, picture.shape[:2]
        self.flat = places[:, 0] * self.shape[1] + places[:, 1]  # one index is much faster than two
        self.log_radius = np.log2(np.maximum(found.radius[numbers] / scale, MIN_RADIUS / 2)).astype(np.float32)
        self.confidence = np.maximum(found.confidence[numbers], LEAST_CONFIDENCE)
        self.depth = found.depth_probability[numbers].astype(np.float32)
        # A point of a picture reduced by s stands for s points along its edge.
        self.count = (blur.scale[numbers] / scale).astype(np.float32)
        self.is_reduced = scale > 1
        self.picture = picture

    def describe(self) -> FloatArray:
        """Values of the points."""
        inside = self.inside
        at, own = self.flat[inside], self.log_radius[inside]
        values = [own, self.confidence[inside], self.depth[inside], np.full(len(own), self.is_reduced, np.float32)]
        weight = self.count * self.confidence**2 * (1 - self.depth) + np.float32(_LEAST_WEIGHT)
        drawn = {
            "weight": self._draw(weight),
            "mean": self._draw(weight * self.log_radius),
            "square": self._draw(weight * self.log_radius**2),
            "count": self._draw(self.count),
            "depth": self._draw(self.count * self.depth),
        }
        light = self.picture.mean(axis=-1)
        gradients = [_measure_gradient(light, sigma, at) for sigma in GRADIENT_SIGMAS]
        along_x, along_y = gradients[1]
        steepest = np.maximum(np.hypot(along_x, along_y), _LEAST_DETAIL)
        values += self._look_around(drawn, own, inside, np.stack([along_y, along_x], axis=1) / steepest[:, None])
        values += self._find_smallest(own, at)
        values += [np.log(np.hypot(*each) + _LEAST_GRADIENT) for each in gradients]
        values += _measure_light(light, at)
        return np.stack(values, axis=1).astype(np.float32)

    def _draw(self, values: FloatArray) -> FloatArray:
        """Add up values at the places of their points."""
        drawn = np.zeros(self.shape, np.float32)
        np.add.at(drawn.reshape(-1), self.flat, values)
        return drawn

    def _look_around(
        self,
        drawn: dict[str, FloatArray],
        own: FloatArray,
        inside: NDArray[np.bool_],
        directions: NDArray[np.floating],
    ) -> list[FloatArray]:
        """Statistics of the windows around points, then of those on both sides of their edges.

        `directions`, (n, 2) rows and columns, are unit vectors across the edges.
        """
        at = self.flat[inside]
        sides = {reach: distance for distance, reach in SIDES.items()}
        around: list[FloatArray] = []
        across: list[FloatArray] = []
        for reach in REACHES:
            sums = {name: _sum_window(values, reach) for name, values in drawn.items()}
            total, mean = sums["weight"][at], _average(sums, own, at)
            area = np.float32(2 * np.log2(reach))
            spread = sums["square"][at] / np.maximum(total, _NO_WEIGHT) - mean**2
            around += [
                _cut(mean - own),
                np.sqrt(np.clip(spread, 0, LARGEST_DIFFERENCE**2)),
                np.log2(total + _NO_WEIGHT) - area,
                sums["depth"][at] / np.maximum(sums["count"][at], _NO_WEIGHT),
                np.log2(sums["count"][at] + 1) - area,
            ]
            if reach in sides:
                across += self._look_across(sums, own, inside, directions * sides[reach], area)
        return around + across

    def _look_across(
        self,
        sums: dict[str, FloatArray],
        own: FloatArray,
        inside: NDArray[np.bool_],
        offset: NDArray[np.floating],
        area: np.float32,
    ) -> list[FloatArray]:
        """Mean radius and weight on both sides of an edge, that with the smaller radius first."""
        found = []
        for sign in (1, -1):
            moved = np.rint(self.places[inside] + sign * offset).astype(np.int64)
            rows, columns = np.clip(moved, 0, np.array(self.shape) - 1).T
            at = rows * self.shape[1] + columns
            found.append((_cut(_average(sums, own, at) - own), np.log2(sums["weight"][at] + _NO_WEIGHT) - area))
        (one, its_weight), (other, other_weight) = found
        is_first = one <= other
        low, high = np.minimum(one, other), np.maximum(one, other)
        weights = [np.where(is_first, its_weight, other_weight), np.where(is_first, other_weight, its_weight)]
        return [low, high, high - low, *weights]

    def _find_smallest(self, own: FloatArray, at: NDArray[np.int64]) -> list[FloatArray]:
        """Smallest radius of sure points in windows around."""
        sure = (self.confidence > SURE_CONFIDENCE) & (self.depth < SURE_DEPTH)
        drawn = np.full(self.shape, _NOTHING, np.float32)
        np.minimum.at(drawn.reshape(-1), self.flat[sure], self.log_radius[sure])
        found = []
        for reach in REACHES[1:]:
            side = 2 * reach + 1
            smallest = cv2.erode(drawn, np.ones((side, side), np.uint8)).ravel()[at]
            found.append(_cut(smallest - own))
        return found


def _average(sums: dict[str, FloatArray], own: FloatArray, at: NDArray[np.int64]) -> FloatArray:
    """Mean log2 radius of windows; that of the point itself where there is none."""
    weight = sums["weight"][at]
    return np.where(weight > _NO_WEIGHT, sums["mean"][at] / np.maximum(weight, _NO_WEIGHT), own)


def _cut(difference: FloatArray) -> FloatArray:
    """Cut off differences of log2 of radii."""
    return np.clip(difference, -LARGEST_DIFFERENCE, LARGEST_DIFFERENCE)


def _sum_window(values: FloatArray, reach: int) -> FloatArray:
    """Sum the values in the square around each pixel; the pixels of all rows in one axis."""
    side = (2 * reach + 1, 2 * reach + 1)
    return np.asarray(cv2.boxFilter(values, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT)).ravel()


def _measure_gradient(light: FloatArray, sigma: float, at: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Derivatives of smoothed light along x and y at points, per px."""
    smooth = cv2.GaussianBlur(light, (0, 0), sigma)
    along_x, along_y = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8).ravel()[at] for order in ((1, 0), (0, 1)))
    return along_x, along_y


def _measure_light(light: FloatArray, at: NDArray[np.int64]) -> list[FloatArray]:
    """Local contrast, light, and logarithm of the detail that a Gaussian of 1 px takes away."""
    window = np.ones((CONTRAST_SIDE, CONTRAST_SIDE), np.uint8)
    contrast = cv2.dilate(light, window).ravel()[at] - cv2.erode(light, window).ravel()[at]
    detail = _sum_window(np.abs(light - cv2.GaussianBlur(light, (0, 0), 1.0)), DETAIL_REACH)[at]
    return [contrast, light.ravel()[at], np.log(detail / (2 * DETAIL_REACH + 1) ** 2 + _LEAST_DETAIL)]
