"""What the networks of a preset cost: parameters, arithmetic, and minutes of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import keras
from keras import layers

from defocus_edge.networks.preset_files import CONFIG_FILE, find_preset, read_config, read_metadata
from defocus_edge.networks.presets import load_edge_networks, load_segmentation_preset
from defocus_edge.networks.segmentation.names import NETWORK_NAMES
from training.runs.tables import NAN, Row

#: Side in px of the square pictures whose multiply-adds are counted, as in most papers.
COUNTED_SIDE = 320
#: Columns of what a method costs.
COSTS = (PARAMETERS, MULTIPLY_ADDS, MINUTES) = ("parameters (10⁶)", "multiply-adds (10⁹)", "training (min)")


def count_multiply_adds(model: keras.Model, height: int, width: int) -> int:
    """Multiply-adds of a network's convolutions for one picture.

    Parameters
    ----------
    model : keras.Model
        Functional graph with one input. A layer that is called several times counts each time.
    height, width : int
        Size of the picture in px, multiples of the network's stride.

    Returns
    -------
    int
        Number of products of kernel values and inputs, padding included. Biases, normalization, pooling, upsampling
        and attention are not counted.
    """
    kinds = layers.Conv2D | layers.Conv2DTranspose | layers.DepthwiseConv2D
    nodes = [node for step in model._nodes_by_depth.values() for node in step if isinstance(node.operation, kinds)]
    # A transposed convolution applies its whole kernel once for each position of its input.
    places = [
        (node.input_tensors if isinstance(node.operation, layers.Conv2DTranspose) else node.output_tensors)[0]
        for node in nodes
    ]
    sizes = keras.Model(model.inputs, places).compute_output_shape((1, height, width, model.inputs[0].shape[-1]))
    return sum(prod(node.operation.kernel.shape) * prod(size[1:3]) for node, size in zip(nodes, sizes, strict=True))


def measure_costs(preset: str | Path | None) -> Row:
    """The `COSTS` of a preset, given by name or as a folder; NaN for what has none, and for a method without preset.

    The multiply-adds of edge networks depend on the edge points of a picture, so they have none. Minutes are those of
    the last run and, if it began with weights of another run, of that one, as far as the metadata say. Raises
    PresetError if the preset is unknown or damaged.
    """
    if preset is None:
        return dict.fromkeys(COSTS, NAN)
    if read_config(find_preset(preset) / CONFIG_FILE)["network"] in NETWORK_NAMES:
        model = load_segmentation_preset(preset).model
        parameters, products = model.count_params(), count_multiply_adds(model, COUNTED_SIDE, COUNTED_SIDE) / 1e9
    else:
        parameters, products = load_edge_networks(preset).joint.count_params(), NAN
    return {PARAMETERS: parameters / 1e6, MULTIPLY_ADDS: products, MINUTES: _find_minutes(read_metadata(preset))}


def add_costs(rows: Sequence[Row], presets: Mapping[str, str | None], *, column: str) -> list[Row]:
    """Add its costs to each row; `presets` maps the name of a method, which is in the `column`, to its preset."""
    costs = {name: measure_costs(preset) for name, preset in presets.items()}
    return [row | costs[str(row[column])] for row in rows]


def _find_minutes(metadata: Mapping[str, Any]) -> float:
    """Minutes of training: those that the settings gave it, or those that it took."""
    seconds = metadata.get("settings", {}).get("seconds")
    minutes = seconds / 60 if seconds else 60 * metadata.get("hours_of_last_run", NAN)
    return float(minutes + (_find_minutes(metadata["first_run"]) if "first_run" in metadata else 0))
