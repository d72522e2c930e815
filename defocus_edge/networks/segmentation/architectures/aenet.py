"""AENet: light adapters turn one network into 32 detectors that differ; their mean is the answer (Zhao et al. 2021)."""

from __future__ import annotations

import keras
from keras import layers

from defocus_edge.networks.segmentation.architectures.cenet import SCORE_LAYER, append_mean
from defocus_edge.networks.segmentation.blocks import (
    VGG16_FILTERS,
    VGG16_STRIDES,
    BilinearUpsampling,
    SegmentationConfig,
    apply_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_vgg16_block,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Blocks of VGG16 without adapters.
PLAIN_BLOCKS = (1, 2, 3, 4)
#: Detectors: each has an adapter of its own beside each adapted convolution.
DETECTORS = 32
#: Filters of the last adapted convolution, from which all detectors take their score maps.
DETECTOR_FILTERS = 32
#: Adapted convolutions: name, filters and size of the kernel.
ADAPTED = (
    *((f"vgg_conv5_{number}", filters, 3) for number, filters in enumerate(VGG16_FILTERS[-1], start=1)),
    ("reduce", DETECTOR_FILTERS, 1),
)
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES["conv5_3"]
#: Number of supervised score maps: one for each detector, and their mean.
SCORE_MAPS = DETECTORS + 1


def build_aenet(config: SegmentationConfig | None = None) -> keras.Model:
    """Build AENet with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 33) float32 logits: the 32 detectors,
        and the logit of their mean probability, which is the probability that a pixel is blurred; the other maps are
        supervised in training only.

    Notes
    -----
    The backbone is VGG16 without its last pooling, and a 1×1 convolution of 32 filters behind it. With B_1 … B_4 its
    features after conv5_1, conv5_2, conv5_3 and the 1×1 convolution, and A_0 those of the pooling before conv5_1, each
    detector k has

        A_i^k = B_i + relu(conv 1×1 A_{i-1}^k)  for i = 1 … 4.

    The backbone is computed once: the adapters add to its features, and its convolutions never see what they add. A 1×1
    convolution that all detectors share turns A_4^k into a logit, and the mean of the 32 probabilities is the answer.
    Training adds `diversity_loss` with one group, which drives each detector away from the mean of all.

    The paper's text is not at hand. Its abstract tells of light sequential adapters for one backbone, and of the loss.
    The backbone, the places and sizes of the adapters, the number of detectors and the weight of the loss are those of
    the authors' code, https://github.com/wdzhao123/DENets. These are our changes:

    - Backbone and adapters learn together. The authors' code loads a backbone that already detects blur and freezes it,
      which a network with random weights cannot do.
    - The score maps are upsampled bilinearly. The authors' code has a transposed convolution of 32×32 for 32 filters
      that all detectors share. It gives 32 maps for each of them at the size of the picture: 0.4 GB for 320×320 px.
    - The mean is taken before the upsampling, is turned into a logit and passes a convolution of one weight, as in
      `build_cenet`.
    - Each detector is supervised with the cross entropy of all networks here, and the mean as well; the authors' code
      has the squared error of each detector.
    - The number of detectors does not depend on the width.

    References
    ----------
    W. Zhao, X. Hou, Y. He, H. Lu, "Defocus Blur Detection via Boosting Diversity of Deep Ensemble Networks", IEEE
    Transactions on Image Processing 30, 2021, doi:10.1109/TIP.2021.3084101; `build_efenet` is its other network.
    """
    config = config or SegmentationConfig()
    image = keras.Input((None, None, 3), name="image")
    tensor = apply_input_scaling(image)
    for block in PLAIN_BLOCKS:
        tensor = apply_vgg16_block(tensor, block, config)
    pooled = layers.MaxPooling2D(2, name="vgg_pool4")(tensor)
    backbone = [pooled]
    for name, filters, size in ADAPTED:
        backbone.append(apply_conv(backbone[-1], filters, config, name, size=size))
    score = layers.Conv2D(1, 1, name="detector_score")
    maps = [score(_apply_adapters(backbone, config, f"detector{number}")) for number in range(1, DETECTORS + 1)]
    maps = append_mean(layers.Concatenate(name="detectors_concat")(maps))
    logits = BilinearUpsampling(STRIDE, name="maps_up")(maps)
    return keras.Model(image, apply_logits_output(logits), name="aenet")


def _apply_adapters(backbone: list[keras.KerasTensor], config: SegmentationConfig, name: str) -> keras.KerasTensor:
    """Features of one detector: those of the backbone, and what its own adapters add to them."""
    tensor, *features = backbone
    for number, ((_, filters, _), one) in enumerate(zip(ADAPTED, features, strict=True), start=1):
        added = apply_conv(tensor, filters, config, f"{name}_adapter{number}", size=1)
        tensor = layers.Add(name=f"{name}_add{number}")([one, added])
    return tensor


NETWORK = SegmentationNetwork(
    title="AENet",
    reference="Zhao et al., IEEE Transactions on Image Processing 30, 2021",
    config_class=SegmentationConfig,
    build=build_aenet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
