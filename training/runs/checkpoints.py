"""Checkpoints: all variables of a model and its optimizer, the step, and the settings that belong to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from defocus_edge.files.atomic import atomic_write
from training.edges.settings import Head

if TYPE_CHECKING:  # settings are compared before Keras is loaded
    import keras

    from defocus_edge.networks.edge.networks import EdgeNetworks


class CheckpointError(ValueError):
    """A checkpoint is in the way, is missing, or does not belong to the run."""


# Arrays beside the variables: step and settings.
_OTHER_ARRAYS = 2


def find_checkpoint(folder: Path, stage: str) -> Path:
    """Where a run keeps the checkpoint of a stage: ``blur``, ``edge`` or the name of a segmentation network."""
    return folder / f"{stage}.npz"


def describe_run(settings: Any, config: Any) -> dict[str, Any]:
    """What a checkpoint says of its run: settings, and the networks but for the threshold, which comes later.

    Both are dataclasses: `TrainingSettings` or `MaskTrainingSettings`, and the configuration of the architecture.
    """
    networks = {name: value for name, value in asdict(config).items() if name != "depth_threshold"}
    return json.loads(json.dumps({**asdict(settings), "networks": networks}))


def check_new(path: Path) -> None:
    """Refuse to begin a run where it would overwrite a checkpoint.

    Raises
    ------
    CheckpointError
        If there is one.
    """
    if path.is_file():
        msg = f"{path} must not exist for a new run. Got: a checkpoint. Go on from it (resume) or name another folder."
        raise CheckpointError(msg)


def list_variables(model: keras.Model) -> list[Any]:
    """All variables of a compiled model and its optimizer, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def save_checkpoint(path: Path, variables: Sequence[Any], step: int, description: dict[str, Any]) -> None:
    """Write variables, the step and what is said of the run, whole or not at all."""
    import keras

    arrays = {f"v{number}": keras.ops.convert_to_numpy(value) for number, value in enumerate(variables)}
    with atomic_write(path) as temporary:
        np.savez(temporary, step=step, settings=json.dumps(description), **arrays)


def load_checkpoint(path: Path, variables: Sequence[Any]) -> int:
    """Fill variables from a checkpoint.

    Returns
    -------
    int
        The step after which it was written; 0 if there is no checkpoint.

    Raises
    ------
    CheckpointError
        If it was written by another model.
    """
    if not path.is_file():
        return 0
    with np.load(path) as arrays:
        if len(arrays.files) != len(variables) + _OTHER_ARRAYS:
            got = len(arrays.files) - _OTHER_ARRAYS
            msg = f"{path} must hold {len(variables)} arrays of this model. Got: {got}."
            raise CheckpointError(msg)
        _fill(variables, arrays, path)
        return int(arrays["step"])


def load_network(path: Path, networks: EdgeNetworks, head: Head) -> int:
    """Fill B-NET or E-NET from a checkpoint, whatever sampler and optimizer it was trained with.

    Returns
    -------
    int
        The step after which it was written.

    Raises
    ------
    CheckpointError
        If the checkpoint is of other networks.
    """
    from training.edges.model import PointModel

    return load_network_variables(path, PointModel(networks, head).variables)


def load_network_variables(path: Path, variables: Sequence[Any]) -> int:
    """Fill the variables of a network, the first ones of a checkpoint, and leave the optimizer's.

    Returns
    -------
    int
        The step after which it was written.

    Raises
    ------
    CheckpointError
        If the checkpoint is of another network.
    """
    with np.load(path) as arrays:
        _fill(variables, arrays, path)
        return int(arrays["step"])


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a checkpoint, as `describe_run` made them; older ones lack some."""
    with np.load(path) as arrays:
        return json.loads(str(arrays["settings"]))


def check_resumable(path: Path, description: dict[str, Any]) -> None:
    """Refuse to go on from a checkpoint of a run of which other things were said; more steps may follow.

    Raises
    ------
    CheckpointError
        If a setting differs, or the steps are fewer. No checkpoint is fine.
    """
    if not path.is_file():
        return
    now, then = description, read_settings(path)
    changed = [
        f"{name} is {now[name]!r}, was {value!r}"
        for name, value in then.items()
        if name in now and (now[name] < value if name == "steps" else now[name] != value)
    ]
    if changed:
        msg = (
            f"{path} must be resumed with the settings that it was written with, or more steps. "
            f"Got: {'; '.join(changed)}. Restore them or train in another folder."
        )
        raise CheckpointError(msg)


def _fill(variables: Sequence[Any], arrays: Any, path: Path) -> None:
    """Assign the first arrays of a checkpoint to variables, all or none of them."""
    for number, variable in enumerate(variables):
        shape = arrays[f"v{number}"].shape if f"v{number}" in arrays else None
        if shape != tuple(variable.shape):
            msg = f"{path} must hold arrays of this model; v{number} must have {tuple(variable.shape)}. Got: {shape}."
            raise CheckpointError(msg)
    for number, variable in enumerate(variables):
        variable.assign(arrays[f"v{number}"])
