"""Figures of blur detection over many pictures, under a named protocol."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Literal, get_args

import numpy as np

from defocus_edge.metrics.curves import ALPHAS, BETA_SQUARED, THRESHOLDS, FloatArray, Hits, MaskCurves

Aggregation = Literal["per-image mean", "pooled"]

#: Size in a protocol that resizes nothing.
NATIVE_SIZE = "native size"
_SIZE = re.compile(rf"{NATIVE_SIZE}|[1-9]\d*x[1-9]\d*")
_NAN = float("nan")


@dataclass(frozen=True)
class MaskProtocol:
    """How figures were made; figures of different protocols cannot be compared.

    Parameters
    ----------
    aggregation : {'per-image mean', 'pooled'}
        Each picture counts the same, or each pixel.
    size : str
        ``'native size'``, or width and height that pictures and masks were resized to, such as ``'320x320'``. This is
        only a name: nothing is resized here.

    Raises
    ------
    ValueError
        If a value is none of these.
    """

    aggregation: Aggregation = "per-image mean"
    size: str = NATIVE_SIZE

    def __post_init__(self) -> None:
        if self.aggregation not in get_args(Aggregation):
            raise ValueError(
                f"aggregation must be one of {', '.join(get_args(Aggregation))}. Got: {self.aggregation!r}."
            )
        if not _SIZE.fullmatch(self.size):
            raise ValueError(f"size must be '{NATIVE_SIZE}' or WIDTHxHEIGHT such as '320x320'. Got: {self.size!r}.")

    @property
    def name(self) -> str:
        """Name of the protocol, such as ``'per-image mean, 320x320'``."""
        return f"{self.aggregation}, {self.size}"


@dataclass(frozen=True, eq=False)
class AverageCurves:
    """Average curves of many pictures under one protocol, for plots.

    Attributes
    ----------
    protocol : MaskProtocol
    precision, recall, f_beta : (101,) ndarray of float64
        Values at each of `THRESHOLDS`, over the pictures with blurred pixels.
    false_positive_rate, true_positive_rate : (101,) ndarray of float64
        Values at each of `THRESHOLDS`, over the pictures with blurred and sharp pixels.
    """

    protocol: MaskProtocol
    precision: FloatArray
    recall: FloatArray
    f_beta: FloatArray
    false_positive_rate: FloatArray
    true_positive_rate: FloatArray


def average_curves(curves: Sequence[MaskCurves], protocol: MaskProtocol) -> AverageCurves:
    """Average the curves of one or more pictures as a protocol says; NaN if no picture has the pixels for a curve."""
    if not curves:
        raise ValueError("curves must hold at least one picture. Got: none.")
    if protocol.aggregation == "pooled":
        pooled = _pool(curves)
        rates = pooled.false_positive_rate, pooled.recall
        return AverageCurves(protocol, pooled.precision, pooled.recall, pooled.f_beta, *rates)
    with_blur, with_both = _choose_with_blur(curves), _choose_with_both(curves)
    return AverageCurves(
        protocol,
        _mean_curve(with_blur, lambda one: one.precision),
        _mean_curve(with_blur, lambda one: one.recall),
        _mean_curve(with_blur, lambda one: one.f_beta),
        _mean_curve(with_both, lambda one: one.false_positive_rate),
        _mean_curve(with_both, lambda one: one.recall),
    )


def summarize_masks(curves: Sequence[MaskCurves], protocol: MaskProtocol) -> dict[str, str | float]:
    """Compute the figures of one or more pictures under a protocol.

    Returns
    -------
    dict
        ``protocol`` (its name), ``pictures``, ``with blur`` and ``with both`` (how many have blurred pixels, and sharp
        ones too), then the figures:

        ``max-of-mean Fβ``
            Largest value of the mean Fβ curve: one threshold for the whole set. When pooled ``max Fβ``.
        ``mean-of-max Fβ``
            Mean of the largest Fβ of each picture: every picture has its best threshold, which no method can know.
            Never smaller than the figure above. Not when pooled.
        ``max Fβ of mean PR``
            Largest Fβ of mean precision and mean recall, as much published code computes it. Not when pooled.
        ``adaptive Fβ``
            Fβ at twice the mean of each map, at most 1. It was made for small objects: if most of a picture is blurred,
            the threshold is 1.
        ``AUFβ``
            Area under the Fβ curve over the thresholds.
        ``MAE``
            Mean absolute error.
        ``AUC``
            Area under the ROC, exact. When pooled ``AUC at 101 thresholds``, since the values are not kept.
        ``IoU``
            Intersection over union at the method's own threshold.
        ``boundary Fβ``
            Fβ of the outline at the method's own threshold: outlines closer than 1 % of the diagonal count as one.
        ``calibration error``
            Mean difference between a probability and the share of blurred pixels among those that have it, over the
            pixels of all pictures; 0 if a probability means what it says.
        ``accuracy at best α``, ``best α``
            Largest accuracy with the adaptive threshold of [2]_ (section IV) and one α for all pictures, and the
            smallest such α.

    Notes
    -----
    Fβ = (1 + β²) · TP / (β² · (TP + FN) + TP + FP) with β² = 0.3 [1]_, which is 0 if nothing is positive. A picture
    without blurred pixels has no recall and is left out of the means of Fβ, AUFβ, AUC and boundary Fβ. One without
    sharp pixels is left out of the means of AUC and boundary Fβ only. Both count in MAE, IoU (1 if mask and prediction
    are both empty) and accuracy, and in all pooled figures.

    References
    ----------
    .. [1] R. Achanta et al., "Frequency-tuned salient region detection", CVPR 2009, doi:10.1109/CVPR.2009.5206596.
    .. [2] A. Karaali, N. Harte, C. R. Jung, "Deep multi-scale feature learning for defocus blur estimation", TIP 2022.
    """
    mean = average_curves(curves, protocol)
    row: dict[str, str | float] = {
        "protocol": protocol.name,
        "pictures": len(curves),
        "with blur": len(_choose_with_blur(curves)),
        "with both": len(_choose_with_both(curves)),
    }
    return row | (_summarize_pooled(curves) if protocol.aggregation == "pooled" else _summarize_means(curves, mean))


def _summarize_means(curves: Sequence[MaskCurves], mean: AverageCurves) -> dict[str, float]:
    with_blur = _choose_with_blur(curves)
    weighted = BETA_SQUARED * mean.precision + mean.recall
    of_means = (1 + BETA_SQUARED) * mean.precision * mean.recall / np.where(weighted > 0, weighted, 1)
    accuracy = _mean_curve(curves, lambda one: one.right_at_alpha / one.pixels)
    return {
        "max-of-mean Fβ": float(mean.f_beta.max()),
        "mean-of-max Fβ": _mean([one.f_beta.max() for one in with_blur]),
        "max Fβ of mean PR": float(of_means.max()),
        "adaptive Fβ": _mean([one.adaptive_f_beta for one in with_blur]),
        "AUFβ": float(np.trapezoid(mean.f_beta, THRESHOLDS)),
        "MAE": _mean([one.absolute_error / one.pixels for one in curves]),
        "AUC": _mean([one.auc for one in _choose_with_both(curves)]),
        "IoU": _mean([one.iou for one in curves]),
        "boundary Fβ": _mean([one.boundary_f_beta for one in curves if one.boundary.true]),
        "calibration error": _pool(curves).calibration_error,
        "accuracy at best α": float(accuracy.max()),
        "best α": float(ALPHAS[accuracy.argmax()]),
    }


def _summarize_pooled(curves: Sequence[MaskCurves]) -> dict[str, float]:
    pooled = _pool(curves)
    accuracy = pooled.right_at_alpha / pooled.pixels
    return {
        "max Fβ": float(pooled.f_beta.max()),
        "adaptive Fβ": pooled.adaptive_f_beta,
        "AUFβ": float(np.trapezoid(pooled.f_beta, THRESHOLDS)),
        "MAE": pooled.absolute_error / pooled.pixels,
        "AUC at 101 thresholds": pooled.auc,
        "IoU": pooled.iou,
        "boundary Fβ": pooled.boundary_f_beta,
        "calibration error": pooled.calibration_error,
        "accuracy at best α": float(accuracy.max()),
        "best α": float(ALPHAS[accuracy.argmax()]),
    }


def _pool(curves: Sequence[MaskCurves]) -> MaskCurves:
    """All pictures as if they were one; the area under the ROC is that of the polygon through the thresholds."""
    true_positives = np.sum([one.true_positives for one in curves], axis=0)
    false_positives = np.sum([one.false_positives for one in curves], axis=0)
    pixels, blurred = sum(one.pixels for one in curves), sum(one.blurred for one in curves)
    # From the threshold 0, where all is positive, to one above 1, where nothing is.
    rise, run = np.append(true_positives, 0), np.append(false_positives, 0)
    possible = blurred * (pixels - blurred)
    return MaskCurves(
        pixels=pixels,
        blurred=blurred,
        absolute_error=sum(one.absolute_error for one in curves),
        true_positives=true_positives,
        false_positives=false_positives,
        own=_add_hits([one.own for one in curves]),
        adaptive=_add_hits([one.adaptive for one in curves]),
        right_at_alpha=np.sum([one.right_at_alpha for one in curves], axis=0),
        auc=-float(np.trapezoid(rise, run)) / possible if possible else _NAN,
        boundary=reduce(add, [one.boundary for one in curves]),
    )


def _add_hits(hits: Sequence[Hits]) -> Hits:
    return Hits(sum(one.true_positives for one in hits), sum(one.false_positives for one in hits))


def _choose_with_blur(curves: Sequence[MaskCurves]) -> list[MaskCurves]:
    return [one for one in curves if one.blurred]


def _choose_with_both(curves: Sequence[MaskCurves]) -> list[MaskCurves]:
    return [one for one in curves if 0 < one.blurred < one.pixels]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else _NAN


def _mean_curve(curves: Sequence[MaskCurves], take: Callable[[MaskCurves], FloatArray]) -> FloatArray:
    return np.mean([take(one) for one in curves], axis=0) if curves else np.full(THRESHOLDS.shape, _NAN)
