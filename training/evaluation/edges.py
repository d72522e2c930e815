"""Errors of the blur map on the development set, side by side for our weights, the authors' weights and true radii."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np

from defocus_edge.estimation.edges import edge_points, find_edges
from defocus_edge.estimation.point_blur import PointBlur
from defocus_edge.estimation.pyramid import PyramidBlur
from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.estimation.stages import spread
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.propagation.propagate import NoEdgesError
from training.data.development import DevelopmentScene
from training.data.labels import UNDECIDED
from training.runs.tables import NAN, Row, average_attributes, divide, group_by

#: Name of the row whose edge points carry their true radius and label. Its error is that of the propagation alone.
TRUE_RADII = "true radii"


@dataclass(frozen=True)
class EdgeScore:
    """Scores of one scene; all are NaN if the estimator found no pattern edge and so made no map."""

    #: Names of the weights, of the family of scenes and of the scene.
    weights: str
    family: str
    scene: str
    #: Mean absolute error in px at true pattern edge points; NaN if the scene has none.
    sparse_mae: float = NAN
    #: Mean absolute error in px of the whole map, with the depth-edge penalty and without it.
    dense_mae: float = NAN
    dense_mae_no_penalty: float = NAN
    #: Share of the decided edge points that E-NET labels right.
    accuracy: float = NAN
    #: Precision and recall of depth edges at decided edge points; NaN if the scene has none.
    precision: float = NAN
    recall: float = NAN


def score_estimators(
    scenes: Iterable[DevelopmentScene],
    estimators: dict[str, BlurEstimator],
    *,
    settings: EstimatorSettings,
    say: Callable[[str], None] = lambda _: None,
) -> list[EdgeScore]:
    """Score estimators on scenes.

    Returns one score for each scene and estimator, and one for each scene with true radii.

    Parameters
    ----------
    estimators : dict
        Name of the weights to an estimator.
    settings : EstimatorSettings
        Edges and propagation of the row with true radii.
    say : callable, optional
        Called with a line for each scene for which an estimator has no map.
    """
    scores = []
    for scene in scenes:
        for name, estimator in estimators.items():
            estimate = try_estimate(partial(estimator.estimate, scene.image), f"{scene.name}, {name}", say)
            scores.append(_score_estimate(scene, name, estimate))
        truth = try_estimate(partial(estimate_with_truth, scene, settings), f"{scene.name}, {TRUE_RADII}", say)
        scores.append(_score_estimate(scene, TRUE_RADII, truth))
    return scores


def try_estimate(make: Callable[[], BlurEstimate], name: str, say: Callable[[str], None]) -> BlurEstimate | None:
    """Make an estimate. If no pattern edge was found, say so with its name and return None."""
    try:
        return make()
    except NoEdgesError as error:
        say(f"{name}: {error}")
        return None


def estimate_with_truth(scene: DevelopmentScene, settings: EstimatorSettings) -> BlurEstimate:
    """Estimate the map that the pipeline would give if the networks made no error at the edge points."""
    points = edge_points(find_edges(scene.image, settings=settings.edges))
    truth = scene.radius[tuple(points.T)]
    certain = np.ones_like(truth)
    is_depth_edge = scene.edge_label[tuple(points.T)] != 0
    blur = PyramidBlur.at_one_scale(PointBlur(points, truth, certain, is_depth_edge.astype(np.float32)))
    radius, confidence = spread(scene.image, blur, settings=settings.propagation)
    return BlurEstimate(radius, confidence, points, truth, certain, is_depth_edge, settings, blur.scale)


def measure_sparse_error(scene: DevelopmentScene, estimate: BlurEstimate) -> float:
    """Mean absolute error in px at true pattern edge points; NaN without one."""
    at = tuple(estimate.points.T)
    pattern = scene.edge_label[at] == 0
    return float(np.abs(estimate.point_radius - scene.radius[at])[pattern].mean()) if pattern.any() else NAN


def measure_dense_error(scene: DevelopmentScene, estimate: BlurEstimate) -> float:
    """Mean absolute error in px of the whole map."""
    return float(np.abs(estimate.radius - scene.radius).mean())


def _score_estimate(scene: DevelopmentScene, name: str, estimate: BlurEstimate | None) -> EdgeScore:
    """Compare an estimate with the truth of its scene."""
    if estimate is None:
        return EdgeScore(name, scene.family, scene.name)
    label = scene.edge_label[tuple(estimate.points.T)]
    decided = label != UNDECIDED
    # Only the last stage runs again without the penalty. There, points of reduced pictures count like all others.
    is_depth_edge = estimate.is_depth_edge.astype(np.float32)
    points = PointBlur(estimate.points, estimate.point_radius, estimate.point_confidence, is_depth_edge)
    free = replace(estimate.settings.propagation, depth_penalty=0.0)
    no_penalty, _ = spread(scene.image, PyramidBlur.at_one_scale(points), settings=free)
    found = estimate.is_depth_edge & decided
    hits = float((found & (label == 1)).sum())
    right = estimate.is_depth_edge == (label == 1)
    return EdgeScore(
        weights=name,
        family=scene.family,
        scene=scene.name,
        sparse_mae=measure_sparse_error(scene, estimate),
        dense_mae=measure_dense_error(scene, estimate),
        dense_mae_no_penalty=float(np.abs(no_penalty - scene.radius).mean()),
        accuracy=float(right[decided].mean()) if decided.any() else NAN,
        precision=hits / found.sum() if found.any() else NAN,
        recall=hits / (label == 1).sum() if (label == 1).any() else NAN,
    )


def summarize_scores(scores: Sequence[EdgeScore], *, reference: str | None = None) -> list[Row]:
    """Average each score over the scenes of a family.

    Returns one row for each family and weights, in order of appearance: ``family``, ``weights``, ``scenes`` (those with
    a map) and the scores of `EdgeScore`, averaged without NaN. If `reference` names some weights, ``dense_ratio`` comes
    last: the dense error divided by that of these weights in the same family.
    """
    rows: list[Row] = []
    names = [field.name for field in fields(EdgeScore) if field.type == "float"]
    for (family, weights), members in group_by(scores, "family", "weights").items():
        mapped = sum(not np.isnan(score.dense_mae) for score in members)
        row: Row = {"family": family, "weights": weights, "scenes": mapped}
        rows.append(row | average_attributes(members, names))
    if reference is not None:
        errors = {row["family"]: float(row["dense_mae"]) for row in rows if row["weights"] == reference}
        for row in rows:
            row["dense_ratio"] = divide(float(row["dense_mae"]), errors.get(row["family"], NAN))
    return rows
