"""The network that corrects edge points by what surrounds them: a perceptron on the values of a point."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from defocus_edge.networks.inference import compile_inference

#: Number of values that describe a point, see `defocus_edge.estimation.context.describe_points`.
POINT_VALUES = 49
#: Largest number of points in one call.
POINT_CHUNK = 65536
# A call is filled up to a power of 2, at least this one, so that there are few shapes to compile.
_LEAST_CHUNK = 256


@dataclass(frozen=True)
class ContextConfig:
    """Architecture and calibration.

    Parameters
    ----------
    units : tuple of int
        Widths of the hidden layers.
    least_depth : float
        A depth edge of E-NET to which the network gives a smaller probability is none.
    """

    units: tuple[int, ...] = (96, 96, 48)
    least_depth: float = 0.1

    def __post_init__(self) -> None:
        if not self.units or min(self.units) < 1:
            msg = f"units must be positive. Got: {self.units}."
            raise ValueError(msg)
        if not 0 <= self.least_depth <= 1:
            msg = f"least_depth must be between 0 and 1. Got: {self.least_depth}."
            raise ValueError(msg)


@dataclass(frozen=True, eq=False)
class ContextNetwork:
    """The network: (B, `POINT_VALUES`) to (B, 3).

    Its answer is what to add to log2 of the radius, the natural logarithm of the width of the error that is left, px,
    and the logit of a depth edge.
    """

    config: ContextConfig
    model: keras.Model

    def standardize(self, values: NDArray[np.float32]) -> None:
        """Let the first layer give the values (N, `POINT_VALUES`) of points mean 0 and variance 1."""
        self.model.get_layer("standardize").set_weights([values.mean(axis=0), values.var(axis=0)])


def build_context_network(config: ContextConfig | None = None) -> ContextNetwork:
    """Build the network with random weights. Its first layer standardizes the values; it is filled by training."""
    config = config or ContextConfig()
    values = keras.Input((POINT_VALUES,), name="values")
    tensor = layers.BatchNormalization(center=False, scale=False, name="standardize", trainable=False)(values)
    for number, units in enumerate(config.units):
        tensor = layers.Dense(units, "relu", kernel_initializer="he_normal", name=f"dense_{number}")(tensor)
    answer = layers.Dense(3, kernel_initializer="zeros", name="answer")(tensor)
    return ContextNetwork(config, keras.Model(values, answer, name="context"))


class ContextEvaluator:
    """Runs the network on any number of points; any number of threads may use it."""

    def __init__(self, network: ContextNetwork) -> None:
        self.config = network.config
        self._run = compile_inference(lambda values: network.model(values), [((None, POINT_VALUES), "float32")])

    def predict(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer (N, 3) for the values (N, `POINT_VALUES`) of points."""
        answer = np.empty((len(values), 3), np.float32)
        for start in range(0, len(values), POINT_CHUNK):
            chunk = values[start : start + POINT_CHUNK]
            padded = np.zeros((max(_LEAST_CHUNK, 1 << (len(chunk) - 1).bit_length()), POINT_VALUES), np.float32)
            padded[: len(chunk)] = chunk
            answer[start : start + len(chunk)] = ops.convert_to_numpy(self._run(padded))[: len(chunk)]
        return answer
