"""The training of the network that refines a spread map in a folder: samples, network, preset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from defocus_edge.networks.presets import load_refinement_network, read_edge_config, save_refinement_preset
from defocus_edge.networks.refinement import RefinementNetwork, build_refinement_network
from training.refinement.dataset import CellSample, open_sample
from training.refinement.imagenet import fill_efficientnet, find_weights, read_tensors
from training.refinement.measuring import DEVELOPMENT, PHOTOS, SCENES
from training.refinement.samples import list_samples, read_sample
from training.refinement.settings import RefinementTrainingConfig
from training.refinement.training import RefinementTask
from training.runs.checkpoints import CheckpointError, find_checkpoint, load_network
from training.runs.run import TrainingRun

# What the metadata say of the pictures.
_DATA = (
    "layers, walls and scenes with depth rendered from BSDS500, Urban100, Sun-Hays80, McMaster (sharp pictures), "
    "person cutouts, salient objects (ECSSD), alphamatting.com, hand-drawn blur masks as shapes, Middlebury views; "
    "every second indoor scene at f/2.8 and f/8 with depth; the encoder is EfficientNet-Lite0 of ImageNet (Apache-2.0)"
)


@dataclass(frozen=True)
class RefinementRun(TrainingRun):
    """The training of the network that refines a spread map."""

    config: RefinementTrainingConfig
    network: RefinementNetwork
    scenes: Sequence[CellSample]
    photos: Sequence[CellSample]
    development: Sequence[CellSample]
    #: Name of the weights that measured the samples.
    preset: str

    def start_from(self, given: str, stages: Sequence[str]) -> None:
        """See `TrainingRun`."""
        (name,) = stages
        checkpoint = find_checkpoint(Path(given), name)
        if checkpoint.is_file():
            load_network(checkpoint, self.network.decoder.variables)
            return
        network = load_refinement_network(given)
        if network.config != self.network.config:
            ours = self.network.config
            msg = f"{given} must have the architecture of the configuration, {ours}. Got: {network.config}."
            raise CheckpointError(msg)
        self.network.joint.set_weights(network.joint.get_weights())

    def train_network(self) -> dict[str, float]:
        """Take all steps; return the scores on held-back samples."""
        settings = self.config.settings
        return self.train(RefinementTask(self.network, settings, self.scenes, self.photos, self.development))

    def save_preset(self, trained: dict[str, float], metadata: dict[str, Any]) -> Path:
        """Write the preset; `trained` are the scores on held-back samples."""
        settings = self.config.settings
        own = {
            "settings": asdict(settings),
            "development_samples": trained,
            "samples": {"scenes": len(self.scenes), "photos": len(self.photos), "edge_preset": self.preset},
            "data": _DATA,
            "development_split": f"every {settings.validation_stride}th file of each folder by sorted name",
        }
        return save_refinement_preset(self.network, self.folder / "preset", metadata | own)


def open_refinement_run(
    config: RefinementTrainingConfig,
    *,
    store: Path,
    preset: str,
    folder: Path,
    resume: bool = False,
    watch: Callable[[Sequence[Path]], Sequence[Path]] = lambda paths: paths,
) -> RefinementRun:
    """Build the network with the encoder of ImageNet and read the samples of a store.

    Raises FileNotFoundError if the store has no scenes, or none of its scenes is large enough.

    Parameters
    ----------
    store : Path
        Folder that `fill_store` has filled.
    preset : str
        Weights that measured the samples.
    watch : callable
        Returns the paths that it is given, one by one as they are read.
    """
    keras.utils.set_random_seed(config.settings.seed)
    network = build_refinement_network(config.architecture)
    fill_efficientnet(network.encoder, read_tensors(find_weights()))
    threshold = read_edge_config(preset).depth_threshold

    def read(name: str) -> list[CellSample]:
        paths = watch(list_samples(store / name))
        samples = [open_sample(read_sample(path), network, depth_threshold=threshold) for path in paths]
        return [sample for sample in samples if sample.is_large_enough]

    scenes, photos, development = (read(name) for name in (SCENES, PHOTOS, DEVELOPMENT))
    if not scenes or not development:
        msg = f"store must have large enough samples in {SCENES} and {DEVELOPMENT}. Got: {store}, which has none."
        raise FileNotFoundError(msg)
    return RefinementRun(config, folder, resume, network, scenes, photos, development, Path(preset).name)
