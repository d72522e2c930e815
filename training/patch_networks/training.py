"""How a small network of a baseline is trained: on patches without end, by cross entropy."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.patch_networks.settings import PatchSettings
from training.runs.checkpoints import list_variables
from training.runs.clock import Clock
from training.runs.optimizers import make_rate
from training.runs.training import Task

#: Inputs of the network by name, numbers of the classes (N,), and 1 for what counts or 0 for padding (N,).
Batch = tuple[dict[str, NDArray[np.float32]], NDArray[np.int32], NDArray[np.float32]]
# Held-back batches that are scored, and their seed.
_HELD_BACK, _SEED = 8, 20_26


class PatchTask(Task[Batch]):
    """Trains a network in place.

    Parameters
    ----------
    name : str
        Name of the baseline.
    model : keras.Model
        Gives logits (N, classes), or a list of such.
    architecture : dataclass
        The configuration of the network.
    """

    settings: PatchSettings

    def __init__(self, name: str, model: keras.Model, settings: PatchSettings, architecture: Any) -> None:
        super().__init__(name, settings, architecture)
        self.model = model
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=keras.optimizers.Adam(make_rate(settings)), loss=loss, jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        self._held_back = [self.draw_held_back(np.random.default_rng((_SEED, n))) for n in range(_HELD_BACK)]
        self._clock = Clock(settings)

    @abstractmethod
    def draw_held_back(self, rng: np.random.Generator) -> Batch:
        """Draw a batch of pictures that are never learnt from."""

    @abstractmethod
    def compare(self, logits: Any, classes: NDArray[np.int32]) -> dict[str, float]:
        """Scores of what the network says of held-back patches."""

    @property
    def variables(self) -> list[Any]:
        """See `Task`."""
        return [*list_variables(self.model), *self._clock.variables]

    @property
    def progress(self) -> float:
        """See `Task`."""
        return self._clock.progress

    def take_step(self, batch: Batch) -> float:
        """See `Task`."""
        self._clock.tick(self.model.optimizer)
        inputs, classes, weights = batch
        weights = weights.reshape(-1, *[1] * (classes.ndim - 1))
        return float(np.asarray(self.model.train_on_batch(inputs, classes, sample_weight=weights)))

    def score(self) -> dict[str, float]:
        """See `Task`."""
        self._clock.pause()  # the first scoring compiles
        logits = [
            np.asarray(keras.ops.convert_to_numpy(self.model(inputs)))[weights > 0]
            for inputs, _, weights in self._held_back
        ]
        classes = np.concatenate([classes[weights > 0] for _, classes, weights in self._held_back])
        return {name: round(value, 4) for name, value in self.compare(np.concatenate(logits), classes).items()}
