"""Output of the networks at the edge points of one picture, at one scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS, RADIUS_STEP, read_radius
from defocus_edge.choices import ReadOut
from defocus_edge.estimation.edges import edge_points

if TYPE_CHECKING:
    from defocus_edge.networks.edge.dense import DenseEvaluator, EdgePrediction

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

#: Confidence is the probability that the radius is within this many px of the one that was read.
CONFIDENCE_REACH = 2 * RADIUS_STEP
#: Smallest confidence with which a point enters a map: `propagate_blur` refuses points of confidence 0.
LEAST_CONFIDENCE = np.float32(1e-3)


@dataclass(frozen=True, eq=False)
class PointBlur:
    """Blur at the edge points of a picture.

    Attributes
    ----------
    points : (N, 2) ndarray of int32
        Row and column of each point.
    radius : (N,) ndarray of float32
        Blur radius at each point, in px of that picture.
    confidence : (N,) ndarray of float32
        Probability that the true radius is within 0.5 px of `radius`.
    depth_probability : (N,) ndarray of float32
        E-NET's probability that depth jumps.
    depth_threshold : float
        Probability above which a point counts as a depth edge.
    softmax : EdgePrediction, optional
        Output of both networks at all points, if it was kept: `reread` needs it.
    """

    points: NDArray[np.int32]
    radius: FloatArray
    confidence: FloatArray
    depth_probability: FloatArray
    depth_threshold: float = 0.5
    softmax: EdgePrediction | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def is_depth_edge(self) -> BoolArray:
        """True where depth jumps; the radius means nothing there."""
        return np.asarray(self.depth_probability > self.depth_threshold)

    @property
    def positive_confidence(self) -> FloatArray:
        """The confidence, but at least `LEAST_CONFIDENCE`."""
        return np.maximum(self.confidence, LEAST_CONFIDENCE)

    def select(self, chosen: BoolArray) -> PointBlur:
        """Keep some of the points, without their softmax."""
        probability = self.depth_probability[chosen]
        return PointBlur(
            self.points[chosen], self.radius[chosen], self.confidence[chosen], probability, self.depth_threshold
        )

    def reread(self, *, read_out: ReadOut | None = None, depth_threshold: float | None = None) -> PointBlur:
        """Read the kept softmax again, with another read-out or threshold if given; ValueError if none was kept."""
        if self.softmax is None:
            msg = "The softmax of these points was not kept. Measure one scale with keep_softmax=True."
            raise ValueError(msg)
        read = self
        if read_out is not None:
            radius, confidence = _read_blur(self.softmax, read_out)
            read = replace(read, radius=radius, confidence=confidence)
        if depth_threshold is not None:
            read = replace(read, depth_threshold=depth_threshold)
        return read


def measure_points(
    image: FloatArray,
    edges: BoolArray,
    evaluator: DenseEvaluator,
    *,
    read_out: ReadOut,
    depth_threshold: float,
    keep_softmax: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PointBlur:
    """Run the networks on the edge points of one picture at one scale.

    `image` is (H, W, 3) RGB in [0, 1]; `edges` is (H, W), True at the points. The other options are those of
    `stages.measure`. A kept softmax takes 100 bytes a point. The points of the result are in reading order.
    """
    points = edge_points(edges)
    if keep_softmax:
        softmax = evaluator.predict(image, points, progress=progress)
        return PointBlur(points, *_read_blur(softmax, read_out), softmax.edge[:, 1], depth_threshold, softmax)
    radius, confidence, depth_probability = np.empty((3, len(points)), dtype=np.float32)
    for rows, softmax in evaluator.predict_chunks(image, points, progress=progress):
        radius[rows], confidence[rows] = _read_blur(softmax, read_out)
        depth_probability[rows] = softmax.edge[:, 1]
    return PointBlur(points, radius, confidence, depth_probability, depth_threshold)


def _read_blur(softmax: EdgePrediction, read_out: ReadOut) -> tuple[FloatArray, FloatArray]:
    """Read radius in px and confidence from B-NET's output."""
    radius = read_radius(softmax.blur, read_out=read_out)
    return radius, measure_confidence(softmax.blur, radius)


def measure_confidence(probabilities: FloatArray, point_radius: FloatArray) -> FloatArray:
    """Probability, (N,) float32, that the true radius is within 0.5 px of the one that was read.

    `probabilities` is B-NET's (N, 23) softmax; `point_radius` holds the (N,) radii in px that were read from it.
    """
    rounding = RADIUS_STEP / 100  # levels at the very end of the reach count, whatever the last bit of a difference is
    near = np.abs(BLUR_LEVELS - point_radius[:, None]) <= CONFIDENCE_REACH + rounding
    return np.minimum(np.sum(probabilities * near, axis=1, dtype=np.float32), 1, dtype=np.float32)
