"""Weights in PyTorch's old format, written by a few lines of code, and batch normalization folded into convolutions."""

import io
import pickle
from collections import OrderedDict
from typing import ClassVar

import keras
import numpy as np
import pytest

from defocus_edge.networks.efficientnet import apply_efficientnet
from training.refinement.imagenet import EPSILON, fill_efficientnet, read_tensors


class _Global:
    """Is pickled as a name of another module."""

    def __init__(self, module, name, arguments):
        self.module, self.name, self.arguments = module, name, arguments


class _Storage:
    def __init__(self, key, count):
        self.identity = ("storage", _Type, key, "cpu", count, None)


class _Type:
    """Stands for ``torch.FloatStorage``."""


class _Writer(pickle._Pickler):  # the one in Python may be changed
    def persistent_id(self, value):
        return value.identity if isinstance(value, _Storage) else None

    def save_global(self, value, name=None):
        if value is _Type:
            self.write(pickle.GLOBAL + b"torch\nFloatStorage\n")
        else:
            super().save_global(value, name)

    def save_tensor(self, value):
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        self.save(value.arguments)
        self.write(pickle.REDUCE)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, _Global: save_tensor}


def write_tensors(path, storages, tensors):
    """`tensors` are name to (storage, offset, shape, strides), or to a `_Global`."""
    buffer = io.BytesIO()
    for value in (119547037146038801333356, 1001, {}):
        pickle.dump(value, buffer, 2)
    described = OrderedDict()
    for name, value in tensors.items():
        if not isinstance(value, _Global):
            key, *rest = value
            arguments = (_Storage(key, len(storages[key])), *rest, False, OrderedDict())
            value = _Global("torch._utils", "_rebuild_tensor_v2", arguments)
        described[name] = value
    _Writer(buffer, 2).dump(described)
    pickle.dump(list(storages), buffer, 2)
    for values in storages.values():
        buffer.write(np.int64(len(values)).tobytes() + values.astype("<f4").tobytes())
    path.write_bytes(buffer.getvalue())


def test_tensors_are_read_with_their_strides(tmp_path):
    values = np.arange(12, dtype=np.float32)
    tensors = {"rows": ("0", 0, (3, 4), (4, 1)), "columns": ("0", 0, (4, 3), (1, 4)), "part": ("0", 5, (2,), (3,))}
    write_tensors(tmp_path / "w.pth", {"0": values}, tensors)
    found = read_tensors(tmp_path / "w.pth")
    np.testing.assert_array_equal(found["rows"], values.reshape(3, 4))
    np.testing.assert_array_equal(found["columns"], values.reshape(3, 4).T)
    np.testing.assert_array_equal(found["part"], [5, 8])


@pytest.mark.parametrize("place", [(0, (13,), (1,)), (4, (3, 3), (4, 1)), (-1, (2,), (1,)), (0, (2,), (-1,))])
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, place):
    write_tensors(tmp_path / "w.pth", {"0": np.zeros(12)}, {"x": ("0", *place)})
    with pytest.raises(ValueError, match="must lie in its storage"):
        read_tensors(tmp_path / "w.pth")


def test_a_file_cannot_run_code(tmp_path):
    write_tensors(tmp_path / "w.pth", {"0": np.zeros(1)}, {"x": _Global("os", "mkdir", (str(tmp_path / "made"),))})
    with pytest.raises(pickle.UnpicklingError, match=r"os\.mkdir"):
        read_tensors(tmp_path / "w.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]


def test_batch_normalization_becomes_part_of_the_convolutions(rng):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, list(apply_efficientnet(image).values()))
    shapes = {"_conv_stem": (32, 3, 3, 3), "_blocks.0._depthwise_conv": (32, 1, 3, 3)}
    tensors = {}
    for layer in model.layers:
        if layer.name.startswith("lite0_block") and layer.weights:
            block, part = layer.name.removeprefix("lite0_block").split("_")
            rows, columns, inner, outer = layer.kernel.shape
            shape = (inner, 1, rows, columns) if part == "depthwise" else (outer, inner, rows, columns)
            shapes[f"_blocks.{block}._{part}_conv"] = shape
    norms = {"_conv_stem": "_bn0", "expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    for conv, shape in shapes.items():
        tensors[f"{conv}.weight"] = rng.normal(size=shape).astype(np.float32)
        block, _, part = conv.rpartition("._")
        norm = "_bn0" if conv == "_conv_stem" else f"{block}.{norms[part.removesuffix('_conv')]}"
        for name in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{norm}.{name}"] = rng.uniform(0.5, 2, shape[0]).astype(np.float32)
    fill_efficientnet(model, tensors)
    picture = rng.random((1, 32, 32, 3), np.float32)
    stem = keras.Model(image, model.get_layer("lite0_stem").output)(picture)
    plain = keras.ops.conv(2 * picture - 1, tensors["_conv_stem.weight"].transpose(2, 3, 1, 0), 2, "same")
    expected = (np.asarray(plain) - tensors["_bn0.running_mean"]) / np.sqrt(tensors["_bn0.running_var"] + EPSILON)
    expected = expected * tensors["_bn0.weight"] + tensors["_bn0.bias"]
    np.testing.assert_allclose(np.asarray(stem), expected, rtol=1e-4, atol=1e-4)
    kernel = model.get_layer("lite0_block3_depthwise").kernel
    gain = tensors["_blocks.3._bn1.weight"] / np.sqrt(tensors["_blocks.3._bn1.running_var"] + EPSILON)
    raw = tensors["_blocks.3._depthwise_conv.weight"]
    np.testing.assert_allclose(np.asarray(kernel)[1, 2, 7, 0], raw[7, 0, 1, 2] * gain[7], rtol=1e-5)
