"""Nodes of an ONNX graph, channels before rows and columns. Needs the package `onnx`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from defocus_edge.networks.edge.architecture import NORMALIZATION_EPSILON

#: Version of ONNX' operators. It is of 2022, so that older runtimes know it, too; and of the file format of that time.
OPSET, FORMAT = 17, 8
#: Axes of maps in the graph.
CHANNELS, ROWS, COLUMNS = 1, 2, 3
#: Permutations of the axes from channels last, as in Keras, to channels first, as in the graph, and back.
CHANNELS_FIRST, CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
#: Permutation of Keras' kernel (rows, columns, inputs, outputs) to ONNX' order, also for ConvTranspose.
KERNEL_AXES = (3, 2, 0, 1)
# Stop of a Slice that goes to the end of an axis.
_END = np.iinfo(np.int64).max
_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "softmax": "Softmax", "tanh": "Tanh"}


class GraphBuilder:
    """Nodes and constants of a graph, in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._uses: Counter[str] = Counter()

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node with one output of the same name, and return that name; used again, it gets a number."""
        self._uses[name] += 1
        name = name if self._uses[name] == 1 else f"{name}/{self._uses[name]}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def add_constant(self, name: str, values: ArrayLike) -> str:
        """Add an array and return its name; an array that is there by this name is used again."""
        if any(constant.name == name for constant in self.constants):
            return name
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add_slice(self, source: str, cuts: Mapping[int, tuple[int, int]], name: str) -> str:
        """Add a slice of a tensor, given as axis: (start, stop); a stop of 0 is the end of the axis."""
        bounds = [(start, stop or _END, axis) for axis, (start, stop) in cuts.items()]
        values = dict(zip(("starts", "ends", "axes"), np.array(bounds, np.int64).T, strict=True))
        return self.add("Slice", [source, *(self.add_constant(f"{name}/{key}", values[key]) for key in values)], name)

    def add_convolution(
        self,
        source: str,
        kernel: NDArray[np.float32],
        name: str,
        *,
        bias: NDArray[np.float32] | None = None,
        dilation: int = 1,
        stride: int = 1,
        pads: Sequence[int] = (0, 0, 0, 0),
        groups: int = 1,
    ) -> str:
        """Add a convolution with a kernel in Keras' order; each of `groups` of channels has its own inputs."""
        constants = [self.add_constant(f"{name}/kernel", kernel.transpose(KERNEL_AXES))]
        if bias is not None:
            constants.append(self.add_constant(f"{name}/bias", bias))
        options = {"dilations": [dilation] * 2, "strides": [stride] * 2, "pads": list(pads)}
        return self.add("Conv", [source, *constants], name, kernel_shape=kernel.shape[:2], group=groups, **options)

    def add_activation(self, source: str, activation: str) -> str:
        """Add an activation by its name in Keras; ``"linear"`` is none."""
        if activation == "linear":
            return source
        attributes = {"axis": -1} if activation == "softmax" else {}
        return self.add(_ACTIVATIONS[activation], [source], f"{source}/{activation}", **attributes)

    def add_dense(
        self, source: str, kernel: NDArray[np.float32], bias: NDArray[np.float32], name: str, activation: str
    ) -> str:
        """Add a dense layer on rows of values."""
        constants = [self.add_constant(f"{name}/kernel", kernel), self.add_constant(f"{name}/bias", bias)]
        return self.add_activation(self.add("Gemm", [source, *constants], name), activation)

    def add_scaling(self, source: str, scale: ArrayLike, offset: ArrayLike, name: str) -> str:
        """Add ``source * scale + offset``, with one value for all channels or one for each."""
        scale, offset = (np.asarray(values, np.float32).reshape(-1, 1, 1) for values in (scale, offset))
        scaled = self.add("Mul", [source, self.add_constant(f"{name}/scale", scale)], f"{name}/scaled")
        return self.add("Add", [scaled, self.add_constant(f"{name}/offset", offset)], name)

    def add_head_normalization(self, source: str, name: str) -> str:
        """Add X / √(mean X² + ε), row by row, as `networks.edge.head_normalization` does."""
        squares = self.add("Mul", [source, source], f"{name}/squares")
        mean = self.add("ReduceMean", [squares], f"{name}/mean", axes=[-1], keepdims=1)
        epsilon = self.add_constant(f"{name}/epsilon", np.array(NORMALIZATION_EPSILON, np.float32))
        root = self.add("Sqrt", [self.add("Add", [mean, epsilon], f"{name}/sum")], f"{name}/root")
        return self.add("Div", [source, root], name)
