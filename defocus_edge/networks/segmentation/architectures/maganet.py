"""MA-GANet: channel and spatial attention on VGG16 features (Jiang et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from defocus_edge.networks.segmentation.blocks import (
    VGG16_STRIDES,
    BilinearUpsampling,
    SegmentationConfig,
    apply_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Layers of VGG16 in the two branches, the largest first.
LOW_TAPS = ("conv1_2", "conv2_2")
HIGH_TAPS = ("conv3_3", "conv4_3", "conv5_3")
#: The high branch works at the size of its largest layer.
HIGH_BRANCH_STRIDE = VGG16_STRIDES[HIGH_TAPS[0]]
#: Filters of all convolutions after VGG16. Chosen by us.
BRANCH_FILTERS = 64
#: Dilations of the two atrous convolutions of the spatial attention. Chosen by us.
SPATIAL_DILATIONS = (2, 4)
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES[HIGH_TAPS[-1]]
#: Number of supervised score maps.
SCORE_MAPS = 1


@dataclass(frozen=True)
class MaGanetConfig(SegmentationConfig):
    """Architecture of MA-GANet's generator.

    Parameters
    ----------
    width, normalization
        See `SegmentationConfig`.
    dropout : float
        Share of the fused features that training drops; our choice.
    """

    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            msg = f"dropout must be at least 0 and less than 1. Got: {self.dropout}."
            raise ValueError(msg)


def build_ma_ganet(config: MaGanetConfig | None = None) -> keras.Model:
    """Build MA-GANet's generator, the network that detects blur, with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 1) float32 logits; their sigmoid is
        the probability that a pixel is blurred.

    Notes
    -----
    The network begins with VGG16 without its last pooling. The high branch joins conv3_3, conv4_3 and conv5_3, the low
    branch conv1_2 and conv2_2; both pass a channel attention. Two atrous convolutions and a sigmoid turn the high
    features into a spatial attention map, which is multiplied with the low features. Both are fused, with dropout.
    Training adds a discriminator, see `build_discriminator`.

    We chose what the paper leaves open. All convolutions after VGG16 have 64 filters. Each layer of VGG16 has a 3×3
    convolution before it is upsampled to the largest layer of its branch, and each channel attention has one after it.
    The atrous convolutions have dilations 2 and 4, a ReLU between them, and one channel at the end. The fusion is a 3×3
    convolution, dropout of a half and a 1×1 convolution.

    References
    ----------
    Z. Jiang, X. Xu, L. Zhang, C. Zhang, C. S. Foo, C. Zhu, "MA-GANet: A Multi-Attention Generative Adversarial Network
    for Defocus Blur Detection", IEEE Transactions on Image Processing 30, 2021. The generator appeared first in
    Z. Jiang, X. Xu, C. Zhang, C. Zhu, "MultiANet: a Multi-Attention Network for Defocus Blur Detection", MMSP 2020,
    doi:10.1109/MMSP48831.2020.9287072.
    """
    config = config or MaGanetConfig()
    image = keras.Input((None, None, 3), name="image")
    taps = apply_vgg16(apply_input_scaling(image), config, with_pool5=False)
    high = _apply_branch(taps, HIGH_TAPS, config, "high")
    low = _apply_branch(taps, LOW_TAPS, config, "low")

    gate = BilinearUpsampling(HIGH_BRANCH_STRIDE, name="spatial_up")(_apply_spatial_attention(high, config))
    low = layers.Multiply(name="low_gated")([low, gate])
    high = BilinearUpsampling(HIGH_BRANCH_STRIDE, name="high_up")(high)

    fused = layers.Concatenate(name="fuse_concat")([high, low])
    fused = apply_conv(fused, BRANCH_FILTERS, config, "fuse_conv")
    fused = layers.Dropout(config.dropout, name="fuse_dropout")(fused)
    return keras.Model(image, apply_logits_output(apply_score_conv(fused, "score")), name="ma_ganet")


def _apply_branch(
    taps: dict[str, keras.KerasTensor], names: tuple[str, ...], config: MaGanetConfig, name: str
) -> keras.KerasTensor:
    """Join layers of VGG16 at the size of the first, which is the largest, and apply channel attention."""
    joined = []
    for tap in names:
        tensor = apply_conv(taps[tap], BRANCH_FILTERS, config, f"{name}_{tap}_conv")
        factor = VGG16_STRIDES[tap] // VGG16_STRIDES[names[0]]
        joined.append(BilinearUpsampling(factor, name=f"{name}_{tap}_up")(tensor))
    tensor = layers.Concatenate(name=f"{name}_concat")(joined)
    tensor = ChannelAttention(name=f"{name}_channel_attention")(tensor)
    return apply_conv(tensor, BRANCH_FILTERS, config, f"{name}_conv")


def _apply_spatial_attention(high: keras.KerasTensor, config: MaGanetConfig) -> keras.KerasTensor:
    """Weights in [0, 1] of the low features, (B, h, w, 1)."""
    first, second = SPATIAL_DILATIONS
    tensor = apply_conv(high, BRANCH_FILTERS, config, "spatial_conv1", dilation=first)
    return layers.Conv2D(1, 3, dilation_rate=second, padding="same", activation="sigmoid", name="spatial_conv2")(tensor)


class ChannelAttention(keras.layers.Layer):
    """Each channel plus a learned share of the channels that resemble it.

    Let X be the maps as a matrix of C channels times H·W pixels. Then ``A = softmax(X Xᵀ)`` along its rows, and
    ``output = X + α A X``. α starts at 0, where the layer is the identity. As in the paper ``X Xᵀ`` is a sum over the
    pixels, not a mean: on large pictures almost all weight of a row of A is on one channel.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:  # noqa: ARG002 - Keras passes it
        """Make α."""
        self.alpha = self.add_weight(shape=(), initializer="zeros", name="alpha")

    def call(self, maps: Any) -> Any:
        """(B, H, W, C) maps to the same shape."""
        # Sums over all pixels overflow float16 and are coarse in bfloat16: they take the precision of the weights.
        wide = ops.cast(maps, self.variable_dtype)
        attention = ops.softmax(ops.einsum("bhwc,bhwd->bcd", wide, wide), axis=-1)
        attended = ops.einsum("bcd,bhwd->bhwc", ops.cast(attention, maps.dtype), maps)
        return maps + self.alpha * attended

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the output: that of the input."""
        return input_shape


NETWORK = SegmentationNetwork(
    title="MA-GANet",
    reference="Jiang et al., IEEE Transactions on Image Processing 30, 2021",
    config_class=MaGanetConfig,
    build=build_ma_ganet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer="score",
)
