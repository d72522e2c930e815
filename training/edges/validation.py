"""Scores on crops of pictures that are never trained on: for each blur level of B-NET, for each family of E-NET."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS, N_LEVELS, radius_to_class, read_radius
from defocus_edge.files.images import write_picture
from defocus_edge.networks.edge.networks import EdgeNetworks
from training.data.camera import FAMILIES
from training.edges.batches import Balance, PointBatch
from training.edges.crops import CropSampler
from training.edges.model import PointModel
from training.edges.plots import plot_confusion
from training.edges.settings import Head
from training.runs.log import write_rows

#: What the points of a crop are balanced over, in training and in scores.
BALANCE: dict[Head, Balance] = {"blur": "radius", "edge": "depth edges"}
# Seed of the held-back crops.
_SEED = 20_26
# Number of crops of one batch, and largest number of points of one crop.
_CROPS, _POINTS = 8, 256
# Probability above which a point counts as a depth edge here: the more probable class.
_DEPTH_FROM = 0.5
# Percentile of the error that is reported beside its mean.
_PERCENTILE = 95


@dataclass(frozen=True)
class PointScores:
    """Output of a network at P labelled points, and the truth."""

    #: (P, classes) softmax.
    output: NDArray[np.float32]
    #: (P,) true blur radius, px.
    radius: NDArray[np.float32]
    #: (P,) whether the point is a depth edge.
    is_depth: NDArray[np.bool_]
    #: (P,) family of the scene that the point lies in.
    family: NDArray[np.str_]


def draw_validation(sampler: CropSampler, head: Head, crops: int) -> list[PointBatch]:
    """Draw at least `crops` crops, the same ones each time; with more crops these come first."""
    return [
        sampler.draw_batch(
            min(_CROPS, crops), _POINTS, rng=np.random.default_rng((_SEED, number)), balance=BALANCE[head]
        )
        for number in range(-(-crops // _CROPS))
    ]


def score_points(model: PointModel, head: Head, batches: Sequence[PointBatch]) -> PointScores:
    """Run a model on labelled crops."""
    outputs, kept = [], []
    for batch in batches:
        kept.append(batch.weigh(head) > 0)
        outputs.append(np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(batch.inputs)))[kept[-1]])
    pairs = list(zip(batches, kept, strict=True))
    return PointScores(
        output=np.concatenate(outputs),
        radius=np.concatenate([batch.radius[here] for batch, here in pairs]),
        is_depth=np.concatenate([batch.is_depth[here] == 1 for batch, here in pairs]),
        family=np.concatenate([batch.family[here] for batch, here in pairs]),
    )


def summarize(scores: PointScores, head: Head) -> dict[str, float]:
    """Summarize the scores of a network.

    For B-NET these are the mean and the 95th percentile of the absolute error of the radius (the median, see
    `read_radius`) at pattern edges, px. For E-NET they are accuracy, and precision and recall of depth edges.
    """
    if head == "blur":
        error = np.abs(read_radius(scores.output) - scores.radius)
        return {"mae_px": round(float(error.mean()), 4), "p95_px": round(float(np.percentile(error, _PERCENTILE)), 4)}
    found = scores.output[:, 1] > _DEPTH_FROM
    hits = float((found & scores.is_depth).sum())
    return {
        "accuracy": round(float((found == scores.is_depth).mean()), 4),
        "precision": round(hits / max(float(found.sum()), 1), 4),
        "recall": round(hits / max(float(scores.is_depth.sum()), 1), 4),
    }


def validate_network(networks: EdgeNetworks, head: Head, development: CropSampler, *, folder: Path, crops: int) -> None:
    """Write ``bnet_levels.csv`` and ``bnet_confusion.png``, or ``enet_scores.csv``, into a folder.

    The network runs as in the library, dense and in float32, however it was trained.
    """
    scores = score_points(PointModel(networks, head), head, draw_validation(development, head, crops))
    if head == "blur":
        write_rows(folder / "bnet_levels.csv", tabulate_levels(scores))
        write_picture(folder / "bnet_confusion.png", plot_confusion(count_confusion(scores), BLUR_LEVELS))
    else:
        write_rows(folder / "enet_scores.csv", tabulate_families(scores))


def tabulate_levels(scores: PointScores) -> list[dict[str, Any]]:
    """One row for each of the 23 levels.

    Each row has ``level_px``, ``count`` of points whose radius is nearest to the level, ``mae_px`` and ``bias_px`` of
    the radius that is read there; the last two are empty where there is no point.
    """
    error = read_radius(scores.output) - scores.radius
    truth = radius_to_class(scores.radius)
    rows: list[dict[str, Any]] = []
    for number, level in enumerate(BLUR_LEVELS):
        here = error[truth == number]
        row: dict[str, Any] = {"level_px": float(level), "count": len(here), "mae_px": "", "bias_px": ""}
        if len(here):
            row |= {"mae_px": round(float(np.abs(here).mean()), 4), "bias_px": round(float(here.mean()), 4)}
        rows.append(row)
    return rows


def count_confusion(scores: PointScores) -> NDArray[np.int64]:
    """(23, 23) numbers of points: true level (nearest to the radius) by most probable level."""
    cells = radius_to_class(scores.radius) * N_LEVELS + scores.output.argmax(axis=-1)
    return np.bincount(cells, minlength=N_LEVELS**2).reshape(N_LEVELS, N_LEVELS)


def tabulate_families(scores: PointScores) -> list[dict[str, Any]]:
    """One row for all points, and one for the points of each family.

    Each row has ``family``, ``count``, ``depth_edges`` (their number), ``accuracy``, and ``precision`` and ``recall``
    of depth edges; ``precision`` is empty where none was found, ``recall`` where there is none.
    """
    found = scores.output[:, 1] > _DEPTH_FROM
    rows: list[dict[str, Any]] = []
    for name in ("all", *FAMILIES):
        here = np.ones_like(found) if name == "all" else scores.family == name
        if not here.any():
            continue
        hits, claims, truly = (int((mask & here).sum()) for mask in (found & scores.is_depth, found, scores.is_depth))
        rows.append(
            {
                "family": name,
                "count": int(here.sum()),
                "depth_edges": truly,
                "accuracy": round(float((found == scores.is_depth)[here].mean()), 4),
                "precision": round(hits / claims, 4) if claims else "",
                "recall": round(hits / truly, 4) if truly else "",
            }
        )
    return rows
