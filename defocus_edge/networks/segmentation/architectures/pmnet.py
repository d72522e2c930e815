"""PM-Net: U-nets for three scales of a picture see it in each stage and give a map in each (Wang et al. 2019)."""

from __future__ import annotations

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    BilinearUpsampling,
    NormalizedConfig,
    apply_conv,
    apply_double_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Factors by which the pictures of the subnets are reduced. Chosen by us.
REDUCTIONS = (1, 2, 4)
#: Filters of the four stages, from fine to coarse: those of U-net (Ronneberger et al. 2015). Chosen by us.
STAGE_FILTERS = (64, 128, 256, 512)
#: Height and width of a picture must be multiples of it.
STRIDE = REDUCTIONS[-1] * 2 ** (len(STAGE_FILTERS) - 1)
#: Number of supervised score maps: one for each subnet and stage, and the fused one.
SCORE_MAPS = len(REDUCTIONS) * len(STAGE_FILTERS) + 1
#: Name of the layer that gives the last score map.
SCORE_LAYER = "fuse_score"


def build_pmnet(config: NormalizedConfig | None = None) -> keras.Model:
    """Build PM-Net with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 32, to (B, H, W, 13) float32 logits: the maps of the
        subnets for the picture in full, half and quarter size, each with four stages, the coarsest first, and the fused
        map. The sigmoid of the fused map is the probability that a pixel is blurred; the other maps are supervised in
        training only.

    Notes
    -----
    A subnet is an encoder and decoder of four stages, after U-net. 2×2 max-poolings of its picture P_1 give a pyramid
    P_1 … P_4. With two 3×3 convolutions f_s and g_s, a stage s does on the way down and on the way up

        E_1 = f_1(P_1),  E_s = f_s([conv P_s, pool E_{s-1}]),
        D_4 = E_4,       D_s = g_s([E_s, up D_{s+1}]),

    and a 1×1 convolution of D_s gives a map: several inputs and several losses, one in each stage, so the subnet has
    the shape of an M. PM-Net is an ensemble of such subnets for several scales of the picture, and a layer that fuses
    them.

    That much is in the abstract and in a summary by S.-H. Tsang (2021), also that each convolution has batch
    normalization and ReLU. The text of the paper was not at hand, and no public code is known. So we chose the rest:

    - There are three subnets, for the picture, its half and its quarter, each with its own weights. Averages of 2×2 and
      4×4 px reduce the picture. The largest would make it brighter; that is left to the pyramid inside a subnet, where
      the paper asks for it.
    - A stage has two convolutions each way, with U-net's filters 64, 128, 256, 512. The picture of a stage passes a
      convolution with the filters of the stage. The fourth stage is the bottom. Each stage has a map; the sources do
      not say how many there are.
    - The paper modifies the skip connections, but we do not know how. Ours are those of U-net.
    - Features and maps are enlarged bilinearly: the outlines of copied pixels would have steps.
    - The fusion is a 1×1 convolution of the finest map of each subnet, which starts as their mean.
    - All maps are supervised with the same weight, at the size of the picture.

    References
    ----------
    X. Wang, S. Zhang, X. Liang, H. Zhou, J. Zheng, M. Sun, "Accurate and Fast Blur Detection Using a Pyramid M-Shaped
    Deep Neural Network", IEEE Access 7, 86611-86624, 2019, doi:10.1109/ACCESS.2019.2926747.
    O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI
    2015, arXiv:1505.04597.
    """
    config = config or NormalizedConfig()
    image = keras.Input((None, None, 3), name="image")
    scaled = apply_input_scaling(image)
    maps = [one for reduction in REDUCTIONS for one in _apply_subnet(scaled, reduction, config)]
    finest = layers.Concatenate(name="fuse_concat")(maps[len(STAGE_FILTERS) - 1 :: len(STAGE_FILTERS)])
    mean = keras.initializers.Constant(1 / len(REDUCTIONS))
    fused = layers.Conv2D(1, 1, kernel_initializer=mean, name=SCORE_LAYER)(finest)
    logits = layers.Concatenate(name="maps_concat")([*maps, fused])
    return keras.Model(image, apply_logits_output(logits), name="pmnet")


def _apply_subnet(scaled: keras.KerasTensor, reduction: int, config: NormalizedConfig) -> list[keras.KerasTensor]:
    """Maps of one M-shaped network at full size, the coarsest stage first."""
    name = f"scale{reduction}"
    if reduction > 1:
        scaled = layers.AveragePooling2D(reduction, name=f"{name}_picture1")(scaled)
    encoded = _apply_encoder(scaled, config, name)
    tensor, maps = encoded[-1], []
    for stage in range(len(encoded), 0, -1):
        if stage < len(encoded):
            tensor = BilinearUpsampling(2, name=f"{name}_up{stage}_enlarged")(tensor)
            tensor = layers.Concatenate(name=f"{name}_up{stage}_concat")([encoded[stage - 1], tensor])
            tensor = apply_double_conv(tensor, STAGE_FILTERS[stage - 1], config, f"{name}_up{stage}")
        score = apply_score_conv(tensor, f"{name}_score{stage}")
        maps.append(BilinearUpsampling(reduction * 2 ** (stage - 1), name=f"{name}_map{stage}")(score))
    return maps


def _apply_encoder(picture: keras.KerasTensor, config: NormalizedConfig, name: str) -> list[keras.KerasTensor]:
    """Features of the stages on the way down, each of which sees the picture at its size."""
    encoded: list[keras.KerasTensor] = []
    for stage, filters in enumerate(STAGE_FILTERS, start=1):
        tensor = picture
        if encoded:
            picture = layers.MaxPooling2D(2, name=f"{name}_picture{stage}")(picture)
            seen = apply_conv(picture, filters, config, f"{name}_input{stage}")
            pooled = layers.MaxPooling2D(2, name=f"{name}_down{stage}_pool")(encoded[-1])
            tensor = layers.Concatenate(name=f"{name}_down{stage}_concat")([seen, pooled])
        encoded.append(apply_double_conv(tensor, filters, config, f"{name}_down{stage}"))
    return encoded


NETWORK = SegmentationNetwork(
    title="PM-Net",
    reference="Wang et al., IEEE Access 7, 2019",
    config_class=NormalizedConfig,
    build=build_pmnet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
