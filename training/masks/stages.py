"""The training of a blur-detection network in a folder: data, network, threshold, preset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from defocus_edge.networks.presets import SegmentationPreset, load_segmentation_preset, save_segmentation_preset
from training.data.mask_datasets import MaskPair, list_cuhk, list_dut, list_pairs, read_pair
from training.data.sources import load_sources
from training.masks.config import MaskTrainingConfig
from training.masks.model import MaskTrainer
from training.masks.samplers import MaskSampler, PairSampler, PhotoSampler
from training.masks.scenes import MaskScene, MaskSceneSampler, render_mask_development_set
from training.masks.settings import MaskTrainingSettings
from training.masks.training import calibrate_threshold, export_network, train_mask_network
from training.masks.vgg16 import fill_from_imagenet
from training.runs.checkpoints import CheckpointError, find_checkpoint, load_network_variables
from training.runs.metadata import describe_training

#: What can be learnt from: synthetic scenes, or photographs with masks in the layout of a set.
DATASETS = ("synthetic", "cuhk", "dut", "pairs")
_DATA = {
    "synthetic": "scenes rendered from BSDS500, Urban100, Sun-Hays80, McMaster (sharp pictures), person cutouts, "
    "hand-drawn blur masks as shapes, Middlebury 2005/2006 views with disparity",
    "cuhk": "CUHK blur detection set (Shi et al. 2014), training part of the split 604/100",
    "dut": "DUT-DBD, training part",
    "pairs": "photographs with masks of the user",
}


@dataclass(frozen=True)
class MaskRun:
    """A training and what belongs to it.

    Attributes
    ----------
    config : MaskTrainingConfig
    folder : Path
        For checkpoints, logs and the preset.
    resume : bool
    trainer : MaskTrainer
    sampler, development : MaskSampler
        What is learnt from, and what is kept out of that.
    scenes : callable
        Returns the pictures that the threshold is calibrated on.
    photos : PhotoSampler or None
        Pictures without masks.
    data : str
        What the metadata say of the pictures.
    """

    config: MaskTrainingConfig
    folder: Path
    resume: bool
    trainer: MaskTrainer
    sampler: MaskSampler
    development: MaskSampler
    scenes: Callable[[], Sequence[MaskScene]]
    photos: PhotoSampler | None
    data: str

    def start_from(self, given: str) -> None:
        """Begin with the weights of a run's folder or of a preset.

        Raises
        ------
        CheckpointError
            If they are of another architecture.
        PresetError
            If `given` is neither a run of this network nor a preset of it.
        """
        name = self.config.settings.network
        checkpoint = find_checkpoint(Path(given), name)
        if checkpoint.is_file():
            load_network_variables(checkpoint, self.trainer.network.variables)
            return
        preset = load_segmentation_preset(given, network=name)
        if preset.config != self.config.network:
            msg = (
                f"{given} must have the architecture of the configuration, {self.config.network}. Got: {preset.config}."
            )
            raise CheckpointError(msg)
        self.trainer.network.set_weights(preset.model.get_weights())

    def train(self) -> dict[str, float]:
        """Take all steps; the scores on held-back crops."""
        return train_mask_network(
            self.trainer,
            self.sampler,
            self.development,
            folder=self.folder,
            photos=self.photos,
            resume=self.resume,
            checkpoint_seconds=self.config.checkpoint_seconds,
        )

    def write_preset(self, crops: dict[str, float], *, command: str, hours: float) -> Path:
        """Calibrate the threshold and write ``preset`` into the folder.

        Parameters
        ----------
        crops : dict
            Scores on held-back crops.
        command : str
            That trained the network, without paths of this machine.
        hours : float
            That it took, since it was last resumed.

        Returns
        -------
        Path
            The preset.
        """
        settings = self.config.settings
        threshold, scores = calibrate_threshold(self.trainer, self.scenes())
        preset = SegmentationPreset(settings.network, self.config.network, export_network(self.trainer), threshold)
        metadata = {
            **describe_training(self.folder.name, self.config.name, self.config.source, command=command, hours=hours),
            "settings": asdict(settings),
            "development_crops": crops,
            "development_set": scores,
            "data": self.data,
            "development_split": f"every {settings.validation_stride}th file of each folder by sorted name",
        }
        return save_segmentation_preset(preset, self.folder / "preset", metadata)


def open_mask_run(
    config: MaskTrainingConfig,
    *,
    dataset: str,
    root: Path,
    folder: Path,
    resume: bool = False,
    unlabelled: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> MaskRun:
    """Read the pictures and build the network.

    Parameters
    ----------
    config : MaskTrainingConfig
    dataset : {'synthetic', 'cuhk', 'dut', 'pairs'}
    root : Path
        Of the pictures: as for `load_sources`, in the layout of the set, or with ``image`` and ``gt`` for ``pairs``.
    folder : Path
    resume : bool
    unlabelled : Path, optional
        Folder of photographs without masks.
    say : callable
        Called with a line where the training begins with other weights than was asked for.

    Raises
    ------
    FileNotFoundError, ImageReadError, MaskSetError
        If pictures are missing or cannot be read.
    ValueError
        If the settings do not fit the pictures.
    """
    settings = config.settings
    keras.utils.set_random_seed(settings.seed)
    sampler, development, scenes = _open_data(settings, dataset, root)
    photos = None if unlabelled is None else PhotoSampler(unlabelled, side=settings.side)
    trainer = MaskTrainer(settings, config.network)
    if settings.init == "imagenet":
        fault = fill_from_imagenet(trainer.network, config.network)
        if fault:
            say(f"VGG16 begins with random weights, not those of ImageNet: {fault}")
    return MaskRun(config, folder, resume, trainer, sampler, development, scenes, photos, _DATA[dataset])


def _open_data(
    settings: MaskTrainingSettings, dataset: str, root: Path
) -> tuple[MaskSampler, MaskSampler, Callable[[], Sequence[MaskScene]]]:
    """What is learnt from, what is kept out of it, and what the threshold is calibrated on."""
    stride = settings.validation_stride
    if dataset == "synthetic":
        sources, kept_out = (
            load_sources(root, development=side, stride=stride, sharpen=False) for side in (False, True)
        )
        return (
            MaskSceneSampler(sources, side=settings.side),
            MaskSceneSampler(kept_out, side=settings.side),
            lambda: list(render_mask_development_set(root)),
        )
    pairs = list_training_pairs(dataset, root)
    kept_pairs = pairs[::stride]
    learnt = [pair for number, pair in enumerate(pairs) if number % stride]
    return (
        PairSampler(
            learnt,
            side=settings.side,
            resized=settings.resized,
            rotation=settings.rotation,
            scaling=settings.scaling,
        ),
        PairSampler(kept_pairs, side=settings.side),
        lambda: [_read_scene(pair) for pair in kept_pairs],
    )


def list_training_pairs(dataset: str, root: Path) -> list[MaskPair]:
    """The training part of a set of photographs with masks."""
    if dataset == "cuhk":
        return list_cuhk(root, split="604/100", part="train")
    if dataset == "dut":
        return list_dut(root, part="train")
    return list_pairs(root / "image", root / "gt")


def _read_scene(pair: MaskPair) -> MaskScene:
    picture, mask = read_pair(pair)
    return MaskScene(pair.name, "photograph", picture.astype(np.float32) / np.float32(255), mask)
