"""How a blur-detection network is trained: any of the three, through the loop that all networks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defocus_edge.metrics import THRESHOLDS, MaskProtocol, average_curves, measure_mask, summarize_masks
from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS, build_segmentation_network
from defocus_edge.networks.segmentation.tiles import MapEvaluator
from training.edges.settings import CHECKPOINT_SECONDS
from training.masks.model import UNLABELLED, MaskTrainer
from training.masks.samplers import MaskSampler, PhotoSampler
from training.masks.scenes import MaskScene
from training.runs.checkpoints import (
    check_new,
    check_resumable,
    describe_run,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from training.runs.log import TrainingLog
from training.runs.loop import Loop

#: Held-back crops that are scored at each checkpoint.
SCORED_CROPS = 32
_SEED = 20_27
# Pictures that are scored at once.
_SCORED_AT_ONCE = 8
# Thresholds that a network may be given: the ends of the scale say nothing.
_LEAST_THRESHOLD = 0.05


@dataclass(frozen=True)
class MaskBatch:
    """What a step learns from: see `MaskTrainer.take_step`."""

    images: NDArray[np.float32]
    masks: NDArray[np.float32]


def train_mask_network(
    trainer: MaskTrainer,
    sampler: MaskSampler,
    development: MaskSampler,
    *,
    folder: Path,
    photos: PhotoSampler | None = None,
    resume: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    scored_crops: int = SCORED_CROPS,
) -> dict[str, float]:
    """Train a blur-detection network in place.

    Parameters
    ----------
    trainer : MaskTrainer
    sampler : MaskSampler
        What to learn from.
    development : MaskSampler
        Crops of pictures that are never learnt from.
    folder : Path
        Gets ``<network>.npz`` (checkpoint) and ``<network>.csv`` (log), and logs for TensorBoard if that is installed.
    photos : PhotoSampler, optional
        Pictures without masks, if the settings want some.
    resume : bool
        Go on from the checkpoint in `folder`, if there is one.
    checkpoint_seconds : float
        Time between checkpoints.
    scored_crops : int
        Held-back crops that are scored at each checkpoint.

    Returns
    -------
    dict
        Scores on the held-back crops after the last step.

    Raises
    ------
    CheckpointError
        If there is a checkpoint and `resume` is False, or it was written with other settings.
    ValueError
        If the settings want pictures without masks and there are none.
    KeyboardInterrupt
        After Ctrl-C, when the step in progress is done and a checkpoint written.
    """
    settings = trainer.settings
    if settings.unlabelled_from and photos is None:
        msg = f"unlabelled_from = {settings.unlabelled_from} needs a folder of photographs without masks. Got: none."
        raise ValueError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, first = find_checkpoint(folder, settings.network), 0
    description = describe_run(settings, trainer.config)
    if resume:
        check_resumable(checkpoint, description)
        first = load_checkpoint(checkpoint, trainer.variables)
    else:
        check_new(checkpoint)
    held_back = development.draw_batch(scored_crops, np.random.default_rng(_SEED))

    def draw(step: int) -> MaskBatch:
        rng = np.random.default_rng((settings.seed, step))
        without = settings.batch // 2 if 0 < settings.unlabelled_from < step else 0
        images, masks = sampler.draw_batch(settings.batch - without, rng)
        targets = masks[..., None].astype(np.float32)
        if photos is None or not without:
            return MaskBatch(images, targets)
        none = np.full((without, *targets.shape[1:]), UNLABELLED, dtype=np.float32)
        return MaskBatch(np.concatenate([images, photos.draw_photos(without, rng)]), np.concatenate([targets, none]))

    return Loop(
        settings.steps,
        draw,
        take_step=lambda batch: trainer.take_step(batch.images, batch.masks),
        save=lambda step: save_checkpoint(checkpoint, trainer.variables, step, description),
        score=lambda: score_crops(trainer, *held_back),
        log=TrainingLog(folder, settings.network, steps=settings.steps, first=first),
        checkpoint_seconds=checkpoint_seconds,
    ).run(first)


def score_crops(trainer: MaskTrainer, images: NDArray[np.float32], masks: NDArray[np.bool_]) -> dict[str, float]:
    """Mean absolute error and max-of-mean Fβ on crops."""
    curves = []
    for start in range(0, len(images), _SCORED_AT_ONCE):
        part = slice(start, start + _SCORED_AT_ONCE)
        pairs = zip(trainer.predict(images[part]), masks[part], strict=True)
        curves += [measure_mask(probability, mask) for probability, mask in pairs]
    row = summarize_masks(curves, MaskProtocol())
    return {name: round(float(row[name]), 4) for name in ("MAE", "max-of-mean Fβ")}


def calibrate_threshold(trainer: MaskTrainer, scenes: Sequence[MaskScene]) -> tuple[float, dict[str, Any]]:
    """Find the probability with the largest mean Fβ on the development set.

    Parameters
    ----------
    trainer : MaskTrainer
    scenes : sequence of MaskScene

    Returns
    -------
    threshold : float
        The middle of the thresholds whose mean Fβ is the largest, to two digits: the curve is flat there.
    scores : dict
        See `summarize_masks`; IoU is at 0.5.
    """
    network = export_network(trainer)
    evaluator = MapEvaluator(network, stride=SEGMENTATION_NETWORKS[trainer.settings.network].stride)
    curves = [measure_mask(evaluator.predict(scene.image), scene.mask) for scene in scenes]
    protocol = MaskProtocol()
    f_beta = average_curves(curves, protocol).f_beta
    allowed = (THRESHOLDS >= _LEAST_THRESHOLD) & (THRESHOLDS <= 1 - _LEAST_THRESHOLD)
    # Nearly the largest counts as well: half a thousandth is far below what another development set would change.
    best = THRESHOLDS[allowed & (f_beta >= f_beta[allowed].max() - 5e-4)]
    row = summarize_masks(curves, protocol)
    scores = {name: value if isinstance(value, str) else round(float(value), 4) for name, value in row.items()}
    return round(float(np.median(best)), 2), scores


def export_network(trainer: MaskTrainer) -> Any:
    """The network in float32, whatever it was trained in."""
    network = build_segmentation_network(trainer.settings.network, trainer.config)
    network.set_weights(trainer.network.get_weights())
    return network
