"""What the networks say of the edge points of one picture, at one scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS, RADIUS_STEP, read_radius
from defocus_edge.choices import ReadOut
from defocus_edge.estimation.edges import edge_points

if TYPE_CHECKING:
    from defocus_edge.networks.edge.dense import DenseEvaluator

#: A point's confidence is the probability that its radius is within this many px of the one read out.
CONFIDENCE_REACH = 2 * RADIUS_STEP


@dataclass(frozen=True, eq=False)
class PointBlur:
    """Blur at the edge points of a picture.

    Attributes
    ----------
    points : (N, 2) ndarray of int32
        Row and column of each.
    radius : (N,) ndarray of float32
        px of that picture.
    confidence : (N,) ndarray of float32
        Probability that it is within 0.5 px of `radius`.
    is_depth_edge : (N,) ndarray of bool
        True where depth jumps: the radius means nothing there.
    """

    points: NDArray[np.int32]
    radius: NDArray[np.float32]
    confidence: NDArray[np.float32]
    is_depth_edge: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.points)

    def select(self, chosen: NDArray[np.bool_]) -> PointBlur:
        """Some of the points."""
        return PointBlur(self.points[chosen], self.radius[chosen], self.confidence[chosen], self.is_depth_edge[chosen])


def measure_points(
    image: NDArray[np.float32],
    edges: NDArray[np.bool_],
    evaluator: DenseEvaluator,
    *,
    read_out: ReadOut,
    depth_threshold: float,
    progress: Callable[[int, int], None] | None = None,
) -> PointBlur:
    """Run the networks on the edge points of a picture.

    Parameters
    ----------
    image : (H, W, 3) ndarray of float32
        RGB in [0, 1].
    edges : (H, W) ndarray of bool
        True at the points.
    evaluator : DenseEvaluator
    read_out : {'median', 'expectation', 'argmax'}
        See `read_radius`.
    depth_threshold : float
        Probability of E-NET above which a point counts as a depth edge.
    progress : callable, optional
        Called with (points done, all points).

    Returns
    -------
    PointBlur
        In reading order.
    """
    points = edge_points(edges)
    radius, confidence = np.empty((2, len(points)), dtype=np.float32)
    is_depth_edge = np.empty(len(points), dtype=bool)
    for rows, prediction in evaluator.predict_chunks(image, points, progress=progress):
        radius[rows] = read_radius(prediction.blur, read_out=read_out)
        confidence[rows] = measure_confidence(prediction.blur, radius[rows])
        is_depth_edge[rows] = prediction.edge[:, 1] > depth_threshold
    return PointBlur(points, radius, confidence, is_depth_edge)


def measure_confidence(probabilities: NDArray[np.float32], point_radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability that the radius is within 0.5 px of the one read out.

    Parameters
    ----------
    probabilities : (N, 23) ndarray of float32
        B-NET's softmax.
    point_radius : (N,) ndarray of float32
        px.

    Returns
    -------
    (N,) ndarray of float32
    """
    near = np.abs(BLUR_LEVELS - point_radius[:, None]) <= CONFIDENCE_REACH + RADIUS_STEP / 100
    return np.minimum(np.sum(probabilities * near, axis=1, dtype=np.float32), 1, dtype=np.float32)
