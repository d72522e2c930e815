"""How the network that refines a spread map is trained: on parts of measured samples, with a frozen encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.networks.refinement import RefinementNetwork
from training.refinement.choices import REFINEMENT
from training.refinement.dataset import CellSample, draw_batch
from training.refinement.settings import RefinementSettings
from training.runs.checkpoints import list_variables
from training.runs.optimizers import make_rate
from training.runs.training import Task

#: Inputs of the decoder and what its loss compares them with, see `draw_batch`.
CellBatch = tuple[list[NDArray[np.float32]], NDArray[np.float32]]


class RefinementTask(Task[CellBatch]):
    """Trains the decoder in place; the encoder keeps its weights.

    Parameters
    ----------
    scenes, photos : sequence of CellSample
        Rendered scenes and photographs that are learnt from.
    development : sequence of CellSample
        Samples of pictures that are never learnt from.
    """

    settings: RefinementSettings

    def __init__(
        self,
        network: RefinementNetwork,
        settings: RefinementSettings,
        scenes: Sequence[CellSample],
        photos: Sequence[CellSample],
        development: Sequence[CellSample],
    ) -> None:
        super().__init__(REFINEMENT, settings, network.config)
        self._decoder = network.decoder
        self._scenes, self._photos, self._development = scenes, photos, development
        optimizer = keras.optimizers.AdamW(
            make_rate(settings), weight_decay=settings.weight_decay, clipnorm=settings.clip
        )
        weight = settings.width_weight
        self._decoder.compile(
            optimizer=optimizer, loss=lambda truth, answer: measure_loss(truth, answer, weight), jit_compile=False
        )
        optimizer.build(self._decoder.trainable_variables)

    @property
    def variables(self) -> list[Any]:
        """See `Task`."""
        return list_variables(self._decoder)

    def draw(self, step: int, rng: np.random.Generator) -> CellBatch:  # noqa: ARG002 - all steps are alike
        """See `Task`."""
        is_photo = bool(self._photos) and rng.random() < self.settings.photo_share
        return draw_batch(self._photos if is_photo else self._scenes, self.settings.batch, rng)

    def take_step(self, batch: CellBatch) -> float:
        """See `Task`."""
        return float(np.asarray(self._decoder.train_on_batch(*batch)))

    def score(self) -> dict[str, float]:
        """Mean errors in px of the spread maps and of the refined ones."""
        errors = [measure_errors(self._decoder, sample) for sample in self._development]
        before, after = np.mean(errors, axis=0)
        return {"spread_mae": round(float(before), 4), "refined_mae": round(float(after), 4)}


def measure_loss(truth: Any, answer: Any, width_weight: float) -> Any:
    """Loss of each sample: absolute error, and the negative logarithm of the likelihood of a Laplace distribution.

    `truth` and `answer` are those of `draw_batch` and of the decoder. Errors of radii above 6 px count in relation to
    the radius. The width learns from the errors, but the errors do not learn from it.
    """
    radius, weight, spread = truth[..., 0], truth[..., 1], truth[..., 2]
    change, log_width = answer[..., 0], answer[..., 1]
    error = ops.abs(spread * 2.0**change - radius) / ops.maximum(radius / MAX_RADIUS, 1.0)
    likelihood = log_width + ops.stop_gradient(error) * ops.exp(-log_width)
    total = ops.sum(weight * (error + width_weight * likelihood), axis=(1, 2))
    return total / (ops.sum(weight, axis=(1, 2)) + 1.0)


def measure_errors(decoder: keras.Model, sample: CellSample) -> tuple[float, float]:
    """Mean errors in px over the cells of one sample, of the spread map and of the refined one."""
    inputs = [np.asarray(values, np.float32)[None] for values in (sample.cells, *sample.features)]
    change = ops.convert_to_numpy(decoder(inputs))[0, ..., 0]
    spread = np.exp2(inputs[0][0, ..., 0])
    weight = sample.weight / sample.weight.sum()
    before, after = (float((np.abs(radius - sample.truth) * weight).sum()) for radius in (spread, spread * 2**change))
    return before, after
