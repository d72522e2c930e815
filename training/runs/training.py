"""How everything is trained: a task draws endless batches and takes steps; checkpoints, scores, Ctrl-C are shared."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from training.runs.checkpoints import (
    check_new,
    check_resumable,
    describe_run,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from training.runs.drawing import Drawer, draw_ahead
from training.runs.interrupts import hold_interrupt
from training.runs.log import TrainingLog
from training.runs.settings import CHECKPOINT_SECONDS, StageSettings

Batch = TypeVar("Batch")


class Task(ABC, Generic[Batch]):
    """What differs between trainings.

    Parameters
    ----------
    name : str
        Name of checkpoint and log.
    architecture : dataclass
        Configuration of the networks.
    """

    def __init__(self, name: str, settings: StageSettings, architecture: Any) -> None:
        self.name, self.settings = name, settings
        self.description = describe_run(settings, architecture)

    @property
    @abstractmethod
    def variables(self) -> list[Any]:
        """All variables that a checkpoint must hold."""

    @abstractmethod
    def draw(self, step: int, rng: np.random.Generator, /) -> Batch:
        """Batch of a step, which depends on nothing but the step and its generator; called in another thread."""

    @property
    def drawer(self) -> Drawer[Batch]:
        """What draws the batches; one that is to draw in other processes can be pickled."""
        return self

    @abstractmethod
    def take_step(self, batch: Batch) -> float:
        """Take one step of the optimizer; return the loss."""

    @property
    def progress(self) -> float:
        """Share of the time that is over, if the training ends by the clock: it ends at 1. Else 0."""
        return 0.0

    @abstractmethod
    def score(self) -> dict[str, float]:
        """Scores on held-back data."""

    def load(self, checkpoint: Path) -> int:
        """Fill the variables from a checkpoint; return its step, 0 if there is none."""
        return load_checkpoint(checkpoint, self.variables)


def train(
    task: Task[Any],
    folder: Path,
    *,
    resume: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    jobs: int = 0,
) -> dict[str, float]:
    """Take all steps of a task.

    Returns the scores on the held-back data after the last step. Raises CheckpointError if there is a checkpoint and
    `resume` is False, or it does not belong to the task. Raises KeyboardInterrupt after Ctrl-C, when the step in
    progress is done and a checkpoint written.

    Parameters
    ----------
    folder : Path
        Gets ``<name>.npz`` (checkpoint) and ``<name>.csv`` (log), and logs for TensorBoard if that is installed.
    resume : bool
        Go on from the checkpoint in `folder`, if there is one.
    checkpoint_seconds : float
        Time between checkpoints.
    jobs : int
        Number of processes that draw the batches; 0 for a thread.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, first, last = find_checkpoint(folder, task.name), 0, task.settings.steps
    if resume:
        check_resumable(checkpoint, task.description)
        first = task.load(checkpoint)
    else:
        check_new(checkpoint)
    log = TrainingLog(folder, task.name, steps=last, first=first)
    scores: dict[str, float] = {}
    saved = time.monotonic()
    with hold_interrupt() as is_interrupted:
        end = first if task.progress >= 1 else last
        for step, batch in draw_ahead(task.drawer, seed=task.settings.seed, first=first, last=end, jobs=jobs):
            log.add_loss(step, task.take_step(batch), progress=task.progress)
            is_over = step == last or task.progress >= 1
            is_due = is_over or time.monotonic() - saved >= checkpoint_seconds
            if is_due or is_interrupted():
                save_checkpoint(checkpoint, task.variables, step, task.description)
            if is_interrupted():
                break
            if is_due:
                scores = task.score()
                log.add_scores(step, scores)
                saved = time.monotonic()
            if is_over:
                break
    return scores or task.score()
