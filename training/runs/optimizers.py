"""Muon for convolutions, and how the learning rate rises and falls."""

from __future__ import annotations

from typing import Any, Protocol

import keras
from keras import ops


class KernelMuon(keras.optimizers.Muon):
    """Muon on the inner convolution kernels, Adam on everything else.

    Keras applies Muon to matrices only; a kernel (h, w, in, out) is the matrix (h · w · in, out) of its convolution.
    First convolutions (3 channels in), dense layers and biases use Adam.

    References
    ----------
    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; J. Liu et al., "Muon is
    scalable for LLM training", arXiv:2502.16982.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != 4 or variable.shape[2] <= 3

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        matrix = ops.reshape(ops.add(gradient, self.momentum * m), (-1, variable.shape[-1]))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(update, variable.shape))


class RateSettings(Protocol):
    """What the learning rate depends on; see `TrainingSettings`."""

    @property
    def steps(self) -> int: ...  # noqa: D102 - as in `TrainingSettings`
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def schedule(self) -> str: ...  # noqa: D102
    @property
    def warmup(self) -> int: ...  # noqa: D102
    @property
    def decay(self) -> float: ...  # noqa: D102
    @property
    def drop_steps(self) -> int: ...  # noqa: D102


class WarmStableDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, constant, linear decay to a hundredth."""

    def __init__(self, settings: RateSettings) -> None:
        self.settings = settings

    def __call__(self, step: Any) -> Any:
        """Rate of a step, counted from 0."""
        settings = self.settings
        step = ops.cast(step, "float32")
        rise = (step + 1) / max(settings.warmup, 1)
        fall = (settings.steps - step) / max(settings.decay * settings.steps, 1)
        return settings.learning_rate * ops.clip(ops.minimum(rise, fall), 0.01, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The settings."""
        names = ("steps", "learning_rate", "schedule", "warmup", "decay", "drop_steps")
        return {name: getattr(self.settings, name) for name in names}


def make_rate(settings: RateSettings) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate of each step: falling at the end, or a tenth of itself after every `drop_steps`."""
    if settings.schedule == "steps":
        return keras.optimizers.schedules.ExponentialDecay(
            settings.learning_rate, decay_steps=settings.drop_steps, decay_rate=0.1, staircase=True
        )
    return WarmStableDecay(settings)
