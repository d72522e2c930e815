"""DeFusionNET: shallow and deep VGG16 features refine each other in three recurrent steps (Tang et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    VGG16_STRIDES,
    BilinearUpsampling,
    SegmentationConfig,
    apply_conv,
    apply_double_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Layers of VGG16 that have a side branch: all of `VGG16_STRIDES`. The first three are shallow, the others deep.
SIDES = tuple(VGG16_STRIDES)
SHALLOW_SIDES = 3
#: Recurrent steps; the paper found no gain in more.
STEPS = 3
#: Filters of the side branches, the fused features and the refined features. Chosen by us.
SIDE_FILTERS = 64
#: Height and width of a picture must be multiples of it.
STRIDE = max(VGG16_STRIDES.values())
#: Number of supervised score maps: one for each side and step, and the fused one.
SCORE_MAPS = STEPS * len(SIDES) + 1
#: Name of the layer that gives the last score map.
SCORE_LAYER = "fuse_score"


@dataclass(frozen=True)
class DefusionNetConfig(SegmentationConfig):
    """Architecture of DeFusionNET.

    Parameters
    ----------
    width, normalization
        See `SegmentationConfig`.
    refine_size : int
        Size of the kernels that refine the features of a side, odd. Each step has six of them at full size: size 1
        instead of 3 makes the whole network about three times cheaper.
    """

    refine_size: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.refine_size < 1 or self.refine_size % 2 == 0:
            msg = f"refine_size must be odd and positive. Got: {self.refine_size}."
            raise ValueError(msg)


#: Features of the sides, at the size of the picture.
Features = list[keras.KerasTensor]
ApplyStep = Callable[[Features, DefusionNetConfig, int], Features]


def build_defusion_net(config: DefusionNetConfig | None = None) -> keras.Model:
    """Build DeFusionNET with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 32, to (B, H, W, 19) float32 logits: the six sides
        after step 1, after step 2, after step 3, and the fused map. The sigmoid of the fused map is the probability
        that a pixel is blurred; the other maps are supervised in training only.

    Notes
    -----
    With features F_1 … F_6 of the sides at the size of the picture, each step j does

        F_i^j = relu(conv[F_i^{j-1}, FSEF^{j-1}])  for the shallow sides i = 1, 2, 3,
        F_i^j = relu(conv[F_i^{j-1}, FSHF^{j-1}])  for the deep sides i = 4, 5, 6,

    and fuses anew: FSHF = relu(conv 1×1 [F_1, F_2, F_3]), FSEF = relu(conv 1×1 [F_4, F_5, F_6]). Each step has
    its own weights.

    This is the network of the conference paper; `build_defusion2022` has the channel attention and the feature
    adaptation that the journal paper adds. We chose what the papers leave open: a side has two 3×3 convolutions of 64
    filters at the size of its layer, then bilinear upsampling; the refining kernels are 3×3; each side and step has a
    1×1 convolution for its score map; the fused map is a 1×1 convolution of the last six maps, which starts as their
    mean.

    References
    ----------
    C. Tang, X. Zhu, X. Liu, L. Wang, A. Zomaya, "DeFusionNET: Defocus Blur Detection via Recurrently Fusing and
    Refining Multi-Scale Deep Features", CVPR 2019; C. Tang et al., "DeFusionNET: Defocus Blur Detection via
    Recurrently Fusing and Refining Discriminative Multi-Scale Deep Features", IEEE Transactions on Pattern Analysis and
    Machine Intelligence 44(2), 2022, doi:10.1109/TPAMI.2020.3014629.
    """
    return build_recurrent_net(config or DefusionNetConfig(), _apply_step, "defusion_net")


def build_recurrent_net(config: DefusionNetConfig, apply_step: ApplyStep, name: str) -> keras.Model:
    """Build DeFusionNET or its extension.

    `apply_step` takes the features of the sides, the config and the number of a step, and gives the refined features.
    `name` is that of the model.
    """
    image = keras.Input((None, None, 3), name="image")
    taps = apply_vgg16(apply_input_scaling(image), config, with_pool5=True)
    sides = [_apply_side(taps[side], VGG16_STRIDES[side], config, f"side_{side}") for side in SIDES]
    maps = []
    for step in range(1, STEPS + 1):
        sides = apply_step(sides, config, step)
        maps += [apply_score_conv(one, f"step{step}_{side}_score") for side, one in zip(SIDES, sides, strict=True)]
    last = layers.Concatenate(name="fuse_concat")(maps[-len(sides) :])
    mean = keras.initializers.Constant(1 / len(sides))
    fused = layers.Conv2D(1, 1, kernel_initializer=mean, name=SCORE_LAYER)(last)
    logits = apply_logits_output(layers.Concatenate(name="maps_concat")([*maps, fused]))
    return keras.Model(image, logits, name=name)


def _apply_side(tap: keras.KerasTensor, stride: int, config: DefusionNetConfig, name: str) -> keras.KerasTensor:
    """Two convolutions on a layer of VGG16, upsampled to the size of the picture."""
    return BilinearUpsampling(stride, name=f"{name}_up")(apply_double_conv(tap, SIDE_FILTERS, config, name))


def _apply_step(sides: Features, config: DefusionNetConfig, step: int) -> Features:
    """Features of the sides, refined with the fused features of the other depth."""
    shallow, deep = fuse_sides(sides, config, step)
    return refine_sides(sides, give_to_sides(shallow, deep), config, step)


def fuse_sides(sides: Features, config: DefusionNetConfig, step: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """FSHF and FSEF: the fused features of the shallow and of the deep sides."""
    shallow = _apply_fusion(sides[:SHALLOW_SIDES], config, f"step{step}_fshf")
    return shallow, _apply_fusion(sides[SHALLOW_SIDES:], config, f"step{step}_fsef")


def give_to_sides(shallow: keras.KerasTensor, deep: keras.KerasTensor) -> Features:
    """What each side gets to be refined with: deep features for a shallow side, shallow ones for a deep side."""
    return [deep] * SHALLOW_SIDES + [shallow] * (len(SIDES) - SHALLOW_SIDES)


def refine_sides(sides: Features, others: Features, config: DefusionNetConfig, step: int) -> Features:
    """Features of the sides, each refined with what it got."""
    refined = []
    for name, side, other in zip(SIDES, sides, others, strict=True):
        joined = layers.Concatenate(name=f"step{step}_{name}_concat")([side, other])
        conv = f"step{step}_{name}_refine"
        refined.append(apply_conv(joined, SIDE_FILTERS, config, conv, size=config.refine_size))
    return refined


def _apply_fusion(sides: Features, config: DefusionNetConfig, name: str) -> keras.KerasTensor:
    """Fused features of some sides."""
    return apply_conv(layers.Concatenate(name=f"{name}_concat")(sides), SIDE_FILTERS, config, f"{name}_conv", size=1)


NETWORK = SegmentationNetwork(
    title="DeFusionNET",
    reference="Tang et al., CVPR 2019",
    config_class=DefusionNetConfig,
    build=build_defusion_net,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
