"""A training in a folder, stage after stage: B-NET, E-NET over it, the preset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from defocus_edge.networks.edge.networks import EdgeNetworks, build_edge_networks
from defocus_edge.networks.presets import load_edge_networks, save_edge_preset
from training.data.development import render_development_set
from training.data.sources import Sources, load_sources
from training.edges.calibration import calibrate_depth_threshold
from training.edges.config import TrainingConfig
from training.edges.crops import CropSampler, check_families
from training.edges.settings import Head, TrainingSettings
from training.edges.training import SCORED_CROPS, build_sampler, train_edge_network
from training.edges.validation import validate_network
from training.runs.checkpoints import CheckpointError, find_checkpoint, load_network, read_settings
from training.runs.metadata import describe_training


@dataclass(frozen=True)
class TrainingRun:
    """What the stages of one training share.

    Attributes
    ----------
    config : TrainingConfig
    root : Path
        Of the pictures.
    folder : Path
        For checkpoints, logs, scores and the preset.
    resume : bool
    sources : Sources
        What both stages learn from.
    development : CropSampler
        Over the pictures that are kept out; of all families, whatever the stages learn from: scores compare.
    networks : EdgeNetworks
    """

    config: TrainingConfig
    root: Path
    folder: Path
    resume: bool
    sources: Sources
    development: CropSampler
    networks: EdgeNetworks

    def train_b_net(self) -> dict[str, Any]:
        """Train and validate B-NET; what the metadata say of it."""
        return self._train(self.config.bnet)

    def train_e_net(self) -> dict[str, Any]:
        """Train and validate E-NET over the B-NET at hand; what the metadata say of it."""
        return self._train(self.config.enet)

    def _train(self, settings: TrainingSettings) -> dict[str, Any]:
        crops = self.config.validation_crops
        scores = train_edge_network(
            self.networks,
            settings,
            build_sampler(self.sources, settings),
            self.development,
            folder=self.folder,
            resume=self.resume,
            checkpoint_seconds=self.config.checkpoint_seconds,
            scored_crops=min(SCORED_CROPS, crops),
        )
        validate_network(self.networks, settings.head, self.development, folder=self.folder, crops=crops)
        return {**asdict(settings), "development_crops": scores}

    def fill_b_net(self, bnet: str | None) -> dict[str, Any]:
        """Take a trained B-NET.

        Parameters
        ----------
        bnet : str or None
            Another run's folder, or a preset by name or folder; None for what this folder holds.

        Returns
        -------
        dict
            What the metadata say of B-NET.

        Raises
        ------
        CheckpointError
            If there is no B-NET, or one of other networks than the configuration's.
        PresetError
            If `bnet` is neither a run nor a preset.
        """
        if bnet is not None:
            return self._fill("blur", bnet)
        checkpoint = find_checkpoint(self.folder, "blur")
        if not checkpoint.is_file():
            msg = f"{self.folder} must hold {checkpoint.name}, a trained B-NET. Got: none. Train it there or name one."
            raise CheckpointError(msg)
        return self._fill("blur", str(self.folder))

    def start_from(self, given: str, heads: Sequence[Head]) -> None:
        """Begin with trained weights instead of random ones.

        Parameters
        ----------
        given : str
            A run's folder, or a preset by name or folder.
        heads : sequence of {'blur', 'edge'}
            The stages that are to begin so.

        Raises
        ------
        CheckpointError
            If they are of other networks than the configuration's.
        PresetError
            If `given` is neither a run that has these stages nor a preset.
        """
        for head in sorted(heads, reverse=True):  # E-NET first: it brings its own f1, which B-NET's replaces
            self._fill(head, given)

    def _fill(self, head: Head, given: str) -> dict[str, Any]:
        """Take the layers of B-NET or E-NET from a run or a preset; what the metadata say of them."""
        checkpoint = find_checkpoint(Path(given), head)
        if checkpoint.is_file():
            step = load_network(checkpoint, self.networks, head)
            return {**read_settings(checkpoint), "step": step}
        networks = load_edge_networks(given)
        ours, theirs = (replace(one.config, depth_threshold=0.5) for one in (self.networks, networks))
        if ours != theirs:
            msg = f"{given} must have the networks of the configuration, {ours}. Got: {theirs}."
            raise CheckpointError(msg)
        for layer in (networks.b_net if head == "blur" else networks.e_net).layers:
            self.networks.joint.get_layer(layer.name).set_weights(layer.get_weights())
        return {"head": head, "preset": Path(given).name}

    def write_preset(self, stages: Sequence[dict[str, Any]], *, command: str, hours: float) -> Path:
        """Calibrate E-NET's threshold and write ``preset`` into the folder.

        Parameters
        ----------
        stages : sequence of dict
            What the metadata say of B-NET and E-NET.
        command : str
            That trained the networks, without paths of this machine.
        hours : float
            That it took, since it was last resumed.

        Returns
        -------
        Path
            The preset.
        """
        threshold, errors = calibrate_depth_threshold(self.networks, render_development_set(self.root))
        networks = replace(self.networks, config=replace(self.networks.config, depth_threshold=threshold))
        metadata = {
            **describe_training(self.folder.name, self.config.name, self.config.source, command=command, hours=hours),
            "stages": list(stages),
            "dense_mae_px_of_depth_thresholds": errors,
            "data": "BSDS500, Urban100, Sun-Hays80, McMaster (sharp pictures), person cutouts, hand-drawn blur masks "
            "as shapes, Middlebury 2005/2006 views with disparity",
            "development_split": f"every {self.config.bnet.validation_stride}th file of each folder by sorted name, "
            "from the first; all views of a depth scene that has one there",
        }
        return save_edge_preset(networks, self.folder / "preset", metadata)


def open_run(config: TrainingConfig, *, root: Path, folder: Path, resume: bool) -> TrainingRun:
    """Read the pictures and build networks with the random weights of the seed.

    Raises
    ------
    FileNotFoundError, ImageReadError
        If pictures are missing or cannot be read.
    ValueError
        If a stage learns from a family that the pictures have nothing for.
    """
    stride = config.bnet.validation_stride
    sources, kept_out = (load_sources(root, development=side, stride=stride) for side in (False, True))
    for settings in (config.bnet, config.enet):
        check_families(settings.families, sources)
    keras.utils.set_random_seed(config.bnet.seed)
    return TrainingRun(
        config, root, folder, resume, sources, CropSampler(kept_out), build_edge_networks(config.networks)
    )
