"""Both heads of a student at the squares of windows as one trainable Keras model, and its loss."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS, MIN_RADIUS, N_LEVELS, RADIUS_STEP
from defocus_edge.networks.edge.architecture import HEADS
from defocus_edge.networks.edge.features import DenseFeatures, PointHead, gather_head_input
from defocus_edge.networks.edge.networks import EdgeNetworks
from training.edges.model import centre_kernel

# Smaller probabilities count as this in the loss, so that its logarithm stays finite; as Keras does.
_SMALLEST_PROBABILITY = 1e-7
# Weight of B-NET's answer at a point that the teacher takes for a depth edge: no radius is read there.
_DEPTH_WEIGHT = 0.15
# Probability of a depth edge from which on the truth does not count.
_DEPTH_FROM = 0.5


class StudentModel(keras.Model):
    """B-NET and E-NET over the maps of a batch of windows; all layers are trained together.

    With ``head_normalization`` the first convolutions are kept without a mean.

    Parameters
    ----------
    networks : EdgeNetworks
        Their layer objects are trained.
    precision : {'float32', 'mixed_bfloat16'}
        Precision of the convolutions over the windows; weights and heads stay float32.
    features : type, optional
        What computes the maps, `DenseFeatures` or a faster class with the same numbers.
    """

    def __init__(
        self, networks: EdgeNetworks, *, precision: str = "float32", features: type[DenseFeatures] | None = None
    ) -> None:
        super().__init__(name="student")
        config = networks.config
        self.filters, self.grid_step = config.filters, config.grid_step
        self.features = (features or DenseFeatures)(networks, dtype=precision)
        self.heads = [PointHead(networks, head) for head in HEADS]
        if config.head_normalization:
            for first, *_ in self.features.branches.values():
                first.kernel.assign(centre_kernel(first.kernel))
                first.kernel.constraint = centre_kernel

    def call(self, inputs: dict[str, Any]) -> Any:
        """``images`` (B, S, S, 3) and ``squares`` (P, 3) to (P, 25) probabilities: of the levels, of both edges."""
        coarse, fine = self.features(inputs["images"])
        grid = ops.cast(gather_head_input(coarse, fine, inputs["squares"], self.grid_step), "float32")
        parts = [grid[..., n * self.filters : (n + 1) * self.filters] for n in range(len(self.heads))]
        return ops.concatenate([head(part) for head, part in zip(self.heads, parts, strict=True)], axis=-1)


def measure_loss(answers: Any, output: Any, truth_share: float, edge_weight: float) -> Any:
    """Loss of each square: divergence from the teacher's answers, and error in px of the expected radius.

    `answers` are those of `WindowBatch` and `output` that of the model, (P, 25) tensors. Where the true radius is known
    and the teacher sees no depth edge, the truth takes `truth_share` of the loss of B-NET.
    """
    said, depth, truth = answers[:, :N_LEVELS], answers[:, N_LEVELS], answers[:, N_LEVELS + 1]
    known = ops.logical_not(ops.isnan(truth)) & (depth < _DEPTH_FROM)
    share = truth_share * ops.cast(known, "float32")
    blur, edge = output[:, :N_LEVELS], output[:, N_LEVELS:]
    true_levels = share_truth(ops.where(ops.isnan(truth), MIN_RADIUS, truth))
    weight = _DEPTH_WEIGHT + (1 - _DEPTH_WEIGHT) * (1 - depth)
    blur_loss = (1 - share) * _compare(said, blur) + share * _compare(true_levels, blur)
    blur_loss += ops.abs(_expect(blur) - _expect((1 - share[:, None]) * said + share[:, None] * true_levels))
    edges = ops.stack([1 - depth, depth], axis=-1)
    return weight * blur_loss + edge_weight * _compare(edges, edge)


def share_truth(radius: Any) -> Any:
    """(P,) radii in px as shares of the two levels around each, (P, 23)."""
    place = (ops.clip(radius, MIN_RADIUS, MAX_RADIUS) - MIN_RADIUS) / RADIUS_STEP
    return ops.relu(1 - ops.abs(place[:, None] - ops.arange(N_LEVELS, dtype="float32")))


def _compare(wanted: Any, found: Any) -> Any:
    """Kullback-Leibler divergence of each row."""
    logarithms = [ops.log(ops.maximum(values, _SMALLEST_PROBABILITY)) for values in (wanted, found)]
    return ops.sum(wanted * (logarithms[0] - logarithms[1]), axis=-1)


def _expect(probabilities: Any) -> Any:
    """Expected radius in px."""
    return ops.sum(probabilities * ops.convert_to_tensor(BLUR_LEVELS), axis=-1)
