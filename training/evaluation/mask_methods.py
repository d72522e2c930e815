"""Methods that find blurred pixels, all behind one call: those of `detect_blur`, and the baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from defocus_edge.masks import compare_radius
from defocus_edge.metrics import DEFAULT_THRESHOLD
from defocus_edge.propagation.propagate import NoEdgesError

if TYPE_CHECKING:
    from defocus_edge.masks import BlurDetector
    from training.baselines.registry import Baseline

#: Takes RGB (H, W, 3) float32 in [0, 1] and gives the probability of being blurred, (H, W) float32 in [0, 1].
Detector = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class MaskMethod:
    """A method that finds blurred pixels, its own threshold of the probability, and its preset if it has one."""

    detect: Detector
    threshold: float = DEFAULT_THRESHOLD
    preset: str | None = None


def wrap_detector(detector: BlurDetector) -> MaskMethod:
    """A method of `detect_blur`."""
    measure = partial(_answer, lambda image: detector.detect(image).probability)
    return MaskMethod(measure, detector.threshold, detector.preset)


def wrap_baseline(baseline: Baseline) -> MaskMethod:
    """A baseline: radii are compared with the threshold of the blur map; a score is taken as a probability."""

    def measure(image: NDArray[np.float32]) -> NDArray[np.float32]:
        values = baseline.measure(image)
        return compare_radius(values) if baseline.unit == "px" else np.clip(values, 0, 1)

    return MaskMethod(partial(_answer, measure))


def _answer(measure: Detector, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map, or one half where a method has no answer: all must score the same pictures."""
    try:
        return measure(image)
    except NoEdgesError:
        return np.full(image.shape[:2], 0.5, dtype=np.float32)
