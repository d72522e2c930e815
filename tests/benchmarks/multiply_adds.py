"""The cost of a network."""

from math import prod

import keras
from keras import layers


def count_multiply_adds(model: keras.Model, height: int, width: int) -> int:
    """Multiply-adds of a network's convolutions for one picture.

    Parameters
    ----------
    model : keras.Model
        Functional graph with one input and one output, in which each layer is used once.
    height, width : int
        Size of the picture in px, multiples of the network's stride.

    Returns
    -------
    int
        Number of products of kernel values and inputs, padding included. Biases, normalization, pooling, upsampling
        and attention are not counted.
    """
    kinds = layers.Conv2D | layers.Conv2DTranspose | layers.DepthwiseConv2D
    convs = [layer for layer in model.layers if isinstance(layer, kinds)]
    # A transposed convolution applies its whole kernel once for each position of its input.
    places = [conv.input if isinstance(conv, layers.Conv2DTranspose) else conv.output for conv in convs]
    sizes = keras.Model(model.inputs, places).compute_output_shape((1, height, width, model.inputs[0].shape[-1]))
    return sum(prod(conv.kernel.shape) * prod(size[1:3]) for conv, size in zip(convs, sizes, strict=True))
