"""Dense evaluation of the edge networks as an ONNX graph, made from the networks on patches.

One rule turns each layer of the patch networks into one on the whole picture; `networks.edge.features` applies it by
hand. Two neighbouring values of a patch's map lie `step` px apart in the picture: first 1 px, after a pooling with
stride 3 three times as far. On the whole picture a layer therefore has stride 1 and dilation `step`. The first
convolution of a head joins maps of different steps. It is the sum of its parts on each of them, gathered at the points.
The layers after it work at points, as on patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers
from onnx import TensorProto

from defocus_edge.networks.onnx.layers import (
    CHANNELS,
    CHANNELS_FIRST,
    CHANNELS_LAST,
    COLUMNS,
    ROWS,
    GraphBuilder,
    add_layer,
    list_inputs,
    read_weight,
)

#: End of the names of the convolutions that join the branches.
HEAD_START = "_head_conv1"


@dataclass(frozen=True)
class _Map:
    """Map of the whole picture that stands for a map of patches."""

    name: str
    channels: int
    step: int


def add_dense_model(graph: GraphBuilder, joint: keras.Model, image: str, points: str) -> dict[str, str]:
    """Add both networks, evaluated at points of tiles, and return the name of the output of each head.

    `joint` is the model of that name of `EdgeNetworks`. `image` names the input of tiles with their border, (B, T+40,
    T+40, 3); `points` names that of the points, (N, 3) int32: number of the tile, row and column in it. TypeError if
    the rule does not cover a layer before the heads.
    """
    source = graph.add("Transpose", [image], f"{image}/channels_first", perm=CHANNELS_FIRST)
    corners = _add_corners(graph, points)
    maps = {id(joint.inputs[0]): [_Map(source, joint.inputs[0].shape[-1], 1)]}
    at_points: dict[int, str] = {}
    for layer in joint.layers:
        inputs = [id(tensor) for tensor in list_inputs(layer)] if not isinstance(layer, layers.InputLayer) else []
        if inputs and inputs[0] in at_points:
            at_points[id(layer.output)] = add_layer(graph, layer, [at_points[key] for key in inputs])
        elif layer.name.endswith(HEAD_START):
            at_points[id(layer.output)] = _add_head_start(graph, layer, maps[inputs[0]], corners)
        elif isinstance(layer, layers.Concatenate):
            maps[id(layer.output)] = [part for key in inputs for part in maps[key]]
        elif inputs:
            (before,) = maps[inputs[0]]
            maps[id(layer.output)] = [_add_on_picture(graph, layer, before)]
    return {head: at_points[id(output)] for head, output in joint.output.items()}


def _add_corners(graph: GraphBuilder, points: str) -> str:
    """Corners of the patches as (N, 1, 3) indices: in the tile with its border they are the points without it."""
    index = graph.add("Cast", [points], f"{points}/int64", to=TensorProto.INT64)
    axis = graph.add_constant(f"{points}/axis", np.array([1], np.int64))
    return graph.add("Unsqueeze", [index, axis], f"{points}/corners")


def _add_on_picture(graph: GraphBuilder, layer: keras.layers.Layer, before: _Map) -> _Map:
    """Add one layer of a branch on the whole picture."""
    channels, step = layer.output.shape[-1], before.step
    if isinstance(layer, layers.Rescaling):
        return _Map(add_layer(graph, layer, [before.name]), channels, step)
    if isinstance(layer, layers.Cropping2D):
        (top, bottom), (left, right) = layer.cropping
        cuts = {ROWS: (top * step, -bottom * step), COLUMNS: (left * step, -right * step)}
        return _Map(graph.add_slice(before.name, cuts, layer.name), channels, step)
    if isinstance(layer, layers.Conv2D) and (layer.padding, layer.strides, layer.use_bias) == ("valid", (1, 1), False):
        output = graph.add_convolution(before.name, read_weight(layer.kernel), layer.name, dilation=step)
        return _Map(graph.add_activation(output, layer), channels, step)
    if isinstance(layer, layers.MaxPooling2D) and layer.padding == "valid":
        options = {"kernel_shape": layer.pool_size, "dilations": [step, step], "strides": [1, 1]}
        pooled = graph.add("MaxPool", [before.name], layer.name, **options)
        return _Map(pooled, channels, step * layer.strides[0])
    msg = f"layer {layer.name} must be one that the dense evaluation knows. Got: {type(layer).__name__}."
    raise TypeError(msg)


def _add_head_start(graph: GraphBuilder, layer: layers.Conv2D, parts: list[_Map], corners: str) -> str:
    """Add the first convolution of a head at points, (N, C, 5, 5)."""
    kernel, name = read_weight(layer.kernel), layer.name
    _, side, _, channels = layer.output.shape
    ends = np.cumsum([part.channels for part in parts])
    pieces = dict(zip(parts, np.split(kernel, ends[:-1], axis=2), strict=True))
    sums = []
    for step in sorted({part.step for part in parts}):
        of_step = [part for part in parts if part.step == step]
        stem = f"{name}/step{step}"
        joined = graph.add("Concat", [part.name for part in of_step], f"{stem}/maps", axis=CHANNELS)
        share = np.concatenate([pieces[part] for part in of_step], axis=2)
        convolved = graph.add_convolution(joined, share, f"{stem}/conv", dilation=step)
        last = graph.add("Transpose", [convolved], f"{stem}/channels_last", perm=CHANNELS_LAST)
        rows, cols = np.indices((side, side)).reshape(2, -1) * step
        offsets = graph.add_constant(f"{stem}/offsets", np.stack([np.zeros_like(rows), rows, cols], axis=1))
        index = graph.add("Add", [corners, offsets], f"{stem}/index")
        sums.append(graph.add("GatherND", [last, index], f"{stem}/gathered"))
    total = graph.add("Sum", sums, f"{name}/sum")
    first = graph.add("Transpose", [graph.add_activation(total, layer)], f"{name}/channels_first", perm=(0, 2, 1))
    shape = graph.add_constant(f"{name}/shape", np.array([0, channels, side, side], np.int64))
    return graph.add("Reshape", [first, shape], name)
