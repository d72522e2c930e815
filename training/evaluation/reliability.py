"""How often radii are right for each confidence: points and pixels by tenths of the confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.estimation.point_blur import CONFIDENCE_REACH
from defocus_edge.pipeline import BlurEstimator
from training.data.development import DevelopmentScene
from training.evaluation.edges import try_estimate
from training.runs.tables import Row, divide, group_by

#: Number of steps into which the confidence is divided.
BINS = 10


@dataclass(frozen=True)
class ReliabilityScore:
    """Numbers of points and pixels of one scene in one step of the confidence, and of those that are right."""

    weights: str
    scene: str
    step: int
    points: int
    right_points: int
    pixels: int
    right_pixels: int


def score_reliability(
    scenes: Iterable[DevelopmentScene],
    estimators: dict[str, BlurEstimator],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[ReliabilityScore]:
    """Count for each estimator and scene, one score for each step of the confidence.

    A radius is right within 0.5 px. At a point that was measured in a picture reduced by s it is right within 0.5 · s
    px, and in the map within a twelfth of a true radius above 6 px. Points at true depth edges do not count. `say` is
    called with a line for each scene for which an estimator has no map.
    """
    scores = []
    for scene in scenes:
        for name, estimator in estimators.items():
            estimate = try_estimate(partial(estimator.estimate, scene.image), f"{scene.name}, {name}", say)
            if estimate is None:
                continue
            at = tuple(estimate.points.T)
            pattern = scene.edge_label[at] == 0
            right = np.abs(estimate.point_radius - scene.radius[at]) <= CONFIDENCE_REACH * estimate.point_scale
            reach = CONFIDENCE_REACH * np.maximum(scene.radius / MAX_RADIUS, 1)
            counts = (
                *_count(estimate.point_confidence[pattern], right[pattern]),
                *_count(estimate.confidence, np.abs(estimate.radius - scene.radius) <= reach),
            )
            scores += [
                ReliabilityScore(name, scene.name, step, *each) for step, each in enumerate(zip(*counts, strict=True))
            ]
    return scores


def summarize_reliability(scores: Sequence[ReliabilityScore]) -> list[Row]:
    """Share of all points and pixels in each step of the confidence, and share of those that are right."""
    rows: list[Row] = []
    totals = group_by(scores, "weights")
    for (weights, step), own in group_by(scores, "weights", "step").items():
        row: Row = {"weights": weights, "confidence": f"{step / BINS:.1f} to {(step + 1) / BINS:.1f}"}
        for kind in ("points", "pixels"):
            here = sum(getattr(score, kind) for score in own)
            row[kind] = divide(here, sum(getattr(score, kind) for score in totals[(weights,)]))
            row[f"right {kind}"] = divide(sum(getattr(score, f"right_{kind}") for score in own), here)
        rows.append(row)
    return rows


def _count(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Numbers of values in each step, and of those that are right."""
    steps = np.minimum((confidence * BINS).astype(int), BINS - 1).ravel()
    counts = np.bincount(steps, minlength=BINS), np.bincount(steps, right.ravel(), minlength=BINS)
    return counts[0].tolist(), counts[1].astype(int).tolist()
