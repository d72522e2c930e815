"""Points of samples with their values and the truth about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.estimation.context import describe_points
from defocus_edge.estimation.light_range import stretch_range
from defocus_edge.estimation.point_blur import PointBlur
from defocus_edge.estimation.pyramid import PyramidBlur
from defocus_edge.estimation.reduction import reduce_pictures
from training.context.samples import Sample
from training.data.labels import UNDECIDED

#: A point is at a depth edge if the true radius jumps by this much within so many px around it; ours.
DEPTH_JUMP, JUMP_SIDE = 0.5, 7

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PointTable:
    """Values (N, K) of points; their radius and the true one, px of the picture they were measured in; depth labels.

    A label is 1 at a depth edge, 0 elsewhere, `UNDECIDED` where the truth around is not known.
    """

    values: FloatArray
    radius: FloatArray
    truth: FloatArray
    label: NDArray[np.int8]

    @classmethod
    def join(cls, tables: Iterable[Self]) -> Self:
        """One table after the other."""
        parts = list(tables)
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__))

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> PointTable:
        """Some of the points."""
        return PointTable(self.values[chosen], self.radius[chosen], self.truth[chosen], self.label[chosen])


def restore_blur(sample: Sample) -> PyramidBlur:
    """The measured points of a sample; the more probable class of E-NET counts."""
    found = PointBlur(
        sample.points.astype(np.int32),
        sample.point_radius.astype(np.float32),
        sample.point_confidence.astype(np.float32),
        sample.depth_probability.astype(np.float32),
    )
    return PyramidBlur(found, sample.scale.astype(np.int32))


def restore_picture(sample: Sample) -> FloatArray:
    """The picture of a sample, (H, W, 3) in [0, 1] with its range stretched."""
    return stretch_range(sample.image.astype(np.float32) / np.float32(255))


def describe_sample(sample: Sample) -> PointTable:
    """Describe all points of a sample whose true radius is known."""
    blur = restore_blur(sample)
    scales = [int(scale) for scale in np.unique(blur.scale)]
    every = [2**number for number in range(int(max(scales)).bit_length())]
    truth = np.maximum(sample.truth.astype(np.float32), MIN_RADIUS)
    parts = []
    for scale, picture in zip(every, reduce_pictures(restore_picture(sample), every), strict=True):
        jumps, known = _find_jumps(truth, scale)
        for rows, values in describe_points(blur, picture, scale):
            points = blur.found.points[rows]
            at = tuple(np.minimum(points // scale, np.array(jumps.shape) - 1).T)
            label = np.where(known[at], jumps[at], UNDECIDED).astype(np.int8)
            own = truth[tuple(points.T)] / scale
            parts.append(PointTable(values, blur.found.radius[rows] / np.float32(scale), own, label))
    joined = PointTable.join(parts)
    return joined.select(np.isfinite(joined.truth))


def _find_jumps(truth: FloatArray, scale: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the truth of a picture reduced by a scale jumps, and where it is known all around."""
    height, width = (-(-size // scale) for size in truth.shape)
    reduced = cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST) / np.float32(scale)
    known = np.isfinite(reduced)
    window = np.ones((JUMP_SIDE, JUMP_SIDE), np.uint8)
    filled = np.where(known, reduced, 0).astype(np.float32)
    jumps = cv2.dilate(filled, window) - cv2.erode(filled, window) >= DEPTH_JUMP
    return jumps, ~cv2.dilate((~known).view(np.uint8), window).astype(bool)
