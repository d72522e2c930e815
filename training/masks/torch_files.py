"""Arrays of a PyTorch file of before version 1.6, without PyTorch: a library of 2 GB for one file of 17 MB.

Such a file is a row of pickles, of which the fourth is the dictionary of arrays, and then the numbers of all arrays.
The reader builds arrays and dictionaries and refuses all else that a pickle can ask for.
"""

from __future__ import annotations

import math
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.atomic import BROKEN_FILE

#: The first pickle of such a file.
_MAGIC = 0x1950A86A20F9469CFC6C
_KINDS = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def read_torch_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file by name. Raises ValueError if it is no such file, OSError if it cannot be read."""
    with Path(path).open("rb") as file:
        try:
            if _Reader(file).load() != _MAGIC:
                raise pickle.UnpicklingError("it does not begin as one")
            _Reader(file).load(), _Reader(file).load()  # the version, and the machine that wrote it
            reader = _Reader(file)
            arrays = reader.load()
            for key in _Reader(file).load():
                storage = reader.storages[key]
                file.seek(8, 1)  # the number of values once more
                storage[:] = np.frombuffer(file.read(storage.nbytes), storage.dtype)
            found = {str(name): np.asarray(array) for name, array in arrays.items()}
        except (pickle.UnpicklingError, *BROKEN_FILE) as error:
            got = " ".join(str(error).split())  # pickle quotes lines with their ends
            msg = f"{path} must be a file of arrays that PyTorch wrote. Got: {got}."
            raise ValueError(msg) from error
    return found


class _Reader(pickle.Unpickler):
    """Builds arrays whose numbers are filled in later."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, NDArray[Any]] = {}
        self._room = os.fstat(file.fileno()).st_size

    def find_class(self, module: str, name: str) -> Any:
        """The three things that a dictionary of arrays is made of."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _build_array
        if module == "torch" and name in _KINDS:
            return _KINDS[name]
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, identity: Any) -> NDArray[Any]:
        """Room for the numbers of an array."""
        _, kind, key, _, size, _ = identity
        if key not in self.storages:
            self._room -= size * np.dtype(kind).itemsize
            if size < 0 or self._room < 0:
                raise ValueError(f"{size} numbers, more than the file holds")
            self.storages[key] = np.zeros(size, kind)
        return self.storages[key]


def _build_array(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> NDArray[Any]:
    """The part of a storage that is an array; `strides` count values."""
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides), default=offset) < 0 or last >= storage.size or math.prod(shape) > storage.size:
        raise ValueError("an array beyond its numbers")
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)
