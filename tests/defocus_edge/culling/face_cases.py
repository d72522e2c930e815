"""A model with the outputs of YuNet that takes white squares for faces."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)


def make_model():
    """ONNX with YuNet's outputs: the score of a cell of 8×8 px is its brightness, its face as large as the cell."""
    nodes, weights = [], []
    for stride in STRIDES:
        for kind, channels in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            share = 1 / (3 * 255 * stride**2) if stride == STRIDES[0] and channels == 1 else 0.0
            name = f"{kind}_{stride}"
            values = np.full((channels, 3, stride, stride), share, np.float32)
            weights.append(numpy_helper.from_array(values, f"{name}_weight"))
            sides = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
            nodes.append(helper.make_node("Conv", ["input", f"{name}_weight"], [name], **sides))
    outputs = [helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None) for node in nodes]
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])
    graph = helper.make_graph(nodes, "faces", [picture], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
