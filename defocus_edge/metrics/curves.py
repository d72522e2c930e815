"""Comparison of one map of blur probability with one mask, as counts of pixels from which every figure follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.metrics.boundaries import BoundaryHits, compare_boundaries

FloatArray = NDArray[np.float64]
CountArray = NDArray[np.int64]

#: Thresholds of all curves, 0:0.01:1, as the field reports them. A pixel is positive if its probability reaches the
#: threshold (>=), so all pixels are positive at 0. Both numbers are compared as float32, so that 0.7 is positive at 0.7
#: whatever its type.
THRESHOLDS = np.arange(101) / 100
#: The α of adaptive thresholds of blur maps, τ = α · v_max + (1 - α) · v_min; a pixel is positive above it (>).
ALPHAS = np.arange(101) / 100
#: Weight of recall against precision, as in the literature on saliency (Achanta et al. 2009) and defocus.
BETA_SQUARED = 0.3
#: Adaptive threshold of a picture: this many times the mean of its map, but at most 1 (Achanta et al. 2009).
ADAPTIVE_FACTOR = 2.0
#: A pixel counts as blurred if its probability reaches this, unless the method has a calibrated threshold.
DEFAULT_THRESHOLD = 0.5
_NAN = float("nan")
# Keeps Fβ without hits from dividing by zero.
_TINY = 1e-12


class Hits(NamedTuple):
    """Numbers of the pixels that are positive at one threshold, rightly and wrongly."""

    true_positives: int
    false_positives: int


@dataclass(frozen=True, eq=False)
class MaskCurves:
    """Counts of pixels of one picture, from which the figures follow.

    Attributes
    ----------
    pixels, blurred : int
        Number of all pixels and of the blurred ones in the mask.
    absolute_error : float
        Sum of absolute differences between probability and mask.
    true_positives, false_positives : (101,) ndarray of int64
        Counts at each of `THRESHOLDS`.
    own, adaptive : Hits
        Counts at the method's own threshold and at twice the mean of the map.
    right_at_alpha : (101,) ndarray of int64
        Pixels on the right side of the adaptive threshold of a blur map with each of `ALPHAS`.
    auc : float
        Area under the ROC over all values, ties counted half; NaN where a class is missing.
    boundary : BoundaryHits
        Pixels on the outlines of the mask and of the answer at the method's own threshold.
    """

    pixels: int
    blurred: int
    absolute_error: float
    true_positives: CountArray
    false_positives: CountArray
    own: Hits
    adaptive: Hits
    right_at_alpha: CountArray
    auc: float
    boundary: BoundaryHits

    @property
    def precision(self) -> FloatArray:
        """(101,) share of the positive pixels that are blurred; 0 where none is positive."""
        return self.true_positives / np.maximum(self.true_positives + self.false_positives, 1)

    @property
    def recall(self) -> FloatArray:
        """(101,) share of the blurred pixels that are positive; NaN without blurred pixels."""
        return _divide(self.true_positives, self.blurred)

    @property
    def false_positive_rate(self) -> FloatArray:
        """(101,) share of the sharp pixels that are positive; NaN without sharp pixels."""
        return _divide(self.false_positives, self.pixels - self.blurred)

    @property
    def f_beta(self) -> FloatArray:
        """(101,) Fβ; NaN without blurred pixels."""
        return _measure_f_beta(self.true_positives, self.false_positives, self.blurred)

    @property
    def adaptive_f_beta(self) -> float:
        """Fβ at twice the mean of the map; NaN without blurred pixels."""
        hits, misses = (np.array([count]) for count in self.adaptive)
        return float(_measure_f_beta(hits, misses, self.blurred)[0])

    @property
    def boundary_f_beta(self) -> float:
        """Fβ of the outline at the method's own threshold; NaN where the mask has no outline."""
        hits = self.boundary
        if not hits.true:
            return _NAN
        precision, recall = hits.found_near / max(hits.found, 1), hits.true_near / hits.true
        return (1 + BETA_SQUARED) * precision * recall / max(BETA_SQUARED * precision + recall, _TINY)

    @property
    def calibration_error(self) -> float:
        """Mean difference between a probability and the share of blurred pixels among those that have it.

        Probabilities are taken in the steps between `THRESHOLDS`.
        """
        blurred, sharp = (-np.diff(np.append(counts, 0)) for counts in (self.true_positives, self.false_positives))
        middles = np.minimum(THRESHOLDS + (THRESHOLDS[1] - THRESHOLDS[0]) / 2, 1)
        return float(np.abs(blurred - middles * (blurred + sharp)).sum()) / self.pixels

    @property
    def iou(self) -> float:
        """Intersection over union at the method's own threshold; 1 where both are empty."""
        union = self.blurred + self.own.false_positives
        return self.own.true_positives / union if union else 1.0


def measure_mask(probability: ArrayLike, mask: ArrayLike, *, threshold: float = DEFAULT_THRESHOLD) -> MaskCurves:
    """Compare one map with one mask.

    Parameters
    ----------
    probability : (H, W) array_like of float
        Probability that a pixel is blurred, in [0, 1]. Divide a blur map in px by its largest value first.
    mask : (H, W) array_like of bool
        True = blurred.
    threshold : float
        The method's own threshold, for the intersection over union.

    Raises
    ------
    ValueError
        If an array has another shape, type or range, or the threshold is not in [0, 1].

    Examples
    --------
    >>> curves = measure_mask([[0.1, 0.4, 0.4, 0.9]], [[False, False, True, True]])
    >>> curves.auc, curves.iou
    (0.875, 0.5)
    """
    values, truth = _check_maps(probability, mask)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be a number in [0, 1]. Got: {threshold}.")
    # Two sorted lists tell how many values reach a threshold and how pairs of the classes are ordered.
    blurred, sharp = np.sort(values[truth]), np.sort(values[~truth])
    low, high = float(values.min()), float(values.max())
    # As in `thresholds.threshold_blur_map`: in double precision, never above the largest value.
    alpha_thresholds = np.minimum(low + ALPHAS * (high - low), high)
    mean = float(values.mean(dtype=np.float64))
    return MaskCurves(
        pixels=values.size,
        blurred=blurred.size,
        absolute_error=float(np.sum(1.0 - blurred.astype(np.float64)) + np.sum(sharp, dtype=np.float64)),
        true_positives=_count_reaching(blurred, THRESHOLDS),
        false_positives=_count_reaching(sharp, THRESHOLDS),
        own=_find_hits(blurred, sharp, threshold),
        adaptive=_find_hits(blurred, sharp, min(ADAPTIVE_FACTOR * mean, 1.0)),
        right_at_alpha=blurred.size - _count_up_to(blurred, alpha_thresholds) + _count_up_to(sharp, alpha_thresholds),
        auc=_measure_auc(blurred, sharp),
        boundary=compare_boundaries(values >= np.float32(threshold), truth),
    )


def _check_maps(probability: ArrayLike, mask: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    values, truth = np.asarray(probability), np.asarray(mask)
    if values.ndim != 2 or values.size == 0 or not np.issubdtype(values.dtype, np.floating):
        raise ValueError(
            f"probability must be a float array of shape (H, W), not empty. Got: {values.dtype}, {values.shape}."
        )
    if truth.dtype != np.bool_ or truth.shape != values.shape:
        raise ValueError(
            f"mask must be a bool array of probability's shape {values.shape}. Got: {truth.dtype}, {truth.shape}."
        )
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= 1:  # false for NaN, too
        raise ValueError(f"probability must be finite and in [0, 1]. Got: values from {low:.6g} to {high:.6g}.")
    return values.astype(np.float32, copy=False), truth


def _count_reaching(ordered: NDArray[np.float32], thresholds: FloatArray) -> CountArray:
    """Number of sorted values that reach (>=) each threshold."""
    return (ordered.size - np.searchsorted(ordered, thresholds.astype(np.float32), side="left")).astype(np.int64)


def _count_up_to(ordered: NDArray[np.float32], thresholds: FloatArray) -> CountArray:
    """Number of sorted values that are not above each threshold."""
    return np.searchsorted(ordered, thresholds.astype(np.float32), side="right").astype(np.int64)


def _find_hits(blurred: NDArray[np.float32], sharp: NDArray[np.float32], threshold: float) -> Hits:
    at = np.array([threshold])
    return Hits(int(_count_reaching(blurred, at)[0]), int(_count_reaching(sharp, at)[0]))


def _measure_auc(blurred: NDArray[np.float32], sharp: NDArray[np.float32]) -> float:
    """Share of the pairs of a blurred and a sharp pixel that are in order, ties counted half (Mann and Whitney)."""
    if not (blurred.size and sharp.size):
        return _NAN
    below = np.searchsorted(sharp, blurred, side="left").sum(dtype=np.int64)
    up_to = np.searchsorted(sharp, blurred, side="right").sum(dtype=np.int64)
    return float(below + up_to) / (2.0 * blurred.size * sharp.size)


def _measure_f_beta(true_positives: CountArray, false_positives: CountArray, blurred: int) -> FloatArray:
    """Fβ from counts, without a division by zero; NaN without blurred pixels."""
    if not blurred:
        return np.full(true_positives.shape, _NAN)
    weighted = BETA_SQUARED * blurred + true_positives + false_positives
    return np.asarray((1 + BETA_SQUARED) * true_positives / weighted)


def _divide(counts: CountArray, total: int) -> FloatArray:
    return counts / total if total else np.full(counts.shape, _NAN)
