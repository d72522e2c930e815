"""DMENet: a U-net that gives the blur radius of each pixel itself, without edges (Lee et al. 2019)."""

from __future__ import annotations

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    VGG16_STRIDES,
    BilinearUpsampling,
    NormalizedConfig,
    apply_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Layers of the encoder from deep to shallow, and filters of the decoder's convolutions beside each but the deepest.
SIDES = ("conv5_3", "conv4_3", "conv3_3", "conv2_2", "conv1_2")
DECODER_FILTERS = {"conv4_3": 256, "conv3_3": 128, "conv2_2": 64, "conv1_2": 64}
#: Convolutions of a step of the decoder; the last one, at the size of the picture, has one.
STEP_CONVS = {"conv4_3": 3, "conv3_3": 3, "conv2_2": 3, "conv1_2": 1}
#: Filters of the convolution before each auxiliary map.
AUXILIARY_FILTERS = {"conv5_3": 256, "conv4_3": 128, "conv3_3": 64, "conv2_2": 32, "conv1_2": 32}
#: Residual blocks at the size of the picture, and their filters.
RESIDUAL_BLOCKS, RESIDUAL_FILTERS = 7, 64
#: Filters of the convolutions before the map.
LAST_FILTERS = (64, 32)
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES[SIDES[0]]
#: Number of supervised score maps: an auxiliary one for each layer of the encoder, and the answer.
SCORE_MAPS = len(SIDES) + 1
#: Name of the layer that gives the last score map, and of that whose features must not tell pictures of scenes from
#: photographs.
SCORE_LAYER = "map_score"
DOMAIN_LAYER = "conv1_2_step_conv1_relu"


def build_dmenet(config: NormalizedConfig | None = None) -> keras.Model:
    """Build the network of DMENet that estimates blur, with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 6) float32 logits: five auxiliary
        maps from deep to shallow, and the answer. The sigmoid of the last map times
        `defocus_edge.networks.segmentation.network.LARGEST_RADIUS` is the radius in px; the other maps are supervised
        in training only.

    Notes
    -----
    The decoder of a U-net: features are doubled in size, joined with the layer of the encoder of that size, and pass
    three 3×3 convolutions, at the size of the picture one. An auxiliary map is read from each size. Seven residual
    blocks follow at the size of the picture, each with two 3×3 convolutions and a 1×1 convolution as its shortcut, and
    three 3×3 convolutions give the map.

    The paper trains this network together with three others, which no answer needs: see
    `training.masks.radius_trainer`. The numbers of filters are those of the authors' code,
    https://github.com/codeslake/DMENet. These are our changes:

    - The encoder is VGG16, that of the other networks here. The paper has VGG19, which has one convolution more in each
      of the last three blocks.
    - The decoder has ReLU, as the encoder has; the code has a leaky ReLU of slope 0.2. Normalization is everywhere or
      nowhere; the code has it in the decoder, and before the sigmoid of the auxiliary maps, too.
    - Pictures are continued by zeros and not by their mirror image.
    - Features are enlarged by bilinear interpolation; the code repeats them.
    - An auxiliary map is a 3×3 and a 1×1 convolution; the code has two of 3×3. Maps are enlarged before they are
      compared with the truth; the code makes the truth smaller.

    References
    ----------
    J. Lee, S. Lee, S. Cho, S. Lee, "Deep Defocus Map Estimation Using Domain Adaptation", CVPR 2019,
    doi:10.1109/CVPR.2019.01250.
    """
    config = config or NormalizedConfig()
    image = keras.Input((None, None, 3), name="image")
    taps = apply_vgg16(apply_input_scaling(image), config, with_pool5=False)
    tensor = taps[SIDES[0]]
    maps = [_apply_auxiliary(tensor, SIDES[0], config)]
    for side, filters in DECODER_FILTERS.items():
        tensor = BilinearUpsampling(2, name=f"{side}_enlarge")(tensor)
        tensor = layers.Concatenate(name=f"{side}_concat")([tensor, taps[side]])
        for number in range(1, STEP_CONVS[side] + 1):
            tensor = apply_conv(tensor, filters, config, f"{side}_step_conv{number}")
        maps.append(_apply_auxiliary(tensor, side, config))
    for number in range(1, RESIDUAL_BLOCKS + 1):
        tensor = _apply_residual_block(tensor, config, f"residual{number}")
    for number, filters in enumerate(LAST_FILTERS, start=1):
        tensor = apply_conv(tensor, filters, config, f"map_conv{number}")
    maps.append(layers.Conv2D(1, 3, padding="same", name=SCORE_LAYER)(tensor))
    logits = layers.Concatenate(name="maps_concat")(maps)
    return keras.Model(image, apply_logits_output(logits), name="dmenet")


def _apply_auxiliary(tensor: keras.KerasTensor, side: str, config: NormalizedConfig) -> keras.KerasTensor:
    """Read a map from features of the decoder, at the size of the picture."""
    tensor = apply_conv(tensor, AUXILIARY_FILTERS[side], config, f"{side}_auxiliary_conv")
    return BilinearUpsampling(VGG16_STRIDES[side], name=f"{side}_up")(apply_score_conv(tensor, f"{side}_score"))


def _apply_residual_block(tensor: keras.KerasTensor, config: NormalizedConfig, name: str) -> keras.KerasTensor:
    """Two convolutions beside a 1×1 convolution; each ends with a ReLU."""
    shortcut = apply_conv(tensor, RESIDUAL_FILTERS, config, f"{name}_shortcut", size=1)
    for number in (1, 2):
        tensor = apply_conv(tensor, RESIDUAL_FILTERS, config, f"{name}_conv{number}")
    return layers.Add(name=f"{name}_add")([tensor, shortcut])


NETWORK = SegmentationNetwork(
    title="DMENet",
    reference="Lee et al., CVPR 2019",
    config_class=NormalizedConfig,
    build=build_dmenet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
    answer="radius",
    domain_layer=DOMAIN_LAYER,
)
