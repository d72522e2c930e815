"""Files of PyTorch are read without it, and nothing but arrays is taken from them."""

import io
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

from tests.fuzz.preset_targets import make_torch_files
from training.masks.torch_files import read_torch_arrays

MAGIC = 0x1950A86A20F9469CFC6C
VALUES = np.arange(12, dtype=np.float32)


class Storage:
    """Numbers that a pickle names and does not hold."""

    def __init__(self, values):
        self.values = values


class Tensor:
    """What a pickle says of an array."""

    def __init__(self, storage, offset, shape, strides):
        self.parts = (storage, offset, shape, strides, False, OrderedDict())


@pytest.fixture
def modules(monkeypatch):
    """Stand-ins with the names that PyTorch's pickles hold."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*parts):
        raise AssertionError(parts)

    class FloatStorage:
        pass

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"
    utils._rebuild_tensor_v2, torch.FloatStorage, torch._utils = _rebuild_tensor_v2, FloatStorage, utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch


def write(path, modules, arrays):
    """Write arrays as PyTorch did before version 1.6."""
    storages = []

    class Writer(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, Storage):
                return None
            if value not in storages:
                storages.append(value)
            return ("storage", modules.FloatStorage, str(storages.index(value)), "cpu", value.values.size, None)

        def reducer_override(self, value):
            return (modules._utils._rebuild_tensor_v2, value.parts) if isinstance(value, Tensor) else NotImplemented

    with path.open("wb") as file:
        for value in (MAGIC, 1001, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        body = io.BytesIO()
        Writer(body, protocol=2).dump(OrderedDict(arrays))
        file.write(body.getvalue())
        pickle.dump([str(number) for number in range(len(storages))], file, protocol=2)
        for storage in storages:
            file.write(struct.pack("<q", storage.values.size) + storage.values.tobytes())
    return path


def test_arrays_are_read_with_their_strides(tmp_path, modules):
    storage, other = Storage(VALUES), Storage(VALUES[:2] + 100)
    arrays = {
        "rows": Tensor(storage, 0, (3, 4), (4, 1)),
        "cols": Tensor(storage, 0, (4, 3), (1, 4)),
        "part": Tensor(storage, 5, (2, 2), (4, 1)),
        "other": Tensor(other, 0, (2,), (1,)),
    }
    found = read_torch_arrays(write(tmp_path / "a.pth", modules, arrays))
    square = VALUES.reshape(3, 4)
    assert list(found) == ["rows", "cols", "part", "other"]
    for name, expected in zip(found, (square, square.T, square[1:, 1:3], VALUES[:2] + 100), strict=True):
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == np.float32


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(10, (3,), (1,)), (0, (4, 4), (4, 1)), (-1, (2,), (1,)), (5, (3,), (-1,))]
)
def test_arrays_beyond_their_numbers_are_refused(tmp_path, modules, offset, shape, strides):
    path = write(tmp_path / "a.pth", modules, {"a": Tensor(Storage(VALUES), offset, shape, strides)})
    with pytest.raises(ValueError, match=r"a\.pth must be a file of arrays that PyTorch wrote\. Got: an array beyond"):
        read_torch_arrays(path)


def test_more_numbers_than_the_file_has_take_no_memory(tmp_path):
    (whole,) = make_torch_files()
    path = tmp_path / "a.pth"
    path.write_bytes(whole)
    assert read_torch_arrays(path)["a.weight"].shape == (3, 4)
    for size in (b"99999999999999", b"-1"):
        path.write_bytes(whole.replace(b"I12\n", b"I%b\n" % size))
        with pytest.raises(ValueError, match=r"Got: -?\d+ numbers, more than the file holds"):
            read_torch_arrays(path)


@pytest.mark.parametrize("kept", [0, 10, 40, 120, -1, -40])
def test_cut_files_are_refused(tmp_path, modules, kept):
    path = write(tmp_path / "a.pth", modules, {"a": Tensor(Storage(VALUES), 0, (12,), (1,))})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"must be a file of arrays that PyTorch wrote"):
        read_torch_arrays(path)


def test_no_code_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    path = tmp_path / "a.pth"
    path.write_bytes(b"".join(pickle.dumps(value) for value in (MAGIC, 1001, {}, {"a": Evil()})))
    with pytest.raises(ValueError, match=r"Got: .*mkdir"):
        read_torch_arrays(path)
    assert not (tmp_path / "made").exists()


def test_other_pickles_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match=r"Got: it does not begin as one"):
        read_torch_arrays(path)
