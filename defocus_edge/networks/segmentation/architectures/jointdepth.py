"""Joint depth and defocus: two networks give depth and radius, and a lens must agree with both (Zhang & Sun 2021)."""

from __future__ import annotations

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    VGG16_STRIDES,
    BilinearUpsampling,
    SegmentationConfig,
    apply_double_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: What the two subnets estimate, which is what the names of their layers begin with; the answer is the last one.
SUBNETS = ("depth", "radius")
#: Layer of the encoder that a subnet decodes, and filters of the decoder's convolutions beside each shallower layer.
DEEPEST = "conv5_3"
DECODER_FILTERS = {"conv4_3": 256, "conv3_3": 128, "conv2_2": 64, "conv1_2": 32}
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES[DEEPEST]
#: Number of score maps: depth and radius.
SCORE_MAPS = len(SUBNETS)
#: Name of the layer that gives the last score map.
SCORE_LAYER = f"{SUBNETS[-1]}_score"


def build_jointdepth(config: SegmentationConfig | None = None) -> keras.Model:
    """Build the dual network of Zhang and Sun, with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 2) float32 logits. The sigmoid of the
        last map times `defocus_edge.networks.segmentation.network.LARGEST_RADIUS` is the radius in px. That of the
        first one is the relative disparity: 0 at the far end of the picture, 1 at its near end.

    Notes
    -----
    Two subnets of the same layers see the picture, one for depth and one for defocus. A physical constraint, the
    equation of a thin lens, holds them together in the training: see `training.masks.depth_trainer`. The two share no
    layer, and an answer needs the subnet for the radius alone.

    Of the paper we have the abstract. It tells of a dual network with two subnets and of the constraint by which they
    guide each other, and not what the layers are. These are our choices:

    - Each subnet is a U-net, the plainest network that gives a map of full size: VGG16, the encoder of the other
      networks here, and a decoder. Its features are doubled in size, joined with the layer of the encoder of that size,
      and pass two 3×3 convolutions.
    - The subnets have their own encoders. The abstract speaks of the constraint alone as what connects them.
    - Depth is the disparity relative to the picture's own range, and not a distance. A single picture shows no scale,
      and the signed radius behind a thin lens is linear in the disparity.

    References
    ----------
    A. Zhang, J. Sun, "Joint Depth and Defocus Estimation From a Single Image Using Physical Consistency", IEEE
    Transactions on Image Processing 30, 2021, doi:10.1109/TIP.2021.3061901.
    """
    config = config or SegmentationConfig()
    image = keras.Input((None, None, 3), name="image")
    scaled = apply_input_scaling(image)
    maps = [_apply_subnet(scaled, config, name) for name in SUBNETS]
    logits = layers.Concatenate(name="maps_concat")(maps)
    return keras.Model(image, apply_logits_output(logits), name="jointdepth")


def _apply_subnet(tensor: keras.KerasTensor, config: SegmentationConfig, name: str) -> keras.KerasTensor:
    """Encode a picture, and decode the logits of one map."""
    taps = apply_vgg16(tensor, config, with_pool5=False, prefix=f"{name}_")
    tensor = taps[DEEPEST]
    for side, filters in DECODER_FILTERS.items():
        tensor = BilinearUpsampling(2, name=f"{name}_{side}_enlarge")(tensor)
        tensor = layers.Concatenate(name=f"{name}_{side}_concat")([tensor, taps[side]])
        tensor = apply_double_conv(tensor, filters, config, f"{name}_{side}_step")
    return apply_score_conv(tensor, f"{name}_score")


NETWORK = SegmentationNetwork(
    title="Joint depth and defocus",
    reference="Zhang & Sun, TIP 2021",
    config_class=SegmentationConfig,
    build=build_jointdepth,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
    answer="radius",
    auxiliary="depth",
)
