"""How a network that detects blur is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
from training.masks.choices import UNLABELLED
from training.masks.deblurring_trainer import InFocusDrawer
from training.masks.depth_trainer import DepthDrawer, draw_depth_truth, find_depths
from training.masks.model import NetworkTrainer
from training.masks.samplers import (
    InFocusSampler,
    MaskSampler,
    PhotographSampler,
    PhotoSampler,
    RadiusSampler,
    WholeSampler,
)
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


@dataclass(frozen=True)
class MaskDrawer:
    """Draws the batches of a training; `photos` are pictures without masks."""

    settings: MaskTrainingSettings
    sampler: MaskSampler
    photos: PhotoSampler | None

    def draw(self, step: int, rng: np.random.Generator, /) -> MaskBatch:
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

    def draw(self, _step: int, rng: np.random.Generator, /) -> MaskBatch:
        """See `Task`."""
        count = self.settings.batch
        partly = self.photos.draw_photos(count, rng) if self.photos else self.sampler.draw_batch(count, rng)[0]
        sharp, blurred = (self.sampler.draw_wholes(count, rng, blurred=blurred) for blurred in (False, True))
        return partly, sharp, blurred


@dataclass(frozen=True)
class RadiusDrawer:
    """Draws the batches of a network that answers with a radius: scenes, and photographs with masks if there are."""

    settings: MaskTrainingSettings
    scenes: RadiusSampler
    photographs: PhotographSampler | None

    def draw(self, _step: int, rng: np.random.Generator, /) -> MaskBatch:
        """See `Task`."""
        count = round(self.settings.batch * self.settings.photo_share) if self.photographs else 0
        images, radii = self.scenes.draw_radii(self.settings.batch - count, rng)
        shares = np.minimum(radii / np.float32(LARGEST_RADIUS), np.float32(1))[..., None]
        unknown = np.full_like(shares, UNLABELLED)
        if self.photographs is None:
            return images, shares, unknown
        photographs, masks = self.photographs.draw_photographs(count, rng)
        none = np.full((count, *shares.shape[1:]), UNLABELLED, dtype=np.float32)
        return (
            np.concatenate([images, photographs]),
            np.concatenate([shares, none]),
            np.concatenate([unknown, masks[..., None].astype(np.float32)]),
        )


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
        self._trainer, self._clock = trainer, Clock(settings)
        rng = np.random.default_rng(_SEED)
        self._drawer: Drawer[MaskBatch]
        self._held_back: tuple[NDArray[np.float32], NDArray[Any]]
        if trainer.kind.auxiliary == "depth":
            self._drawer = DepthDrawer(settings, find_depths(sampler))
            self._held_back = draw_depth_truth(find_depths(development), scored_crops, rng)
        elif trainer.kind.answer == "radius":
            self._drawer = _make_radius_drawer(settings, sampler)
            self._held_back = _find_scenes(development).draw_radii(scored_crops, rng)
        else:
            self._drawer = _make_drawer(settings, sampler, photos)
            self._held_back = development.draw_batch(scored_crops, rng)

    @property
    def variables(self) -> list[Any]:
        """See `Task`."""
        return [*self._trainer.variables, *self._clock.variables]

    @property
    def progress(self) -> float:
        """See `Task`."""
        return self._clock.progress

    def draw(self, step: int, rng: np.random.Generator, /) -> MaskBatch:
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
        return self._trainer.score(*self._held_back)


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


def _make_radius_drawer(settings: MaskTrainingSettings, sampler: MaskSampler) -> Drawer[MaskBatch]:
    """What draws the batches for a network that answers with a radius."""
    scenes = _find_scenes(sampler)
    if settings.deblurring_weight:
        if not isinstance(sampler, InFocusSampler):
            msg = (
                "sampler must draw scenes without blur for deblurring_weight, which synthetic and mixed have. "
                f"Got: {sampler!r}."
            )
            raise ValueError(msg)
        return InFocusDrawer(settings, sampler)
    if not settings.needs_photographs:
        return RadiusDrawer(settings, scenes, None)
    if not isinstance(sampler, PhotographSampler):
        msg = (
            "sampler must draw photographs with masks for sharpness_weight and adversarial_weight, which the dataset "
            f"mixed has. Got: {sampler!r}."
        )
        raise ValueError(msg)
    return RadiusDrawer(settings, scenes, sampler)


def _find_scenes(sampler: MaskSampler) -> RadiusSampler:
    """The same sampler, or say that it has no radii."""
    if not isinstance(sampler, RadiusSampler):
        msg = f"sampler must draw scenes with true radii, which synthetic and mixed have. Got: {sampler!r}."
        raise ValueError(msg)
    return sampler
