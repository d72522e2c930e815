"""The log of a stage of training: lines with the time left, a CSV file, scalars for TensorBoard."""

from __future__ import annotations

import csv
import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from defocus_edge.files.atomic import atomic_write

#: Number of steps between lines.
LOG_STEPS = 50


class TrainingLog:
    """The log of one stage.

    Parameters
    ----------
    folder : Path
        Gets ``<stage>.csv``, and ``tensorboard/<stage>`` if that is installed (extra `train`).
    steps : int
        Number of the last step.
    first : int
        Step that the run goes on from. Rows of later steps are removed from the CSV file, since the checkpoint does not
        hold these steps and they are taken again.
    """

    def __init__(self, folder: Path, stage: str, *, steps: int, first: int) -> None:
        self._stage, self._steps, self._first = stage, steps, first
        self._csv = folder / f"{stage}.csv"
        self._console = Console(stderr=True, soft_wrap=True)
        self._board = _open_board(folder / "tensorboard" / stage)
        self._losses: list[float] = []
        self._started = time.monotonic()
        drop_rows(self._csv, after=first)

    def add_loss(self, step: int, loss: float, *, progress: float = 0.0) -> None:
        """Note the loss of a step; every `LOG_STEPS` steps and after the last step, write the mean.

        `progress` is the share of the time that is over, if the clock ends the stage.
        """
        self._losses.append(loss)
        if step % LOG_STEPS and step != self._steps and progress < 1:
            return
        rate = (step - self._first) / (time.monotonic() - self._started)
        mean = float(np.mean(self._losses))
        left = f"{progress:.0%} of the time" if progress else f"{(self._steps - step) / rate / 60:.0f} min left"
        self._console.print(f"{self._stage} {step}/{self._steps} loss {mean:.4f}, {rate:.2f} steps/s, {left}")
        append_row(self._csv, {"step": step, "loss": mean, "steps_per_second": round(rate, 3)})
        self._draw(step, {"loss": mean})
        self._losses = []

    def add_scores(self, step: int, scores: dict[str, float]) -> None:
        """Note scores on held-back crops."""
        self._console.print(f"{self._stage} {step}: development {scores}")
        self._draw(step, scores)

    def _draw(self, step: int, values: dict[str, float]) -> None:
        """Hand values to TensorBoard."""
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()


def _open_board(folder: Path) -> Any:
    """Writer for TensorBoard; None if the extra `train` is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from tensorboard.summary import Writer

    return Writer(str(folder))


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV file, with a header if the file is new."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a CSV file; it appears whole or not at all."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file without rows that were cut off; none if it is missing."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


def drop_rows(path: Path, *, after: int) -> None:
    """Remove the rows of steps after `after`, and a row that was cut off, from a CSV file."""
    if not path.is_file():
        return
    kept = [row for row in read_rows(path) if int(row["step"]) <= after]
    if kept:
        write_rows(path, kept)
    else:
        path.unlink()
