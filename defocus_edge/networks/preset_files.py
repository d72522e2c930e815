"""The files of a preset: a folder with config.json, model.weights.h5 and metadata.json.

This module imports nothing heavy, so that looking for a preset is quick.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

#: Folder of the presets that come with the package.
PRESETS_FOLDER = Path(__file__).resolve().parent.parent / "presets"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.weights.h5"
METADATA_FILE = "metadata.json"
#: Name of the network in config.json for B-NET and E-NET, which share a preset.
EDGE_NETWORKS = "edge"
#: Name of the network in config.json that corrects points by what surrounds them.
CONTEXT_NETWORK = "context"
# Bytes of a JSON file, and characters of what a message quotes of a file, at most.
_LARGEST_JSON = 2**20
_LONGEST_QUOTE = 300


class PresetError(ValueError):
    """A preset is unknown, incomplete, changed or does not fit the networks."""


def list_presets(network: str | None = None) -> list[str]:
    """Names of the presets that come with the package, sorted.

    Parameters
    ----------
    network : str, optional
        Only presets of this network, which is ``edge``, ``context`` or one that detects blur; all of them otherwise.
    """
    paths = sorted(PRESETS_FOLDER.glob(f"*/{CONFIG_FILE}"))
    return [path.parent.name for path in paths if network is None or read_config(path)["network"] == network]


def read_metadata(preset: str | Path) -> dict[str, Any]:
    """Read metadata.json of a preset: how it was trained, its scores, licence and checksum; raises PresetError."""
    path = find_preset(preset) / METADATA_FILE
    metadata = _read_json(path)
    if not isinstance(metadata, dict):
        msg = f"{path} must hold a JSON object. Got: {type(metadata).__name__}."
        raise PresetError(msg)
    return metadata


def find_preset(preset: str | Path) -> Path:
    """Find the folder of a preset that is given by name or as a folder; PresetError if there is none."""
    for folder in (PRESETS_FOLDER / preset, Path(preset)):
        if (folder / CONFIG_FILE).is_file():
            return folder
    msg = (
        f"preset must be one of {list_presets()} or a folder with {CONFIG_FILE}, {WEIGHTS_FILE} and {METADATA_FILE}. "
        f"Got: {str(preset)!r}."
    )
    raise PresetError(msg)


def verify_preset(preset: str | Path) -> None:
    """Check that the weights of a preset are whole, without loading them.

    PresetError if the preset is unknown, a file is missing, or the weights do not have the SHA-256 in metadata.json.
    """
    folder = find_preset(preset)
    expected = read_metadata(folder).get("sha256")
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        msg = f"The preset in {folder} has no {WEIGHTS_FILE}. Install the package again or name another preset."
        raise PresetError(msg)
    found = compute_sha256(weights)
    if found != expected:
        msg = (
            f"{weights} is not the file that its {METADATA_FILE} describes: SHA-256 must be {shorten(expected)}. "
            f"Got: {found}. "
            "The download or copy is damaged, or the file was changed: install the package or copy the preset again."
        )
        raise PresetError(msg)


def compute_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_config(path: Path) -> dict[str, Any]:
    """Read config.json, which names its network."""
    values = _read_json(path)
    if not isinstance(values, dict) or not isinstance(values.get("network"), str):
        msg = f"{path} must be a JSON object that names its network. Got: {shorten(repr(values))}."
        raise PresetError(msg)
    return values


def shorten(text: object) -> str:
    """One line of a text from a file, for messages: short, and printable in any encoding of Unicode."""
    line = " ".join(str(text).split()).encode(errors="backslashreplace").decode()
    return line if len(line) <= _LONGEST_QUOTE else f"{line[:_LONGEST_QUOTE]}…"


def _read_json(path: Path) -> Any:
    """Read a file of a preset, or say what is wrong with it."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_JSON + 1)
        if len(data) > _LARGEST_JSON:
            raise ValueError(f"it must have at most {_LARGEST_JSON} bytes")
        return json.loads(data.decode("utf-8"))
    except FileNotFoundError:
        msg = f"The preset has no {path.name}: looked for {path}."
        raise PresetError(msg) from None
    except (OSError, ValueError, RecursionError) as error:  # also of encodings and of numbers of 5000 digits
        msg = f"{path} is not a JSON file: {shorten(error)}"
        raise PresetError(msg) from error
