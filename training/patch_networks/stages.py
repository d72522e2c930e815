"""The training of the small networks in a folder: pictures, network, weights."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import keras

from training.baselines.network_weights import save_weights
from training.data.sources import SHARP_FOLDERS, Sources, load_sources
from training.patch_networks.choices import PatchNetwork
from training.patch_networks.dhde import DhdeTask
from training.patch_networks.metric import MetricTask
from training.patch_networks.settings import PatchSettings
from training.patch_networks.training import PatchTask
from training.runs.run import LICENCE
from training.runs.training import train

#: What trains the network of each baseline.
TASKS: Mapping[PatchNetwork, Callable[[PatchSettings, Sources, Sources], PatchTask]] = {
    PatchNetwork.DHDE: DhdeTask,
    PatchNetwork.CNN_METRIC: MetricTask,
}


def load_both_sides(root: Path) -> tuple[Sources, Sources]:
    """Pictures to learn from, and the tenth of each folder that is never learnt from; errors as `load_sources`."""
    return load_sources(root, development=False), load_sources(root, development=True)


def train_network(
    name: PatchNetwork, sources: Sources, development: Sources, *, folder: Path, settings: PatchSettings, command: str
) -> Path:
    """Train one network and write its weights and what made them; return the path of the weights.

    Raises CheckpointError if the folder holds a run. `command` stands in the metadata.
    """
    keras.utils.set_random_seed(settings.seed)
    started = time.process_time()
    task = TASKS[name](settings, sources, development)
    scores = train(task, folder)
    metadata = {
        "command": command,
        "settings": asdict(settings),
        "steps_taken": int(task.model.optimizer.iterations),
        "held_back": scores,
        "cpu_minutes": round((time.process_time() - started) / 60, 1),
        "data": f"rendered from {', '.join(SHARP_FOLDERS)} ({len(sources.sharp)} pictures), objects and focus_masks",
        "development_split": f"every {settings.validation_stride}th file of each folder by sorted name is left out",
        "licence": LICENCE,
        "hardware": f"{platform.machine()}, keras {keras.version()} on {keras.backend.backend()}",
    }
    return save_weights(task.model, name, folder, metadata)
