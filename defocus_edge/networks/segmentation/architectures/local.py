"""LOCAL: a branch for blur and one for sharpness each look where the other one claims nothing (Li et al. 2021)."""

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

#: Last layer of each block of VGG16, from deep to shallow. Each has twice the size of the one before.
SIDES = ("conv5_3", "conv4_3", "conv3_3", "conv2_2", "conv1_2")
SIZE_RATIO = 2
#: What each branch looks for, and what the other one looks for.
OTHER_BRANCH = {"blurred": "sharp", "sharp": "blurred"}
#: Filters of all convolutions after VGG16. Chosen by us.
BRANCH_FILTERS = 64
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES[SIDES[0]]
#: Number of supervised score maps: one for each branch and layer, the two of the fusion, and the last one.
SCORE_MAPS = len(OTHER_BRANCH) * (len(SIDES) + 1) + 1
#: Name of the layer that gives the last score map.
SCORE_LAYER = "last_score"


def build_local(config: NormalizedConfig | None = None) -> keras.Model:
    """Build LOCAL with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 13) float32 logits: the five maps of
        the blurred branch, the deepest first, the five of the sharp branch, the two of the fusion, and the last map.
        The sigmoid of each is a probability that a pixel is blurred. That of the last map is the answer; the others are
        supervised in training only.

    Notes
    -----
    The abstract gives four parts: two symmetric branches estimate the probabilities of defocus and of focus; each layer
    of a branch gets an attention from the other branch; each layer also estimates a map, which guides the next
    shallower layer; and a fusion of the features of both branches, from top to bottom, gives an output of two channels,
    with a complementary loss. The text of the paper was not at hand, and no public code is known. So all else is ours:

    - The encoder is VGG16, that of the other networks here, so that a comparison is one of ideas and not of encoders,
      and because Keras has its weights of ImageNet. The branches take the last layer of each block, F_5 … F_1, so that
      the last step works at the size of the picture.
    - In layer i each branch, with its probability p_{i+1} and that of the other branch q_{i+1} in the deeper layer, has
      the features

          X_i = relu(conv [(2 - up(q_{i+1})) · relu(conv F_i), up(p_{i+1})]),

      and p_i is the sigmoid of a 1×1 convolution of X_i. The attention 1 - q is the complement of what the other branch
      claims: features count up to twice there, and once elsewhere, so that no feature is lost by a wrong map. The
      deepest layer has no deeper one, so its features have neither attention nor guide.
    - The branches share VGG16 and nothing else. Each sees the map p and not its logit, which is unbounded.
    - The fusion goes from deep to shallow, T_i = relu(conv [up(T_{i+1}), X_i, X'_i]) with the features of both
      branches. Two 1×1 convolutions of T_1 give the logits of both channels.
    - One more 1×1 convolution joins both channels in the last map, which can then be calibrated alone. It starts as the
      mean of the logit for blur and minus the logit for sharpness.
    - Logits s for sharpness leave the network as -s: as sigmoid(-s) = 1 - sigmoid(s), the cross entropy with the mask
      is that of s with the complement of the mask. Both branches learn the same mask in this way, which makes p + q
      go to 1. There is no further complementary term. Somebody's loss that names the paper as its model has one: cross
      entropy, structural similarity, overlap and the distance of p + q from 1
      (https://github.com/matteo-rizzo/saliency-faithfulness-eval).
    - All convolutions after VGG16 have 64 filters, and 3×3 kernels unless said otherwise.
    - The network has batch normalization. Without it the features of ImageNet's weights keep the scale of pixels from 0
      to 255, and the probabilities, from 0 to 1, hardly count beside them.

    References
    ----------
    J. Li, D. Fan, L. Yang, S. Gu, G. Lu, Y. Xu, D. Zhang, "Layer-Output Guided Complementary Attention Learning for
    Image Defocus Blur Detection", IEEE Transactions on Image Processing 30, 2021, pages 3748-3763,
    doi:10.1109/TIP.2021.3065171.
    """
    config = config or NormalizedConfig()
    image = keras.Input((None, None, 3), name="image")
    taps = apply_vgg16(apply_input_scaling(image), config, with_pool5=False)
    maps: dict[str, list[keras.KerasTensor]] = {branch: [] for branch in OTHER_BRANCH}
    scores: dict[str, keras.KerasTensor] = {}
    fused: list[keras.KerasTensor] = []
    for side in SIDES:
        guides = {branch: _apply_guide(score, f"{side}_{branch}_guide") for branch, score in scores.items()}
        features = {branch: _apply_branch(taps[side], guides, branch, config, side) for branch in OTHER_BRANCH}
        scores = {branch: apply_score_conv(features[branch], f"{side}_{branch}_score") for branch in OTHER_BRANCH}
        for branch, score in scores.items():
            blurred = _turn_to_blur(score, branch, f"{side}_{branch}")
            maps[branch].append(BilinearUpsampling(VGG16_STRIDES[side], name=f"{side}_{branch}_up")(blurred))
        deeper = [BilinearUpsampling(SIZE_RATIO, name=f"{side}_deeper")(one) for one in fused[-1:]]
        joined = layers.Concatenate(name=f"{side}_fuse_concat")([*deeper, *features.values()])
        fused.append(apply_conv(joined, BRANCH_FILTERS, config, f"{side}_fuse"))
    channels = [
        _turn_to_blur(apply_score_conv(fused[-1], f"fused_{branch}_score"), branch, f"fused_{branch}")
        for branch in OTHER_BRANCH
    ]
    joined = layers.Concatenate(name="last_concat")(channels)
    mean = keras.initializers.Constant(1 / len(channels))
    last = layers.Conv2D(1, 1, kernel_initializer=mean, name=SCORE_LAYER)(joined)
    logits = layers.Concatenate(name="maps_concat")([*maps["blurred"], *maps["sharp"], *channels, last])
    return keras.Model(image, apply_logits_output(logits), name="local")


def _apply_guide(score: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Probability that a branch found in a layer, at the size of the next shallower one."""
    probability = layers.Activation("sigmoid", name=f"{name}_probability")(score)
    return BilinearUpsampling(SIZE_RATIO, name=name)(probability)


def _apply_branch(
    tap: keras.KerasTensor, guides: dict[str, keras.KerasTensor], branch: str, config: NormalizedConfig, side: str
) -> keras.KerasTensor:
    """Features of a branch: weighed by what the other branch does not claim, and joined with its own last map."""
    name = f"{side}_{branch}"
    features = apply_conv(tap, BRANCH_FILTERS, config, f"{name}_features")
    if guides:
        weights = layers.Rescaling(-1.0, 2.0, name=f"{name}_weights")(guides[OTHER_BRANCH[branch]])
        features = layers.Multiply(name=f"{name}_attend")([features, weights])
        features = layers.Concatenate(name=f"{name}_concat")([features, guides[branch]])
    return apply_conv(features, BRANCH_FILTERS, config, f"{name}_refine")


def _turn_to_blur(score: keras.KerasTensor, branch: str, name: str) -> keras.KerasTensor:
    """Logit that a pixel is blurred, from a branch's logit for what it looks for."""
    return score if branch == "blurred" else layers.Rescaling(-1.0, name=f"{name}_negative")(score)


NETWORK = SegmentationNetwork(
    title="LOCAL",
    reference="Li et al., IEEE Transactions on Image Processing 30, 2021",
    config_class=NormalizedConfig,
    build=build_local,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
