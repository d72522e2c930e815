"""Errors in px of the blur maps of real scenes at two apertures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from defocus_edge.pipeline import BlurEstimator
from training.data.apertures import APERTURES, ApertureScene, find_known, find_radius, fit_focus
from training.evaluation.edges import try_estimate
from training.runs.tables import Row, average_known, group_by, median_known


@dataclass(frozen=True)
class ApertureScore:
    """Errors of one map over the pixels of known depth."""

    #: Names of the weights and of the scene, and the f-number.
    weights: str
    scene: str
    aperture: float
    #: Focus distance that fits the maps of the scene best, mm.
    focus_mm: float
    #: Mean of ``|estimate - true|`` in px, and of the same divided by ``max(true, 1)``.
    mae: float
    relative: float
    #: 95th percentiles of the map and of the truth, px.
    p95: float
    true_p95: float


def score_apertures(
    scenes: Iterable[ApertureScene],
    estimators: dict[str, BlurEstimator],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[ApertureScore]:
    """Score each estimator on each scene with known depth for which it has both maps."""
    scores = []
    for scene in scenes:
        known = find_known(scene.depth)
        depth = scene.depth[known]
        for weights, estimator in estimators.items() if known.any() else ():
            found = [try_estimate(partial(estimator.estimate, image), scene.name, say) for image in scene.images]
            maps = [each.radius[known] for each in found if each is not None]
            if len(maps) == len(APERTURES):
                focus = fit_focus(depth, maps)
                for radius, aperture in zip(maps, APERTURES, strict=True):
                    truth = find_radius(depth, focus, aperture)
                    error = np.abs(radius - truth)
                    means = float(error.mean()), float((error / np.maximum(truth, 1)).mean())
                    ends = float(np.percentile(radius, 95)), float(np.percentile(truth, 95))
                    scores.append(ApertureScore(weights, scene.name, aperture, focus, *means, *ends))
    return scores


def summarize_apertures(scores: Sequence[ApertureScore]) -> list[Row]:
    """Average the errors over the scenes, one row for each weights and aperture.

    ``beyond`` counts the scenes whose map has a 95th percentile beyond twice that of the truth.
    """
    rows: list[Row] = []
    for (weights, aperture), own in group_by(scores, "weights", "aperture").items():
        row: Row = {"weights": weights, "aperture": f"f/{aperture:g}", "scenes": len(own)}
        row |= {"mae": average_known(score.mae for score in own), "median": median_known(score.mae for score in own)}
        row |= {"relative": average_known(score.relative for score in own)}
        rows.append(row | {"beyond": sum(score.p95 > 2 * score.true_p95 for score in own)})
    return rows
