"""MSDU-net: a U-net with texture extractors of four scales beside its contracting path (Yang & Xiao 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    SegmentationConfig,
    apply_conv,
    apply_double_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    scale_filters,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Filters of the contracting stages and of the bottom, those of U-net (Ronneberger et al. 2015).
STAGE_FILTERS = (64, 128, 256, 512)
BOTTOM_FILTERS = 1024
#: Filters of all convolutions of the extractors. Chosen by us: the dilated ones work at full size.
EXTRACTOR_FILTERS = 64
#: Dilations of an extractor's first convolutions, and the stride of the one after them, one for each stage.
EXTRACTOR_DILATIONS = (1, 2, 2, 2)
EXTRACTOR_STRIDES = (1, 2, 4, 8)
#: Height and width of a picture must be multiples of it.
STRIDE = 2 ** len(STAGE_FILTERS)
#: Number of supervised score maps.
SCORE_MAPS = 1


@dataclass(frozen=True)
class MsduNetConfig(SegmentationConfig):
    """Architecture of MSDU-net: see `SegmentationConfig`."""


def build_msdu_net(config: MsduNetConfig | None = None) -> keras.Model:
    """Build MSDU-net with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 1) float32 logits; their sigmoid is
        the probability that a pixel is blurred.

    Notes
    -----
    A U-net of four stages with two 3×3 convolutions and a 2×2 max-pooling each, a bottom, and 2×2 transposed
    convolutions on the way up. Four extractors, each with its own weights, take the picture: they have 3×3 convolutions
    of dilation 1, 2, 2, 2, one of stride 1, 2, 4 or 8, and one that smooths. The paper ends in a softmax over sharp and
    blurred. The network returns the difference of these two logits; its sigmoid is the softmax probability of blurred.

    We chose what the paper leaves open. Convolutions keep the size. All convolutions of an extractor have 64 filters
    and a ReLU. An extractor joins its stage after the two convolutions, so that the skip connection and the next stage
    both see it. Transposed convolutions have no ReLU, as in U-net.

    References
    ----------
    F. Yang, X. Xiao, "MSDU-net: A Multi-Scale Dilated U-net for Blur Detection", 2020, arXiv:2006.03182; X. Xiao,
    F. Yang, A. Sadovnik, Sensors 21(5), 1873, 2021, doi:10.3390/s21051873.
    O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI
    2015, arXiv:1505.04597.
    """
    config = config or MsduNetConfig()
    image = keras.Input((None, None, 3), name="image")
    scaled = apply_input_scaling(image)
    tensor, skips = _apply_contracting_path(scaled, config)
    tensor = apply_double_conv(tensor, BOTTOM_FILTERS, config, "bottom")
    for stage in range(len(STAGE_FILTERS), 0, -1):
        filters = STAGE_FILTERS[stage - 1]
        tensor = layers.Conv2DTranspose(
            scale_filters(filters, config.width), 2, strides=2, kernel_initializer="he_normal", name=f"up{stage}_deconv"
        )(tensor)
        tensor = layers.Concatenate(name=f"up{stage}_concat")([skips[stage - 1], tensor])
        tensor = apply_double_conv(tensor, filters, config, f"up{stage}")
    classes = apply_score_conv(tensor, "classes", maps=2)
    logits = apply_logits_output(ClassDifference(name="difference")(classes))
    return keras.Model(image, logits, name="msdu_net")


def _apply_contracting_path(
    scaled: keras.KerasTensor, config: MsduNetConfig
) -> tuple[keras.KerasTensor, list[keras.KerasTensor]]:
    """Pooled output of the last stage, and the skip connection of each stage."""
    tensor, skips = scaled, []
    for stage, filters in enumerate(STAGE_FILTERS, start=1):
        tensor = apply_double_conv(tensor, filters, config, f"down{stage}")
        texture = _apply_extractor(scaled, EXTRACTOR_STRIDES[stage - 1], config, f"extractor{stage}")
        tensor = layers.Concatenate(name=f"down{stage}_concat")([tensor, texture])
        skips.append(tensor)
        tensor = layers.MaxPooling2D(2, name=f"down{stage}_pool")(tensor)
    return tensor, skips


def _apply_extractor(scaled: keras.KerasTensor, strides: int, config: MsduNetConfig, name: str) -> keras.KerasTensor:
    """Texture of the picture at one scale."""
    tensor = scaled
    for number, dilation in enumerate(EXTRACTOR_DILATIONS, start=1):
        tensor = apply_conv(tensor, EXTRACTOR_FILTERS, config, f"{name}_conv{number}", dilation=dilation)
    tensor = apply_conv(tensor, EXTRACTOR_FILTERS, config, f"{name}_strided", strides=strides)
    return apply_conv(tensor, EXTRACTOR_FILTERS, config, f"{name}_smooth")


class ClassDifference(keras.layers.Layer):
    """Difference of two logits; its sigmoid is the softmax probability of the second class."""

    def call(self, classes: Any) -> Any:
        """(B, H, W, 2) logits of sharp and blurred to (B, H, W, 1)."""
        return classes[..., 1:] - classes[..., :1]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the output."""
        return (*input_shape[:-1], 1)


NETWORK = SegmentationNetwork(
    title="MSDU-net",
    reference="Yang & Xiao 2020, arXiv:2006.03182",
    config_class=MsduNetConfig,
    build=build_msdu_net,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer="classes",
)
