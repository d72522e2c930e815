"""Weights of the small networks that some baselines need: one file for each, and what it was trained on beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defocus_edge.files.atomic import atomic_write, move_durably
from defocus_edge.networks.preset_files import compute_sha256, shorten
from defocus_edge.networks.weight_files import Arrays, WeightsError, read_arrays

if TYPE_CHECKING:
    import keras

#: Where the weights of the package lie.
WEIGHTS_FOLDER = Path(__file__).resolve().parent / "weights"
#: Command that makes them.
TRAINING_COMMAND = "python -m training baseline-networks"


def name_files(name: str, folder: Path) -> tuple[Path, Path]:
    """Paths of the weights of a baseline and of what is known about them."""
    return folder / f"{name}.weights.h5", folder / f"{name}.json"


def save_weights(model: keras.Model, name: str, folder: Path, metadata: Mapping[str, Any]) -> Path:
    """Write the weights of a model, without its optimizer, and what they were trained on; return their path.

    Each file appears whole or not at all. The checksum is added to `metadata`.
    """
    import keras

    weights, about = name_files(name, folder)
    bare = keras.models.clone_model(model)  # Keras stores the optimizer of a model that has one
    bare.set_weights(model.get_weights())
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{weights.name}"  # Keras insists on the end of the name
    try:
        bare.save_weights(temporary)
        text = json.dumps({**metadata, "sha256": compute_sha256(temporary)}, indent=2, ensure_ascii=False)
        move_durably(temporary, weights)
    finally:
        temporary.unlink(missing_ok=True)
    with atomic_write(about) as path:
        path.write_text(text + "\n", encoding="utf-8")
    return weights


def list_shapes(model: keras.Model) -> dict[str, list[tuple[int, ...]]]:
    """Shapes of the weights of each layer of a model that has some, by the name of the layer."""
    return {layer.name: [tuple(one.shape) for one in layer.weights] for layer in model.layers if layer.weights}


def read_weights(name: str, shapes: Mapping[str, list[tuple[int, ...]]], folder: Path | None = None) -> Arrays:
    """Read the weights of the layers that `shapes` names, without Keras; those of the package unless given a folder.

    Raises WeightsError if a file is missing, or not the one that is described beside it, or of another network.
    """
    weights, about = name_files(name, folder or WEIGHTS_FOLDER)
    with _explain(name, weights):
        expected = json.loads(about.read_text(encoding="utf-8"))["sha256"]
        found = compute_sha256(weights)
        if found != expected:
            raise WeightsError(f"its SHA-256 must be that in {about.name}, {shorten(expected)}, and is {found}")
        return read_arrays(weights, shapes)


@contextmanager
def _explain(name: str, weights: Path) -> Iterator[None]:
    """Say in one line what is wrong with the files, and what to do."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = (
            f"{name} needs whole weights in {weights}. Got: {shorten(error)}. "
            f"Install the package again, or train them: {TRAINING_COMMAND}."
        )
        raise WeightsError(msg) from error
