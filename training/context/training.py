"""How the context network is trained: on random points of all samples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.networks.context import ContextEvaluator
from defocus_edge.networks.context_network import ContextNetwork
from training.context.choices import CONTEXT
from training.context.points import PointTable
from training.context.settings import ContextSettings
from training.runs.checkpoints import list_variables
from training.runs.optimizers import make_rate
from training.runs.training import Task

#: Values of points, and (B, 3) their measured radius, true radius and label.
ContextBatch = tuple[NDArray[np.float32], NDArray[np.float32]]
# Changes of log2 of the radius are cut off at this, so that no first step explodes.
_LARGEST_CHANGE = 4.0


class ContextTask(Task[ContextBatch]):
    """Trains a network in place; its first layer takes mean and variance of the points.

    Parameters
    ----------
    points, development : PointTable
        Points that are learnt from, and points of pictures that never are.
    """

    settings: ContextSettings

    def __init__(
        self, network: ContextNetwork, settings: ContextSettings, points: PointTable, development: PointTable
    ) -> None:
        super().__init__(CONTEXT, settings, network.config)
        self._network, self._points, self._development = network, points, development
        if settings.start is None:
            network.standardize(points.values)
        optimizer = keras.optimizers.Adam(make_rate(settings))
        weights = settings.width_weight, settings.depth_weight
        network.model.compile(
            optimizer=optimizer, loss=lambda truth, answer: measure_loss(truth, answer, *weights), jit_compile=False
        )
        optimizer.build(network.model.trainable_variables)

    @property
    def variables(self) -> list[Any]:
        """See `Task`."""
        return list_variables(self._network.model)

    def draw(self, _step: int, rng: np.random.Generator, /) -> ContextBatch:
        """See `Task`."""
        drawn = self._points.select(rng.integers(len(self._points.radius), size=self.settings.batch))
        return drawn.values, np.stack([drawn.radius, drawn.truth, drawn.label], axis=1).astype(np.float32)

    def take_step(self, batch: ContextBatch) -> float:
        """See `Task`."""
        return float(np.asarray(self._network.model.train_on_batch(*batch)))

    def score(self) -> dict[str, float]:
        """Mean errors in px at pattern edges before and after."""
        points = self._development
        answer = ContextEvaluator(self._network.weights).predict(points.values)
        pattern = points.label == 0
        before, after = (
            float(np.abs(radius - points.truth)[pattern].mean())
            for radius in (points.radius, points.radius * np.exp2(answer[:, 0]))
        )
        return {"measured_mae": round(before, 4), "corrected_mae": round(after, 4)}


def measure_loss(truth: Any, answer: Any, width_weight: float, depth_weight: float) -> Any:
    """Loss of each point: absolute error, likelihood of a Laplace distribution, cross entropy of the depth edge.

    `truth` and `answer` are those of `ContextTask.draw` and of the network. Errors of radii above 6 px count in
    relation to the radius. The width learns from the errors, but the errors do not learn from it. A negative label is
    none.
    """
    radius, true_radius, label = truth[:, 0], truth[:, 1], truth[:, 2]
    change, log_width, logit = answer[:, 0], answer[:, 1], answer[:, 2]
    changed = radius * 2.0 ** ops.clip(change, -_LARGEST_CHANGE, _LARGEST_CHANGE)
    error = ops.abs(changed - true_radius) / ops.maximum(true_radius / MAX_RADIUS, 1.0)
    likelihood = log_width + ops.stop_gradient(error) * ops.exp(-log_width)
    entropy = ops.where(label >= 0, ops.softplus(logit) - label * logit, 0.0)
    return error + width_weight * likelihood + depth_weight * entropy
