"""The layer that makes the heads of B-NET and E-NET blind to contrast."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from defocus_edge.networks.edge.architecture import NORMALIZATION_EPSILON


class HeadNormalization(keras.layers.Layer):
    """Divide each row of (N, C) values by its root mean square; rows of zeros stay zeros. It has no weights."""

    def call(self, values: Any) -> Any:
        """(N, C) to (N, C)."""
        return normalize_head(values)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the output: that of the input."""
        return input_shape


def normalize_head(values: Any) -> Any:
    """(N, C) values divided by the root mean square of each row."""
    return values * ops.rsqrt(ops.mean(ops.square(values), axis=-1, keepdims=True) + NORMALIZATION_EPSILON)
