"""EFENet: eight encoders begin at random and so differ; a U-net decodes their mean (Zhao et al. 2021)."""

from __future__ import annotations

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    VGG16_FILTERS,
    VGG16_STRIDES,
    BilinearUpsampling,
    NormalizedConfig,
    apply_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16_block,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Blocks of VGG16 that all encoders share, with the pooling after them and conv5_1.
SHARED_BLOCKS = (1, 2, 3, 4)
#: Encoders, and the steps of each: they replace conv5_2 and conv5_3.
ENCODERS = 8
ENCODER_STEPS = (2, 3)
ENCODER_FILTERS = VGG16_FILTERS[-1][-1]
#: Layers of VGG16 that the decoder joins, and its filters there. Each has twice the size of the features before.
SIZE_RATIO = 2
DECODER = {"conv4_3": 256, "conv3_3": 128, "conv2_2": 64}
#: Filters of the last convolution before the score map.
LAST_FILTERS = 32
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES["conv5_3"]
#: Number of supervised score maps.
SCORE_MAPS = 1
#: Name of the layer that gives the score map.
SCORE_LAYER = "score"


def build_efenet(config: NormalizedConfig | None = None) -> keras.Model:
    """Build EFENet with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 1) float32 logits, whose sigmoid is
        the probability that a pixel is blurred.

    Notes
    -----
    VGG16 up to conv5_1, A, is shared. In place of conv5_2 and conv5_3 there are eight encoders with weights of their
    own. Encoder k has two deep and two light convolutions, all with ReLU:

        D_2^k = conv 3×3 A,      E_2^k = (D_2^k + conv 1×1 A) / 2,
        D_3^k = conv 3×3 D_2^k,  E_3^k = (D_3^k + conv 1×1 E_2^k) / 2.

    The mean of E_3^1 … E_3^8 goes to the decoder of a U-net: at each step it is upsampled, joined with conv4_3, conv3_3
    or conv2_2, and passes a 1×1 and a 3×3 convolution of 256, 128 or 64 filters. A 3×3 convolution of 32 filters and a
    1×1 convolution give the score map, at half the size of the picture.

    The paper's text is not at hand. Its abstract tells of several encoded features, which carry the diversity, of a
    mean over groups of channels, of another ensemble with gates, and of a squared error that does without a term for
    diversity. All numbers are those of the authors' code, https://github.com/wdzhao123/DENets, which holds the network
    with the mean. Of the gates we know the name alone, so they are missing here. These are our changes:

    - All layers learn together. The authors' code loads a network that already detects blur and freezes VGG16.
    - The score map is upsampled bilinearly to the size of the picture, and supervised there with the cross entropy of
      all networks here. The paper has the squared error, and its code halves the masks.
    - Upsampling has pixel centres at half-integers; in the authors' code the corners coincide.
    - The number of encoders does not depend on the width.

    The authors' network has batch normalization, and so has ours. The encoders have random weights even when those of
    ImageNet fill the rest: only different beginnings make them differ.

    References
    ----------
    W. Zhao, X. Hou, Y. He, H. Lu, "Defocus Blur Detection via Boosting Diversity of Deep Ensemble Networks", IEEE
    Transactions on Image Processing 30, 2021, doi:10.1109/TIP.2021.3084101; `build_aenet` is its other network.
    """
    config = config or NormalizedConfig()
    image = keras.Input((None, None, 3), name="image")
    tensor, taps = apply_input_scaling(image), {}
    for block in SHARED_BLOCKS:
        tensor = apply_vgg16_block(tensor, block, config)
        taps[f"conv{block}_{len(VGG16_FILTERS[block - 1])}"] = tensor
    tensor = layers.MaxPooling2D(2, name="vgg_pool4")(tensor)
    shared = apply_conv(tensor, ENCODER_FILTERS, config, "vgg_conv5_1")
    encoded = [_apply_encoder(shared, config, f"encoder{number}") for number in range(1, ENCODERS + 1)]
    tensor = _average(encoded, "ensemble")
    for side, filters in DECODER.items():
        tensor = BilinearUpsampling(SIZE_RATIO, name=f"{side}_up")(tensor)
        tensor = layers.Concatenate(name=f"{side}_concat")([tensor, taps[side]])
        tensor = apply_conv(tensor, filters, config, f"{side}_reduce", size=1)
        tensor = apply_conv(tensor, filters, config, f"{side}_decode")
    tensor = apply_conv(tensor, LAST_FILTERS, config, "last")
    logits = BilinearUpsampling(VGG16_STRIDES["conv2_2"], name="score_up")(apply_score_conv(tensor, SCORE_LAYER))
    return keras.Model(image, apply_logits_output(logits), name="efenet")


def _apply_encoder(shared: keras.KerasTensor, config: NormalizedConfig, name: str) -> keras.KerasTensor:
    """Features of one encoder."""
    deep = encoded = shared
    for step in ENCODER_STEPS:
        deep = apply_conv(deep, ENCODER_FILTERS, config, f"{name}_deep{step}")
        light = apply_conv(encoded, ENCODER_FILTERS, config, f"{name}_light{step}", size=1)
        encoded = _average([deep, light], f"{name}_mean{step}")
    return encoded


def _average(tensors: list[keras.KerasTensor], name: str) -> keras.KerasTensor:
    """Mean of features."""
    return layers.Rescaling(1 / len(tensors), name=name)(layers.Add(name=f"{name}_add")(tensors))


NETWORK = SegmentationNetwork(
    title="EFENet",
    reference="Zhao et al., IEEE Transactions on Image Processing 30, 2021",
    config_class=NormalizedConfig,
    build=build_efenet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
