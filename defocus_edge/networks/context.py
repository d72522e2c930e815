"""The network that corrects edge points by what surrounds them: a perceptron on the values of a point, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from defocus_edge.networks.weight_files import Arrays

#: Number of values that describe a point, see `defocus_edge.estimation.context.describe_points`, and of the answers.
POINT_VALUES, ANSWERS = 49, 3
#: Largest number of points that are computed at once; bounds the memory.
POINT_CHUNK = 65536
#: Added to the variance of each value, the default of Keras' normalization.
VARIANCE_EPSILON = 1e-3


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
class ContextWeights:
    """Architecture and the weights of its layers."""

    config: ContextConfig
    arrays: Arrays


def list_context_shapes(config: ContextConfig) -> dict[str, list[tuple[int, ...]]]:
    """Shapes of the weights of each layer: mean and variance of the values, then a kernel and a bias for each layer."""
    widths = (POINT_VALUES, *config.units, ANSWERS)
    names = [*(f"dense_{number}" for number in range(len(config.units))), "answer"]
    shapes: dict[str, list[tuple[int, ...]]] = {"standardize": [(POINT_VALUES,)] * 2}
    for name, (inputs, outputs) in zip(names, pairwise(widths), strict=True):
        shapes[name] = [(inputs, outputs), (outputs,)]
    return shapes


class ContextEvaluator:
    """Runs the network on any number of points; any number of threads may use it.

    Its answer for a point is what to add to log2 of the radius, the natural logarithm of the width of the error that is
    left, px, and the logit of a depth edge.
    """

    def __init__(self, weights: ContextWeights) -> None:
        self.config = weights.config
        (self._mean, variance), *self._hidden, self._answer = (
            weights.arrays[name] for name in list_context_shapes(weights.config)
        )
        self._deviation = np.sqrt(variance + np.float32(VARIANCE_EPSILON))

    def predict(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer (N, `ANSWERS`) for the values (N, `POINT_VALUES`) of points."""
        answer = np.empty((len(values), ANSWERS), np.float32)
        for start in range(0, len(values), POINT_CHUNK):
            tensor = (values[start : start + POINT_CHUNK] - self._mean) / self._deviation
            for kernel, bias in self._hidden:
                tensor = np.maximum(tensor @ kernel + bias, 0)
            kernel, bias = self._answer
            answer[start : start + POINT_CHUNK] = tensor @ kernel + bias
        return answer
