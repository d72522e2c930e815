"""How a student is trained: on random windows of all pictures."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS, N_LEVELS
from defocus_edge.networks.edge.networks import EdgeNetworks
from training.distillation.choices import STUDENT
from training.distillation.model import StudentModel, measure_loss
from training.distillation.settings import StudentSettings
from training.distillation.windows import WindowBatch, WindowSource
from training.runs.checkpoints import list_variables
from training.runs.clock import Clock
from training.runs.optimizers import KernelMuon, make_rate
from training.runs.tables import NAN
from training.runs.training import Task

# Seed and number of the held-back batches.
_SEED, _HELD_BACK = 20_26, 8


class StudentTask(Task[WindowBatch]):
    """Trains both networks in place.

    Parameters
    ----------
    sampler, held_back : WindowSource
        Windows of pictures that are learnt from, and of pictures that never are.
    """

    settings: StudentSettings

    def __init__(
        self, networks: EdgeNetworks, settings: StudentSettings, sampler: WindowSource, held_back: WindowSource
    ) -> None:
        super().__init__(STUDENT, settings, networks.config)
        self._sampler = sampler
        size = settings.windows, settings.squares
        drawn = (held_back.draw_batch(*size, rng=np.random.default_rng((_SEED, n))) for n in range(_HELD_BACK))
        self._held_back = [batch.fetch() for batch in drawn]
        self._model = build_model(networks, settings)
        optimizer = KernelMuon(learning_rate=make_rate(settings), weight_decay=0.0, adam_weight_decay=0.0)
        loss = _StudentLoss(settings.truth_share, settings.edge_weight)
        self._model.compile(optimizer=optimizer, loss=loss, jit_compile=keras.backend.backend() == "jax")
        optimizer.build(self._model.trainable_variables)
        self._clock = Clock(settings)

    @property
    def variables(self) -> list[Any]:
        """See `Task`."""
        return [*list_variables(self._model), *self._clock.variables]

    @property
    def progress(self) -> float:
        """See `Task`."""
        return self._clock.progress

    def draw(self, _step: int, rng: np.random.Generator, /) -> WindowBatch:
        """See `Task`."""
        return self._sampler.draw_batch(self.settings.windows, self.settings.squares, rng=rng)

    def take_step(self, batch: WindowBatch) -> float:
        """See `Task`."""
        self._clock.tick(self._model.optimizer)
        inputs = {"images": batch.images, "squares": batch.squares}
        return float(np.asarray(self._model.train_on_batch(inputs, batch.answers, sample_weight=batch.weights)))

    def score(self) -> dict[str, float]:
        """How far the student is from the teacher on held-back pictures: in px, and in the probability of an edge."""
        self._clock.pause()  # the first scoring compiles
        off, edge_off, error = [], [], []
        for batch in self._held_back:
            output = self._model.predict_on_batch({"images": batch.images, "squares": batch.squares})
            kept = batch.weights > 0
            found, said = np.asarray(keras.ops.convert_to_numpy(output))[kept], batch.answers[kept]
            radius, wanted = found[:, :N_LEVELS] @ BLUR_LEVELS, said[:, :N_LEVELS] @ BLUR_LEVELS
            pattern = said[:, N_LEVELS] < 0.5
            truth = np.clip(said[:, -1], BLUR_LEVELS[0], BLUR_LEVELS[-1])
            off.append(np.abs(radius - wanted)[pattern])
            edge_off.append(np.abs(found[:, -1] - said[:, N_LEVELS]))
            error.append(np.abs(radius - truth)[pattern & ~np.isnan(truth)])
        names = ("off_teacher_px", "off_teacher_depth", "mae_px")
        return {
            name: _average(np.concatenate(values)) for name, values in zip(names, (off, edge_off, error), strict=True)
        }


def build_model(networks: EdgeNetworks, settings: StudentSettings) -> StudentModel:
    """The model that is trained."""
    features = None
    if settings.sampler == "device":
        from training.edges.device.features import SquareFeatures  # here, since few trainings need it

        features = SquareFeatures
    return StudentModel(networks, precision=settings.precision, features=features)


def _average(values: NDArray[np.floating]) -> float:
    """Rounded mean; NaN of nothing, as where no true radius is known."""
    return round(float(values.mean()), 4) if len(values) else NAN


class _StudentLoss(keras.losses.Loss):
    """`measure_loss` with its weights."""

    def __init__(self, truth_share: float, edge_weight: float) -> None:
        super().__init__()
        self._weights = truth_share, edge_weight

    def call(self, answers: Any, output: Any) -> Any:
        """Loss of each square."""
        return measure_loss(answers, output, *self._weights)
