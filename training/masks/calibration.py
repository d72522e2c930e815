"""Temperature and threshold of a trained network, so that its probability means what it says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.metrics import THRESHOLDS, MaskProtocol, average_curves, measure_mask, summarize_masks
from defocus_edge.networks.segmentation.network import LARGEST_RADIUS, SegmentationNetwork
from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS, build_segmentation_network
from defocus_edge.networks.segmentation.tiles import MapEvaluator
from defocus_edge.propagation.probability import smooth_probability
from training.data.development import DevelopmentScene
from training.masks.model import NetworkTrainer
from training.masks.scenes import MaskScene

#: Temperatures that are tried. Below 1 a network was too careful, above it too sure.
TEMPERATURES = (0.25, 8.0)
# A network is given a threshold from this to one minus this: nearer to 0 and 1 a threshold means nothing.
_LEAST_THRESHOLD = 0.05
# Thresholds whose mean Fβ is this close to the largest are as good: another development set would change far more.
_EQUAL_F_BETA = 5e-4
# Probabilities this close to 0 or 1 have no finite logit in float32.
_LEAST_PROBABILITY = 1e-6
# Logits are counted in steps of this from minus to plus the largest; that is fine enough for a temperature.
_LOGIT_STEP, _LARGEST_LOGIT = 0.05, 14.0


def calibrate_network(
    trainer: NetworkTrainer, scenes: Sequence[MaskScene]
) -> tuple[keras.Model, float, dict[str, Any]]:
    """Calibrate a trained network on the pictures of the development set.

    Returns
    -------
    network : keras.Model
        The network in float32. The logits of its last map are divided by the temperature.
    threshold : float
        Median of the probabilities with the largest mean Fβ, to two digits: the curve is flat there.
    scores : dict
        See `summarize_masks`, with the threshold for IoU; and ``temperature``.
    """
    network = export_network(trainer)
    kind = SEGMENTATION_NETWORKS[trainer.settings.network]
    settings = trainer.settings

    def measure_all() -> list[NDArray[np.float32]]:
        evaluator = MapEvaluator(network, stride=kind.stride, seen_side=settings.seen_side or None)
        maps = (evaluator.predict(scene.image) for scene in scenes)
        return [
            smooth_probability(one, scene.image, settings.smoothing) for one, scene in zip(maps, scenes, strict=True)
        ]

    maps = measure_all()
    temperature = find_temperature(maps, [scene.mask for scene in scenes])
    last = network.get_layer(kind.score_layer)
    last.set_weights([weights / np.float32(temperature) for weights in last.get_weights()])
    maps = measure_all()  # with the new weights
    threshold = find_best_threshold(maps, scenes)
    curves = [measure_mask(one, scene.mask, threshold=threshold) for one, scene in zip(maps, scenes, strict=True)]
    row = summarize_masks(curves, MaskProtocol())
    scores = {name: value if isinstance(value, str) else round(float(value), 4) for name, value in row.items()}
    return network, threshold, scores | {"temperature": temperature}


def score_radii(
    network: keras.Model, kind: SegmentationNetwork, scenes: Iterable[DevelopmentScene]
) -> dict[str, float]:
    """Mean absolute error in px of a network that answers with a radius; below 0.5 px all radii count as 0.5."""
    evaluator = MapEvaluator(network, stride=kind.stride)
    errors = [
        np.abs(np.maximum(LARGEST_RADIUS * evaluator.predict(scene.image), MIN_RADIUS) - scene.radius).mean()
        for scene in scenes
    ]
    return {"error, px": round(float(np.mean(errors)), 4)}


def find_temperature(maps: Sequence[NDArray[np.float32]], masks: Sequence[NDArray[np.bool_]]) -> float:
    """Find the number by which all logits must be divided for the least cross entropy, to two digits.

    `maps` are probabilities and `masks` are True where blurred, (H, W) each. All pixels count the same.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
    arXiv:1706.04599, section 4.2.
    """
    edges = np.arange(-_LARGEST_LOGIT, _LARGEST_LOGIT + _LOGIT_STEP, _LOGIT_STEP)
    counts = np.zeros((2, len(edges) - 1))
    for probability, mask in zip(maps, masks, strict=True):
        inner = np.clip(probability.astype(np.float64), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        logits = np.log(inner / (1 - inner))
        counts += [np.histogram(logits[mask == is_blurred], edges)[0] for is_blurred in (False, True)]
    middles = (edges[1:] + edges[:-1]) / 2

    def measure_entropy(log_temperature: float) -> float:
        scaled = middles / np.exp(log_temperature)
        losses = np.logaddexp(0, scaled), np.logaddexp(0, -scaled)
        return float(np.sum(counts * losses) / counts.sum())

    found = minimize_scalar(
        measure_entropy, bounds=(math.log(TEMPERATURES[0]), math.log(TEMPERATURES[1])), method="bounded"
    )
    return round(float(np.exp(found.x)), 2)


def find_best_threshold(maps: Sequence[NDArray[np.float32]], scenes: Sequence[MaskScene]) -> float:
    """Find the probability with the largest mean Fβ, to two digits."""
    curves = [measure_mask(one, scene.mask) for one, scene in zip(maps, scenes, strict=True)]
    f_beta = average_curves(curves, MaskProtocol()).f_beta
    allowed = (THRESHOLDS >= _LEAST_THRESHOLD) & (THRESHOLDS <= 1 - _LEAST_THRESHOLD)
    best = THRESHOLDS[allowed & (f_beta >= f_beta[allowed].max() - _EQUAL_F_BETA)]
    return round(float(np.median(best)), 2)


def export_network(trainer: NetworkTrainer) -> keras.Model:
    """The network in float32, whatever precision it was trained with."""
    network = build_segmentation_network(trainer.settings.network, trainer.config)
    network.set_weights(trainer.network.get_weights())
    return network
