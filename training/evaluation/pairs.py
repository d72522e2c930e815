"""Whether blur maps of real photographs are ordered as their sharpness is: pairs focused near and far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from defocus_edge.pipeline import BlurEstimator
from training.data.focus_pairs import FAR, NEAR, FocusPair, FocusPairError, compare_sharpness
from training.evaluation.edges import NAN, try_estimate
from training.runs.tables import Row, average_known

#: Name of the row with the mean over the pairs.
MEAN = "mean"


@dataclass(frozen=True)
class OrderScore:
    """How well the two maps of a pair are ordered; NaN shares where there is no such pixel.

    Attributes
    ----------
    weights, pair : str
    compared : float
        Share of the picture's pixels that are textured and sharper in one picture.
    ordered_near, ordered_far : float
        Share of those sharper in the picture focused near (far) whose radius is smaller in its map.
    ordered : float
        Share of all compared pixels whose radius is smaller in the map of the sharper picture.
    """

    weights: str
    pair: str
    compared: float
    ordered_near: float = NAN
    ordered_far: float = NAN
    ordered: float = NAN


def score_pairs(
    pairs: Iterable[FocusPair],
    estimators: dict[str, BlurEstimator],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[OrderScore]:
    """Score estimators on pairs.

    Parameters
    ----------
    pairs : iterable of FocusPair
    estimators : dict
        Name of the weights to an estimator.
    say : callable, optional
        Called with a line for each pair in which nothing can be compared, or that an estimator has no map for.

    Returns
    -------
    list of OrderScore
        For each pair one of each estimator that has maps for both pictures.
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
    """Share of pixels whose radius is smaller in the map of the sharper picture; equal radii are wrong.

    Parameters
    ----------
    near_map, far_map : (H, W) ndarray of float32
        Radius in px in the pictures focused near and far.
    near_is_sharper, far_is_sharper : (H, W) ndarray of bool
        See `compare_sharpness`.

    Returns
    -------
    ordered_near, ordered_far, ordered : float
        Of the pixels sharper near, sharper far, and either; NaN where there are none.
    """
    near_right, far_right = (near_map < far_map)[near_is_sharper], (far_map < near_map)[far_is_sharper]
    both = np.concatenate([near_right, far_right])
    near, far, ordered = (float(right.mean()) if len(right) else NAN for right in (near_right, far_right, both))
    return near, far, ordered


def summarize_pairs(scores: Sequence[OrderScore]) -> list[Row]:
    """One row for each pair and weights, by weights, each followed by the mean over its pairs."""
    rows: list[Row] = []
    for weights in dict.fromkeys(score.weights for score in scores):
        own = [score for score in scores if score.weights == weights]
        shares = ("compared", "ordered_near", "ordered_far", "ordered")
        rows += [
            {"weights": weights, "pair": score.pair} | {name: getattr(score, name) for name in shares} for score in own
        ]
        mean = {name: average_known(getattr(score, name) for score in own) for name in shares}
        rows.append({"weights": weights, "pair": MEAN} | mean)
    return rows
