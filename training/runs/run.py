"""A training in a folder: checkpoints, logs and scores, and at its end a preset that says how it was made."""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from training.runs.config import TrainingConfig
from training.runs.training import Task, train

#: Licence of the pictures that `load_sources` reads.
LICENCE = "The pictures have mixed or unstated licences (research use)."


@dataclass(frozen=True)
class TrainingRun(ABC):
    """What all trainings do in their folder."""

    config: TrainingConfig[Any]
    #: Folder for checkpoints, logs, scores and the preset.
    folder: Path
    #: Whether to go on from the checkpoints in the folder.
    resume: bool

    @abstractmethod
    def start_from(self, given: str, stages: Sequence[str]) -> None:
        """Begin some stages with trained weights instead of random ones.

        `given` is a run's folder, or a preset by name or folder. Raises CheckpointError if the weights are of other
        networks than the configuration's. Raises PresetError if `given` is neither a run that has these stages nor a
        preset.
        """

    @abstractmethod
    def save_preset(self, trained: Any, metadata: dict[str, Any]) -> Path:
        """Calibrate the networks and write ``preset`` into the folder.

        `trained` is what training returned. `metadata` holds the entries that all presets have.
        """

    def train(self, task: Task[Any], *, jobs: int = 0) -> dict[str, float]:
        """Take all steps of a task; return the scores on held-back data. `jobs` is as for `train`."""
        seconds = self.config.checkpoint_seconds
        return train(task, self.folder, resume=self.resume, checkpoint_seconds=seconds, jobs=jobs)

    def write_preset(self, trained: Any, *, command: str, hours: float) -> Path:
        """Calibrate the networks, write ``preset`` into the folder and return its path.

        `trained` is what training returned, `command` the command that trained the networks, without paths of this
        machine, and `hours` the duration since the run was last resumed.
        """
        metadata = {
            "name": self.folder.name,
            "command": command,
            "config": {"name": self.config.name, **self.config.source},
            "licence": LICENCE,
            "hardware": f"{platform.machine()}, keras {keras.version()} on {keras.backend.backend()}",
            "hours_of_last_run": round(hours, 2),
        }
        return self.save_preset(trained, metadata)
