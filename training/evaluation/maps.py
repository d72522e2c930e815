"""Errors of blur maps against true ones: in px, and relative to the largest blur by two protocols."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.propagation.propagate import NoEdgesError
from training.runs.log import write_rows
from training.runs.tables import (
    NAN,
    PICTURES_FILE,
    SUMMARY_FILE,
    Row,
    average_known,
    group_by_family,
    median_known,
    spread_known,
)

if TYPE_CHECKING:
    from training.data.development import DevelopmentScene
    from training.evaluation.map_methods import MapMethod

#: Columns of errors, in this order, to the attributes of a score. Only methods in px have the first and the third.
ERRORS = {
    "MAE (px)": "error",
    "relative MAE (own maximum)": "own_error",
    "relative MAE (common maximum)": "common_error",
}
SECONDS = "s/MP"
#: End of the name of the column with the standard deviation of an error.
SPREAD = " std"


@dataclass(frozen=True)
class MapScore:
    """Errors of one method on one picture; all are NaN if it has no map."""

    #: Names of the method, the family of pictures and the picture.
    method: str
    family: str
    picture: str
    #: Mean absolute error in px; NaN for a method that gives a score instead of px.
    error: float = NAN
    #: Mean absolute difference of the two maps, each divided by its own largest value.
    own_error: float = NAN
    #: Mean absolute error divided by the largest true radius of the picture; NaN for a method that gives a score.
    common_error: float = NAN
    #: Time in seconds that the method took for each megapixel.
    seconds: float = NAN


def score_maps(
    scenes: Iterable[DevelopmentScene], methods: Sequence[MapMethod], *, say: Callable[[str], None] = lambda _: None
) -> list[MapScore]:
    """Score each method on each scene.

    `say` is called with a line for each scene for which a method has no map. A map that does not fit its scene is a
    ValueError that names both.
    """
    return [_score_map(scene, method, say) for scene in scenes for method in methods]


def _score_map(scene: DevelopmentScene, method: MapMethod, say: Callable[[str], None]) -> MapScore:
    """Run one method on one scene and compare its map with the true one."""
    start = time.perf_counter()
    try:
        estimate = np.asarray(method.measure(scene), dtype=np.float32)
    except NoEdgesError as error:
        say(f"{scene.name}, {method.name}: {error}")
        return MapScore(method.name, scene.family, scene.name)
    seconds = (time.perf_counter() - start) / (scene.radius.size / 1e6)
    if estimate.shape != scene.radius.shape or not np.isfinite(estimate).all():
        msg = f"The map of {method.name!r} for {scene.name!r} must be finite with shape {scene.radius.shape}."
        raise ValueError(f"{msg} Got: shape {estimate.shape}.")
    own = measure_own_error(estimate, scene.radius, in_pixels=method.unit == "px")
    if method.unit != "px":
        return MapScore(method.name, scene.family, scene.name, own_error=own, seconds=seconds)
    mean = measure_error(estimate, scene.radius)
    largest = max(float(scene.radius.max()), MIN_RADIUS)
    return MapScore(method.name, scene.family, scene.name, mean, own, mean / largest, seconds)


def measure_error(estimate: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Mean absolute error in px of two maps (H, W) of radii.

    Below 0.5 px both radii count as 0.5: a disk that lies inside one pixel is no blur, whatever its size.
    """
    difference = np.maximum(estimate, MIN_RADIUS) - np.maximum(truth, MIN_RADIUS)
    return float(np.abs(difference).mean(dtype=np.float64))


def measure_own_error(estimate: NDArray[np.float32], truth: NDArray[np.float32], *, in_pixels: bool) -> float:
    """Mean absolute difference of two maps, each divided by its own maximum: |e / max e - t / max t|.

    The error is 0 to 1. A wrong scale of the estimate does not show, and its single largest value weighs much.

    Parameters
    ----------
    estimate, truth : (H, W) ndarray of float32
        Radius in px; the estimate may be a score >= 0 instead.
    in_pixels : bool
        Whether the estimate is in px. Then radii below 0.5 px count as 0.5, as those of the truth do.
    """
    first = np.maximum(estimate, MIN_RADIUS) if in_pixels else estimate
    second = np.maximum(truth, MIN_RADIUS)
    largest = float(first.max()) or 1.0  # a score of 0 all over
    difference = first / np.float32(largest) - second / second.max()
    return float(np.abs(difference).mean(dtype=np.float64))


def summarize_maps(scores: Sequence[MapScore]) -> list[Row]:
    """Average the errors over the pictures, one row for each family and method.

    Each row has ``family``, ``method``, ``pictures`` (those with a map), each error with its standard deviation over
    the pictures (divided by their number), and the median time, since the first picture may compile. If there are
    several families, rows over all of them follow.
    """
    rows: list[Row] = []
    for family, method, members in group_by_family(scores):
        row: Row = {"family": family, "method": method, "pictures": sum(not np.isnan(one.seconds) for one in members)}
        for figure, name in ERRORS.items():
            values = [getattr(score, name) for score in members]
            row |= {figure: average_known(values), figure + SPREAD: spread_known(values)}
        rows.append(row | {SECONDS: median_known(score.seconds for score in members)})
    return rows


def format_spreads(rows: Sequence[Row]) -> list[Row]:
    """Join each error of rows of `summarize_maps` and its standard deviation in one cell, to print them."""
    return [{name: _join_spread(row, name) for name in row if not name.endswith(SPREAD)} for row in rows]


def write_map_report(folder: str | Path, scores: Sequence[MapScore]) -> None:
    """Write the table and the errors on each picture as CSV files in a folder, each whole or not at all."""
    write_rows(Path(folder) / SUMMARY_FILE, summarize_maps(scores))
    pictures: list[Row] = [
        {
            "family": score.family,
            "picture": score.picture,
            "method": score.method,
            **{figure: getattr(score, name) for figure, name in ERRORS.items()},
            SECONDS: score.seconds,
        }
        for score in scores
    ]
    write_rows(Path(folder) / PICTURES_FILE, pictures)


def _join_spread(row: Row, name: str) -> str | float:
    """Cell of a printed row: "error ± standard deviation" where there is an error."""
    value = row[name]
    if name not in ERRORS or np.isnan(float(value)):
        return value
    return f"{float(value):.3f} ± {float(row[name + SPREAD]):.3f}"
