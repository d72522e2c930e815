"""Weights of a network as arrays: read from a file that Keras wrote, without Keras, or taken from a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

#: Kernel and bias of each layer, or what else it has, by the name of the layer.
Arrays = Mapping[str, list[NDArray[np.float32]]]


class WeightsError(ValueError):
    """A file holds no weights, or weights of other shapes than wanted."""


def read_arrays(path: Path, shapes: Mapping[str, list[tuple[int, ...]]]) -> Arrays:
    """Read the weights of the layers that `shapes` names from a file of `keras.Model.save_weights`, as float32.

    Raises WeightsError if a layer is missing or has other shapes; OSError if the file is not in HDF5.
    """
    with h5py.File(path) as file:
        saved = [layer["vars"] for layer in file.get("layers", {}).values() if "vars" in layer]
        # Keras numbers the weights of a layer and names the layer in an attribute.
        found = {str(group.attrs.get("name")): [group[key][()] for key in sorted(group, key=int)] for group in saved}
    for name, wanted in shapes.items():
        given = [values.shape for values in found.get(name, [])]
        if given != wanted:
            msg = f"the layer {name} must have weights of the shapes {wanted}. Got: {given or 'no such layer'}."
            raise WeightsError(msg)
    return {name: [np.asarray(values, np.float32) for values in found[name]] for name in shapes}


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
