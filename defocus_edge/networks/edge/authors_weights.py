"""The weights that the authors of the TIP 2022 paper published, read into our networks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from defocus_edge.networks.edge.mat_files import MatFileError, read_mat_array
from defocus_edge.networks.keras_policy import use_own_policy
from defocus_edge.networks.preset_files import PresetError

if TYPE_CHECKING:
    from defocus_edge.networks.edge.networks import EdgeNetworks

# Key of the array in each file.
_AUTHORS_KEY = "weights"


def import_authors_weights(folder: str | Path) -> EdgeNetworks:
    """Build networks with the weights that the authors of the TIP 2022 paper published.

    `folder` contains the folders ``blur`` (0.mat to 21.mat) and ``edge`` (0.mat to 25.mat), one array under the key
    ``weights`` in each file. Their licence is GPL-3.0; they are no part of this package. The networks have
    ``crop_shift=1`` and unscaled inputs, as those weights were trained.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    PresetError
        If a file is damaged or of MATLAB 7.3, if an array is not finite or has another shape than its layer, or if the
        f1 layers of both folders differ.
    """
    from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
    from defocus_edge.networks.edge.networks import build_edge_networks

    with use_own_policy():
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
    """Names of the dense layers of a head, in the order of the authors' files."""
    return [f"{head}_head_dense{number}" for number in (1, 2, 3)]


def _fill_layers(networks: EdgeNetworks, folder: Path, names: list[str]) -> None:
    """Fill layers from files numbered in the order of their arrays."""
    number = 0
    for name in names:
        layer = networks.joint.get_layer(name)
        arrays = []
        for variable in layer.weights:
            path = folder / f"{number}.mat"
            shape = tuple(variable.shape)
            array = _read_authors_array(path, shape)
            if len(shape) == 1:  # MATLAB has no 1-D arrays: a bias comes as one row
                array = np.squeeze(array)
            if array.shape != shape:
                msg = f"{path} must hold the {shape} array of {name}. Got: shape {array.shape}."
                raise PresetError(msg)
            arrays.append(array)
            number += 1
        layer.set_weights(arrays)


def _read_authors_array(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Read the one array of a .mat file, which must have as many numbers as `shape`, or fewer."""
    if not path.is_file():
        msg = f"The authors' weights are one .mat file for each array. Not found: {path}."
        raise FileNotFoundError(msg)
    try:
        return read_mat_array(path, _AUTHORS_KEY, largest=math.prod(shape))
    except (MatFileError, OSError) as error:
        msg = f"{path} is not a MATLAB file with the key {_AUTHORS_KEY!r} and an array of {shape}. Got: {error}."
        raise PresetError(msg) from error
