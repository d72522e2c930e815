"""SG: a U-net that learns without masks, from pictures that its own mask composes (Zhao et al. 2021)."""

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

#: Layers of VGG16 that the decoder joins, in its order, and the filters of its convolutions there.
DECODER_FILTERS = {"conv4_3": 256, "conv3_3": 128, "conv2_2": 64}
#: Filters of the convolutions at the size of the picture, and of the last one before it.
LAST_FILTERS = 32
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES["conv5_3"]
#: Number of supervised score maps.
SCORE_MAPS = 1


def build_sg(config: NormalizedConfig | None = None) -> keras.Model:
    """Build the generator of SG, the network that detects blur, with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 1) float32 logits; their sigmoid is
        the probability that a pixel is blurred.

    Notes
    -----
    The method is a training more than a network: see `training.masks.self_generated`. With a mask of a partly blurred
    picture, its sharp part is put onto a wholly sharp picture and its blurred part onto a wholly blurred one. The
    right mask leaves the first wholly sharp and the second wholly blurred, so no mask is needed to learn from.

    Of the paper we have the abstract and the authors' code, which this network follows. VGG16 without its last pooling
    is the encoder, with batch normalization. The decoder starts at conv5_3. Three times it doubles the size, joins a
    layer of the encoder, and applies a 1×1 and a 3×3 convolution. One more 3×3 convolution with 32 filters, the last
    doubling and two more of them follow.

    We differ from the code in three ways. Its mask is 1 where the picture is sharp. It interpolates between the corners
    of the maps, not between the middles of the pixels. Its kernels start from a normal distribution of deviation 0.01,
    whose size batch normalization undoes.

    References
    ----------
    W. Zhao, C. Shang, H. Lu, "Self-Generated Defocus Blur Detection via Dual Adversarial Discriminators", CVPR 2021,
    doi:10.1109/CVPR46437.2021.00686.
    """
    config = config or NormalizedConfig()
    image = keras.Input((None, None, 3), name="image")
    taps = apply_vgg16(apply_input_scaling(image), config, with_pool5=False)
    tensor = taps["conv5_3"]
    for tap, filters in DECODER_FILTERS.items():
        name = f"decoder_{tap}"
        tensor = BilinearUpsampling(2, name=f"{name}_up")(tensor)
        tensor = layers.Concatenate(name=f"{name}_concat")([tensor, taps[tap]])
        tensor = apply_conv(tensor, filters, config, f"{name}_join", size=1)
        tensor = apply_conv(tensor, filters, config, f"{name}_conv")
    tensor = apply_conv(tensor, LAST_FILTERS, config, "last_conv1")
    tensor = BilinearUpsampling(2, name="last_up")(tensor)
    for number in (2, 3):
        tensor = apply_conv(tensor, LAST_FILTERS, config, f"last_conv{number}")
    return keras.Model(image, apply_logits_output(apply_score_conv(tensor, "score")), name="sg")


NETWORK = SegmentationNetwork(
    title="SG",
    reference="Zhao et al., CVPR 2021",
    config_class=NormalizedConfig,
    build=build_sg,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer="score",
)
