"""Presets, the authors' weights, and other files with weights."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
from scipy.io import savemat

from defocus_edge.networks.context import ContextConfig, list_context_shapes
from defocus_edge.networks.edge.architecture import EdgeNetworksConfig, list_shapes
from defocus_edge.networks.edge.mat_files import MatFileError, read_mat_array
from defocus_edge.networks.preset_files import (
    CONFIG_FILE,
    METADATA_FILE,
    PRESETS_FOLDER,
    WEIGHTS_FILE,
    PresetError,
    list_presets,
    read_metadata,
    verify_preset,
)
from defocus_edge.networks.presets import load_context_weights, load_edge_weights
from tests.fuzz.target import Target
from training.masks.torch_files import read_torch_arrays
from training.runs.checkpoints import CheckpointError, load_network, read_settings

EDGE = {"network": "edge", "filters": 2, "dense_units": [3, 2], "input_mean": 0.5, "depth_threshold": 0.5}
CONTEXT = {"network": "context", "units": [4, 3], "least_depth": 0.1}


def make_weights(
    shapes: Mapping[str, list[tuple[int, ...]]], change: Callable[[h5py.File], None] = lambda _: None
) -> bytes:
    """Weights as Keras writes them."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for number, (name, layer) in enumerate(shapes.items()):
            group = file.create_group(f"layers/layer_{number}/vars")
            group.attrs["name"] = name
            for at, shape in enumerate(layer):
                group[str(at)] = np.full(shape, 0.25, np.float32)
        change(file)
    return data.getvalue()


@cache
def make_edge_weights() -> bytes:
    return make_weights(list_shapes(EdgeNetworksConfig(filters=2, dense_units=(3, 2))))


@cache
def make_context_weights() -> bytes:
    return make_weights(list_context_shapes(ContextConfig(units=(4, 3))))


def write_preset(folder: Path, config: bytes, weights: bytes, metadata: bytes | None = None) -> Path:
    """A preset; the checksum in its metadata fits unless they are given."""
    signed = json.dumps({"sha256": hashlib.sha256(weights).hexdigest()}).encode()
    files = {CONFIG_FILE: config, WEIGHTS_FILE: weights, METADATA_FILE: signed if metadata is None else metadata}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def make_configurations() -> list[bytes]:
    shipped = [(PRESETS_FOLDER / name / CONFIG_FILE).read_bytes() for name in list_presets()]
    return [json.dumps(EDGE).encode(), json.dumps(CONTEXT).encode(), *shipped]


def read_configuration(data: bytes, folder: Path) -> None:
    write_preset(folder, data, make_edge_weights())
    load_edge_weights(folder)


def read_context_configuration(data: bytes, folder: Path) -> None:
    write_preset(folder, data, make_context_weights())
    load_context_weights(folder)


def make_metadata() -> list[bytes]:
    good = {"sha256": hashlib.sha256(make_edge_weights()).hexdigest(), "name": "x", "scores": {"a": 1.5}, "seed": 3}
    return [json.dumps(good).encode()]


def use_metadata(data: bytes, folder: Path) -> None:
    write_preset(folder, json.dumps(EDGE).encode(), make_edge_weights(), data)
    read_metadata(folder)
    verify_preset(folder)


def read_unsigned_weights(data: bytes, folder: Path) -> None:
    """The checksum is that of the sound file."""
    sound = make_edge_weights()
    checksum = json.dumps({"sha256": hashlib.sha256(sound).hexdigest()}).encode()
    load_edge_weights(write_preset(folder, json.dumps(EDGE).encode(), data, checksum))
    assert data == sound


def make_strange_weights() -> list[bytes]:
    """Sound HDF5 files whose content is not that of the networks."""
    shapes = list_shapes(EdgeNetworksConfig(filters=2, dense_units=(3, 2)))
    first = "layers/layer_0/vars/0"

    def replace(make: Callable[[h5py.File], object]) -> Callable[[h5py.File], None]:
        def change(file: h5py.File) -> None:
            del file[first]
            make(file)

        return change

    changes = [
        replace(lambda _: None),
        replace(lambda file: file.__setitem__(first, np.zeros((3, 3, 3, 3), np.float32))),
        replace(lambda file: file.__setitem__(first, np.zeros((2, 3, 3, 3), np.int8))),
        replace(lambda file: file.__setitem__(first, h5py.SoftLink("/nowhere"))),
        replace(lambda file: file.__setitem__(first, h5py.SoftLink("/layers"))),
        replace(lambda file: file.__setitem__(first, h5py.ExternalLink("/etc/passwd", "/"))),
        replace(lambda file: file.__setitem__(first, np.full((3, 3, 3, 2), np.nan, np.float32))),
        replace(lambda file: file.create_dataset(first, (3, 3, 3, 2), "f4", external=[("/dev/zero", 0, 216)])),
        replace(lambda file: file.create_dataset(first, (10**6, 5000), "f4", chunks=(1000, 1000), compression="gzip")),
        lambda file: file.__setitem__("layers/loop", file["layers"]),
        lambda file: file["layers/layer_0/vars"].attrs.__setitem__("name", "b" * 60_000),
    ]
    whole = make_edge_weights()
    return [*(make_weights(shapes, change) for change in changes), whole[: len(whole) // 2], whole[:600], whole]


def read_signed_weights(data: bytes, folder: Path) -> None:
    load_edge_weights(write_preset(folder, json.dumps(EDGE).encode(), data))


def make_matlab_files(name: str = "weights", shape: tuple[int, ...] = (3, 3, 3, 8)) -> list[bytes]:
    found = []
    for dtype, compressed in ((np.float32, False), (np.float64, True)):
        file = io.BytesIO()
        savemat(file, {name: np.ones(shape, dtype)}, do_compression=compressed)
        found.append(file.getvalue())
    return found


def read_authors_file(data: bytes, folder: Path) -> None:
    path = folder / "0.mat"
    path.write_bytes(data)
    read_mat_array(path, "weights", largest=3 * 3 * 3 * 8)


def make_checkpoints() -> list[bytes]:
    found = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        settings = json.dumps({"steps": 3, "seed": 1})
        save(file, step=3, settings=settings, v0=np.ones((3, 2), np.float32), v1=np.ones(4))
        found.append(file.getvalue())
    return found


def read_checkpoint(data: bytes, folder: Path) -> None:
    path = folder / "blur.npz"
    path.write_bytes(data)
    read_settings(path)
    load_network(path, [SimpleNamespace(shape=shape, assign=lambda _: None) for shape in ((3, 2), (4,))])


def make_torch_files() -> list[bytes]:
    """A file as PyTorch wrote it before version 1.6: its pickles are written by hand, in the oldest protocol."""
    values = np.arange(12, dtype="<f4")
    head = b"L119547037146038801333356L\n.", b"I1001\n.", b"(dS'little_endian'\nI01\ns."
    storage = b"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI12\nNtQ"
    array = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"I0\n(I3\nI4\nt(I4\nI1\ntI00\nccollections\nOrderedDict\n(tRtR"
    )
    body = b"ccollections\nOrderedDict\n(tR(S'a.weight'\n" + array + b"u."
    return [b"".join(head) + body + b"(lS'0'\na." + (12).to_bytes(8, "little") + values.tobytes()]


def read_torch_file(data: bytes, folder: Path) -> None:
    path = folder / "weights.pth"
    path.write_bytes(data)
    for array in read_torch_arrays(path).values():
        np.asarray(array).sum()


TARGETS = [
    Target("preset-configurations", make_configurations, read_configuration, (PresetError,), is_text=True),
    Target("context-configurations", make_configurations, read_context_configuration, (PresetError,), is_text=True),
    Target("preset-metadata", make_metadata, use_metadata, (PresetError,), is_text=True),
    Target("weights", make_strange_weights, read_unsigned_weights, (PresetError,)),
    Target("weights-signed-anew", make_strange_weights, read_signed_weights, (PresetError,)),
    Target("authors-weights", make_matlab_files, read_authors_file, (MatFileError,)),
    Target("checkpoints", make_checkpoints, read_checkpoint, (CheckpointError,)),
    Target("torch-weights", make_torch_files, read_torch_file, (ValueError,)),
]
