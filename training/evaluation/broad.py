"""Scores on the broad development set and on real photographs, with confidence intervals over the scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.files.images import read_image
from defocus_edge.metrics.curves import measure_mask
from defocus_edge.pipeline import BlurEstimator
from training.data.apertures import list_scenes, read_scene
from training.data.broad_scenes import (
    FAMILY_SCENES,
    SOURCE_FOLDERS,
    list_broad_scenes,
    load_pictures,
    render_broad_scene,
)
from training.data.development import DevelopmentScene
from training.data.focus_pairs import FocusPair, load_focus_pairs
from training.data.scene_store import SceneStore, find_version
from training.data.sources import list_pictures, split_paths
from training.evaluation.apertures import score_apertures
from training.evaluation.edges import (
    TRUE_RADII,
    estimate_with_truth,
    measure_dense_error,
    measure_sparse_error,
    try_estimate,
)
from training.evaluation.pairs import score_pairs
from training.runs.log import append_row, read_rows
from training.runs.tables import NAN, Row, group_by

#: Families of real photographs to their folder below the root.
REAL_FAMILIES = {"apertures": "real/apertures", "pairs": "real/lytro_pairs", "cuhk": "real/cuhk"}
#: All families.
FAMILIES = (*FAMILY_SCENES, *REAL_FAMILIES)
#: Number of the way in which the scenes are rendered: a change renders all scenes anew.
RENDERING = 1
#: Number of samples of the bootstrap, and the percentiles that bound 95 % of them.
SAMPLES, PERCENTILES = 2000, (2.5, 97.5)
#: File of the results in the folder of the scores.
RESULTS_FILE = "scores.csv"


@dataclass(frozen=True)
class BroadScore:
    """One estimator on one scene; NaN is what cannot be measured there."""

    estimator: str
    family: str
    scene: str
    #: Mean absolute error in px of the map, and of the points at true pattern edges.
    dense: float = NAN
    sparse: float = NAN
    #: Share of pairs of pixels that are in the right order: the AUC of the map against a mask, or `OrderScore.ordered`.
    order: float = NAN
    #: 1 if the 95th percentile of the map is beyond twice that of the truth, else 0.
    beyond: float = NAN


Judge = Callable[[str, "BlurEstimator | None"], "list[BroadScore]"]


@dataclass(frozen=True)
class Case:
    """A scene that can be judged: `judge` takes the name of an estimator and the estimator, None for true radii."""

    family: str
    scene: str
    judge: Judge


def list_cases(
    root: Path, store: Path, families: Sequence[str], limit: int | None, say: Callable[[str], None]
) -> list[Case]:
    """List the scenes of some families, at most `limit` of each; pictures are read and rendered when they are judged.

    Raises OSError or ImageReadError where a folder is missing or a picture is damaged.
    """
    cases = [
        Case(family, name, partial(_judge_scene, load, say))
        for family, name, load in list_rendered(root, store, families, limit)
    ]
    for family, folder in REAL_FAMILIES.items():
        if family in families:
            found = {"apertures": _list_apertures, "pairs": _list_pairs, "cuhk": _list_cuhk}[family](root / folder, say)
            cases += list(found)[:limit]
    return cases


def list_rendered(
    root: Path, store: Path, families: Sequence[str], limit: int | None
) -> Iterator[tuple[str, str, Callable[[], DevelopmentScene]]]:
    """Family and name of rendered scenes, and what loads each; the pictures are read when the first one is rendered."""
    held_back: list[Any] = []
    scenes = SceneStore(store, find_version(root, SOURCE_FOLDERS, RENDERING))

    def render(family: str, number: int) -> DevelopmentScene:
        if not held_back:
            held_back.append(load_pictures(root, development=True))
        return render_broad_scene(held_back[0], family, number)

    for family, number in list_broad_scenes(families, limit):
        name = f"{family}-{number:02}"
        yield family, name, partial(scenes.load, name, partial(render, family, number))


def _judge_scene(
    load: Callable[[], DevelopmentScene], say: Callable[[str], None], name: str, estimator: BlurEstimator | None
) -> list[BroadScore]:
    """Compare a map with the truth of a rendered scene."""
    scene = load()
    if estimator is None:
        make: Callable[[], BlurEstimate] = partial(estimate_with_truth, scene, EstimatorSettings(TRUE_RADII))
    else:
        make = partial(estimator.estimate, scene.image)
    estimate = try_estimate(make, f"{scene.name}, {name}", say)
    if estimate is None:
        return [BroadScore(name, scene.family, scene.name)]
    beyond = float(np.percentile(estimate.radius, 95) > 2 * np.percentile(scene.radius, 95))
    errors = measure_dense_error(scene, estimate), measure_sparse_error(scene, estimate)
    return [BroadScore(name, scene.family, scene.name, *errors, beyond=beyond)]


def _list_apertures(folder: Path, say: Callable[[str], None]) -> Iterator[Case]:
    """The judging half of the scenes at two apertures."""

    def judge(scene: str, name: str, estimator: BlurEstimator | None) -> list[BroadScore]:
        scores = [] if estimator is None else score_apertures([read_scene(folder, scene)], {name: estimator}, say=say)
        return [
            BroadScore(name, f"f/{score.aperture:g}", scene, score.mae, beyond=float(score.p95 > 2 * score.true_p95))
            for score in scores
        ]

    return (Case("apertures", scene, partial(judge, scene)) for scene in list_scenes(folder))


def _list_pairs(folder: Path, say: Callable[[str], None]) -> Iterator[Case]:
    """Pairs focused near and far."""

    def judge(pair: FocusPair, name: str, estimator: BlurEstimator | None) -> list[BroadScore]:
        scores = [] if estimator is None else score_pairs([pair], {name: estimator}, say=say)
        return [BroadScore(name, "pairs", pair.name, order=score.ordered) for score in scores]

    return (Case("pairs", pair.name, partial(judge, pair)) for pair in load_focus_pairs(folder))


def _list_cuhk(folder: Path, say: Callable[[str], None]) -> Iterator[Case]:
    """Photographs with masks that are kept out of training."""

    def judge(path: Path, name: str, estimator: BlurEstimator | None) -> list[BroadScore]:
        if estimator is None:
            return []
        estimate = try_estimate(partial(estimator.estimate, read_image(path)), f"{path.stem}, {name}", say)
        mask = read_image(path.with_name(f"{path.stem}_mask.png"))[..., 0] >= 0.5
        order = NAN if estimate is None else measure_auc(estimate.radius, mask)
        return [BroadScore(name, "cuhk", path.stem, order=order)]

    pictures = [path for path in list_pictures(folder) if not path.stem.endswith("_mask")]
    return (Case("cuhk", path.stem, partial(judge, path)) for path in split_paths(pictures, development=True))


def measure_auc(radius: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Share of the pairs of a blurred and a sharp pixel that the map has in order; NaN without one of the two."""
    return measure_mask(radius / radius.max(), mask).auc


def score_cases(cases: Iterator[Case], estimators: dict[str, BlurEstimator | None], folder: Path) -> list[BroadScore]:
    """Judge all cases that ``scores.csv`` in a folder does not hold yet, and add them to it one by one.

    Returns the scores of all cases and estimators at hand. `estimators` has the names of the rows; None stands for true
    radii.
    """
    path = folder / RESULTS_FILE
    known = group_by(read_scores(path), "estimator", "scene")
    scores = []
    for case in cases:
        for name, estimator in estimators.items():
            own = known.get((name, case.scene))
            if own is None:
                own = case.judge(name, estimator)
                for score in own:
                    append_row(path, asdict(score))
            scores += own
    return scores


def read_scores(path: Path) -> list[BroadScore]:
    """Read the scores of earlier runs; none if there is no file."""
    numbers = [field.name for field in fields(BroadScore) if field.type == "float"]
    return [
        BroadScore(row["estimator"], row["family"], row["scene"], *(float(row[name]) for name in numbers))
        for row in read_rows(path)
    ]


def summarize_broad(scores: Sequence[BroadScore]) -> list[Row]:
    """Average over the scenes of a family, one row for each family and estimator.

    Each figure has the interval that holds 95 % of its values if the scenes are drawn anew (bootstrap). ``ratio`` is
    the dense error, or the share of wrong order, divided by that of the first estimator on the same scenes.
    """
    rows: list[Row] = []
    first = scores[0].estimator if scores else ""
    for (family,), members in group_by(scores, "family").items():
        groups = group_by(members, "estimator")
        reference = {score.scene: score for score in groups.get((first,), [])}
        for (estimator,), own in groups.items():
            row: Row = {"family": family, "estimator": estimator, "scenes": len(own)}
            for name in ("dense", "sparse", "order"):
                row[name] = _format(_bootstrap(np.array([[getattr(score, name), 1.0] for score in own])))
            row["beyond"] = float(np.nansum([score.beyond for score in own]))
            pairs = [(score, reference[score.scene]) for score in own if score.scene in reference]
            shared = [(_find_error(score), _find_error(other)) for score, other in pairs]
            row["ratio"] = "" if estimator == first else _format(_bootstrap(np.array(shared)))
            rows.append(row)
    return rows


def _find_error(score: BroadScore) -> float:
    """What is to be small: the dense error, or the share of wrong order."""
    return 1 - score.order if np.isnan(score.dense) else score.dense


def _bootstrap(pairs: NDArray[np.float64]) -> tuple[float, float, float]:
    """Sum of (N, 2) first values over the sum of second ones, with its interval; pairs with NaN do not count."""
    pairs = pairs.reshape(-1, 2)
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    if not len(pairs):
        return NAN, NAN, NAN
    drawn = np.random.default_rng(0).integers(len(pairs), size=(SAMPLES, len(pairs)))
    sums = pairs[drawn].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / np.maximum(sums[:, 1], 1e-9), PERCENTILES)
    mean = pairs.sum(axis=0)
    return float(mean[0] / max(mean[1], 1e-9)), float(low), float(high)


def _format(values: tuple[float, float, float]) -> str:
    """A value with its interval."""
    return "–" if np.isnan(values[0]) else f"{values[0]:.3f} [{values[1]:.3f}, {values[2]:.3f}]"
