"""HRFRNet: a global context guides residual corrections of features, from deep to shallow (Zhai et al. 2021)."""

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
    scale_filters,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Last layer of each block of VGG16, in the order of the stages that refine with them.
SIDES = ("conv5_3", "conv4_3", "conv3_3", "conv2_2", "conv1_2")
#: Filters of all convolutions after VGG16. Chosen by us.
STAGE_FILTERS = 64
#: Dilations of the convolutions of the global context. Chosen by us: the largest reaches 128 px to each side.
CONTEXT_DILATIONS = (1, 2, 4, 8)
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES[SIDES[0]]
#: Number of supervised score maps: one for each stage, and the fused one.
SCORE_MAPS = len(SIDES) + 1
#: Name of the layer that gives the last score map.
SCORE_LAYER = "fuse_score"


def build_hrfrnet(config: NormalizedConfig | None = None) -> keras.Model:
    """Build HRFRNet with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 6) float32 logits: the maps of the
        five stages, the deepest first, and the fused map. The sigmoid of the fused map is the probability that a pixel
        is blurred; the other maps are supervised in training only.

    Notes
    -----
    The abstract gives four parts: a context pooling module with dilated convolutions of several scales on the deepest
    layer; a guiding module that adds the context to the stages that refine features; the stages, which join the context
    with semantic and with fine features in a hierarchy, by residuals; and a fusion of the outputs of all stages that
    deep features guide. The text of the paper was not at hand, and no public code is known. So all else is ours:

    - The encoder is VGG16, that of the other networks here, so that a comparison is one of ideas and not of encoders,
      and because Keras has its weights of ImageNet. The stages take the last layer of each block, F_1 … F_5. With
      F_1 the last stage works at the size of the picture, where the outlines of blurred areas are.
    - The context C comes from F_5. Four 3×3 convolutions of dilation 1, 2, 4 and 8 are joined by a 1×1 convolution. The
      mean of F_5 over the picture passes a 1×1 convolution, too, and is added: dilations alone do not see a whole
      picture of every size. This mean has no batch normalization, as it is only one value for each picture.
    - Stage s, from 5 to 1, corrects the features of the stage before, enlarged to its size,

          R_s = relu(up(R_{s+1}) + r_s([up(R_{s+1}), G_s]))  with  G_s = relu(conv F_s) + up(relu(conv C)),

      and R_6 = C. The residual r_s has a 3×3 convolution with ReLU and one without. Each stage has its own weights.
    - A 1×1 convolution of R_s gives the map of the stage. All maps are supervised, at the size of the picture.
    - The fusion weighs the map of each stage with a 1×1 convolution of R_5 with sigmoid, at each place: where the
      deep features find a scale useless, its logit becomes 0. A 1×1 convolution, which starts with twice the mean
      because a weight is about a half at first, joins the weighed maps.
    - All convolutions after VGG16 have 64 filters, and 3×3 kernels unless said otherwise.
    - The network has batch normalization. Without it the features of ImageNet's weights keep the scale of pixels from 0
      to 255, and the stages add them up.

    References
    ----------
    Y. Zhai, J. Wang, J. Deng, G. Yue, W. Zhang, C. Tang, "Global context guided hierarchically residual feature
    refinement network for defocus blur detection", Signal Processing 183, 107996, 2021,
    doi:10.1016/j.sigpro.2021.107996.
    """
    config = config or NormalizedConfig()
    image = keras.Input((None, None, 3), name="image")
    taps = apply_vgg16(apply_input_scaling(image), config, with_pool5=False)
    context = _apply_context(taps[SIDES[0]], config)
    stages, stride = [context], STRIDE
    for side in SIDES:
        factor, stride = stride // VGG16_STRIDES[side], VGG16_STRIDES[side]
        before = BilinearUpsampling(factor, name=f"{side}_before")(stages[-1])
        guided = _apply_guiding(taps[side], context, stride, config, side)
        stages.append(_apply_residual(before, guided, config, side))
    maps = [
        BilinearUpsampling(VGG16_STRIDES[side], name=f"{side}_up")(apply_score_conv(stage, f"{side}_score"))
        for side, stage in zip(SIDES, stages[1:], strict=True)
    ]
    fused = _apply_fusion(maps, stages[1])
    logits = layers.Concatenate(name="maps_concat")([*maps, fused])
    return keras.Model(image, apply_logits_output(logits), name="hrfrnet")


def _apply_context(deepest: keras.KerasTensor, config: NormalizedConfig) -> keras.KerasTensor:
    """What the surroundings at several scales and the whole picture show."""
    scales = [
        apply_conv(deepest, STAGE_FILTERS, config, f"context_dilated{dilation}", dilation=dilation)
        for dilation in CONTEXT_DILATIONS
    ]
    joined = layers.Concatenate(name="context_concat")(scales)
    joined = apply_conv(joined, STAGE_FILTERS, config, "context_conv", size=1)
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="context_mean")(deepest)
    filters = scale_filters(STAGE_FILTERS, config.width)
    mean = layers.Conv2D(filters, 1, activation="relu", name="context_mean_conv")(mean)
    return layers.Add(name="context_add")([joined, mean])


def _apply_guiding(
    tap: keras.KerasTensor, context: keras.KerasTensor, stride: int, config: NormalizedConfig, side: str
) -> keras.KerasTensor:
    """Features of a layer of VGG16 plus what the context says to this stage."""
    features = apply_conv(tap, STAGE_FILTERS, config, f"{side}_conv")
    guide = apply_conv(context, STAGE_FILTERS, config, f"{side}_guide")
    guide = BilinearUpsampling(STRIDE // stride, name=f"{side}_guide_up")(guide)
    return layers.Add(name=f"{side}_guided")([features, guide])


def _apply_residual(
    before: keras.KerasTensor, guided: keras.KerasTensor, config: NormalizedConfig, side: str
) -> keras.KerasTensor:
    """Features of the stage before, corrected."""
    joined = layers.Concatenate(name=f"{side}_concat")([before, guided])
    residual = apply_conv(joined, STAGE_FILTERS, config, f"{side}_refine")
    filters = scale_filters(STAGE_FILTERS, config.width)
    residual = layers.Conv2D(filters, 3, padding="same", name=f"{side}_residual")(residual)
    return layers.ReLU(name=f"{side}_stage")(layers.Add(name=f"{side}_add")([before, residual]))


def _apply_fusion(maps: list[keras.KerasTensor], deep: keras.KerasTensor) -> keras.KerasTensor:
    """The map that joins those of all stages, weighed at each place by what the deep features show."""
    weighed = []
    for side, one in zip(SIDES, maps, strict=True):
        weights = layers.Conv2D(1, 1, activation="sigmoid", name=f"fuse_{side}_weights")(deep)
        weights = BilinearUpsampling(STRIDE, name=f"fuse_{side}_up")(weights)
        weighed.append(layers.Multiply(name=f"fuse_{side}")([one, weights]))
    joined = layers.Concatenate(name="fuse_concat")(weighed)
    start = keras.initializers.Constant(2 / len(maps))
    return layers.Conv2D(1, 1, kernel_initializer=start, name=SCORE_LAYER)(joined)


NETWORK = SegmentationNetwork(
    title="HRFRNet",
    reference="Zhai et al., Signal Processing 183, 2021",
    config_class=NormalizedConfig,
    build=build_hrfrnet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
