"""The network that corrects edge points as a Keras model, for training."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from defocus_edge.networks.context import ANSWERS, POINT_VALUES, VARIANCE_EPSILON, ContextConfig, ContextWeights
from defocus_edge.networks.weight_files import copy_arrays


@dataclass(frozen=True, eq=False)
class ContextNetwork:
    """The network: (B, `POINT_VALUES`) to (B, `ANSWERS`), see `ContextEvaluator`."""

    config: ContextConfig
    model: keras.Model

    @property
    def weights(self) -> ContextWeights:
        """A copy of the weights, for `ContextEvaluator`."""
        return ContextWeights(self.config, copy_arrays(self.model))

    def standardize(self, values: NDArray[np.float32]) -> None:
        """Let the first layer give the values (N, `POINT_VALUES`) of points mean 0 and variance 1."""
        self.model.get_layer("standardize").set_weights([values.mean(axis=0), values.var(axis=0)])


def build_context_network(config: ContextConfig | None = None) -> ContextNetwork:
    """Build the network with random weights. Its first layer standardizes the values; it is filled by training."""
    config = config or ContextConfig()
    values = keras.Input((POINT_VALUES,), name="values")
    tensor = layers.BatchNormalization(
        epsilon=VARIANCE_EPSILON, center=False, scale=False, name="standardize", trainable=False
    )(values)
    for number, units in enumerate(config.units):
        tensor = layers.Dense(units, "relu", kernel_initializer="he_normal", name=f"dense_{number}")(tensor)
    answer = layers.Dense(ANSWERS, kernel_initializer="zeros", name="answer")(tensor)
    return ContextNetwork(config, keras.Model(values, answer, name="context"))
