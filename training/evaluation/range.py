"""Errors of blur maps beyond the 6 px of the levels: one scale and the pyramid, on large scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from defocus_edge.blur_levels import MAX_RADIUS
from training.evaluation.edges import try_estimate
from training.runs.tables import NAN, Row, average_known, group_by_family

if TYPE_CHECKING:
    from defocus_edge.choices import MaxRadius
    from defocus_edge.pipeline import BlurEstimator
    from training.data.development import DevelopmentScene

#: Name of a row to the largest radius in px that `BlurEstimator.estimate` is asked for.
METHODS: dict[str, MaxRadius] = {"single scale": MAX_RADIUS, "pyramid": "auto"}
#: Ranges of true radii in px, each with a column of its own.
RANGES = ((0.0, 1.0), (1.0, 3.0), (3.0, 6.0), (6.0, 12.0), (12.0, 24.0))
#: Smaller true radii count as this many px in the relative error, or a quarter of a pixel too much would weigh most.
LEAST_RADIUS = 1.0


@dataclass(frozen=True)
class RangeScore:
    """Errors of the map that one method made of one scene; NaN where nothing could be measured."""

    #: Names of the method, the family of scenes and the scene.
    method: str
    family: str
    picture: str
    #: Mean of ``|estimate - true| / max(true, 1)``.
    relative: float
    #: The same mean over the pixels of each of `RANGES`; the upper end belongs to a range.
    by_range: tuple[float, ...]


def score_range(
    scenes: Iterable[DevelopmentScene], estimator: BlurEstimator, *, say: Callable[[str], None] = lambda _: None
) -> list[RangeScore]:
    """Score a single scale and the pyramid on each scene; `say` is called with a line for each scene without a map."""
    scores = []
    for scene in scenes:
        for method, max_radius in METHODS.items():
            make = partial(estimator.estimate, scene.image, max_radius=max_radius)
            estimate = try_estimate(make, f"{scene.name}, {method}", say)
            error = np.full(scene.radius.shape, NAN) if estimate is None else np.abs(estimate.radius - scene.radius)
            relative = error / np.maximum(scene.radius, LEAST_RADIUS)
            parts = [relative[(scene.radius > low) & (scene.radius <= high)] for low, high in RANGES]
            by_range = tuple(float(part.mean()) if part.size else NAN for part in parts)
            scores.append(RangeScore(method, scene.family, scene.name, float(relative.mean()), by_range))
    return scores


def summarize_range(scores: Sequence[RangeScore]) -> list[Row]:
    """Average the scores over scenes, one row for each family and method; several families are followed by ``all``."""
    rows: list[Row] = []
    for family, method, members in group_by_family(scores):
        row: Row = {"family": family, "method": method}
        row["relative error"] = average_known(score.relative for score in members)
        for number, (low, high) in enumerate(RANGES):
            row[f"{low:g} to {high:g} px"] = average_known(score.by_range[number] for score in members)
        rows.append(row)
    return rows
