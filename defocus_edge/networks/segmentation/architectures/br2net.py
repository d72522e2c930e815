"""BR²Net: two pathways over VGG16 features, up and down, correct a blur map layer by layer (Tang et al. 2021)."""

from __future__ import annotations

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    MIN_FILTERS,
    VGG16_STRIDES,
    BilinearUpsampling,
    NormalizedConfig,
    apply_double_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Layers of VGG16 that stand in for conv1 to conv5_x of ResNeXt101, which have the same strides.
SIDES = ("conv2_2", "conv3_3", "conv4_3", "conv5_3", "pool5")
#: The layers that each pathway visits, in order: from low to high level, and from high to low level.
PATHWAYS = {"l2h": SIDES, "h2l": SIDES[::-1]}
#: Filters of the convolutions of a refining module, as in the authors' code.
MODULE_FILTERS = 128
#: Channels of a layer for each filter of the bottleneck of its attention, as in the authors' code.
ATTENTION_REDUCTION = 16
#: Height and width of a picture must be multiples of it.
STRIDE = max(VGG16_STRIDES[side] for side in SIDES)
#: Number of supervised score maps: one for each pathway and layer, and the fused one.
SCORE_MAPS = len(PATHWAYS) * len(SIDES) + 1
#: Name of the layer that gives the last score map.
SCORE_LAYER = "fuse_score"


def build_br2net(config: NormalizedConfig | None = None) -> keras.Model:
    """Build BR²Net with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 32, to (B, H, W, 11) float32 logits: the five maps of
        the pathway from low to high level, the five of the pathway from high to low level, and the fused map. The
        sigmoid of the fused map is the probability that a pixel is blurred; the other maps are supervised in training
        only.

    Notes
    -----
    Five layers F_1 … F_5 of the encoder pass a channel attention each: the mean over the picture, a 1×1 convolution to
    a 16th of the channels with ReLU, one back with sigmoid, and a product with the layer. A pathway begins with a 1×1
    convolution of its first layer, which gives a map O_1 of logits. Each further layer corrects the map,

        O_t = O_{t-1} + R_t([O_{t-1}, F_t]),

    where the refining module R_t has two 3×3 convolutions of 128 filters and a 1×1 convolution. One pathway goes from
    F_1 to F_5, the other one from F_5 to F_1; each works at the size of its first layer. The fused map comes from the
    last maps of both. No module shares weights with another one; both pathways share the attention.

    The structure is that of the paper's abstract. The numbers of filters, the sizes and all other details are those of
    the authors' code, https://github.com/ChangTang/BR2Net, because the paper's text was not at hand. These are our
    changes:

    - The encoder is VGG16, that of the other networks here, so that a comparison is one of ideas and not of encoders,
      and because Keras has its weights of ImageNet. The paper has ResNeXt101. Each layer of VGG16 has the stride of
      the layer that it replaces: 2, 4, 8, 16 and 32.
    - Finer layers are averaged down to the size of the coarsest. The authors' code interpolates, which sees only four
      of up to 256 pixels.
    - The modules have ReLU, as the encoder has. The authors' code has PReLU.
    - The fused map is a 1×1 convolution that starts as the mean of both maps. The authors' code has the mean itself.
    - A bottleneck has at least 4 filters, for narrow networks.

    The paper's network has batch normalization, in ResNeXt101 and in its modules, and so has ours, everywhere. Without
    normalization the weights of ImageNet suit the network badly: their features keep the scale of pixels from 0
    to 255, and the first map of a pathway is linear in them.

    References
    ----------
    C. Tang, X. Liu, S. An, P. Wang, "BR²Net: Defocus Blur Detection via a Bidirectional Channel Attention Residual
    Refining Network", IEEE Transactions on Multimedia 23, 2021, doi:10.1109/TMM.2020.2985541; C. Tang et al., "R²MRF:
    Defocus Blur Detection via Recurrently Refining Multi-Scale Residual Features", AAAI 2020, an earlier form without
    pathways. The attention is that of J. Hu, L. Shen, G. Sun, "Squeeze-and-Excitation Networks", CVPR 2018,
    arXiv:1709.01507.
    """
    config = config or NormalizedConfig()
    image = keras.Input((None, None, 3), name="image")
    taps = apply_vgg16(apply_input_scaling(image), config, with_pool5=True)
    features = {side: _apply_channel_attention(taps[side], f"attention_{side}") for side in SIDES}
    maps = [_apply_pathway(features, sides, config, name) for name, sides in PATHWAYS.items()]
    last = layers.Concatenate(name="fuse_concat")([pathway[-1] for pathway in maps])
    mean = keras.initializers.Constant(1 / len(maps))
    fused = layers.Conv2D(1, 1, kernel_initializer=mean, name=SCORE_LAYER)(last)
    logits = layers.Concatenate(name="maps_concat")([*(one for pathway in maps for one in pathway), fused])
    return keras.Model(image, apply_logits_output(logits), name="br2net")


def _apply_channel_attention(tensor: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Weigh the channels of a layer by what the whole picture shows."""
    channels = tensor.shape[-1]
    weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(tensor)
    bottleneck = max(MIN_FILTERS, channels // ATTENTION_REDUCTION)
    weights = layers.Conv2D(bottleneck, 1, activation="relu", name=f"{name}_squeeze")(weights)
    weights = layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}_excite")(weights)
    return layers.Multiply(name=f"{name}_gate")([tensor, weights])


def _apply_pathway(
    features: dict[str, keras.KerasTensor], sides: tuple[str, ...], config: NormalizedConfig, name: str
) -> list[keras.KerasTensor]:
    """The map of each step of a pathway, at the size of the picture."""
    stride = VGG16_STRIDES[sides[0]]
    maps = [apply_score_conv(features[sides[0]], f"{name}_{sides[0]}_score")]
    for side in sides[1:]:
        step = f"{name}_{side}"
        feature = _resize(features[side], VGG16_STRIDES[side], stride, f"{step}_resize")
        joined = layers.Concatenate(name=f"{step}_concat")([maps[-1], feature])
        residual = apply_score_conv(apply_double_conv(joined, MODULE_FILTERS, config, step), f"{step}_residual")
        maps.append(layers.Add(name=f"{step}_add")([maps[-1], residual]))
    return [BilinearUpsampling(stride, name=f"{name}_{side}_up")(one) for side, one in zip(sides, maps, strict=True)]


def _resize(tensor: keras.KerasTensor, stride: int, target: int, name: str) -> keras.KerasTensor:
    """Bring features of one stride to another: interpolated up, averaged down."""
    if target < stride:
        return BilinearUpsampling(stride // target, name=name)(tensor)
    return layers.AveragePooling2D(target // stride, name=name)(tensor)


NETWORK = SegmentationNetwork(
    title="BR²Net",
    reference="Tang et al., IEEE Transactions on Multimedia 23, 2021",
    config_class=NormalizedConfig,
    build=build_br2net,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
