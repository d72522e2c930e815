"""IS2CNet: networks for shrinking and then for growing pictures correct a map one after another (Zhao et al. 2022)."""

from __future__ import annotations

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    VGG16_FILTERS,
    BilinearUpsampling,
    NormalizedConfig,
    apply_conv,
    apply_double_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16_block,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: The networks in their order, and the factors by which their pictures are reduced. Chosen by us.
CHAIN = {"fall1": 1, "fall2": 2, "turn4": 4, "rise2": 2, "rise1": 1}
#: Number of the blocks of VGG16 that are the levels of a network. Chosen by us.
LEVELS = 4
#: Filters of all convolutions after VGG16. Chosen by us.
FEATURE_FILTERS = 64
#: Height and width of a picture must be multiples of it.
STRIDE = max(CHAIN.values()) * 2 ** (LEVELS - 1)
#: Number of supervised score maps: one for each network.
SCORE_MAPS = len(CHAIN)
#: Layer that gives the last score map.
SCORE_LAYER = "score"


def build_is2cnet(config: NormalizedConfig | None = None) -> keras.Model:
    """Build IS2CNet with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 32, to (B, H, W, 5) float32 logits: the maps after the
        networks for the full, half, quarter, half and full size. The sigmoid of the last map is the probability that a
        pixel is blurred; the others are supervised in training only.

    Notes
    -----
    The abstract gives the idea. From large to small pictures, a network sees more and more of the surroundings, which
    tell what plain areas are. From small to large pictures, it sees more and more detail, which the outlines need. The
    integrated features of all levels of a network go to the input and to the tail of the network for the next size,
    which learns a residual. The text of the paper was not at hand, and its code cannot be had through the public
    repository. So all else is ours:

    - Five networks k = 1 … 5 form one chain: it shrinks the picture to a quarter and returns. Averages of 2×2 and
      4×4 px make the pictures P_k. The paper may have two chains side by side. In one chain the outlines are refined on
      top of what the surroundings say, and nothing is left to be fused.
    - The levels F_1 … F_4 of a network are the last layers of four blocks of VGG16, the encoder of the other networks
      here, whose weights of ImageNet Keras has. Each network has its own weights. The fifth block is left out: the
      small pictures already show wide surroundings, and with it the sides of a picture would be multiples of 64.
    - The levels are integrated from deep to shallow,

          I_4 = relu(conv F_4),  I_i = relu(conv(relu(conv F_i) + up(I_{i+1})))  for i = 3, 2, 1,

      with a 1×1 convolution of F_i and a 3×3 convolution of the sum. I_1 is what is delivered.
    - D_k is I_1 of network k - 1, averaged or enlarged bilinearly to the size of network k. It enters at the input by
      relu(conv D_k), which is added to the first layer of VGG16: so the kernels of ImageNet fit as they are. At the
      tail it is joined with I_1, and two 3×3 convolutions and a 1×1 convolution give the residual

          M_k = resize(M_{k-1}) + r_k([I_1, D_k]).

      The first network has neither D_1 nor a map before. All maps are logits.
    - All maps are supervised with the same weight, at the size of the picture.
    - The last map passes one more 1×1 convolution, of one weight, which starts as the identity, so that it can be
      calibrated alone.
    - All convolutions after VGG16 have 64 filters. The network has batch normalization, because features of
      several networks are added.

    References
    ----------
    F. Zhao, H. Lu, W. Zhao, L. Yao, "Image-Scale-Symmetric Cooperative Network for Defocus Blur Detection", IEEE
    Transactions on Circuits and Systems for Video Technology 32(5), 2719-2731, 2022, doi:10.1109/TCSVT.2021.3095347.
    """
    config = config or NormalizedConfig()
    image = keras.Input((None, None, 3), name="image")
    scaled = apply_input_scaling(image)
    pictures = {
        reduction: layers.AveragePooling2D(reduction, name=f"picture{reduction}")(scaled) if reduction > 1 else scaled
        for reduction in sorted(set(CHAIN.values()))
    }
    # Features and map of the network before: none for the first one.
    state: tuple[keras.KerasTensor, ...] = ()
    maps, before = [], 1
    for name, reduction in CHAIN.items():
        delivered = [
            _resize(tensor, before, reduction, f"{name}_{part}_before")
            for part, tensor in zip(("features", "map"), state, strict=False)
        ]
        state = _apply_network(pictures[reduction], delivered, config, name)
        maps.append(BilinearUpsampling(reduction, name=f"{name}_map_up")(state[1]))
        before = reduction
    maps[-1] = layers.Conv2D(1, 1, kernel_initializer="ones", name=SCORE_LAYER)(maps[-1])
    return keras.Model(image, apply_logits_output(layers.Concatenate(name="maps_concat")(maps)), name="is2cnet")


def _resize(tensor: keras.KerasTensor, before: int, after: int, name: str) -> keras.KerasTensor:
    """Bring maps of one reduction to that of the next network: averaged down, interpolated up."""
    if after > before:
        return layers.AveragePooling2D(after // before, name=name)(tensor)
    return BilinearUpsampling(before // after, name=name)(tensor)


def _apply_network(
    picture: keras.KerasTensor, delivered: list[keras.KerasTensor], config: NormalizedConfig, name: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Integrated features and map of one network, from its picture and, if there are any, those delivered to it."""
    features = _integrate(_apply_encoder(picture, delivered[:1], config, name), config, name)
    tail = layers.Concatenate(name=f"{name}_tail")([features, delivered[0]]) if delivered else features
    tail = apply_double_conv(tail, FEATURE_FILTERS, config, f"{name}_tail")
    residual = apply_score_conv(tail, f"{name}_residual")
    return features, layers.Add(name=f"{name}_map")([delivered[1], residual]) if delivered else residual


def _apply_encoder(
    picture: keras.KerasTensor, delivered: list[keras.KerasTensor], config: NormalizedConfig, name: str
) -> list[keras.KerasTensor]:
    """The levels, fine to coarse: blocks of VGG16, with what is delivered to the first layer."""
    first, second = VGG16_FILTERS[0]
    tensor = apply_conv(picture, first, config, f"{name}_vgg_conv1_1")
    if delivered:
        entering = apply_conv(delivered[0], first, config, f"{name}_input")
        tensor = layers.Add(name=f"{name}_input_add")([tensor, entering])
    levels = [apply_conv(tensor, second, config, f"{name}_vgg_conv1_2")]
    for block in range(2, LEVELS + 1):
        levels.append(apply_vgg16_block(levels[-1], block, config, prefix=f"{name}_"))
    return levels


def _integrate(levels: list[keras.KerasTensor], config: NormalizedConfig, name: str) -> keras.KerasTensor:
    """Features of all levels at the size of the finest one."""
    tensors = [
        apply_conv(level, FEATURE_FILTERS, config, f"{name}_level{number}", size=1)
        for number, level in enumerate(levels, start=1)
    ]
    features = tensors.pop()
    for number in range(len(tensors), 0, -1):
        step = f"{name}_join{number}"
        features = BilinearUpsampling(2, name=f"{step}_up")(features)
        features = layers.Add(name=f"{step}_add")([tensors[number - 1], features])
        features = apply_conv(features, FEATURE_FILTERS, config, step)
    return features


NETWORK = SegmentationNetwork(
    title="IS2CNet",
    reference="Zhao et al., IEEE Transactions on Circuits and Systems for Video Technology 32(5), 2022",
    config_class=NormalizedConfig,
    build=build_is2cnet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
