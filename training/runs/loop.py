"""The training loop that all networks share: endless batches drawn ahead, checkpoints, scores, Ctrl-C."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from training.runs.interrupts import hold_interrupt
from training.runs.log import TrainingLog

Batch = TypeVar("Batch")

# Batches drawn ahead of the one in use.
_AHEAD = 4


@dataclass(frozen=True)
class Loop(Generic[Batch]):
    """What a training does at each step and each checkpoint.

    Attributes
    ----------
    steps : int
        The last step.
    draw : callable
        Number of a step to its batch; called in another thread, one step at a time. The same step must have the same
        batch, so that a run that goes on ends as one that was never interrupted.
    take_step : callable
        Batch to loss.
    save : callable
        Writes the checkpoint of a step.
    score : callable
        Scores on held-back data.
    log : TrainingLog
    checkpoint_seconds : float
        Time between checkpoints.
    """

    steps: int
    draw: Callable[[int], Batch]
    take_step: Callable[[Batch], float]
    save: Callable[[int], None]
    score: Callable[[], dict[str, float]]
    log: TrainingLog
    checkpoint_seconds: float

    def run(self, first: int) -> dict[str, float]:
        """Take the steps after `first`.

        Returns
        -------
        dict
            Scores after the last step.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, when the step in progress is done and a checkpoint written.
        """
        scores: dict[str, float] = {}
        saved = time.monotonic()
        with hold_interrupt() as is_interrupted:
            for step, batch in self._prefetch(first):
                self.log.add_loss(step, self.take_step(batch))
                is_due = step == self.steps or time.monotonic() - saved >= self.checkpoint_seconds
                if is_due or is_interrupted():
                    self.save(step)
                if is_interrupted():
                    break
                if is_due:
                    scores = self.score()
                    self.log.add_scores(step, scores)
                    saved = time.monotonic()
        return scores or self.score()

    def _prefetch(self, first: int) -> Iterator[tuple[int, Batch]]:
        """Steps after `first` with their batches, drawn ahead in a thread."""
        executor = ThreadPoolExecutor(1)
        try:
            steps = range(first + 1, self.steps + 1)
            ahead = deque(executor.submit(self.draw, step) for step in steps[:_AHEAD])
            for step in steps:
                batch = ahead.popleft().result()
                if step + _AHEAD <= self.steps:
                    ahead.append(executor.submit(self.draw, step + _AHEAD))
                yield step, batch
        finally:
            executor.shutdown(cancel_futures=True)
