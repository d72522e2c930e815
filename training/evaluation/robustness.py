"""Errors of blur maps when the pictures of the development set are noisy, compressed or reduced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from defocus_edge.pipeline import BlurEstimator
from training.data.degradations import CLEAN
from training.data.development import DevelopmentScene
from training.evaluation.edges import measure_dense_error, measure_sparse_error, try_estimate
from training.runs.tables import NAN, Row, average_attributes, average_known, divide, group_by

#: Columns of errors, attributes of a score, to the functions that measure them.
ERRORS = {"sparse_mae": measure_sparse_error, "dense_mae": measure_dense_error}


@dataclass(frozen=True)
class RobustnessScore:
    """Errors on one scene under one condition; NaN if no pattern edge was found."""

    #: Names of the weights, the family of scenes, the scene and the condition.
    weights: str
    family: str
    scene: str
    condition: str
    #: Mean absolute error in px at true pattern edge points.
    sparse_mae: float = NAN
    #: Mean absolute error in px of the whole map.
    dense_mae: float = NAN


def score_robustness(
    scenes: Iterable[tuple[str, DevelopmentScene]],
    estimators: dict[str, BlurEstimator],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[RobustnessScore]:
    """Score each estimator on each pair of a condition and a scene, see `degrade_all`.

    `say` is called with a line for each scene for which an estimator has no map.
    """
    scores = []
    for condition, scene in scenes:
        for name, estimator in estimators.items():
            estimate = try_estimate(partial(estimator.estimate, scene.image), f"{scene.name}, {condition}, {name}", say)
            errors = [] if estimate is None else [measure(scene, estimate) for measure in ERRORS.values()]
            scores.append(RobustnessScore(name, scene.family, scene.name, condition, *errors))
    return scores


def summarize_robustness(scores: Sequence[RobustnessScore]) -> list[Row]:
    """Average the errors over the scenes of a family.

    Returns one row for each family, weights and condition, in order of appearance: ``family``, ``weights``,
    ``condition``, ``scenes`` (those with a map), both errors, and each error divided by the error on the same scenes
    when clean.
    """
    groups = group_by(scores, "family", "weights", "condition")
    rows: list[Row] = []
    for (family, weights, condition), members in groups.items():
        clean = groups.get((family, weights, CLEAN), [])
        mapped = sum(not np.isnan(score.dense_mae) for score in members)
        row: Row = {"family": family, "weights": weights, "condition": condition, "scenes": mapped}
        row |= average_attributes(members, ERRORS)
        rows.append(row | {f"{name}_ratio": _compare(members, clean, name) for name in ERRORS})
    return rows


def _compare(members: list[RobustnessScore], clean: list[RobustnessScore], name: str) -> float:
    """Mean error on scenes divided by that on the same scenes when clean, over the scenes that have both."""
    errors = {score.scene: getattr(score, name) for score in clean}
    pairs = [(getattr(score, name), errors.get(score.scene, NAN)) for score in members]
    both = [pair for pair in pairs if not np.isnan(pair).any()]
    return divide(average_known(one for one, _ in both), average_known(other for _, other in both))
