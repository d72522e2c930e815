"""Choose the probability above which a point counts as a depth edge, by the error of the map and not of the label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.estimation.pyramid import PyramidBlur
from defocus_edge.estimation.stages import measure, spread
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.propagation.propagate import NoEdgesError

if TYPE_CHECKING:
    from defocus_edge.estimation.point_blur import PointBlur
    from defocus_edge.networks.edge.networks import EdgeNetworks
    from training.data.development import DevelopmentScene

#: Probabilities that are tried as threshold; chosen by hand, closer together where the error is small.
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)


def calibrate_depth_threshold(
    networks: EdgeNetworks, scenes: Iterable[DevelopmentScene], *, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[float, dict[float, dict[str, float]]]:
    """Find the threshold of E-NET with the smallest error of the blur map.

    A missed depth edge lets blur leak; a false one only removes some points. So the best threshold is below 1/2.

    Returns
    -------
    threshold : float
        Threshold with the smallest geometric mean of the families' errors, so that each family counts alike.
    errors : dict
        Threshold to family to mean absolute error of the map in px.
    """
    evaluator = DenseEvaluator(KerasEngine(networks))
    by_threshold: dict[float, dict[str, list[float]]] = {threshold: {} for threshold in thresholds}
    for scene in scenes:
        found = measure(scene.image, evaluator, max_radius=MAX_RADIUS, keep_softmax=True).found
        for threshold, families in by_threshold.items():
            families.setdefault(scene.family, []).append(_measure_error(scene, found, threshold))
    errors = {
        threshold: {family: round(float(np.mean(values)), 4) for family, values in families.items()}
        for threshold, families in by_threshold.items()
    }
    means = {threshold: np.mean(np.log(list(families.values()))) for threshold, families in errors.items()}
    return min(means, key=lambda threshold: means[threshold]), errors


def _measure_error(scene: DevelopmentScene, found: PointBlur, threshold: float) -> float:
    """Mean absolute error of the map in px; infinite if no pattern edge is left to make one."""
    try:
        blur_map, _ = spread(scene.image, PyramidBlur.at_one_scale(found.reread(depth_threshold=threshold)))
    except NoEdgesError:
        return float("inf")
    return float(np.abs(blur_map - scene.radius).mean())
