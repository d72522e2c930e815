"""DeFusionNET: shallow and deep VGG16 features refine each other in three recurrent steps (Tang et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    BilinearUpsampling,
    SegmentationConfig,
    apply_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16,
)

#: VGG16's layers that have a side branch, with their strides. The first three are shallow, the others deep.
SIDE_STRIDES = {"conv1_2": 1, "conv2_2": 2, "conv3_3": 4, "conv4_3": 8, "conv5_3": 16, "pool5": 32}
SHALLOW_SIDES = 3
#: Recurrent steps; the paper found no gain in more.
STEPS = 3
#: Filters of the side branches, of the fused features and of the refined ones.
SIDE_FILTERS = 64
#: Height and width of a picture must be multiples of it.
STRIDE = 32
#: Supervised score maps: one for each side and step, and the fused one.
SCORE_MAPS = STEPS * len(SIDE_STRIDES) + 1


@dataclass(frozen=True)
class DefusionNetConfig(SegmentationConfig):
    """Architecture of DeFusionNET.

    Parameters
    ----------
    width, normalization
        See `SegmentationConfig`.
    refine_size : int
        Side of the kernels that refine a side's features, odd. They work at full size, six in each step: 1 in place of
        3 makes the whole network about three times cheaper.
    """

    refine_size: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.refine_size < 1 or self.refine_size % 2 == 0:
            msg = f"refine_size must be odd and positive. Got: {self.refine_size}."
            raise ValueError(msg)


def build_defusion_net(config: DefusionNetConfig | None = None) -> keras.Model:
    """Build DeFusionNET with random weights.

    Parameters
    ----------
    config : DefusionNetConfig, optional

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 32, to (B, H, W, 19) float32 logits: the six sides
        after step 1, after step 2, after step 3, and the fused map. The sigmoid of the last is the probability that a
        pixel is blurred; the others are there to be supervised.

    Notes
    -----
    With features F_1 … F_6 of the sides at the size of the picture, each step j does

        F_i^j = relu(conv[F_i^{j-1}, FSEF^{j-1}])  for the shallow sides i = 1, 2, 3,
        F_i^j = relu(conv[F_i^{j-1}, FSHF^{j-1}])  for the deep sides i = 4, 5, 6,

    and fuses anew: FSHF = relu(conv 1×1 [F_1, F_2, F_3]), FSEF = relu(conv 1×1 [F_4, F_5, F_6]). All weights are those
    of one step only.

    This is the network of the conference paper, without the channel attention and the feature adaptation that the
    journal paper adds. The papers leave open, and we chose: 64 filters, 3×3, in the two convolutions of a side, which
    work at the side's own size; bilinear upsampling after them; 3×3 kernels that refine; 1×1 kernels, one for each
    side and step, that make score maps; a 1×1 convolution of the last six maps, which starts as their mean.

    References
    ----------
    C. Tang, X. Zhu, X. Liu, L. Wang, A. Zomaya, "DeFusionNET: Defocus Blur Detection via Recurrently Fusing and
    Refining Multi-Scale Deep Features", CVPR 2019; C. Tang et al., "DeFusionNET: Defocus Blur Detection via
    Recurrently Fusing and Refining Discriminative Multi-Scale Deep Features", IEEE Transactions on Pattern Analysis and
    Machine Intelligence 44(2), 2022, doi:10.1109/TPAMI.2020.3014629.
    """
    config = config or DefusionNetConfig()
    image = keras.Input((None, None, 3), name="image")
    taps = apply_vgg16(apply_input_scaling(image), config, with_pool5=True)
    sides = [_apply_side(taps[name], stride, config, f"side_{name}") for name, stride in SIDE_STRIDES.items()]
    maps = []
    for step in range(1, STEPS + 1):
        shallow = _apply_fusion(sides[:SHALLOW_SIDES], config, f"step{step}_fshf")
        deep = _apply_fusion(sides[SHALLOW_SIDES:], config, f"step{step}_fsef")
        names = [f"step{step}_{name}" for name in SIDE_STRIDES]
        others = [deep] * SHALLOW_SIDES + [shallow] * (len(sides) - SHALLOW_SIDES)
        sides = [
            _apply_refinement(side, other, config, name) for side, other, name in zip(sides, others, names, strict=True)
        ]
        maps += [apply_score_conv(side, f"{name}_score") for side, name in zip(sides, names, strict=True)]
    last = layers.Concatenate(name="fuse_concat")(maps[-len(sides) :])
    mean = keras.initializers.Constant(1 / len(sides))
    fused = layers.Conv2D(1, 1, kernel_initializer=mean, name="fuse_score")(last)
    logits = apply_logits_output(layers.Concatenate(name="maps_concat")([*maps, fused]))
    return keras.Model(image, logits, name="defusion_net")


def _apply_side(tap: keras.KerasTensor, stride: int, config: DefusionNetConfig, name: str) -> keras.KerasTensor:
    """Two convolutions on one of VGG16's layers, at the size of the picture."""
    for number in (1, 2):
        tap = apply_conv(tap, SIDE_FILTERS, config, f"{name}_conv{number}")
    return BilinearUpsampling(stride, name=f"{name}_up")(tap)


def _apply_fusion(sides: list[keras.KerasTensor], config: DefusionNetConfig, name: str) -> keras.KerasTensor:
    """FSHF or FSEF: the fused features of the shallow or the deep sides."""
    return apply_conv(layers.Concatenate(name=f"{name}_concat")(sides), SIDE_FILTERS, config, f"{name}_conv", size=1)


def _apply_refinement(
    side: keras.KerasTensor, fused: keras.KerasTensor, config: DefusionNetConfig, name: str
) -> keras.KerasTensor:
    """Features of one side, refined with the fused ones of the other depth."""
    joined = layers.Concatenate(name=f"{name}_concat")([side, fused])
    return apply_conv(joined, SIDE_FILTERS, config, f"{name}_refine", size=config.refine_size)
