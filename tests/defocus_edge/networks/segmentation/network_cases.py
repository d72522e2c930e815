"""What the tests of the networks that detect blur look at: how layers are joined, and what they give."""

import keras
import numpy as np


def get_inputs(net, name):
    """Names of the layers that feed a layer that is called once."""
    tensors = net.get_layer(name).input
    return [tensor._keras_history.operation.name for tensor in (tensors if isinstance(tensors, list) else [tensors])]


def evaluate(net, image, *names):
    """Outputs of layers that are called once."""
    parts = keras.Model(net.input, [net.get_layer(name).output for name in names])
    return [np.asarray(part) for part in keras.tree.flatten(parts(image))]
