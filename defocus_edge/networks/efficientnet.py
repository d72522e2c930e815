"""EfficientNet-Lite0 without its head: what an encoder that knows ImageNet sees in a picture.

M. Tan and Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
arXiv:1905.11946, table 1; Lite0 is its B0 without squeeze-and-excitation, with ReLU6 instead of Swish. Batch
normalization is part of the convolutions here.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers


@dataclass(frozen=True)
class Stage:
    """A row of table 1: some blocks of the same shape, of which the first has the stride."""

    blocks: int
    filters: int
    side: int
    stride: int
    expansion: int


#: Filters of the first convolution, of side 3 and stride 2.
STEM_FILTERS = 32
STAGES = (
    Stage(1, 16, 3, 1, 1),
    Stage(2, 24, 3, 2, 6),
    Stage(2, 40, 5, 2, 6),
    Stage(3, 80, 3, 2, 6),
    Stage(3, 112, 5, 1, 6),
    Stage(4, 192, 5, 2, 6),
)
#: Stride of the last stage before each halving, to its number: where a decoder takes features. The last stage of the
#: paper, a single block of 320 filters, is left out.
FEATURE_STAGES = {4: 1, 8: 2, 16: 4, 32: 5}


def apply_efficientnet(image: keras.KerasTensor) -> dict[int, keras.KerasTensor]:
    """Features of (B, H, W, 3) RGB in [0, 1] by their stride 4, 8, 16 and 32; H and W are multiples of 32."""
    tensor = layers.Rescaling(2.0, -1.0, name="lite0_scaling")(image)
    tensor = _apply_conv(tensor, STEM_FILTERS, 3, 2, "lite0_stem")
    found = []
    number = 0
    for stage in STAGES:
        for index in range(stage.blocks):
            tensor = _apply_block(tensor, stage, stage.stride if index == 0 else 1, f"lite0_block{number}")
            number += 1
        found.append(tensor)
    return {stride: found[stage] for stride, stage in FEATURE_STAGES.items()}


def _apply_block(tensor: keras.KerasTensor, stage: Stage, stride: int, name: str) -> keras.KerasTensor:
    """An inverted residual: expand, filter each channel, project; added to its input where the shapes are equal."""
    inner = tensor
    if stage.expansion > 1:
        inner = _apply_conv(inner, stage.expansion * tensor.shape[-1], 1, 1, f"{name}_expand")
    inner = layers.DepthwiseConv2D(stage.side, stride, padding="same", name=f"{name}_depthwise")(inner)
    inner = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(inner)
    inner = layers.Conv2D(stage.filters, 1, name=f"{name}_project")(inner)
    if stride == 1 and tensor.shape[-1] == stage.filters:
        inner = layers.Add(name=f"{name}_add")([inner, tensor])
    return inner


def _apply_conv(tensor: keras.KerasTensor, filters: int, side: int, stride: int, name: str) -> keras.KerasTensor:
    """A convolution and ReLU6."""
    tensor = layers.Conv2D(filters, side, stride, padding="same", name=name)(tensor)
    return layers.ReLU(6.0, name=f"{name}_relu")(tensor)
