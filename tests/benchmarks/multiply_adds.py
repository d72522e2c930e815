"""The cost of a network."""

from math import prod

import keras
from keras import layers


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
