"""The training of the context network in a folder: samples, network, preset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from defocus_edge.networks.context_network import ContextNetwork, build_context_network
from defocus_edge.networks.presets import load_context_network, save_context_preset
from training.context.measuring import DEVELOPMENT, PHOTOS, SCENES
from training.context.points import PointTable, describe_sample
from training.context.samples import list_samples, read_sample
from training.context.settings import ContextTrainingConfig
from training.context.training import ContextTask
from training.runs.checkpoints import CheckpointError, find_checkpoint, load_network
from training.runs.run import TrainingRun

# What the metadata say of the pictures.
_DATA = (
    "layers, walls and scenes with depth rendered from BSDS500, Urban100, Sun-Hays80, McMaster (sharp pictures), "
    "person cutouts, salient objects (ECSSD), alphamatting.com, hand-drawn blur masks as shapes, Middlebury views; "
    "indoor scenes at f/2.8 and f/8 with depth, of the half that does not judge"
)


@dataclass(frozen=True)
class ContextRun(TrainingRun):
    """The training of the context network."""

    config: ContextTrainingConfig
    network: ContextNetwork
    points: PointTable
    development: PointTable
    #: Numbers of samples that are learnt from by kind.
    counts: dict[str, int]
    #: Name of the weights that measured the samples.
    preset: str

    def start_from(self, given: str, stages: Sequence[str]) -> None:
        """See `TrainingRun`."""
        (name,) = stages
        checkpoint = find_checkpoint(Path(given), name)
        if checkpoint.is_file():
            load_network(checkpoint, self.network.model.variables)
            return
        network = load_context_network(given)
        if network.config.units != self.network.config.units:
            ours = self.network.config.units
            msg = f"{given} must have the widths of the configuration, {ours}. Got: {network.config.units}."
            raise CheckpointError(msg)
        self.network.model.set_weights(network.model.get_weights())

    def train_network(self) -> dict[str, float]:
        """Take all steps; return the scores on held-back points."""
        return self.train(ContextTask(self.network, self.config.settings, self.points, self.development))

    def save_preset(self, trained: dict[str, float], metadata: dict[str, Any]) -> Path:
        """Write the preset; `trained` are the scores on held-back points."""
        settings = self.config.settings
        own = {
            "settings": asdict(settings),
            "development_points": trained,
            "samples": {**self.counts, "points": len(self.points.radius), "edge_preset": self.preset},
            "data": _DATA,
            "development_split": f"every {settings.validation_stride}th file of each folder by sorted name",
        }
        network = build_context_network(self.network.config)  # without the optimizer, which would be stored, too
        network.model.set_weights(self.network.model.get_weights())
        return save_context_preset(network, self.folder / "preset", metadata | own)


def open_context_run(
    config: ContextTrainingConfig,
    *,
    store: Path,
    preset: str,
    folder: Path,
    resume: bool = False,
) -> ContextRun:
    """Build the network and read the samples of a store, which `fill_store` has filled.

    `preset` names the weights that measured them. Raises FileNotFoundError if the store has no scenes.
    """
    settings = config.settings
    keras.utils.set_random_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)

    def read(name: str, most: int) -> list[PointTable]:
        tables = (describe_sample(read_sample(path)) for path in list_samples(store / name))
        return [table.select(rng.permutation(len(table.radius))[:most]) for table in tables]

    scenes, photos = read(SCENES, settings.points_per_scene), read(PHOTOS, settings.points_per_photo)
    development = read(DEVELOPMENT, settings.points_per_scene)
    if not scenes or not development:
        msg = f"store must have samples in {SCENES} and {DEVELOPMENT}. Got: {store}, which has none."
        raise FileNotFoundError(msg)
    counts = {SCENES: len(scenes), PHOTOS: len(photos)}
    points, held_back = PointTable.join([*scenes, *photos]), PointTable.join(development)
    network = build_context_network(config.architecture)
    return ContextRun(config, folder, resume, network, points, held_back, counts, Path(preset).name)
