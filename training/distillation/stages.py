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
from training.data.sources import DEVELOPMENT_STRIDE, read_8_bit
from training.distillation.answers import GRID_STEP, list_answers, read_answers
from training.distillation.asking import HELD_BACK, TRAINING, check_teacher, list_photographs
from training.distillation.choices import STUDENT
from training.distillation.model import StudentModel
from training.distillation.pruning import prune
from training.distillation.settings import StudentConfig, StudentSettings
from training.distillation.training import StudentTask
from training.distillation.windows import WindowSampler, WindowSource, cut_patches
from training.edges.renderers import load_run_sources
from training.runs.checkpoints import CheckpointError, find_checkpoint, load_network
from training.runs.run import TrainingRun


@dataclass(frozen=True)
class StudentRun(TrainingRun):
    """The training of both networks of a student."""

    config: StudentConfig
    networks: EdgeNetworks
    #: Windows of pictures that are learnt from, and of held-back ones.
    sampler: WindowSource
    held_back: WindowSource
    #: Number of pictures that are learnt from, by their kind.
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
        return self.train(StudentTask(self.networks, settings, self.sampler, self.held_back))

    def _begin(self, settings: StudentSettings) -> EdgeWeights:
        """First weights: those of the teacher, pruned."""
        rng, patches, count = np.random.default_rng(settings.seed), [], 0
        while count < settings.patches:
            batch = self.sampler.draw_batch(settings.windows, settings.squares, rng=rng).fetch()
            # Few squares of a window, so that the patches are of many pictures.
            chosen = rng.permutation(np.flatnonzero(batch.weights))[: 2 * settings.windows]
            weights = np.zeros_like(batch.weights)
            weights[chosen] = 1
            patches.append(cut_patches(replace(batch, weights=weights)))
            count += len(chosen)
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
    config: StudentConfig, *, source: Path, teacher: str, folder: Path, resume: bool = False
) -> StudentRun:
    """Build the networks and what draws windows.

    `source` is the store that `fill_answers` has filled with the answers of the teacher, or, with the sampler
    ``device``, the folder of the pictures. Raises FileNotFoundError if it holds none, ImageReadError if a picture
    cannot be read, and ValueError if another teacher gave the answers, a picture is both learnt from and held back, or
    Keras does not run on JAX for the sampler ``device``.
    """
    settings = config.settings
    keras.utils.set_random_seed(settings.seed)
    is_drawn = settings.sampler == "device"
    windows = _draw_windows(source, teacher, settings) if is_drawn else _read_windows(source, teacher)
    sampler, held_back, counts = windows
    networks = build_edge_networks(config.architecture)
    return StudentRun(config, folder, resume, networks, sampler, held_back, counts, teacher)


#: Windows to learn from, held-back ones, and the number of pictures of each kind.
_Windows = tuple[WindowSource, WindowSource, dict[str, int]]


def _read_windows(store: Path, teacher: str) -> _Windows:
    """Windows of the pictures of a store."""
    check_teacher(store, teacher)
    paths = {name: list_answers(store / name) for name in (TRAINING, HELD_BACK)}
    if not all(paths.values()):
        msg = f"store must have answers in {TRAINING} and {HELD_BACK}. Got: {store}, which has none."
        raise FileNotFoundError(msg)
    learnt, held_back = ({path.name for path in paths[name]} for name in (TRAINING, HELD_BACK))
    if both := sorted(learnt & held_back):
        msg = f"store must not hold back what is learnt from. Got: {store}, which has {both[0]} in both folders."
        raise ValueError(msg)
    samplers = [WindowSampler([read_answers(path) for path in paths[name]]) for name in (TRAINING, HELD_BACK)]
    counts = Counter(path.name.split("-")[0] for path in paths[TRAINING])
    return samplers[0], samplers[1], dict(sorted(counts.items()))


def _draw_windows(root: Path, teacher: str, settings: StudentSettings) -> _Windows:
    """Windows that are rendered and answered on the accelerator."""
    if keras.backend.backend() != "jax":
        msg = f"KERAS_BACKEND must be 'jax' with the sampler 'device'. Got: {keras.backend.backend()!r}."
        raise ValueError(msg)
    from training.distillation.device_windows import DeviceWindows, build_teacher  # here, since it needs JAX

    networks = load_edge_networks(teacher)
    on_squares = replace(networks, config=replace(networks.config, grid_step=GRID_STEP))
    asked = build_teacher(on_squares, settings.precision)
    samplers, counts = [], {}
    for development in (True, False):
        sources = load_run_sources(root, "device", development=development, stride=settings.validation_stride)
        photographs = [read_8_bit(path) for path in list_photographs(root, development=development)]
        samplers.append(DeviceWindows(sources, photographs, asked, settings))
        counts = {name: len(getattr(sources, name)) for name in ("sharp", "cutouts", "mattes", "shapes")}
        counts["photographs"] = len(photographs)
    return samplers[1], samplers[0], counts
