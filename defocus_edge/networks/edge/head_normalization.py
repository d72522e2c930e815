"""The layer that makes the heads of B-NET and E-NET blind to contrast."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

#: Added to the mean square, so that a patch without contrast is not divided by 0. Trained networks have mean squares of
#: 1e-4 and more at a contrast of 1/16 (measured).
EPSILON = 1e-12


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
    return values * ops.rsqrt(ops.mean(ops.square(values), axis=-1, keepdims=True) + EPSILON)
