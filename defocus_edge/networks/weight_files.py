"""Weights of a network as arrays: read from a file that Keras wrote, without Keras, or taken from a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.atomic import BROKEN_FILE
from defocus_edge.networks.hdf5_texts import check_heaps, check_texts

if TYPE_CHECKING:
    import keras

#: Kernel and bias of each layer, or what else it has, by the name of the layer.
Arrays = Mapping[str, list[NDArray[np.float32]]]


class WeightsError(ValueError):
    """A file holds no weights, damaged ones, or weights of other shapes than wanted."""


def read_arrays(path: Path, shapes: Mapping[str, list[tuple[int, ...]]]) -> Arrays:
    """Read the weights of the layers that `shapes` names from a file of `keras.Model.save_weights`, as float32.

    Raises WeightsError if a layer is missing or has other shapes, and what `check_weights` raises.
    """
    with _open_checked(path) as file:
        saved = [layer["vars"] for layer in file.get("layers", {}).values() if "vars" in layer]
        # Keras numbers the weights of a layer and names the layer in an attribute.
        found = {str(group.attrs.get("name")): [group[key][()] for key in sorted(group, key=int)] for group in saved}
    for name, wanted in shapes.items():
        given = [values.shape for values in found.get(name, [])]
        if given != wanted:
            msg = f"the layer {name} must have weights of the shapes {wanted}. Got: {given or 'no such layer'}."
            raise WeightsError(msg)
    return {name: [np.asarray(values, np.float32) for values in found[name]] for name in shapes}


def check_weights(path: Path) -> None:
    """Raise WeightsError unless all weights are finite numbers in the file itself; OSError if it is not in HDF5.

    Links into the file or out of it, arrays that lie elsewhere and compressed ones are refused: the memory that the
    weights take is bounded by the size of the file.
    """
    with _open_checked(path):
        pass


@contextmanager
def _open_checked(path: Path) -> Iterator[h5py.File]:
    """See `check_weights`; what the block finds damaged is a WeightsError."""
    try:
        data = path.read_bytes()
        check_heaps(data)
        with h5py.File(path) as file:
            _check_group(file, data)
            yield file
    except (OSError, WeightsError):
        raise
    except BROKEN_FILE as error:
        msg = f"the file is damaged. Got: {error}."
        raise WeightsError(msg) from error


def _check_group(file: h5py.File, data: bytes) -> None:
    """Walk through all groups of the file `data`; the walk of h5py itself breaks down at errors and damaged names."""
    groups, seen = [file], set[h5py.Group]()  # hard links may make circles
    while groups:
        group = groups.pop()
        if group in seen:
            continue
        seen.add(group)
        check_texts(data, h5py.h5o.get_info(group.id).addr)
        for name in group:
            where = f"{group.name}/{name}".lstrip("/")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise WeightsError(f"{where} must be in the file itself. Got: a link.")
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append(item)
            else:
                _check_array(where, item)


def _check_array(where: str, item: h5py.Dataset) -> None:
    """Refuse an array that is not finite or not whole in the file."""
    if item.dtype.kind not in "fiu" or item.shape is None:
        raise WeightsError(f"{where} must hold numbers. Got: {item.dtype} of the shape {item.shape}.")
    if item.is_virtual or item.external or item.chunks or item.id.get_storage_size() != item.nbytes:
        raise WeightsError(f"{where} must lie whole and uncompressed in the file. Got: another layout.")
    with np.errstate(over="ignore"):
        if not np.isfinite(item[()].astype(np.float32)).all():
            raise WeightsError(f"{where} must be finite as float32. Got: NaN or infinite numbers.")


def fill_layers(model: keras.Model, arrays: Arrays) -> None:
    """Fill layers of a model with arrays of `read_arrays`."""
    for name, values in arrays.items():
        model.get_layer(name).set_weights(values)


def copy_arrays(model: keras.Model) -> Arrays:
    """Copy the weights of the layers of a model that have some."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def store_kernels_in_half(path: Path) -> None:
    """Rewrite a weights file with all arrays of at least two axes in float16."""
    rewritten = path.with_name(f".half{path.name}")

    def copy(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            values = item[()]
            # NumPy rounds: HDF5's own conversion halves values that round up to a power of two (seen in 1.14).
            target.create_dataset(name, data=values.astype("float16") if item.ndim > 1 else values)
        else:
            target.require_group(name)
        target[name].attrs.update(item.attrs)

    try:
        with h5py.File(path) as source, h5py.File(rewritten, "w") as target:
            target.attrs.update(source.attrs)
            source.visititems(copy)
        rewritten.replace(path)
    finally:
        rewritten.unlink(missing_ok=True)
