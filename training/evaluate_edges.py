"""Errors of the blur map on the development set: our weights, the authors', and true radii, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from defocus_edge.edges import edge_points, find_edges
from defocus_edge.pipeline import BlurEstimate, BlurEstimator, EstimatorSettings, spread_points
from training.crops import UNDECIDED
from training.development import DevelopmentScene

#: Name of the row whose edge points carry their true radius and label: what is left is the propagation's error.
TRUE_RADII = "true radii"


@dataclass(frozen=True)
class EdgeScore:
    """Scores of one scene.

    Attributes
    ----------
    weights, family, scene : str
    sparse_mae : float
        Mean absolute error in px at true pattern edge points.
    dense_mae, dense_mae_no_penalty : float
        Mean absolute error in px of the whole map, with the depth-edge penalty and without it.
    accuracy, precision, recall : float
        Of E-NET at decided edge points; precision and recall of depth edges, NaN where the scene has none.
    """

    weights: str
    family: str
    scene: str
    sparse_mae: float
    dense_mae: float
    dense_mae_no_penalty: float
    accuracy: float
    precision: float
    recall: float


def score_estimators(
    scenes: Iterable[DevelopmentScene], estimators: dict[str, BlurEstimator], *, settings: EstimatorSettings
) -> list[EdgeScore]:
    """Score estimators on scenes.

    Parameters
    ----------
    scenes : iterable of DevelopmentScene
    estimators : dict
        Name of the weights to an estimator.
    settings : EstimatorSettings
        Edges and propagation for the row with true radii.

    Returns
    -------
    list of EdgeScore
        For each scene one of each estimator, and one with true radii.
    """
    scores = []
    for scene in scenes:
        for name, estimator in estimators.items():
            scores.append(_score_estimate(scene, name, estimator.estimate(scene.image)))
        scores.append(_score_estimate(scene, TRUE_RADII, estimate_with_truth(scene, settings)))
    return scores


def estimate_with_truth(scene: DevelopmentScene, settings: EstimatorSettings) -> BlurEstimate:
    """What the pipeline would give if the networks made no error: true radii and labels at the edge points."""
    points = edge_points(find_edges(scene.image, settings=settings.edges))
    truth = scene.radius[tuple(points.T)]
    certain = np.ones_like(truth)
    is_depth_edge = scene.edge_label[tuple(points.T)] != 0
    radius, confidence = spread_points(scene.image, points, truth, certain, is_depth_edge, settings=settings)
    return BlurEstimate(radius, confidence, points, truth, certain, is_depth_edge, settings)


def _score_estimate(scene: DevelopmentScene, name: str, estimate: BlurEstimate) -> EdgeScore:
    rows, cols = estimate.points.T
    label = scene.edge_label[rows, cols]
    pattern, decided = label == 0, label != UNDECIDED
    truth = scene.radius[rows, cols]
    free = replace(estimate.settings, propagation=replace(estimate.settings.propagation, depth_penalty=0.0))
    no_penalty, _ = spread_points(
        scene.image,
        estimate.points,
        estimate.point_radius,
        estimate.point_confidence,
        estimate.is_depth_edge,
        settings=free,
    )
    found = estimate.is_depth_edge & decided
    hits = float((found & (label == 1)).sum())
    return EdgeScore(
        weights=name,
        family=scene.family,
        scene=scene.name,
        sparse_mae=float(np.abs(estimate.point_radius - truth)[pattern].mean()),
        dense_mae=float(np.abs(estimate.radius - scene.radius).mean()),
        dense_mae_no_penalty=float(np.abs(no_penalty - scene.radius).mean()),
        accuracy=float((estimate.is_depth_edge == (label == 1))[decided].mean()),
        precision=hits / found.sum() if found.any() else float("nan"),
        recall=hits / (label == 1).sum() if (label == 1).any() else float("nan"),
    )


def summarize_scores(scores: Sequence[EdgeScore]) -> list[dict[str, str | float]]:
    """Mean of each score over the scenes of a family, one row for each family and weights, in order of appearance.

    Returns
    -------
    list of dict
        ``family``, ``weights``, ``scenes`` and the scores of `EdgeScore`; NaN scores are left out of their mean.
    """
    rows: list[dict[str, str | float]] = []
    names = [field.name for field in fields(EdgeScore) if field.type == "float"]
    for family, weights in dict.fromkeys((score.family, score.weights) for score in scores):
        members = [score for score in scores if (score.family, score.weights) == (family, weights)]
        row: dict[str, str | float] = {"family": family, "weights": weights, "scenes": len(members)}
        for name in names:
            values = np.array([getattr(score, name) for score in members])
            known = values[np.isfinite(values)]
            row[name] = float(known.mean()) if len(known) else float("nan")
        rows.append(row)
    return rows


def format_table(rows: Sequence[dict[str, str | float]]) -> str:
    """Rows as a Markdown table, numbers with three decimals."""
    if not rows:
        return ""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    for row in rows:
        cells = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]
        lines.append("| " + " | ".join("–" if cell == "nan" else cell for cell in cells) + " |")
    return "\n".join(lines)
