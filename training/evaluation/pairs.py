"""Order of the blur maps of real photographs, in pairs focused near and far, against the order of their sharpness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from defocus_edge.pipeline import BlurEstimator
from training.data.focus_pairs import FAR, NEAR, FocusPair, FocusPairError, compare_sharpness
from training.evaluation.edges import try_estimate
from training.runs.tables import NAN, Row, average_attributes, group_by

#: Name of the row with the mean over the pairs.
MEAN = "mean"
#: Columns of the table: attributes of a score.
SHARES = ("compared", "ordered_near", "ordered_far", "ordered")


@dataclass(frozen=True)
class OrderScore:
    """How well the two maps of a pair are ordered; a share of no pixels is NaN."""

    #: Names of the weights and of the pair.
    weights: str
    pair: str
    #: Share of the pixels that are textured and sharper in one of the pictures.
    compared: float
    #: Share of the pixels sharper in the picture focused near (far) that have the smaller radius in its map.
    ordered_near: float = NAN
    ordered_far: float = NAN
    #: Share of all compared pixels that have the smaller radius in the map of the sharper picture.
    ordered: float = NAN


def score_pairs(
    pairs: Iterable[FocusPair],
    estimators: dict[str, BlurEstimator],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[OrderScore]:
    """Score each estimator on each pair for which it has both maps.

    `say` is called with a line for each pair in which nothing can be compared, or without one of the maps.
    """
    scores = []
    for pair in pairs:
        try:
            near_is_sharper, far_is_sharper = compare_sharpness(pair)
        except FocusPairError as error:
            say(str(error))
            continue
        for name, estimator in estimators.items():
            near = try_estimate(partial(estimator.estimate, pair.near), f"{pair.name}{NEAR}, {name}", say)
            far = try_estimate(partial(estimator.estimate, pair.far), f"{pair.name}{FAR}, {name}", say)
            if near is not None and far is not None:
                shares = measure_order(near.radius, far.radius, near_is_sharper, far_is_sharper)
                scores.append(OrderScore(name, pair.name, float((near_is_sharper | far_is_sharper).mean()), *shares))
    return scores


def measure_order(
    near_map: NDArray[np.float32],
    far_map: NDArray[np.float32],
    near_is_sharper: NDArray[np.bool_],
    far_is_sharper: NDArray[np.bool_],
) -> tuple[float, float, float]:
    """Share of pixels that have the smaller radius in the map of the sharper picture; equal radii count as wrong.

    Returns the well-ordered share of the pixels sharper near, of those sharper far, and of both together; NaN if there
    are none.

    Parameters
    ----------
    near_map, far_map : (H, W) ndarray of float32
        Radius in px in the pictures focused near and far.
    near_is_sharper, far_is_sharper : (H, W) ndarray of bool
        See `compare_sharpness`.
    """
    near_right, far_right = (near_map < far_map)[near_is_sharper], (far_map < near_map)[far_is_sharper]
    both = np.concatenate([near_right, far_right])
    near, far, ordered = (float(right.mean()) if len(right) else NAN for right in (near_right, far_right, both))
    return near, far, ordered


def summarize_pairs(scores: Sequence[OrderScore]) -> list[Row]:
    """Make one row for each pair, by weights; the mean over the pairs of some weights follows them."""
    rows: list[Row] = []
    for (weights,), own in group_by(scores, "weights").items():
        rows += [
            {"weights": weights, "pair": score.pair} | {name: getattr(score, name) for name in SHARES} for score in own
        ]
        rows.append({"weights": weights, "pair": MEAN} | average_attributes(own, SHARES))
    return rows
