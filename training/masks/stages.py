"""The training of a network that detects blur in a folder: data, network, threshold, preset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from defocus_edge.networks.presets import SegmentationPreset, load_segmentation_preset, save_segmentation_preset
from defocus_edge.networks.segmentation.network import Auxiliary
from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS
from training.data.development import DevelopmentScene, render_development_set
from training.data.mask_datasets import MaskPair, list_cuhk, list_dut, list_pairs
from training.data.sources import load_sources
from training.masks.calibration import calibrate_network, export_network, score_radii
from training.masks.choices import Dataset
from training.masks.config import MaskTrainingConfig
from training.masks.deblurring_trainer import DeblurringTrainer
from training.masks.depth_trainer import DEPTH_WEIGHTS, DepthTrainer
from training.masks.efficientnet import fill_encoder
from training.masks.model import MaskTrainer, NetworkTrainer
from training.masks.radius_trainer import RadiusTrainer
from training.masks.samplers import MaskSampler, MixedSampler, PairSampler, PhotoSampler
from training.masks.scenes import (
    DEPTH_FAMILIES,
    FAMILIES,
    MIXED_FAMILIES,
    MaskScene,
    MaskSceneSampler,
    read_scene,
    render_mask_development_set,
)
from training.masks.self_generated import SelfGeneratedTrainer
from training.masks.settings import MIXTURE, MaskTrainingSettings
from training.masks.training import MaskTask
from training.masks.vgg16 import fill_from_imagenet
from training.runs.checkpoints import CheckpointError, find_checkpoint, load_network
from training.runs.run import TrainingRun

#: Folder of CUHK below the root of the set.
CUHK_FOLDER = "real/cuhk"
#: What has wholly sharp pictures beside those that are learnt from.
WHOLE_DATASETS = (Dataset.SYNTHETIC, Dataset.MIXED)
#: Settings that do something only for a network that answers with a mask.
MASK_LOSSES = ("iou_weight", "diversity_weight", "unlabelled_from", "self_generated")
#: What trains a network that answers with a radius, by what it learns beside it.
RADIUS_TRAINERS: dict[Auxiliary | None, type[NetworkTrainer]] = {
    None: RadiusTrainer,
    "sharp": DeblurringTrainer,
    "depth": DepthTrainer,
}
# What the metadata say of the pictures.
_DATA = {
    Dataset.SYNTHETIC: "scenes rendered from BSDS500, Urban100, Sun-Hays80, McMaster (sharp pictures), person cutouts, "
    "hand-drawn blur masks as shapes, Middlebury 2005/2006 views with disparity",
    Dataset.MIXED: "CUHK blur detection set (Shi et al. 2014), pictures out of focus, and scenes as for synthetic: "
    "BSDS500, Urban100, Sun-Hays80, McMaster, person cutouts, hand-drawn blur masks as shapes, Middlebury 2005/2006",
    Dataset.CUHK: "CUHK blur detection set (Shi et al. 2014), training part of the split 604/100",
    Dataset.DUT: "DUT-DBD, training part",
    Dataset.PAIRS: "photographs with masks of the user",
}


@dataclass(frozen=True)
class MaskRun(TrainingRun):
    """The training of a network that detects blur."""

    config: MaskTrainingConfig
    trainer: NetworkTrainer
    #: Pictures that are learnt from, and pictures that are kept out.
    sampler: MaskSampler
    development: MaskSampler
    #: Returns the pictures that the network is calibrated on.
    scenes: Callable[[], Sequence[MaskScene]]
    #: Returns the scenes that a network that answers with a radius is scored on.
    radius_scenes: Callable[[], Iterable[DevelopmentScene]]
    #: Pictures without masks.
    photos: PhotoSampler | None
    dataset: Dataset
    #: Weights that the training began with, if they were given.
    started: list[NDArray[np.float32]] = field(default_factory=list)

    def start_from(self, given: str, stages: Sequence[str]) -> None:
        """See `TrainingRun`; the only stage is the network."""
        (name,) = stages
        checkpoint = find_checkpoint(Path(given), name)
        if checkpoint.is_file():
            load_network(checkpoint, self.trainer.network.variables)
        else:
            preset = load_segmentation_preset(given, network=name)
            ours = self.config.architecture
            if preset.config != ours:
                msg = f"{given} must have the architecture of the configuration, {ours}. Got: {preset.config}."
                raise CheckpointError(msg)
            self.trainer.network.set_weights(preset.model.get_weights())
        self.started[:] = self.trainer.network.get_weights()

    def train_network(self, *, jobs: int = 0) -> dict[str, float]:
        """Take all steps; return the scores on held-back crops. `jobs` processes draw pictures, 0 for a thread."""
        task = MaskTask(self.trainer, self.sampler, self.development, photos=self.photos)
        return self.train(task, jobs=jobs)

    def save_preset(self, trained: dict[str, float], metadata: dict[str, Any]) -> Path:
        """Calibrate the network and write the preset; `trained` are the scores on held-back crops."""
        settings = self.config.settings
        if share := np.float32(settings.start_share):
            ends = zip(self.started, self.trainer.network.get_weights(), strict=True)
            self.trainer.network.set_weights([share * first + (1 - share) * last for first, last in ends])
        threshold: float | None = None
        if self.trainer.kind.answer == "radius":
            network = export_network(self.trainer)
            scores = score_radii(network, self.trainer.kind, self.radius_scenes())
        else:
            network, threshold, scores = calibrate_network(self.trainer, self.scenes())
        seen = settings.seen_side
        sides = tuple(seen) if isinstance(seen, list) else seen
        preset = SegmentationPreset(
            settings.network, self.config.architecture, network, threshold, sides or None, settings.smoothing
        )
        own = {
            "settings": asdict(settings),
            "development_crops": trained,
            "development_set": scores,
            "data": _DATA[self.dataset],
            "development_split": f"every {settings.validation_stride}th file of each folder by sorted name",
        }
        return save_segmentation_preset(preset, self.folder / "preset", metadata | own)


def open_mask_run(
    config: MaskTrainingConfig,
    *,
    dataset: Dataset,
    root: Path,
    folder: Path,
    resume: bool = False,
    unlabelled: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> MaskRun:
    """Read the pictures and build the network.

    Raises FileNotFoundError, ImageReadError or MaskSetError if pictures are missing or cannot be read. Raises
    ValueError if the settings do not fit the pictures.

    Parameters
    ----------
    root : Path
        Folder of the pictures: as for `load_sources`, in the layout of the set, or with ``image`` and ``gt`` for
        ``pairs``.
    unlabelled : Path, optional
        Folder of photographs without masks.
    say : callable
        Called with a line if the training begins with other weights than the settings ask for.
    """
    settings = config.settings
    radii = SEGMENTATION_NETWORKS[settings.network].answer == "radius"
    if dataset != Dataset.MIXED:
        _refuse_mixture(settings, dataset)
    if radii:
        _check_radii(settings, dataset)
    else:
        _refuse_settings(settings, ("sharpness_weight",), f"{settings.network}, which answers with a mask")
    if settings.start_share and settings.start is None:
        msg = f"start_share must be 0 without start. Got: {settings.start_share}."
        raise ValueError(msg)
    _check_deblurring(settings)
    if SEGMENTATION_NETWORKS[settings.network].auxiliary != "depth":
        _refuse_settings(settings, DEPTH_WEIGHTS, f"{settings.network}, which learns no depth")
    if settings.self_generated and dataset not in WHOLE_DATASETS:
        names = " or ".join(WHOLE_DATASETS)
        msg = f"dataset must be {names} with self_generated, which needs wholly sharp pictures. Got: {dataset}."
        raise ValueError(msg)
    keras.utils.set_random_seed(settings.seed)
    sampler, development, scenes = _open_data(settings, dataset, root, radii=radii)
    photos = None if unlabelled is None else PhotoSampler(unlabelled, side=settings.side)
    trainer = _make_trainer(config)
    if settings.init == "imagenet":
        if settings.network == "lite":
            fill_encoder(trainer.network, config.architecture)
        elif fault := fill_from_imagenet(trainer.network, config.architecture):
            say(f"VGG16 begins with random weights, not those of ImageNet: {fault}")
    return MaskRun(
        config,
        folder,
        resume,
        trainer,
        sampler,
        development,
        scenes,
        lambda: render_development_set(root),
        photos,
        dataset,
    )


def _make_trainer(config: MaskTrainingConfig) -> NetworkTrainer:
    """What takes the steps of a training."""
    settings = config.settings
    kind = SEGMENTATION_NETWORKS[settings.network]
    if kind.answer == "radius":
        return RADIUS_TRAINERS[kind.auxiliary](settings, config.architecture)
    return (SelfGeneratedTrainer if settings.self_generated else MaskTrainer)(settings, config.architecture)


def _check_radii(settings: MaskTrainingSettings, dataset: Dataset) -> None:
    """Refuse settings and data that a network that answers with a radius cannot learn from."""
    _refuse_settings(
        settings, ("seen_side", "smoothing", *MASK_LOSSES), f"{settings.network}, which answers with a radius"
    )
    if SEGMENTATION_NETWORKS[settings.network].domain_layer is None:
        _refuse_settings(settings, ("adversarial_weight", "sharpness_weight"), settings.network)
    wanted = (Dataset.MIXED,) if settings.needs_photographs else WHOLE_DATASETS
    if dataset not in wanted:
        msg = f"dataset must be {' or '.join(wanted)} for {settings.network} with these weights. Got: {dataset}."
        raise ValueError(msg)
    photographs = round(settings.batch * settings.photo_share)
    if settings.needs_photographs and not 0 < photographs < settings.batch:
        msg = (
            f"photo_share must give each batch of {settings.batch} photographs and scenes for {settings.network}. "
            f"Got: {settings.photo_share}, which is {photographs} photographs."
        )
        raise ValueError(msg)


def _check_deblurring(settings: MaskTrainingSettings) -> None:
    """Refuse settings of a deblurring network where there is none."""
    if SEGMENTATION_NETWORKS[settings.network].auxiliary != "sharp":
        _refuse_settings(settings, ("deblurring_weight",), f"{settings.network}, which learns with no deblurring")
    if settings.deblurring_width != 1 and not settings.deblurring_weight:
        msg = f"deblurring_width must go with a deblurring_weight above 0. Got: {settings.deblurring_width}."
        raise ValueError(msg)


def _refuse_settings(settings: MaskTrainingSettings, names: Sequence[str], owner: str) -> None:
    """Refuse settings that a network has no use for."""
    for name in names:
        if value := getattr(settings, name):
            msg = f"{name} must be {type(value)()} for {owner}. Got: {value}."
            raise ValueError(msg)


def _refuse_mixture(settings: MaskTrainingSettings, dataset: Dataset) -> None:
    """Refuse settings of the mixture with data that are not mixed, where they would do nothing."""
    for one in fields(settings):
        if one.name in MIXTURE and getattr(settings, one.name) != one.default:
            msg = f"{one.name} goes with the dataset mixed only. Got: {getattr(settings, one.name)} with {dataset}."
            raise ValueError(msg)


def _open_data(
    settings: MaskTrainingSettings, dataset: Dataset, root: Path, *, radii: bool
) -> tuple[MaskSampler, MaskSampler, Callable[[], Sequence[MaskScene]]]:
    """Pictures that are learnt from, pictures that are kept out, and those that the threshold is calibrated on."""
    stride = settings.validation_stride
    depth = SEGMENTATION_NETWORKS[settings.network].auxiliary == "depth"
    if dataset == Dataset.SYNTHETIC:
        sources, kept_out = (
            load_sources(root, development=side, stride=stride, sharpen=False) for side in (False, True)
        )
        return (
            MaskSceneSampler(sources, side=settings.side, families=DEPTH_FAMILIES if depth else FAMILIES),
            MaskSceneSampler(kept_out, side=settings.side),
            lambda: list(render_mask_development_set(root)),
        )
    pairs = _list_training_pairs(dataset, root)
    kept_pairs = pairs[::stride]
    learnt = [pair for number, pair in enumerate(pairs) if number % stride]
    learner: MaskSampler
    if dataset == Dataset.MIXED:
        sources = load_sources(root, development=False, stride=stride, sharpen=False)
        learner = MixedSampler(
            learnt,
            MaskSceneSampler(sources, side=settings.side, families=DEPTH_FAMILIES if depth else MIXED_FAMILIES),
            share=settings.photo_share,
            scales=(settings.smallest_scale, settings.largest_scale),
            blurred_share=settings.blurred_share,
        )
    else:
        learner = PairSampler(
            learnt,
            side=settings.side,
            resized=settings.resized,
            rotation=settings.rotation,
            scaling=settings.scaling,
        )
    if radii and dataset == Dataset.MIXED:
        kept_out = load_sources(root, development=True, stride=stride, sharpen=False)
        development: MaskSampler = MaskSceneSampler(kept_out, side=settings.side)
    else:
        development = PairSampler(kept_pairs, side=settings.side)
    return (
        learner,
        development,
        lambda: [read_scene(pair) for pair in kept_pairs],
    )


def _list_training_pairs(dataset: Dataset, root: Path) -> list[MaskPair]:
    """The training part of a set of photographs with masks."""
    if dataset == Dataset.CUHK:
        return list_cuhk(root, split="604/100", part="train")
    if dataset == Dataset.MIXED:
        return list_cuhk(root / CUHK_FOLDER)
    if dataset == Dataset.DUT:
        return list_dut(root, part="train")
    return list_pairs(root / "image", root / "gt")
