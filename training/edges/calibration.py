"""Calibrate the probability above which a point counts as a depth edge, by the error of the blur map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import read_radius
from defocus_edge.estimation.edges import edge_points, find_edges
from defocus_edge.estimation.point_blur import measure_confidence
from defocus_edge.estimation.result import EstimatorSettings
from defocus_edge.networks.edge.dense import DenseEvaluator, EdgePrediction
from defocus_edge.networks.edge.networks import EdgeNetworks
from defocus_edge.pipeline import OWN_NETWORKS, spread_points
from training.data.development import DevelopmentScene

#: Probabilities that are tried as threshold; chosen by hand, closer together where the error is small.
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)


def calibrate_depth_threshold(
    networks: EdgeNetworks, scenes: Iterable[DevelopmentScene], *, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[float, dict[float, dict[str, float]]]:
    """Find the threshold of E-NET with the smallest error of the blur map.

    A missed depth edge lets blur leak; a false one only keeps some points out. So the best threshold is below 1/2.

    Parameters
    ----------
    networks : EdgeNetworks
    scenes : iterable of DevelopmentScene
    thresholds : sequence of float

    Returns
    -------
    threshold : float
        Threshold with the smallest geometric mean of the families' errors, so that each family counts alike.
    errors : dict
        Threshold to family to mean absolute error of the map in px.
    """
    evaluator = DenseEvaluator(networks)
    found: dict[float, dict[str, list[float]]] = {threshold: {} for threshold in thresholds}
    for scene in scenes:
        points = edge_points(find_edges(scene.image))
        prediction = evaluator.predict(scene.image, points)
        for threshold, families in found.items():
            error = _measure_error(scene, points, prediction, threshold)
            families.setdefault(scene.family, []).append(error)
    errors = {
        threshold: {family: round(float(np.mean(values)), 4) for family, values in families.items()}
        for threshold, families in found.items()
    }
    means = {threshold: np.mean(np.log(list(families.values()))) for threshold, families in errors.items()}
    return min(means, key=lambda threshold: means[threshold]), errors


def _measure_error(
    scene: DevelopmentScene, points: NDArray[np.int32], prediction: EdgePrediction, threshold: float
) -> float:
    """Mean absolute error of the blur map in px; infinite if no pattern edge is left to make a map from."""
    is_depth_edge = prediction.edge[:, 1] > threshold
    if is_depth_edge.all():
        return float("inf")
    radius = read_radius(prediction.blur)
    confidence = measure_confidence(prediction.blur, radius)
    settings = EstimatorSettings(OWN_NETWORKS, depth_threshold=threshold)
    blur_map, _ = spread_points(scene.image, points, radius, confidence, is_depth_edge, settings=settings)
    return float(np.abs(blur_map - scene.radius).mean())
