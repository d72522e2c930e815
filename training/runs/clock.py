"""Training for some seconds, however fast the computer is."""

from __future__ import annotations

import time
from typing import Any

import keras

from training.runs.optimizers import LEAST_RATE
from training.runs.settings import StageSettings


class Clock:
    """Counts the seconds of a stage and sets the learning rate by them; does nothing without ``settings.seconds``.

    The first step after a start is not counted, since it compiles the networks; nor is what follows a call of `pause`.
    A checkpoint that holds `variables` says how many seconds are over.
    """

    def __init__(self, settings: StageSettings) -> None:
        self._settings = settings
        self._seconds = keras.Variable(0.0, trainable=False, name="seconds")
        self._last: float | None = None
        self._is_warm = False

    @property
    def variables(self) -> list[Any]:
        """What a checkpoint must hold."""
        return [] if self._settings.seconds is None else [self._seconds]

    @property
    def progress(self) -> float:
        """Share of the time that is over, 0 without a limit."""
        if self._settings.seconds is None:
            return 0.0
        return float(self._seconds) / self._settings.seconds

    def pause(self) -> None:
        """Do not count the time from the last step's begin to the next one's."""
        self._last = None

    def tick(self, optimizer: Any) -> None:
        """Note that a step begins and set its learning rate."""
        if self._settings.seconds is None:
            return
        now = time.monotonic()
        if self._last is not None:
            self._seconds.assign(float(self._seconds) + now - self._last)
        self._last, self._is_warm = now if self._is_warm else None, True
        settings = self._settings
        rise = (int(optimizer.iterations) + 1) / max(settings.warmup, 1)
        fall = (1 - self.progress) / max(settings.decay, 1e-9)
        optimizer.learning_rate = settings.learning_rate * min(max(min(rise, fall), LEAST_RATE), 1.0)
