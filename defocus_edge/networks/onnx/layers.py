"""Keras layers as nodes of an ONNX graph.

A converter of whole TensorFlow graphs would make this table of a dozen layers needless. But tf2onnx 1.17 turns each
dilated convolution of a picture of any size into some sixty nodes, and it gave other probabilities for MSDU-net.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from defocus_edge.networks.edge.head_normalization import HeadNormalization
from defocus_edge.networks.onnx.graph import (
    CHANNELS,
    CHANNELS_FIRST,
    CHANNELS_LAST,
    COLUMNS,
    KERNEL_AXES,
    ROWS,
    GraphBuilder,
)
from defocus_edge.networks.segmentation.architectures.cenet import LEAST_MEAN, MeanProbability
from defocus_edge.networks.segmentation.architectures.dcinet import DIRECTIONS, DirectionalSweep
from defocus_edge.networks.segmentation.architectures.maganet import ChannelAttention
from defocus_edge.networks.segmentation.architectures.msdu import ClassDifference
from defocus_edge.networks.segmentation.blocks import BilinearResizing, BilinearUpsampling
from defocus_edge.networks.segmentation.normalization import BatchNormalization


def add_model(graph: GraphBuilder, model: keras.Model, source: str) -> Any:
    """Add all layers of a functional model that has one input; a layer that is called several times is added as often.

    `source` names the input, channels last. Returns the names of the outputs, in the structure of ``model.output``;
    maps have their channels first.
    """
    names = {id(model.inputs[0]): graph.add("Transpose", [source], f"{source}/channels_first", perm=CHANNELS_FIRST)}
    for _, calls in sorted(model._nodes_by_depth.items(), reverse=True):  # the input is the deepest
        for call in calls:
            if not isinstance(call.operation, layers.InputLayer):
                inputs = [names[id(tensor)] for tensor in call.input_tensors]
                names[id(call.output_tensors[0])] = add_layer(graph, call.operation, inputs)
    return keras.tree.map_structure(lambda output: names[id(output)], model.output)


def add_layer(graph: GraphBuilder, layer: keras.layers.Layer, inputs: list[str]) -> str:
    """Add one layer and return the name of its output; TypeError if the table of layers lacks its kind."""
    if type(layer) not in _FORMS:
        msg = f"layer must be one of {sorted(kind.__name__ for kind in _FORMS)}. Got: {type(layer).__name__}."
        raise TypeError(msg)
    return _FORMS[type(layer)](graph, layer, inputs)


def read_weight(variable: Any) -> NDArray[np.float32]:
    """Values of a layer's weight."""
    return np.asarray(ops.convert_to_numpy(variable), dtype=np.float32)


def _add_conv(graph: GraphBuilder, layer: layers.Conv2D | layers.DepthwiseConv2D, inputs: list[str]) -> str:
    kernel, groups = read_weight(layer.kernel), 1
    if isinstance(layer, layers.DepthwiseConv2D):  # one kernel for each channel, as (rows, columns, channels, 1)
        kernel, groups = kernel.swapaxes(2, 3), kernel.shape[2]
    size, stride, dilation = layer.kernel_size[0], layer.strides[0], layer.dilation_rate[0]
    # TensorFlow's padding of an axis whose length is a multiple of the stride, as those of pictures must be.
    total = max((size - 1) * dilation + 1 - stride, 0) if layer.padding == "same" else 0
    before, after = total // 2, total - total // 2
    output = graph.add_convolution(
        inputs[0],
        kernel,
        layer.name,
        bias=read_weight(layer.bias) if layer.use_bias else None,
        dilation=dilation,
        stride=stride,
        pads=(before, before, after, after),
        groups=groups,
    )
    return graph.add_activation(output, layer.activation.__name__)


def _add_transposed_conv(graph: GraphBuilder, layer: layers.Conv2DTranspose, inputs: list[str]) -> str:
    kernel = graph.add_constant(f"{layer.name}/kernel", read_weight(layer.kernel).transpose(KERNEL_AXES))
    bias = graph.add_constant(f"{layer.name}/bias", read_weight(layer.bias))
    options = {"kernel_shape": layer.kernel_size, "strides": layer.strides}
    return graph.add("ConvTranspose", [inputs[0], kernel, bias], layer.name, **options)


def _add_pooling(operator: str) -> Callable[[GraphBuilder, Any, list[str]], str]:
    def add(graph: GraphBuilder, layer: Any, inputs: list[str]) -> str:
        return graph.add(operator, inputs, layer.name, kernel_shape=layer.pool_size, strides=layer.strides)

    return add


def _add_normalization(graph: GraphBuilder, layer: BatchNormalization, inputs: list[str]) -> str:
    weights = {"gamma": layer.gamma, "beta": layer.beta, "mean": layer.moving_mean, "variance": layer.moving_variance}
    constants = [graph.add_constant(f"{layer.name}/{key}", read_weight(values)) for key, values in weights.items()]
    return graph.add("BatchNormalization", [*inputs, *constants], layer.name, epsilon=layer.epsilon)


def _add_rescaling(graph: GraphBuilder, layer: layers.Rescaling, inputs: list[str]) -> str:
    return graph.add_scaling(inputs[0], layer.scale, layer.offset, layer.name)


def _add_cropping(graph: GraphBuilder, layer: layers.Cropping2D, inputs: list[str]) -> str:
    (top, bottom), (left, right) = layer.cropping
    return graph.add_slice(inputs[0], {ROWS: (top, -bottom), COLUMNS: (left, -right)}, layer.name)


def _add_flattening(graph: GraphBuilder, layer: layers.Flatten, inputs: list[str]) -> str:
    last = graph.add("Transpose", inputs, f"{layer.name}/channels_last", perm=CHANNELS_LAST)
    return graph.add("Flatten", [last], layer.name)


def _add_dense(graph: GraphBuilder, layer: layers.Dense, inputs: list[str]) -> str:
    kernel, bias = read_weight(layer.kernel), read_weight(layer.bias)
    return graph.add_dense(inputs[0], kernel, bias, layer.name, layer.activation.__name__)


def _add_head_normalization(graph: GraphBuilder, layer: HeadNormalization, inputs: list[str]) -> str:
    return graph.add_head_normalization(inputs[0], layer.name)


def _add_upsampling(graph: GraphBuilder, layer: BilinearUpsampling, inputs: list[str]) -> str:
    if layer.factor == 1:
        return inputs[0]
    scales = graph.add_constant(f"{layer.name}/scales", np.array([1, 1, layer.factor, layer.factor], np.float32))
    options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return graph.add("Resize", [inputs[0], "", scales], layer.name, **options)


def _add_resizing(graph: GraphBuilder, layer: BilinearResizing, inputs: list[str]) -> str:
    """Resize to the rounded share of the size of the second input, in whole numbers as the layer does."""
    name, (maps, picture) = layer.name, inputs
    sizes = graph.add("Shape", [picture], f"{name}/picture_sizes", start=ROWS)
    rounding = {"Mul": layer.tenths, "Add": 5 * layer.multiple, "Div": 10 * layer.multiple}
    for kind, number in [*rounding.items(), ("Mul", layer.multiple)]:
        constant = graph.add_constant(f"{name}/{number}", np.int64(number))
        sizes = graph.add(kind, [sizes, constant], f"{name}/{kind}")
    unchanged = graph.add("Shape", [maps], f"{name}/unchanged", end=ROWS)
    sizes = graph.add("Concat", [unchanged, sizes], f"{name}/sizes", axis=0)
    options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return graph.add("Resize", [maps, "", "", sizes], name, **options)


def _add_difference(graph: GraphBuilder, layer: ClassDifference, inputs: list[str]) -> str:
    first = graph.add_slice(inputs[0], {CHANNELS: (0, 1)}, f"{layer.name}/first")
    second = graph.add_slice(inputs[0], {CHANNELS: (1, 0)}, f"{layer.name}/second")
    return graph.add("Sub", [second, first], layer.name)


def _add_mean_probability(graph: GraphBuilder, layer: MeanProbability, inputs: list[str]) -> str:
    """Log p - log(1 - p) with the mean probability p of all channels."""
    name = layer.name
    values = {"least": LEAST_MEAN, "most": 1 - LEAST_MEAN, "one": 1.0}
    least, most, one = (graph.add_constant(f"{name}/{key}", np.float32(value)) for key, value in values.items())
    mean = graph.add("ReduceMean", [graph.add_activation(inputs[0], "sigmoid")], f"{name}/mean", axes=[1], keepdims=1)
    mean = graph.add("Clip", [mean, least, most], f"{name}/clip")
    rest = graph.add("Sub", [one, mean], f"{name}/rest")
    logs = [graph.add("Log", [part], f"{part}/log") for part in (mean, rest)]
    return graph.add("Sub", logs, name)


def _add_attention(graph: GraphBuilder, layer: ChannelAttention, inputs: list[str]) -> str:
    """X + α softmax(X Xᵀ) X with X one row for each channel."""
    name, maps = layer.name, inputs[0]
    alpha = graph.add_constant(f"{name}/alpha", read_weight(layer.alpha))
    as_rows = graph.add_constant(f"{name}/as_rows", np.array([0, 0, -1], np.int64))
    rows = graph.add("Reshape", [maps, as_rows], f"{name}/rows")
    columns = graph.add("Transpose", [rows], f"{name}/columns", perm=(0, 2, 1))
    attention = graph.add("MatMul", [rows, columns], f"{name}/products")
    attention = graph.add("Softmax", [attention], f"{name}/softmax", axis=-1)
    attended = graph.add("MatMul", [attention, rows], f"{name}/attended")
    weighted = graph.add("Mul", [attended, alpha], f"{name}/weighted")
    shape = graph.add("Shape", [maps], f"{name}/shape")
    return graph.add("Add", [maps, graph.add("Reshape", [weighted, shape], f"{name}/maps")], name)


def _add_sweep(graph: GraphBuilder, layer: DirectionalSweep, inputs: list[str]) -> str:
    """A recurrent network of ReLU for each axis: its inputs pass the identity, and its states a diagonal matrix."""
    name, maps = layer.name, inputs[0]
    weights = read_weight(layer.recurrence).reshape(len(DIRECTIONS), -1)
    channels = weights.shape[1]
    identity = graph.add_constant(f"{name}/identity", np.stack([np.eye(channels, dtype=np.float32)] * 2))
    as_sequence = graph.add_constant(f"{name}/as_sequence", np.array([0, -1, channels], np.int64))
    both, joined = (graph.add_constant(f"{name}/{size}", np.array([size], np.int64)) for size in (2, 2 * channels))
    batch = graph.add("Shape", [maps], f"{name}/batch", end=CHANNELS)
    size = graph.add("Shape", [maps], f"{name}/size", start=ROWS)
    shape = graph.add("Concat", [batch, joined, size], f"{name}/shape", axis=0)
    swept = []
    # The axis of the sweep comes first and the channels last; then back from (axis, direction, batch, other, channels).
    for key, pair, order, back in (
        ("columns", weights[:2], (COLUMNS, 0, ROWS, CHANNELS), (2, 1, 4, 3, 0)),
        ("rows", weights[2:], (ROWS, 0, COLUMNS, CHANNELS), (2, 1, 4, 0, 3)),
    ):
        start = f"{name}/{key}"
        lines = graph.add("Transpose", [maps], f"{start}/lines", perm=order)
        sequence = graph.add("Reshape", [lines, as_sequence], f"{start}/sequence")
        matrices = graph.add_constant(f"{start}/matrices", np.stack([np.diag(weight) for weight in pair]))
        options = {"hidden_size": channels, "direction": "bidirectional", "activations": ["Relu", "Relu"]}
        states = graph.add("RNN", [sequence, identity, matrices], f"{start}/states", **options)
        length = graph.add("Shape", [lines], f"{start}/length", end=1)
        rest = graph.add("Shape", [lines], f"{start}/rest", start=1)
        split = graph.add("Concat", [length, both, rest], f"{start}/split", axis=0)
        states = graph.add("Reshape", [states, split], f"{start}/directions")
        states = graph.add("Transpose", [states], f"{start}/back", perm=back)
        swept.append(graph.add("Reshape", [states, shape], f"{start}/maps"))
    return graph.add("Concat", swept, name, axis=CHANNELS)


def _add_relu(graph: GraphBuilder, layer: layers.ReLU, inputs: list[str]) -> str:
    if layer.max_value is None:
        return graph.add("Relu", inputs, layer.name)
    bounds = [graph.add_constant(f"{layer.name}/{at}", np.float32(at)) for at in (0, layer.max_value)]
    return graph.add("Clip", [*inputs, *bounds], layer.name)


def _add_sum(graph: GraphBuilder, layer: layers.Add, inputs: list[str]) -> str:
    return graph.add("Add" if len(inputs) == 2 else "Sum", inputs, layer.name)  # an Add has two inputs


def _add_joining(kind: str, **attributes: Any) -> Callable[[GraphBuilder, Any, list[str]], str]:
    return lambda graph, layer, inputs: graph.add(kind, inputs, layer.name, **attributes)


def _pass_on(graph: GraphBuilder, layer: Any, inputs: list[str]) -> str:  # noqa: ARG001 - same arguments as the others
    return inputs[0]


_FORMS: dict[type, Callable[[GraphBuilder, Any, list[str]], str]] = {
    layers.Activation: lambda graph, layer, inputs: graph.add_activation(inputs[0], layer.activation.__name__),
    layers.Add: _add_sum,
    layers.AveragePooling2D: _add_pooling("AveragePool"),
    layers.Concatenate: _add_joining("Concat", axis=CHANNELS),
    layers.Conv2D: _add_conv,
    layers.Conv2DTranspose: _add_transposed_conv,
    layers.Cropping2D: _add_cropping,
    layers.Dense: _add_dense,
    layers.DepthwiseConv2D: _add_conv,
    layers.Dropout: _pass_on,
    layers.Flatten: _add_flattening,
    layers.GlobalAveragePooling2D: _add_joining("GlobalAveragePool"),
    layers.MaxPooling2D: _add_pooling("MaxPool"),
    layers.Multiply: _add_joining("Mul"),
    layers.ReLU: _add_relu,
    layers.Rescaling: _add_rescaling,
    BatchNormalization: _add_normalization,
    BilinearResizing: _add_resizing,
    BilinearUpsampling: _add_upsampling,
    ChannelAttention: _add_attention,
    ClassDifference: _add_difference,
    DirectionalSweep: _add_sweep,
    HeadNormalization: _add_head_normalization,
    MeanProbability: _add_mean_probability,
}
