"""How B-NET and E-NET are trained: random crops without end, through the loop that all networks share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from defocus_edge.networks.edge.networks import EdgeNetworks
from training.data.sources import Sources
from training.edges.batches import BatchSampler, TrainingBatch
from training.edges.crops import CropSampler
from training.edges.model import PointModel, build_model, compile_model
from training.edges.patch_sampler import PatchSampler
from training.edges.settings import CHECKPOINT_SECONDS, TrainingSettings
from training.edges.validation import BALANCE, draw_validation, score_points, summarize
from training.runs.checkpoints import (
    CheckpointError,
    check_new,
    check_resumable,
    describe_run,
    find_checkpoint,
    list_variables,
    load_checkpoint,
    save_checkpoint,
)
from training.runs.log import TrainingLog
from training.runs.loop import Loop

#: Held-back crops that are scored at each checkpoint.
SCORED_CROPS = 128


def build_sampler(sources: Sources, settings: TrainingSettings) -> BatchSampler:
    """The sampler that a stage learns from."""
    if settings.sampler == "device":
        from training.edges.device.mix import MixedSampler  # here, since it takes all pictures to the device

        return MixedSampler(sources, settings)
    crops = CropSampler(sources, families=settings.families, level_share=settings.level_share)
    return PatchSampler(crops) if settings.sampler == "patches" else crops


def train_edge_network(
    networks: EdgeNetworks,
    settings: TrainingSettings,
    sampler: BatchSampler,
    development: CropSampler,
    *,
    folder: Path,
    resume: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    scored_crops: int = SCORED_CROPS,
) -> dict[str, float]:
    """Train B-NET or E-NET in place.

    Parameters
    ----------
    networks : EdgeNetworks
    settings : TrainingSettings
    sampler : CropSampler or PatchSampler
        What to learn from, see `build_sampler`.
    development : CropSampler
        Crops of pictures that are never learnt from.
    folder : Path
        Gets ``<head>.npz`` (checkpoint) and ``<head>.csv`` (log), and logs for TensorBoard if that is installed.
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
        If there is a checkpoint and `resume` is False, or it was written with other settings, or is of an E-NET over
        another B-NET.
    KeyboardInterrupt
        After Ctrl-C, when the step in progress is done and a checkpoint written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = build_model(networks, settings)
    compile_model(model, settings)
    checkpoint, first = find_checkpoint(folder, settings.head), 0
    if resume:
        first = _resume_run(model, settings, checkpoint)
    else:
        check_new(checkpoint)
    # The dense model over the same layers gives what the patch model gives, and faster.
    scorer = PointModel(networks, settings.head) if settings.sampler == "patches" else model
    held_back = draw_validation(development, settings.head, scored_crops)

    def draw(step: int) -> TrainingBatch:
        rng = np.random.default_rng((settings.seed, step))
        return sampler.draw_batch(settings.crops, settings.points, rng=rng, balance=BALANCE[settings.head])

    return Loop(
        settings.steps,
        draw,
        take_step=lambda batch: _take_step(model, settings, batch),
        save=lambda step: save_checkpoint(
            checkpoint, list_variables(model), step, describe_run(settings, networks.config)
        ),
        score=lambda: summarize(score_points(scorer, settings.head, held_back), settings.head),
        log=TrainingLog(folder, settings.head, steps=settings.steps, first=first),
        checkpoint_seconds=checkpoint_seconds,
    ).run(first)


def _resume_run(model: PointModel, settings: TrainingSettings, path: Path) -> int:
    """The step of the checkpoint, whose variables are in the model then."""
    check_resumable(path, describe_run(settings, model.features.config))
    frozen = [np.array(variable) for variable in model.non_trainable_variables]
    first = load_checkpoint(path, list_variables(model))
    if any((np.array(now) != then).any() for now, then in zip(model.non_trainable_variables, frozen, strict=True)):
        msg = (
            f"{path} must be of an E-NET over the B-NET at hand. Got: one over other f1 layers. "
            "Remove it to train E-NET anew, or go back to its B-NET."
        )
        raise CheckpointError(msg)
    return first


def _take_step(model: PointModel, settings: TrainingSettings, batch: TrainingBatch) -> float:
    """One step of the optimizer; the loss."""
    target, weight = batch.make_target(settings), batch.weigh(settings.head)
    return float(np.asarray(model.train_on_batch(batch.inputs, target, sample_weight=weight)))
