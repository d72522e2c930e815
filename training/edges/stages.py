"""The training of the edge networks in a folder, stage after stage: B-NET, E-NET over it, the preset."""

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
from training.edges.config import EdgeTrainingConfig
from training.edges.crops import CropSampler, check_families
from training.edges.model import PointModel
from training.edges.renderers import Renderer, load_run_sources, name_renderer
from training.edges.settings import Head
from training.edges.training import SCORED_CROPS, EdgeTask, build_sampler
from training.edges.validation import validate_network
from training.runs.checkpoints import CheckpointError, find_checkpoint, load_network, read_settings
from training.runs.run import TrainingRun


@dataclass(frozen=True)
class EdgeRun(TrainingRun):
    """The training of B-NET and E-NET in one folder."""

    config: EdgeTrainingConfig
    #: Folder of the pictures.
    root: Path
    #: Pictures that both stages learn from.
    sources: Sources
    #: Crops of the pictures that are kept out, of all families whatever the stages learn from, so that scores of
    #: different runs compare.
    development: CropSampler
    networks: EdgeNetworks
    #: Folder of the crops that were rendered ahead; None: they are rendered during the training.
    store: Path | None = None

    def train_stage(self, head: Head) -> dict[str, Any]:
        """Train and validate B-NET, or E-NET over the B-NET at hand; return what the metadata say of the stage."""
        settings, crops = self.config.stages[head], self.config.validation_crops
        if settings.copy_branch and settings.start is None:
            self._copy_branch()
        sampler = build_sampler(self.sources, settings, self.store)
        task = EdgeTask(self.networks, settings, sampler, self.development, scored_crops=min(SCORED_CROPS, crops))
        scores = self.train(task)
        validate_network(self.networks, head, self.development, folder=self.folder, crops=crops)
        return {**asdict(settings), "development_crops": scores}

    def fill_b_net(self, bnet: str | None) -> dict[str, Any]:
        """Take a trained B-NET; return what the metadata say of it.

        `bnet` is another run's folder, or a preset by name or folder; None for the B-NET of this folder. Raises
        CheckpointError if there is no B-NET, or it is of other networks than the configuration's. Raises PresetError if
        `bnet` is neither a run nor a preset.
        """
        checkpoint = find_checkpoint(self.folder, "blur")
        if bnet is None and not checkpoint.is_file():
            msg = f"{self.folder} must hold {checkpoint.name}, a trained B-NET. Got: none. Train it there or name one."
            raise CheckpointError(msg)
        return self._fill("blur", str(self.folder) if bnet is None else bnet)

    def start_from(self, given: str, stages: Sequence[str]) -> None:
        """See `TrainingRun`."""
        heads: tuple[Head, Head] = ("edge", "blur")  # E-NET first: it brings its own f1, which B-NET's replaces
        for head in heads:
            if head in stages:
                self._fill(head, given)

    def _copy_branch(self) -> None:
        """Begin f2-NET as a copy of B-NET's first branch."""
        for layer in self.networks.joint.layers:
            if layer.name.startswith("f2_"):
                layer.set_weights(self.networks.joint.get_layer(layer.name.replace("f2_", "b1_")).get_weights())

    def _fill(self, head: Head, given: str) -> dict[str, Any]:
        """Take the layers of B-NET or E-NET from a run or a preset; return what the metadata say of them."""
        checkpoint = find_checkpoint(Path(given), head)
        if checkpoint.is_file():
            step = load_network(checkpoint, PointModel(self.networks, head).variables)
            return {**read_settings(checkpoint), "step": step}
        networks = load_edge_networks(given)
        ours, theirs = (replace(one.config, depth_threshold=0.5, context=None) for one in (self.networks, networks))
        if ours != theirs:
            msg = f"{given} must have the networks of the configuration, {ours}. Got: {theirs}."
            raise CheckpointError(msg)
        for layer in (networks.b_net if head == "blur" else networks.e_net).layers:
            self.networks.joint.get_layer(layer.name).set_weights(layer.get_weights())
        return {"head": head, "preset": Path(given).name}

    def save_preset(self, trained: Sequence[dict[str, Any]], metadata: dict[str, Any]) -> Path:
        """Calibrate E-NET's threshold and write the preset; `trained` is what the metadata say of both stages."""
        threshold, errors = calibrate_depth_threshold(self.networks, render_development_set(self.root))
        networks = replace(self.networks, config=replace(self.networks.config, depth_threshold=threshold))
        own = {
            "stages": list(trained),
            "dense_mae_px_of_depth_thresholds": errors,
            "data": "BSDS500, Urban100, Sun-Hays80, McMaster (sharp pictures), person cutouts, hand-drawn blur masks "
            "as shapes, Middlebury 2005/2006 views with disparity"
            + (", ECSSD salient objects, alphamatting.com mattes" if self.sources.mattes else ""),
            "development_split": f"every {self.config.bnet.validation_stride}th file of each folder by sorted name, "
            "from the first; all views of a depth scene that has one there",
        }
        return save_edge_preset(networks, self.folder / "preset", metadata | own)


def open_edge_run(
    config: EdgeTrainingConfig, *, root: Path, folder: Path, resume: bool, store: Path | None = None
) -> EdgeRun:
    """Read the pictures and build networks with the random weights of the seed.

    Raises FileNotFoundError or ImageReadError if pictures are missing or cannot be read. Raises ValueError if a stage
    learns from a family that the pictures have nothing for.
    """
    stride = config.bnet.validation_stride
    renderers = {name_renderer(settings.sampler) for settings in config.stages.values()}
    renderer: Renderer = "device" if "device" in renderers else "dense"
    sources = load_run_sources(root, renderer, development=False, stride=stride)
    kept_out = load_sources(root, development=True, stride=stride)
    for settings in config.stages.values():
        check_families(settings.families, sources)
    keras.utils.set_random_seed(config.bnet.seed)
    networks = build_edge_networks(config.architecture)
    return EdgeRun(config, folder, resume, root, sources, CropSampler(kept_out), networks, store)
