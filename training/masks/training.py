"""How a network that detects blur is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defocus_edge.metrics import MaskProtocol, measure_mask, summarize_masks
from training.masks.model import UNLABELLED, NetworkTrainer
from training.masks.samplers import MaskSampler, PhotoSampler, WholeSampler
from training.masks.settings import MaskTrainingSettings
from training.runs.clock import Clock
from training.runs.drawing import Drawer
from training.runs.training import Task

#: Arrays as for `take_step` of the trainer.
MaskBatch = tuple[NDArray[np.float32], ...]
#: Held-back crops that are scored at each checkpoint.
SCORED_CROPS = 32
# Seed of the held-back crops.
_SEED = 20_27
# Number of pictures that are scored at once.
_SCORED_AT_ONCE = 8


@dataclass(frozen=True)
class MaskDrawer:
    """Draws the batches of a training; `photos` are pictures without masks."""

    settings: MaskTrainingSettings
    sampler: MaskSampler
    photos: PhotoSampler | None

    def draw(self, step: int, rng: np.random.Generator) -> MaskBatch:
        """See `Task`."""
        settings = self.settings
        without = settings.batch // 2 if 0 < settings.unlabelled_from < step else 0
        images, masks = self.sampler.draw_batch(settings.batch - without, rng)
        targets = masks[..., None].astype(np.float32)
        if self.photos is None or not without:
            return images, targets
        none = np.full((without, *targets.shape[1:]), UNLABELLED, dtype=np.float32)
        return np.concatenate([images, self.photos.draw_photos(without, rng)]), np.concatenate([targets, none])


@dataclass(frozen=True)
class SelfGeneratedDrawer:
    """Draws the batches of a training without masks: partly blurred, wholly sharp and wholly blurred pictures.

    The partly blurred ones are `photos` if there are any, else those of the sampler, whose masks are dropped.
    """

    settings: MaskTrainingSettings
    sampler: WholeSampler
    photos: PhotoSampler | None

    def draw(self, step: int, rng: np.random.Generator) -> MaskBatch:  # noqa: ARG002 - all steps are alike
        """See `Task`."""
        count = self.settings.batch
        partly = self.photos.draw_photos(count, rng) if self.photos else self.sampler.draw_batch(count, rng)[0]
        sharp, blurred = (self.sampler.draw_wholes(count, rng, blurred=blurred) for blurred in (False, True))
        return partly, sharp, blurred


class MaskTask(Task[MaskBatch]):
    """Trains a network that detects blur in place.

    Raises ValueError if the settings want pictures without masks, or pictures that are sharp or blurred all over, and
    there are none.

    Parameters
    ----------
    sampler : MaskSampler
        What to learn from.
    development : MaskSampler
        Crops of pictures that are never learnt from.
    photos : PhotoSampler, optional
        Pictures without masks. The settings may want some, or learn without masks.
    scored_crops : int
        Number of held-back crops that are scored at each checkpoint.
    """

    settings: MaskTrainingSettings

    def __init__(
        self,
        trainer: NetworkTrainer,
        sampler: MaskSampler,
        development: MaskSampler,
        *,
        photos: PhotoSampler | None = None,
        scored_crops: int = SCORED_CROPS,
    ) -> None:
        settings = trainer.settings
        if settings.unlabelled_from and photos is None:
            msg = (
                f"unlabelled_from = {settings.unlabelled_from} needs a folder of photographs without masks. Got: none."
            )
            raise ValueError(msg)
        super().__init__(settings.network, settings, trainer.config)
        self._trainer, self._drawer = trainer, _make_drawer(settings, sampler, photos)
        self._clock = Clock(settings)
        self._held_back = development.draw_batch(scored_crops, np.random.default_rng(_SEED))

    @property
    def variables(self) -> list[Any]:
        """See `Task`."""
        return [*self._trainer.variables, *self._clock.variables]

    @property
    def progress(self) -> float:
        """See `Task`."""
        return self._clock.progress

    def draw(self, step: int, rng: np.random.Generator) -> MaskBatch:
        """See `Task`."""
        return self._drawer.draw(step, rng)

    @property
    def drawer(self) -> Drawer[MaskBatch]:
        """See `Task`."""
        return self._drawer

    def take_step(self, batch: MaskBatch) -> float:
        """See `Task`."""
        self._clock.tick(self._trainer.optimizer)
        return self._trainer.take_step(*batch)

    def score(self) -> dict[str, float]:
        """See `Task`."""
        self._clock.pause()  # the first scoring compiles
        return score_crops(self._trainer, *self._held_back)


def _make_drawer(
    settings: MaskTrainingSettings, sampler: MaskSampler, photos: PhotoSampler | None
) -> Drawer[MaskBatch]:
    """What draws the batches of these settings."""
    if not settings.self_generated:
        return MaskDrawer(settings, sampler, photos)
    if not isinstance(sampler, WholeSampler):
        msg = f"sampler must draw wholly sharp and wholly blurred pictures for self_generated. Got: {sampler!r}."
        raise ValueError(msg)
    return SelfGeneratedDrawer(settings, sampler, photos)


def score_crops(trainer: NetworkTrainer, images: NDArray[np.float32], masks: NDArray[np.bool_]) -> dict[str, float]:
    """Mean absolute error and max-of-mean Fβ on crops."""
    curves = []
    for start in range(0, len(images), _SCORED_AT_ONCE):
        part = slice(start, start + _SCORED_AT_ONCE)
        pairs = zip(trainer.predict(images[part]), masks[part], strict=True)
        curves += [measure_mask(probability, mask) for probability, mask in pairs]
    row = summarize_masks(curves, MaskProtocol())
    return {name: round(float(row[name]), 4) for name in ("MAE", "max-of-mean Fβ")}
