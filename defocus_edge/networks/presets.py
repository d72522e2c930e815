"""Presets: a folder with config.json, model.weights.h5 and metadata.json for each set of weights."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from defocus_edge.networks.edge_networks import EdgeNetworks, EdgeNetworksConfig

#: Where the presets of the package lie.
PRESETS_FOLDER = Path(__file__).resolve().parent.parent / "presets"
#: The preset that is used when none is named.
DEFAULT_PRESET = "edge-v1"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.weights.h5"
METADATA_FILE = "metadata.json"
# The key of the array in each file of the authors' published weights.
_AUTHORS_KEY = "weights"


class PresetError(ValueError):
    """A preset is unknown, incomplete, changed or does not fit the networks."""


def list_presets() -> list[str]:
    """Names of the presets that come with the package, sorted."""
    return sorted(folder.parent.name for folder in PRESETS_FOLDER.glob(f"*/{CONFIG_FILE}"))


def read_metadata(preset: str | Path) -> dict[str, Any]:
    """What metadata.json says of a preset: how it was trained, with which scores, its licence and checksum.

    Parameters
    ----------
    preset : str or Path
        Name of a preset of the package, or a folder.

    Raises
    ------
    PresetError
        If there is no such preset or its metadata cannot be read.
    """
    path = find_preset(preset) / METADATA_FILE
    metadata = _read_json(path)
    if not isinstance(metadata, dict):
        msg = f"{path} must hold a JSON object. Got: {type(metadata).__name__}."
        raise PresetError(msg)
    return metadata


def find_preset(preset: str | Path) -> Path:
    """Folder of a preset, given by name or as a folder.

    Raises
    ------
    PresetError
        If there is none; the message lists the names that exist.
    """
    for folder in (PRESETS_FOLDER / preset, Path(preset)):
        if (folder / CONFIG_FILE).is_file():
            return folder
    msg = (
        f"preset must be one of {list_presets()} or a folder with {CONFIG_FILE}, {WEIGHTS_FILE} and {METADATA_FILE}. "
        f"Got: {str(preset)!r}."
    )
    raise PresetError(msg)


def load_edge_networks(preset: str | Path = DEFAULT_PRESET) -> EdgeNetworks:
    """Build B-NET and E-NET and fill them with the weights of a preset.

    Parameters
    ----------
    preset : str or Path
        Name of a preset of the package, or a folder.

    Returns
    -------
    EdgeNetworks

    Raises
    ------
    PresetError
        If the preset is unknown, a file of it is missing or damaged, the weights are not the ones whose SHA-256
        stands in metadata.json, or they do not fit the networks.
    """
    folder = find_preset(preset)
    verify_preset(folder)
    weights = folder / WEIGHTS_FILE
    from defocus_edge.networks.edge_networks import build_edge_networks

    networks = build_edge_networks(_read_config(folder / CONFIG_FILE))
    try:
        networks.joint.load_weights(weights)
    except (OSError, ValueError, KeyError) as error:
        msg = f"{weights} cannot be loaded into the networks of {folder / CONFIG_FILE}: {error}"
        raise PresetError(msg) from error
    return networks


def verify_preset(preset: str | Path) -> None:
    """Check that the weights of a preset are whole, without loading them.

    Parameters
    ----------
    preset : str or Path
        Name of a preset of the package, or a folder.

    Raises
    ------
    PresetError
        If the preset is unknown, a file is missing, or the weights are not the ones whose SHA-256 stands in
        metadata.json.
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
            f"{weights} is not the file that its {METADATA_FILE} describes: SHA-256 must be {expected}. Got: {found}. "
            "The download or copy is damaged, or the file was changed: install the package or copy the preset again."
        )
        raise PresetError(msg)


def save_preset(networks: EdgeNetworks, folder: str | Path, metadata: dict[str, Any]) -> Path:
    """Write a preset that `load_edge_networks` reads; each file is written whole or not at all.

    Parameters
    ----------
    networks : EdgeNetworks
    folder : str or Path
        Made if it does not exist.
    metadata : dict
        How the weights came about; the checksum is added.

    Returns
    -------
    Path
        The folder.
    """
    from defocus_edge.images import atomic_write  # here: it loads OpenCV, which finding a preset must not

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{WEIGHTS_FILE}"  # Keras insists on the end of the name
    try:
        networks.joint.save_weights(temporary)
        metadata = {**metadata, "sha256": compute_sha256(temporary)}
        temporary.replace(folder / WEIGHTS_FILE)
    finally:
        temporary.unlink(missing_ok=True)
    for name, values in ((CONFIG_FILE, asdict(networks.config)), (METADATA_FILE, metadata)):
        with atomic_write(folder / name) as path:
            path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def compute_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def import_authors_weights(folder: str | Path) -> EdgeNetworks:
    """Networks with the weights that the authors of the TIP 2022 paper published.

    Parameters
    ----------
    folder : str or Path
        Holds the folders ``blur`` (0.mat to 21.mat) and ``edge`` (0.mat to 25.mat), one array under the key
        ``weights`` in each file. Their licence is GPL-3.0; they are no part of this package.

    Returns
    -------
    EdgeNetworks
        With ``crop_shift=1`` and inputs as they are, as those weights were trained.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    PresetError
        If an array has another shape than its layer, or the f1 layers of both folders differ.
    """
    from defocus_edge.networks.edge_networks import EdgeNetworksConfig, build_edge_networks

    networks = build_edge_networks(EdgeNetworksConfig(crop_shift=1, input_mean=0.0, input_gain=1.0))
    folder = Path(folder)
    _fill_layers(networks, folder / "blur", [*_conv_names("b1", "b2", "b3", "blur_head"), *_dense_names("blur")])
    f1 = {name: networks.joint.get_layer(name).get_weights()[0] for name in _conv_names("b1", "b2", "b3")}
    _fill_layers(networks, folder / "edge", [*_conv_names("b1", "f2", "b2", "b3", "edge_head"), *_dense_names("edge")])
    for name, kernel in f1.items():
        if not (networks.joint.get_layer(name).get_weights()[0] == kernel).all():
            msg = f"The layer {name} must be the same in {folder / 'blur'} and {folder / 'edge'}; it is not."
            raise PresetError(msg)
    return networks


def _conv_names(*groups: str) -> list[str]:
    """Names of the four convolutions of branches and heads, in the order of the authors' files."""
    return [f"{group}_conv{number}" for group in groups for number in (1, 2, 3, 4)]


def _dense_names(head: str) -> list[str]:
    return [f"{head}_head_dense{number}" for number in (1, 2, 3)]


def _fill_layers(networks: EdgeNetworks, folder: Path, names: list[str]) -> None:
    """Fill layers from files numbered in the order of their arrays."""
    number = 0
    for name in names:
        layer = networks.joint.get_layer(name)
        arrays = []
        for variable in layer.weights:
            path = folder / f"{number}.mat"
            # MATLAB has no 1-D arrays: a bias comes as one row.
            array = np.squeeze(_read_authors_array(path)) if len(variable.shape) == 1 else _read_authors_array(path)
            if array.shape != tuple(variable.shape):
                msg = f"{path} must hold the {tuple(variable.shape)} array of {name}. Got: shape {array.shape}."
                raise PresetError(msg)
            arrays.append(array)
            number += 1
        layer.set_weights(arrays)


def _read_authors_array(path: Path) -> NDArray[np.float32]:
    """The one array of a .mat file of the authors."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        msg = f"The authors' weights are one .mat file for each array. Not found: {path}."
        raise FileNotFoundError(msg)
    try:
        return np.asarray(loadmat(path)[_AUTHORS_KEY], dtype=np.float32)
    except (MatReadError, KeyError, ValueError, IndexError, OSError, zlib.error) as error:
        msg = f"{path} is not a MATLAB file with the key {_AUTHORS_KEY!r}: {error}"
        raise PresetError(msg) from error


def _read_config(path: Path) -> EdgeNetworksConfig:
    from defocus_edge.networks.edge_networks import EdgeNetworksConfig

    values = _read_json(path)
    try:
        return EdgeNetworksConfig(**{**values, "dense_units": tuple(values["dense_units"])})
    except (TypeError, KeyError, ValueError) as error:
        msg = f"{path} does not describe the edge networks: {error}"
        raise PresetError(msg) from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"The preset has no {path.name}: looked for {path}."
        raise PresetError(msg) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"{path} is not a JSON file: {error}"
        raise PresetError(msg) from error
