"""Checkpoints: all variables of a model and its optimizer, the step, and the settings that belong to them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.atomic import BROKEN_FILE, atomic_write

if TYPE_CHECKING:  # settings are compared before Keras is loaded
    import keras


class CheckpointError(ValueError):
    """A checkpoint is in the way, is missing or damaged, or does not belong to the run."""


# Settings that older checkpoints lack, with the values that they then had.
_ADDED = {
    "seconds": None,
    "copy_branch": False,
    "store": None,
    "photo_share": 0.65,
    "smallest_scale": 0.4,
    "largest_scale": 1.2,
    "blurred_share": 0.06,
    "seen_side": 0,
    "smoothing": 0.0,
    "start_share": 0.0,
    "diversity_weight": 0.0,
    "self_generated": False,
    "sharpness_weight": 0.0,
    "deblurring_weight": 0.0,
    "deblurring_width": 1.0,
    "depth_weight": 0.0,
    "consistency_weight": 0.0,
    "judges_first": 0,
    "diversity_groups": 2,
}
# An option of the architecture that older checkpoints lack and that is not off by False or None.
_NO_GRID = ("grid_step", 1)
# Arrays beside the variables: step and settings.
_OTHER_ARRAYS = 2


def find_checkpoint(folder: Path, stage: str) -> Path:
    """Path of the checkpoint of a stage: ``blur``, ``edge`` or the name of a segmentation network."""
    return folder / f"{stage}.npz"


def describe_run(settings: Any, architecture: Any) -> dict[str, Any]:
    """What a checkpoint says of its run: the settings and the architecture, both dataclasses.

    The threshold of E-NET is left out, since it is calibrated after the training; so is an option of the architecture
    that is off, since checkpoints from before it lack it, and the settings of `_ADDED`.
    """
    networks = {
        name: value
        for name, value in asdict(architecture).items()
        if name != "depth_threshold" and value is not False and value is not None and (name, value) != _NO_GRID
    }
    own = {name: value for name, value in asdict(settings).items() if name not in _ADDED or value != _ADDED[name]}
    return json.loads(json.dumps({**own, "networks": networks}))


def check_new(path: Path) -> None:
    """Raise CheckpointError if a new run would overwrite a checkpoint."""
    if path.is_file():
        msg = f"{path} must not exist for a new run. Got: a checkpoint. Go on from it (resume) or name another folder."
        raise CheckpointError(msg)


def list_variables(model: keras.Model) -> list[Any]:
    """All variables of a compiled model and its optimizer, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def save_checkpoint(path: Path, variables: Sequence[Any], step: int, description: dict[str, Any]) -> None:
    """Write variables, the step and the description of the run; the file appears whole or not at all."""
    import keras

    arrays = {f"v{number}": keras.ops.convert_to_numpy(value) for number, value in enumerate(variables)}
    with atomic_write(path) as temporary:
        np.savez(temporary, step=step, settings=json.dumps(description), **arrays)


def load_checkpoint(path: Path, variables: Sequence[Any]) -> int:
    """Fill variables from a checkpoint.

    Returns the step after which the checkpoint was written; 0 if there is none. Raises CheckpointError if the
    checkpoint is damaged or of another model.
    """
    if not path.is_file():
        return 0
    with _open_checkpoint(path) as arrays:
        if len(arrays.files) != len(variables) + _OTHER_ARRAYS:
            got = len(arrays.files) - _OTHER_ARRAYS
            msg = f"{path} must hold {len(variables)} arrays of this model. Got: {got}."
            raise CheckpointError(msg)
        values, step = _read_values(variables, arrays, path), int(arrays["step"])
    _fill(variables, values)
    return step


def load_network(path: Path, variables: Sequence[Any]) -> int:
    """Fill the variables of a network, which come first in a checkpoint, whatever optimizer trained them.

    Returns the step after which the checkpoint was written. Raises CheckpointError if the checkpoint is damaged or of
    another network.
    """
    with _open_checkpoint(path) as arrays:
        values, step = _read_values(variables, arrays, path), int(arrays["step"])
    _fill(variables, values)
    return step


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a checkpoint, as `describe_run` made them; old checkpoints lack some. See `load_checkpoint`."""
    with _open_checkpoint(path) as arrays:
        return dict(json.loads(str(arrays["settings"])))


def check_resumable(path: Path, description: dict[str, Any]) -> None:
    """Raise CheckpointError if a checkpoint has other settings than `description`; only its steps may be fewer."""
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


@contextmanager
def _open_checkpoint(path: Path) -> Iterator[Any]:
    """Arrays of a checkpoint; what the block finds damaged is a CheckpointError."""
    try:
        # `np.load` takes a file that is no archive for a pickle, and advises to trust it.
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            yield arrays
    except CheckpointError:
        raise
    except (*BROKEN_FILE, zipfile.BadZipFile) as error:
        got = " ".join(str(error).split()) or type(error).__name__
        msg = f"{path} must be a whole checkpoint. Got: {got}. Put back a copy of it or train in another folder."
        raise CheckpointError(msg) from error


def _read_values(variables: Sequence[Any], arrays: Any, path: Path) -> list[NDArray[Any]]:
    """The first arrays of a checkpoint, which must fit the variables."""
    values = []
    for number, variable in enumerate(variables):
        value = arrays.get(f"v{number}")
        shape = None if value is None else value.shape
        if value is None or shape != tuple(variable.shape):
            msg = f"{path} must hold arrays of this model; v{number} must have {tuple(variable.shape)}. Got: {shape}."
            raise CheckpointError(msg)
        values.append(value)
    return values


def _fill(variables: Sequence[Any], values: Sequence[NDArray[Any]]) -> None:
    """Assign arrays to the variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
