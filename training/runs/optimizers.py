"""Muon for convolutions, and how the learning rate rises and falls."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from training.runs.settings import StageSettings

#: Share of the highest learning rate below which it never falls. Chosen by hand.
LEAST_RATE = 0.01
# Factor of each drop of the rate with the schedule ``steps``, as in Karaali et al. 2022.
_DROP = 0.1
# A convolution kernel has height, width, input and output channels; the first one of a network reads RGB.
_KERNEL_AXES, _PICTURE_CHANNELS = 4, 3


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
        return len(variable.shape) != _KERNEL_AXES or variable.shape[2] <= _PICTURE_CHANNELS

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        matrix = ops.reshape(ops.add(gradient, self.momentum * m), (-1, variable.shape[-1]))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(update, variable.shape))


class WarmStableDecay(keras.optimizers.schedules.LearningRateSchedule):
    """The rate rises linearly, stays, and falls linearly to a hundredth."""

    def __init__(self, settings: StageSettings) -> None:
        self.settings = settings

    def __call__(self, step: Any) -> Any:
        """Rate of a step; the first step is 0."""
        settings = self.settings
        step = ops.cast(step, "float32")
        rise = (step + 1) / max(settings.warmup, 1)
        fall = (settings.steps - step) / max(settings.decay * settings.steps, 1)
        return settings.learning_rate * ops.clip(ops.minimum(rise, fall), LEAST_RATE, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The settings."""
        names = ("steps", "learning_rate", "schedule", "warmup", "decay", "drop_steps")
        return {name: getattr(self.settings, name) for name in names}


def make_rate(settings: StageSettings) -> keras.optimizers.schedules.LearningRateSchedule | float:
    """The learning rate of each step, by the schedule of the settings; a number if the clock is to change it."""
    if settings.seconds is not None:
        return settings.learning_rate
    if settings.schedule == "steps":
        return keras.optimizers.schedules.ExponentialDecay(
            settings.learning_rate, decay_steps=settings.drop_steps, decay_rate=_DROP, staircase=True
        )
    return WarmStableDecay(settings)
