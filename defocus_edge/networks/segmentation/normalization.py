"""Batch normalization of maps in one operation: Keras' own takes nearly half of a training step of a light network."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


# Named as the layer of Keras, so that files of weights fit either.
@keras.saving.register_keras_serializable(package="defocus_edge")
class BatchNormalization(layers.BatchNormalization):
    """Batch normalization of maps (B, H, W, C), with a factor and an offset for each channel.

    The results are those of `keras.layers.BatchNormalization` but for rounding. Keras composes them of many operations;
    under TensorFlow this layer takes the single one that does the same. Under other backends it is the layer of Keras.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Normalize maps of a floating-point type; the answer has the dtype of the policy."""
        if keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training)
        import tensorflow as tf

        learns = bool(training) and self.trainable
        known = (None, None) if learns else (self.moving_mean.value, self.moving_variance.value)
        # float16 could overflow: float32, as in Keras.
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            ops.cast(inputs, "float32"),
            self.gamma.value,
            self.beta.value,
            *known,
            epsilon=self.epsilon,
            is_training=learns,
        )
        if learns:
            count = ops.cast(ops.prod(ops.shape(inputs)[:-1]), "float32")
            variance *= (count - 1) / count  # of the batch itself, as in Keras, not of what it is drawn from
            for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)
