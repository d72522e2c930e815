"""DID-ANet: residual blocks give the radius, and learn beside a network that deblurs with it (Ma et al. 2022)."""

from __future__ import annotations

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    NORMALIZATION_MOMENTUM,
    SegmentationConfig,
    apply_conv,
    apply_input_scaling,
    apply_logits_output,
    scale_filters,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork
from defocus_edge.networks.segmentation.normalization import BatchNormalization

#: Filters of all convolutions but the last one, and number of residual blocks.
FILTERS, BLOCKS = 64, 4
#: Standard deviation of the weights of the last layer at first. Blocks add to each other, and larger weights would make
#: logits with which a sigmoid has hardly any gradient. Ours.
FIRST_DEVIATION = 1e-3
#: Height and width of a picture must be multiples of it.
STRIDE = 1
#: Number of supervised score maps.
SCORE_MAPS = 1
#: Name of the layer that gives the score map.
SCORE_LAYER = "map_score"


def build_didanet(config: SegmentationConfig | None = None) -> keras.Model:
    """Build the network of DID-ANet that estimates blur, with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], of any H and W, to (B, H, W, 1) float32 logits. Their sigmoid times
        `defocus_edge.networks.segmentation.network.LARGEST_RADIUS` is the radius in px.

    Notes
    -----
    A 3×3 convolution, four residual blocks of two 3×3 convolutions with a ReLU between them, and two more 3×3
    convolutions, the last of which gives the map. All work at the size of the picture. Nothing but the blocks has a
    ReLU, and nothing follows their sums. The network beside it, which deblurs the picture with this map, is in
    `training.masks.deblurring_trainer`; no answer needs it.

    A pixel of the map sees 23×23 px of the picture, which is less than the disk of the largest radius, 25 px. It tells
    large radii from each other by how smooth the picture is, not by the width of its edges.

    Of the paper we have the abstract. Layers and numbers of filters are those of the authors' code,
    https://github.com/xytmhy/DID-ANet-Defocus-Deblurring. These are our changes:

    - The map is the sigmoid of the last layer, whose weights are small at first. That layer is the map itself in the
      code, and may leave [0, 1].
    - Pictures are centred and multiplied by 4; the code has RGB in [0, 1] as it is.
    - Batch normalization, if the config asks for it, follows both convolutions of each block. The code has that branch,
      and never takes it.

    References
    ----------
    H. Ma, S. Liu, Q. Liao, J. Zhang, J.-H. Xue, "Defocus Image Deblurring Network With Defocus Map Estimation as
    Auxiliary Task", IEEE Transactions on Image Processing 31, 2022, doi:10.1109/TIP.2021.3127850.
    """
    config = config or SegmentationConfig()
    image = keras.Input((None, None, 3), name="image")
    tensor = apply_plain_conv(apply_input_scaling(image), FILTERS, config, "first_conv")
    for number in range(1, BLOCKS + 1):
        tensor = apply_residual_block(tensor, FILTERS, config, f"block{number}")
    tensor = apply_plain_conv(tensor, FILTERS, config, "last_conv")
    small = keras.initializers.RandomNormal(stddev=FIRST_DEVIATION)
    logits = layers.Conv2D(SCORE_MAPS, 3, padding="same", kernel_initializer=small, name=SCORE_LAYER)(tensor)
    return keras.Model(image, apply_logits_output(logits), name="didanet")


def apply_plain_conv(
    tensor: keras.KerasTensor, filters: int, config: SegmentationConfig, name: str
) -> keras.KerasTensor:
    """Apply a 3×3 convolution without normalization or ReLU; the config's width scales its `filters`."""
    filters = scale_filters(filters, config.width)
    return layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_normal", name=name)(tensor)


def apply_residual_block(
    tensor: keras.KerasTensor, filters: int, config: SegmentationConfig, name: str, *, scale: float = 1.0
) -> keras.KerasTensor:
    """Add two 3×3 convolutions, with a ReLU between them, to a tensor of as many `filters`; `scale` weighs them."""
    added = apply_plain_conv(apply_conv(tensor, filters, config, f"{name}_conv1"), filters, config, f"{name}_conv2")
    if config.normalization == "batch":
        added = BatchNormalization(momentum=NORMALIZATION_MOMENTUM, name=f"{name}_conv2_norm")(added)
    if scale != 1:
        added = layers.Rescaling(scale, name=f"{name}_scale")(added)
    return layers.Add(name=f"{name}_add")([tensor, added])


NETWORK = SegmentationNetwork(
    title="DID-ANet",
    reference="Ma et al., IEEE TIP 2022",
    config_class=SegmentationConfig,
    build=build_didanet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
    answer="radius",
    auxiliary="sharp",
)
