"""CENet: the answer is the mean of many small detectors that are made to differ, in two groups (Zhao et al. 2019)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from defocus_edge.networks.segmentation.blocks import (
    VGG16_STRIDES,
    BilinearUpsampling,
    SegmentationConfig,
    apply_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16_block,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Blocks of VGG16 that all detectors share; each group has the other blocks for itself.
SHARED_BLOCKS = (1, 2)
GROUP_BLOCKS = (3, 4, 5)
#: Groups of detectors, and detectors in each of them.
GROUPS = ("group1", "group2")
DETECTORS = 64
#: Filters between the last block and the detectors of a group.
DETECTOR_FILTERS = 64
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES["conv5_3"]
#: Number of supervised score maps: one for each detector, and their mean.
SCORE_MAPS = len(GROUPS) * DETECTORS + 1
#: A mean probability is kept this far from 0 and 1, so that its logit is finite.
LEAST_MEAN = 1e-6
#: Name of the layer that gives the last score map.
SCORE_LAYER = "mean_score"


def build_cenet(config: SegmentationConfig | None = None) -> keras.Model:
    """Build CENet with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 129) float32 logits: the 64 detectors
        of the first group, the 64 of the second one, and the logit of their mean probability, which is the probability
        that a pixel is blurred; the other maps are supervised in training only.

    Notes
    -----
    All detectors share the first two blocks of VGG16. Each group has the other three blocks for itself, without the
    last pooling, then a 1×1 convolution of 64 filters with ReLU. A last 1×1 convolution gives the logits of its 64
    detectors, and the mean of their probabilities is the answer. Training adds `diversity_loss`, which drives each
    detector away from the mean of its own group and from that of the other group.

    The paper's text is not at hand. Its abstract tells of the shared low-level features, the two groups, the loss and
    the uniform mean. The blocks, the numbers of filters and detectors, and the weights of the loss are those of its
    authors' code of 2021, https://github.com/wdzhao123/DENets, which holds this network in comments. These are our
    changes:

    - The mean probability is turned into a logit again: training, calibration and presets expect logits. It passes one
      more 1×1 convolution, of one weight, which starts as the identity and is never trained, so that calibration can
      divide it by the temperature.
    - The mean is taken before the maps are upsampled bilinearly. The authors' code has a transposed convolution with a
      kernel of 32×32 from each of the 64 filters to each detector: 8.4 million weights more, over half of a compact
      network.
    - Each detector is supervised with the cross entropy of all networks here, and the mean as well; the paper has the
      squared error of each detector.
    - Both groups learn in the same step, each for a fixed mean of the other one; the authors' code has an optimizer for
      each group.
    - The second group pools its own conv4_3; in the authors' code it pools that of the first group, a slip.
    - The number of detectors does not depend on the width.

    References
    ----------
    W. Zhao, B. Zheng, Q. Lin, H. Lu, "Enhancing Diversity of Defocus Blur Detectors via Cross-Ensemble Network", CVPR
    2019, doi:10.1109/CVPR.2019.00911. The code belongs to W. Zhao, X. Hou, Y. He, H. Lu, "Defocus Blur Detection via
    Boosting Diversity of Deep Ensemble Networks", IEEE Transactions on Image Processing 30, 2021,
    doi:10.1109/TIP.2021.3084101.
    """
    config = config or SegmentationConfig()
    image = keras.Input((None, None, 3), name="image")
    shared = apply_input_scaling(image)
    for block in SHARED_BLOCKS:
        shared = apply_vgg16_block(shared, block, config)
    maps = layers.Concatenate(name="detectors_concat")([_apply_group(shared, config, name) for name in GROUPS])
    logits = BilinearUpsampling(STRIDE, name="maps_up")(append_mean(maps))
    return keras.Model(image, apply_logits_output(logits), name="cenet")


def _apply_group(shared: keras.KerasTensor, config: SegmentationConfig, name: str) -> keras.KerasTensor:
    """Logits of the detectors of a group, (B, H / 16, W / 16, DETECTORS)."""
    tensor = shared
    for block in GROUP_BLOCKS:
        tensor = apply_vgg16_block(tensor, block, config, prefix=f"{name}_")
    tensor = apply_conv(tensor, DETECTOR_FILTERS, config, f"{name}_reduce", size=1)
    return apply_score_conv(tensor, f"{name}_detectors", maps=DETECTORS)


def append_mean(maps: keras.KerasTensor) -> keras.KerasTensor:
    """Add a last map to the logits of detectors: the logit of their mean probability, from the layer `SCORE_LAYER`."""
    mean = MeanProbability(dtype="float32", name="mean")(maps)
    mean = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", trainable=False, name=SCORE_LAYER)(mean)
    return layers.Concatenate(name="maps_concat")([maps, mean])


class MeanProbability(keras.layers.Layer):
    """The logit of the mean of the probabilities whose logits the channels are."""

    def call(self, logits: Any) -> Any:
        """(B, H, W, C) logits to (B, H, W, 1)."""
        mean = ops.clip(ops.mean(ops.sigmoid(logits), axis=-1, keepdims=True), LEAST_MEAN, 1 - LEAST_MEAN)
        return ops.log(mean) - ops.log(1 - mean)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One channel."""
        return *input_shape[:-1], 1


NETWORK = SegmentationNetwork(
    title="CENet",
    reference="Zhao et al., CVPR 2019",
    config_class=SegmentationConfig,
    build=build_cenet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
