"""How much the errors grow when the pictures of the development set are noisy, compressed or reduced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from defocus_edge.pipeline import BlurEstimator
from training.data.degradations import CLEAN
from training.data.development import DevelopmentScene
from training.evaluation.edges import NAN, measure_dense_error, measure_sparse_error, try_estimate
from training.runs.tables import Row, average_known, divide

#: Errors of a map and how they are measured.
ERRORS = {"sparse_mae": measure_sparse_error, "dense_mae": measure_dense_error}


@dataclass(frozen=True)
class RobustnessScore:
    """Errors of one scene under one condition; NaN where no pattern edge was found.

    Attributes
    ----------
    weights, family, scene, condition : str
    sparse_mae : float
        Mean absolute error in px at true pattern edge points.
    dense_mae : float
        Mean absolute error in px of the whole map.
    """

    weights: str
    family: str
    scene: str
    condition: str
    sparse_mae: float = NAN
    dense_mae: float = NAN


def score_robustness(
    scenes: Iterable[tuple[str, DevelopmentScene]],
    estimators: dict[str, BlurEstimator],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[RobustnessScore]:
    """Errors of estimators on scenes under conditions.

    Parameters
    ----------
    scenes : iterable of (str, DevelopmentScene)
        Condition and scene, see `degrade_all`.
    estimators : dict
        Name of the weights to an estimator.
    say : callable, optional
        Called with a line for each scene that an estimator has no map for.

    Returns
    -------
    list of RobustnessScore
        For each pair one of each estimator.
    """
    scores = []
    for condition, scene in scenes:
        for name, estimator in estimators.items():
            estimate = try_estimate(partial(estimator.estimate, scene.image), f"{scene.name}, {condition}, {name}", say)
            errors = [] if estimate is None else [measure(scene, estimate) for measure in ERRORS.values()]
            scores.append(RobustnessScore(name, scene.family, scene.name, condition, *errors))
    return scores


def summarize_robustness(scores: Sequence[RobustnessScore]) -> list[Row]:
    """Mean errors over the scenes of a family, one row for each family, condition and weights, in order of appearance.

    Returns
    -------
    list of dict
        ``family``, ``weights``, ``condition``, ``scenes`` (those with a map), both errors, and each error divided by
        that of the clean pictures. Ratios are of means over the scenes that have both.
    """
    groups: dict[tuple[str, str, str], list[RobustnessScore]] = {}
    for score in scores:
        groups.setdefault((score.family, score.weights, score.condition), []).append(score)
    rows: list[Row] = []
    for (family, weights, condition), members in groups.items():
        clean = groups.get((family, weights, CLEAN), [])
        mapped = sum(not np.isnan(score.dense_mae) for score in members)
        row: Row = {"family": family, "weights": weights, "condition": condition, "scenes": mapped}
        row |= {name: average_known(getattr(score, name) for score in members) for name in ERRORS}
        rows.append(row | {f"{name}_ratio": _compare(members, clean, name) for name in ERRORS})
    return rows


def _compare(members: list[RobustnessScore], clean: list[RobustnessScore], name: str) -> float:
    """Mean error of scenes over that of the same scenes when clean."""
    errors = {score.scene: getattr(score, name) for score in clean}
    pairs = [(getattr(score, name), errors.get(score.scene, NAN)) for score in members]
    both = [pair for pair in pairs if not np.isnan(pair).any()]
    return divide(average_known(one for one, _ in both), average_known(other for _, other in both))
