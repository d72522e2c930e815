"""How B-NET and E-NET are trained: on random crops without end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from defocus_edge.networks.edge.networks import EdgeNetworks
from training.data.sources import Sources
from training.edges.batches import BatchSampler, CropSource, PointBatch
from training.edges.crop_store import StoredCrops
from training.edges.crops import CropSampler
from training.edges.model import PointModel, build_model, compile_model
from training.edges.patch_sampler import PatchSampler
from training.edges.renderers import build_renderer, name_renderer
from training.edges.settings import TrainingSettings
from training.edges.validation import BALANCE, draw_validation, score_points, summarize
from training.runs.checkpoints import CheckpointError, list_variables
from training.runs.clock import Clock
from training.runs.training import Task

#: Held-back crops that are scored at each checkpoint.
SCORED_CROPS = 128


def build_sampler(sources: Sources, settings: TrainingSettings, store: Path | None = None) -> BatchSampler:
    """The sampler that a stage learns from; with a `store` it reads crops instead of rendering them."""
    crops: CropSource
    if store is None:
        renderer, share = name_renderer(settings.sampler), settings.level_share
        crops = build_renderer(sources, renderer, families=settings.families, level_share=share)
    else:
        crops = StoredCrops(store, settings)
    return PatchSampler(crops) if settings.sampler == "patches" else crops


class EdgeTask(Task[PointBatch]):
    """Trains B-NET or E-NET in place.

    Parameters
    ----------
    sampler : BatchSampler
        What to learn from, see `build_sampler`.
    development : CropSampler
        Crops of pictures that are never learnt from.
    scored_crops : int
        Number of held-back crops that are scored at each checkpoint.
    """

    settings: TrainingSettings

    def __init__(
        self,
        networks: EdgeNetworks,
        settings: TrainingSettings,
        sampler: BatchSampler,
        development: CropSampler,
        *,
        scored_crops: int = SCORED_CROPS,
    ) -> None:
        super().__init__(settings.head, settings, networks.config)
        self._sampler = sampler
        self._model = build_model(networks, settings)
        compile_model(self._model, settings)
        # The dense model over the same layers gives what the patch model gives, and faster.
        self._scorer = PointModel(networks, settings.head) if settings.sampler == "patches" else self._model
        self._held_back = draw_validation(development, settings.head, scored_crops)
        self._clock = Clock(settings)

    @property
    def variables(self) -> list[Any]:
        """See `Task`."""
        return [*list_variables(self._model), *self._clock.variables]

    @property
    def progress(self) -> float:
        """See `Task`."""
        return self._clock.progress

    def draw(self, _step: int, rng: np.random.Generator, /) -> PointBatch:
        """See `Task`."""
        settings = self.settings
        return self._sampler.draw_batch(settings.crops, settings.points, rng=rng, balance=BALANCE[settings.head])

    def take_step(self, batch: PointBatch) -> float:
        """See `Task`."""
        self._clock.tick(self._model.optimizer)
        return take_step(self._model, self.settings, batch)

    def score(self) -> dict[str, float]:
        """See `Task`."""
        head = self.settings.head
        self._clock.pause()  # the first scoring compiles
        return summarize(score_points(self._scorer, head, self._held_back), head)

    def load(self, checkpoint: Path) -> int:
        """Fill the variables from a checkpoint; refuse one of an E-NET over another B-NET."""
        frozen = [np.array(variable) for variable in self._model.non_trainable_variables]
        first = super().load(checkpoint)
        now = self._model.non_trainable_variables
        if any((np.array(new) != old).any() for new, old in zip(now, frozen, strict=True)):
            msg = (
                f"{checkpoint} must be of an E-NET over the B-NET at hand. Got: one over other f1 layers. "
                "Remove it to train E-NET anew, or go back to its B-NET."
            )
            raise CheckpointError(msg)
        return first


def take_step(model: PointModel, settings: TrainingSettings, batch: PointBatch) -> float:
    """Take one step of a model's optimizer; return the loss."""
    target, weight = batch.make_target(settings), batch.weigh(settings.head)
    return float(np.asarray(model.train_on_batch(batch.inputs, target, sample_weight=weight)))
