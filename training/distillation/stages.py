"""The training of a student in a folder: answers, networks, preset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from defocus_edge.networks.edge.architecture import EdgeWeights
from defocus_edge.networks.edge.networks import EdgeNetworks, build_edge_networks
from defocus_edge.networks.presets import load_edge_networks, load_edge_weights, save_edge_preset
from training.data.sources import DEVELOPMENT_STRIDE
from training.distillation.answers import Answers, list_answers, read_answers
from training.distillation.asking import HELD_BACK, TRAINING, check_teacher
from training.distillation.choices import STUDENT
from training.distillation.model import StudentModel
from training.distillation.pruning import prune
from training.distillation.settings import StudentConfig, StudentSettings
from training.distillation.training import StudentTask
from training.distillation.windows import WindowSampler, cut_patches
from training.runs.checkpoints import CheckpointError, find_checkpoint, load_network
from training.runs.run import TrainingRun


@dataclass(frozen=True)
class StudentRun(TrainingRun):
    """The training of both networks of a student."""

    config: StudentConfig
    networks: EdgeNetworks
    pictures: list[Answers]
    development: list[Answers]
    #: Number of pictures that are learnt from, by the folder that they lie in.
    counts: dict[str, int]
    teacher: str

    def start_from(self, given: str, stages: Sequence[str]) -> None:
        """See `TrainingRun`."""
        (name,) = stages
        checkpoint = find_checkpoint(Path(given), name)
        if checkpoint.is_file():
            load_network(checkpoint, StudentModel(self.networks).variables)
            return
        networks = load_edge_networks(given)
        ours, theirs = self.config.architecture, networks.config
        if replace(theirs, depth_threshold=ours.depth_threshold, context=ours.context) != ours:
            msg = f"{given} must have the networks of the configuration, {ours}. Got: {theirs}."
            raise CheckpointError(msg)
        self.networks.joint.set_weights(networks.joint.get_weights())

    def train_network(self) -> dict[str, float]:
        """Take all steps; return the scores on held-back pictures."""
        settings = self.config.settings
        is_new = settings.start is None and not (self.resume and find_checkpoint(self.folder, STUDENT).is_file())
        if is_new:
            fill(self.networks, self._begin(settings))
        return self.train(StudentTask(self.networks, settings, self.pictures, self.development))

    def _begin(self, settings: StudentSettings) -> EdgeWeights:
        """First weights: those of the teacher, pruned."""
        rng = np.random.default_rng(settings.seed)
        sampler, patches, count = WindowSampler(self.pictures), [], 0
        while count < settings.patches:
            # Few squares of a window, so that the patches are of many pictures.
            patches.append(cut_patches(sampler.draw_batch(settings.windows, 2, rng=rng)))
            count += len(patches[-1])
        return prune(load_edge_weights(self.teacher), self.config.architecture, np.concatenate(patches), rng)

    def save_preset(self, trained: dict[str, float], metadata: dict[str, Any]) -> Path:
        """Write the preset; `trained` are the scores on held-back pictures."""
        settings, teacher = self.config.settings, load_edge_weights(self.teacher).config
        own = {
            "settings": asdict(settings),
            "taught_by": Path(self.teacher).name,
            "development_windows": trained,
            "pictures": self.counts,
            "development_split": f"every {DEVELOPMENT_STRIDE}th file of each folder by sorted name",
        }
        config = replace(self.config.architecture, depth_threshold=teacher.depth_threshold, context=teacher.context)
        return save_edge_preset(replace(self.networks, config=config), self.folder / "preset", metadata | own)


def fill(networks: EdgeNetworks, weights: EdgeWeights) -> None:
    """Give networks the weights."""
    for name, arrays in weights.arrays.items():
        networks.joint.get_layer(name).set_weights(arrays)


def open_student_run(
    config: StudentConfig, *, store: Path, teacher: str, folder: Path, resume: bool = False
) -> StudentRun:
    """Build the networks and read the answers of a store, which `fill_answers` has filled with those of the teacher.

    Raises FileNotFoundError if the store has none, and ValueError if another teacher gave them or a picture is both
    learnt from and held back.
    """
    check_teacher(store, teacher)
    keras.utils.set_random_seed(config.settings.seed)
    paths = {name: list_answers(store / name) for name in (TRAINING, HELD_BACK)}
    if not all(paths.values()):
        msg = f"store must have answers in {TRAINING} and {HELD_BACK}. Got: {store}, which has none."
        raise FileNotFoundError(msg)
    learnt, held_back = ({path.name for path in paths[name]} for name in (TRAINING, HELD_BACK))
    if both := sorted(learnt & held_back):
        msg = f"store must not hold back what is learnt from. Got: {store}, which has {both[0]} in both folders."
        raise ValueError(msg)
    pictures, development = ([read_answers(path) for path in paths[name]] for name in (TRAINING, HELD_BACK))
    counts = dict(sorted(Counter(path.name.split("-")[0] for path in paths[TRAINING]).items()))
    networks = build_edge_networks(config.architecture)
    return StudentRun(config, folder, resume, networks, pictures, development, counts, teacher)
