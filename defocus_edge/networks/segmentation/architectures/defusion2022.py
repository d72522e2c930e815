"""DeFusionNET, extended: features are adapted and selected before they refine each other (Tang et al. 2022)."""

from __future__ import annotations

import keras
from keras import layers

from defocus_edge.networks.segmentation.architectures.defusion import (
    SCORE_LAYER,
    SCORE_MAPS,
    SIDE_FILTERS,
    SIDES,
    STRIDE,
    DefusionNetConfig,
    Features,
    build_recurrent_net,
    fuse_sides,
    give_to_sides,
    refine_sides,
)
from defocus_edge.networks.segmentation.blocks import apply_conv, scale_filters
from defocus_edge.networks.segmentation.network import SegmentationNetwork


def build_defusion2022(config: DefusionNetConfig | None = None) -> keras.Model:
    """Build the extended DeFusionNET with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 32, to (B, H, W, 19) float32 logits: the maps of
        `build_defusion_net`, the fused map last. The sigmoid of the fused map is the probability that a pixel is
        blurred; the other maps are supervised in training only.

    Notes
    -----
    Encoder, sides, fusion, score maps and the three steps are those of `build_defusion_net`. What the fused features
    pass before they refine a side is new. With S = FSHF and D = FSEF of a step,

        S' = relu(conv(S · sigmoid(conv 1×1 [S, D]))),  D' = relu(conv(D · sigmoid(conv 1×1 [D, S]))),
        F_i ← relu(conv[F_i, attention_i(D')])  for the shallow sides,
        F_i ← relu(conv[F_i, attention_i(S')])  for the deep sides.

    The text of the journal paper was not at hand, and no public code is known. Its abstract tells that a feature
    adaptation module before the propagation uses what both depths complement and reduces what they contradict, and that
    a channel attention module selects features for the refinement. What these modules look like is our choice:

    - The adaptation is a gate for each place and channel, which sees both depths, so that it can close where they
      contradict; then a convolution, of the size of the refining kernels, translates what passes.
    - Each side selects what it gets with an attention of its own, because a channel may help one side and not another:
      the mean over the picture, a 1×1 convolution with sigmoid, and a product. A bottleneck of a 16th of the channels
      before it, as in `build_br2net` by the same first author, would have four units: they often begin without effect,
      all of them for every picture, and then never learn.
    - Each step has weights of its own.

    References
    ----------
    C. Tang, X. Liu, X. Zheng, W. Li, J. Xiong, L. Wang, A. Zomaya, A. Longo, "DeFusionNET: Defocus Blur Detection via
    Recurrently Fusing and Refining Discriminative Multi-Scale Deep Features", IEEE Transactions on Pattern Analysis and
    Machine Intelligence 44(2), 2022, pages 955-968, doi:10.1109/TPAMI.2020.3014629.
    """
    return build_recurrent_net(config or DefusionNetConfig(), _apply_step, "defusion2022")


def _apply_step(sides: Features, config: DefusionNetConfig, step: int) -> Features:
    """Features of the sides, refined with what they select of the adapted features of the other depth."""
    shallow, deep = fuse_sides(sides, config, step)
    adapted = (
        _apply_adaptation(shallow, deep, config, f"step{step}_fshf_adapt"),
        _apply_adaptation(deep, shallow, config, f"step{step}_fsef_adapt"),
    )
    selected = [
        _apply_attention(other, config, f"step{step}_{side}_attention")
        for side, other in zip(SIDES, give_to_sides(*adapted), strict=True)
    ]
    return refine_sides(sides, selected, config, step)


def _apply_adaptation(
    fused: keras.KerasTensor, other: keras.KerasTensor, config: DefusionNetConfig, name: str
) -> keras.KerasTensor:
    """Fused features of one depth, adapted to those of the other depth."""
    joined = layers.Concatenate(name=f"{name}_concat")([fused, other])
    filters = scale_filters(SIDE_FILTERS, config.width)
    weights = layers.Conv2D(filters, 1, activation="sigmoid", name=f"{name}_weights")(joined)
    gated = layers.Multiply(name=f"{name}_gate")([fused, weights])
    return apply_conv(gated, SIDE_FILTERS, config, f"{name}_conv", size=config.refine_size)


def _apply_attention(tensor: keras.KerasTensor, config: DefusionNetConfig, name: str) -> keras.KerasTensor:
    """Weigh the channels of features by what the whole picture shows."""
    filters = scale_filters(SIDE_FILTERS, config.width)
    mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(tensor)
    weights = layers.Conv2D(filters, 1, activation="sigmoid", name=f"{name}_weights")(mean)
    return layers.Multiply(name=f"{name}_gate")([tensor, weights])


NETWORK = SegmentationNetwork(
    title="DeFusionNET 2022",
    reference="Tang et al., IEEE Transactions on Pattern Analysis and Machine Intelligence 44, 2022",
    config_class=DefusionNetConfig,
    build=build_defusion2022,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
