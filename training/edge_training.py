"""The training loop of the edge networks: endless random crops, checkpoints, a log."""

from __future__ import annotations

import csv
import importlib.util
import json
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from defocus_edge.blur_levels import read_radius
from defocus_edge.images import atomic_write
from defocus_edge.networks.edge_networks import EdgeNetworks
from training.crops import UNDECIDED, Balance, CropBatch, CropSampler
from training.edge_model import Head, PointModel, compile_point_model

#: Seconds between checkpoints.
CHECKPOINT_SECONDS = 180
#: Steps between lines of the log.
LOG_STEPS = 50
#: Crops of the development set that are scored at each checkpoint.
_DEVELOPMENT_CROPS = 128
_DEVELOPMENT_SEED = 20_26
_BALANCE: dict[Head, Balance] = {"blur": "radius", "edge": "depth edges"}
# Batches drawn ahead of the one in use.
_AHEAD = 4


@dataclass(frozen=True)
class TrainingSettings:
    """One training run.

    Parameters
    ----------
    head : {'blur', 'edge'}
        B-NET, or E-NET over B-NET's frozen f1.
    steps : int
    crops : int
        In one step.
    points : int
        Edge points of one crop, at most.
    learning_rate : float
        Highest rate.
    warmup : int
        Steps over which the rate rises first.
    decay : float
        Share of the steps, the last ones, over which it falls along a straight line to a hundredth. Before them the
        checkpoint of a shorter run is that of a longer one, too.
    precision : {'float32', 'mixed_bfloat16'}
    seed : int
    """

    head: Head
    steps: int
    crops: int = 8
    points: int = 256
    learning_rate: float = 2e-3
    warmup: int = 50
    decay: float = 0.25
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.head not in ("blur", "edge"):
            msg = f"head must be 'blur' or 'edge'. Got: {self.head!r}."
            raise ValueError(msg)
        if min(self.steps, self.crops, self.points) < 1:
            msg = f"steps, crops and points must be positive. Got: {self.steps}, {self.crops}, {self.points}."
            raise ValueError(msg)


def train_edge_network(
    networks: EdgeNetworks,
    settings: TrainingSettings,
    sampler: CropSampler,
    development: CropSampler,
    *,
    folder: Path,
    resume: bool = False,
) -> dict[str, float]:
    """Train B-NET or E-NET in place.

    Parameters
    ----------
    networks : EdgeNetworks
    settings : TrainingSettings
    sampler, development : CropSampler
        Crops to learn from, and crops of pictures that are never learnt from.
    folder : Path
        Gets ``<head>.npz`` (checkpoint) and ``<head>.csv`` (log), and logs for TensorBoard if that is installed.
    resume : bool
        Go on from the checkpoint in `folder`.

    Returns
    -------
    dict
        Scores on the development crops after the last step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = PointModel(networks, settings.head, precision=settings.precision)
    compile_point_model(model, settings.head, learning_rate=_WarmStableDecay(settings))
    model.optimizer.build(model.trainable_variables)
    held_back = [
        development.draw_batch(
            settings.crops,
            settings.points,
            rng=np.random.default_rng((_DEVELOPMENT_SEED, number)),
            balance=_BALANCE[settings.head],
        )
        for number in range(-(-_DEVELOPMENT_CROPS // settings.crops))
    ]
    checkpoint, log = folder / f"{settings.head}.npz", folder / f"{settings.head}.csv"
    board = _Board(folder / "tensorboard" / settings.head)
    first = load_checkpoint(checkpoint, model) if resume else 0
    console = Console(stderr=True, soft_wrap=True)
    started = saved = time.monotonic()
    losses: list[float] = []
    scores: dict[str, float] = {}
    for step, batch in _prefetch_batches(sampler, settings, first):
        losses.append(_take_step(model, settings.head, batch))
        last = step == settings.steps
        if step % LOG_STEPS == 0 or last:
            rate = (step - first) / (time.monotonic() - started)
            row: dict[str, float] = {"step": step, "loss": float(np.mean(losses)), "steps_per_second": round(rate, 3)}
            left = (settings.steps - step) / rate / 60
            place = f"{settings.head} {step}/{settings.steps}"
            console.print(f"{place} loss {row['loss']:.4f}, {rate:.2f} steps/s, {left:.0f} min left")
            _append_row(log, row)
            board.add(step, {"loss": row["loss"]})
            losses = []
        if last or time.monotonic() - saved > CHECKPOINT_SECONDS:
            save_checkpoint(checkpoint, model, step, settings)
            scores = score_model(model, settings.head, held_back)
            console.print(f"{settings.head} {step}: development {scores}")
            board.add(step, scores)
            saved = time.monotonic()
    return scores or score_model(model, settings.head, held_back)


def score_model(model: PointModel, head: Head, batches: list[CropBatch]) -> dict[str, float]:
    """Scores on labelled crops.

    Returns
    -------
    dict
        For B-NET the mean absolute error of the expected radius in px at pattern edges, at the 95th percentile and
        below; for E-NET accuracy, and precision and recall of depth edges.
    """
    outputs, radius, labels = [], [], []
    for batch in batches:
        kept = _find_labelled(head, batch)
        outputs.append(np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(_make_inputs(batch))))[kept])
        radius.append(batch.radius[kept])
        labels.append(batch.is_depth[kept])
    output, truth, label = np.concatenate(outputs), np.concatenate(radius), np.concatenate(labels)
    if head == "blur":
        error = np.abs(read_radius(output) - truth)
        return {"mae_px": round(float(error.mean()), 4), "p95_px": round(float(np.percentile(error, 95)), 4)}
    found = output[:, 1] > 0.5
    hits = float((found & (label == 1)).sum())
    return {
        "accuracy": round(float((found == (label == 1)).mean()), 4),
        "precision": round(hits / max(float(found.sum()), 1), 4),
        "recall": round(hits / max(float((label == 1).sum()), 1), 4),
    }


def save_checkpoint(path: Path, model: PointModel, step: int, settings: TrainingSettings) -> None:
    """Write all variables of a model and its optimizer, whole or not at all."""
    arrays = {f"v{number}": keras.ops.convert_to_numpy(value) for number, value in enumerate(_list_variables(model))}
    with atomic_write(path) as temporary:
        np.savez(temporary, step=step, settings=json.dumps(asdict(settings)), **arrays)


def load_checkpoint(path: Path, model: PointModel) -> int:
    """Fill a model and its optimizer from a checkpoint.

    Returns
    -------
    int
        The step after which it was written; 0 if there is no checkpoint.

    Raises
    ------
    ValueError
        If it was written by another model.
    """
    if not path.is_file():
        return 0
    with np.load(path) as arrays:
        variables = _list_variables(model)
        if len(arrays.files) != len(variables) + 2:
            msg = f"{path} must hold {len(variables)} arrays of this model. Got: {len(arrays.files) - 2}."
            raise ValueError(msg)
        for number, variable in enumerate(variables):
            variable.assign(arrays[f"v{number}"])
        return int(arrays["step"])


class _WarmStableDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, constant, linear decay to a hundredth."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings

    def __call__(self, step: Any) -> Any:
        settings = self.settings
        step = keras.ops.cast(step, "float32")
        rise = (step + 1) / max(settings.warmup, 1)
        fall = (settings.steps - step) / max(settings.decay * settings.steps, 1)
        return settings.learning_rate * keras.ops.clip(keras.ops.minimum(rise, fall), 0.01, 1.0)

    def get_config(self) -> dict[str, Any]:
        return asdict(self.settings)


def _prefetch_batches(sampler: CropSampler, settings: TrainingSettings, first: int) -> Iterator[tuple[int, CropBatch]]:
    """Batches of the steps after `first`, drawn ahead in a thread; each step has its own seed, so a run can go on."""

    def draw(step: int) -> CropBatch:
        rng = np.random.default_rng((settings.seed, step))
        return sampler.draw_batch(settings.crops, settings.points, rng=rng, balance=_BALANCE[settings.head])

    with ThreadPoolExecutor(1) as executor:
        ahead = deque(executor.submit(draw, step) for step in range(first + 1, min(first + _AHEAD, settings.steps) + 1))
        for step in range(first + 1, settings.steps + 1):
            batch = ahead.popleft().result()
            if step + _AHEAD <= settings.steps:
                ahead.append(executor.submit(draw, step + _AHEAD))
            yield step, batch


def _take_step(model: PointModel, head: Head, batch: CropBatch) -> float:
    """One step of the optimizer; the loss."""
    weight = _find_labelled(head, batch).astype(np.float32)
    target = batch.levels if head == "blur" else np.maximum(batch.is_depth, 0)[:, None].astype(np.int32)
    return float(np.asarray(model.train_on_batch(_make_inputs(batch), target, sample_weight=weight)))


def _find_labelled(head: Head, batch: CropBatch) -> NDArray[np.bool_]:
    """Points that a head learns from: for B-NET all but depth edges, for E-NET the decided ones."""
    chosen = batch.is_depth != 1 if head == "blur" else batch.is_depth != UNDECIDED
    return np.asarray(chosen & (batch.valid > 0))


def _make_inputs(batch: CropBatch) -> dict[str, NDArray[Any]]:
    return {"images": batch.images, "points": batch.points}


def _list_variables(model: PointModel) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


class _Board:
    """Scalars for TensorBoard where the extra `train` is installed; without it nothing is written."""

    def __init__(self, folder: Path) -> None:
        self._writer: Any = None
        if importlib.util.find_spec("tensorboard") is not None:
            from tensorboard.summary import Writer

            self._writer = Writer(str(folder))

    def add(self, step: int, values: dict[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()


def _append_row(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
