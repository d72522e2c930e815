"""The encoder EfficientNet-Lite0: inverted residual blocks without squeeze-and-excitation, with ReLU6."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import NORMALIZATION_MOMENTUM, scale_filters
from defocus_edge.networks.segmentation.normalization import BatchNormalization


@dataclass(frozen=True)
class BlockGroup:
    """Blocks of one kind in a row; the first of them has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


#: Filters of the first convolution, whose stride is 2.
STEM_FILTERS = 32
#: Tan & Le 2019, table 1, without squeeze-and-excitation.
GROUPS = (
    BlockGroup(1, 3, 1, 1, 16),
    BlockGroup(2, 3, 2, 6, 24),
    BlockGroup(2, 5, 2, 6, 40),
    BlockGroup(3, 3, 2, 6, 80),
    BlockGroup(3, 5, 1, 6, 112),
    BlockGroup(4, 5, 2, 6, 192),
    BlockGroup(1, 3, 1, 6, 320),
)
#: Mean and spread of the values from 0 to 1 that the weights trained on ImageNet expect.
LITE_MEAN, LITE_SPREAD = 127 / 255, 128 / 255
#: Number that batch normalization adds to a variance, as the trained weights have it.
_EPSILON = 1e-3


def apply_lite_scaling(image: keras.KerasTensor) -> keras.KerasTensor:
    """RGB in [0, 1] to what the trained weights expect, about -1 to 1."""
    # float32 under every dtype policy: bfloat16 would lose fine texture before it is centred. The next layer casts.
    return layers.Rescaling(1 / LITE_SPREAD, -LITE_MEAN / LITE_SPREAD, dtype="float32", name="scaling")(image)


def apply_efficientnet_lite(tensor: keras.KerasTensor, width: float = 1.0) -> dict[int, keras.KerasTensor]:
    """Apply the encoder of EfficientNet-Lite0 [1]_ [2]_, up to its last block.

    `tensor` (B, H, W, 3) comes from `apply_lite_scaling`; H and W are multiples of 32. `width` is a factor on the
    numbers of filters, 1 for those of the paper. Returns the last maps of each stride by it: 2, 4, 8, 16 and 32, with
    16, 24, 40, 112 and 320 channels.

    References
    ----------
    .. [1] M. Tan, Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
       arXiv:1905.11946.
    .. [2] R. Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020.
    """
    tensor = apply_normalized_conv(tensor, "lite_stem", filters=scale_filters(STEM_FILTERS, width), kernel=3, stride=2)
    taps, stride, number, before = {}, 2, 0, STEM_FILTERS
    for group in GROUPS:
        for repeat in range(group.repeats):
            own = group.stride if repeat == 0 else 1
            inner, filters = (scale_filters(count, width) for count in (before * group.expansion, group.filters))
            inputs, name = tensor, f"lite_block{number}"
            tensor = _apply_block(tensor, group, own, inner, filters, name)
            if repeat > 0:  # inputs and outputs are as many
                tensor = layers.Add(name=f"{name}_add")([inputs, tensor])
            stride, number, before = stride * own, number + 1, group.filters
        taps[stride] = tensor
    return taps


def _apply_block(
    tensor: keras.KerasTensor, group: BlockGroup, stride: int, inner: int, filters: int, name: str
) -> keras.KerasTensor:
    """Expand to `inner` channels, filter each of them, and join them to `filters`."""
    if group.expansion > 1:
        tensor = apply_normalized_conv(tensor, f"{name}_expand", filters=inner)
    tensor = apply_normalized_depthwise(tensor, f"{name}_depthwise", kernel=group.kernel, stride=stride)
    return apply_normalized_conv(tensor, f"{name}_project", filters=filters, activate=False)


def apply_normalized_conv(
    tensor: keras.KerasTensor, name: str, *, filters: int, kernel: int = 1, stride: int = 1, activate: bool = True
) -> keras.KerasTensor:
    """Apply a convolution without bias, its normalization, and ReLU6 if asked for."""
    tensor = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=name)(tensor)
    return _apply_normalization(tensor, name, activate=activate)


def apply_normalized_depthwise(
    tensor: keras.KerasTensor, name: str, *, kernel: int, stride: int = 1
) -> keras.KerasTensor:
    """Apply a filter to each channel, without bias, its normalization and ReLU6."""
    tensor = layers.DepthwiseConv2D(kernel, strides=stride, padding="same", use_bias=False, name=name)(tensor)
    return _apply_normalization(tensor, name)


def _apply_normalization(tensor: keras.KerasTensor, name: str, *, activate: bool = True) -> keras.KerasTensor:
    """Apply batch normalization, and ReLU6 if asked for."""
    tensor = BatchNormalization(momentum=NORMALIZATION_MOMENTUM, epsilon=_EPSILON, name=f"{name}_norm")(tensor)
    return layers.ReLU(max_value=6.0, name=f"{name}_relu")(tensor) if activate else tensor
