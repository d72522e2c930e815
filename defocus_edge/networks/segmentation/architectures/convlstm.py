"""Conv-LSTM fusion network: an LSTM walks from deep to shallow features of three scales (Heng et al. 2020)."""

from __future__ import annotations

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    NORMALIZATION_MOMENTUM,
    VGG16_STRIDES,
    BilinearResizing,
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
from defocus_edge.networks.segmentation.normalization import BatchNormalization

#: Sizes at which the encoder sees the picture, in tenths: 320, 256 and 192 px in the paper.
SCALES = (10, 8, 6)
#: Layers of VGG16 that are fused, in the order in which the Conv-LSTM visits them; the stride halves at each.
LEVELS = ("conv5_3", "conv4_3", "conv3_3", "conv2_2", "conv1_2")
#: Filters of the layers of the smaller scales, as in the paper; of the fused features and the Conv-LSTM, chosen by us.
FILTERS = 64
#: The gates of the cell, and its candidate, with their activations.
GATES = {"input": "sigmoid", "forget": "sigmoid", "output": "sigmoid", "candidate": "tanh"}
#: Height and width of a picture must be multiples of it.
STRIDE = max(VGG16_STRIDES[level] for level in LEVELS)
#: Number of supervised score maps: one for each level, and the fused one.
SCORE_MAPS = len(LEVELS) + 1
#: Name of the layer that gives the last score map.
SCORE_LAYER = "fuse_score"


def build_convlstm(config: NormalizedConfig | None = None) -> keras.Model:
    """Build the Conv-LSTM fusion network with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 6) float32 logits: the maps of VGG16's
        blocks 5, 4, 3, 2 and 1, and the fused map. The sigmoid of the fused map is the probability that a pixel is
        blurred; the other maps are supervised in training only.

    Notes
    -----
    VGG16 without its last pooling sees the picture at scales 1, 0.8 and 0.6. The last layer of each of its five blocks
    is a level. At each level the features of the two smaller scales pass a 1×1 convolution to 64 channels and are
    enlarged bilinearly to the size of the largest scale; a convolution of all three gives the fused features X. The
    Conv-LSTM takes them from the deepest level to the shallowest. At step t, with the state (H, C) of the step before
    enlarged twice and written with a prime,

        i, f, o = sigmoid(W_x * X_t + W_h * H'_{t-1} + b), each with its own weights,
        g = tanh(W_x * X_t + W_h * H'_{t-1} + b),
        C_t = f C'_{t-1} + i g,  H_t = o tanh(C_t).

    A 1×1 convolution of each H_t gives a map. A convolution of the five maps gives the last one.

    The paper's text was not at hand. The scales, the encoder, the 64 channels, the batch normalization and the order of
    the steps are from its abstract and from a review of it; the supervision of each step and the last convolution are
    from the abstract of the authors' later paper. We chose the rest:

    - The three scales share the weights of VGG16. What we read speaks of one extractor.
    - The features of the largest scale are fused as they are, with a 3×3 convolution of 64 filters.
    - All steps share the weights of one cell, as those of a recurrent network do. The abstract speaks of Conv-LSTMs,
      which may have weights of their own.
    - The cell has 3×3 kernels and 64 channels. It lacks the peepholes of Shi et al., whose weights belong to places of
      a picture of fixed size. The state before the first step is zero, so its terms are left out. The bias of the
      forget gate starts as 1, so that the state of the deep levels lasts.
    - Maps are enlarged bilinearly. The last convolution is 1×1 and starts as the mean of the five maps.

    These are our additions. The smaller pictures have sides that are rounded to multiples of 16. Batch normalization is
    in VGG16 too, so that it can be trained from scratch, and each scale has its own, because small pictures look
    sharper. The gates have none. Without normalization the features of ImageNet's weights keep the scale of pixels from
    0 to 255, far beyond the range in which sigmoid and tanh vary.

    References
    ----------
    H. Heng, H. Ye, R. Huang, "Defocus Blur Detection by Fusing Multiscale Deep Features With Conv-LSTM", IEEE Access 8,
    2020, doi:10.1109/ACCESS.2020.2996200; H. Heng, H. Ye, M. Zhou, R. Huang, Journal of Image and Graphics 26(3), 2021,
    doi:10.11834/jig.200126 (in Chinese), the later paper. The cell is that of X. Shi et al., "Convolutional LSTM
    Network", NIPS 2015, arXiv:1506.04214.
    """
    config = config or NormalizedConfig()
    image = keras.Input((None, None, 3), name="image")
    scaled = apply_input_scaling(image)
    taps = apply_vgg16(scaled, config, with_pool5=False)
    encoder = keras.Model(image, list(taps.values()))
    smaller = {tenths: _apply_encoder_again(encoder, scaled, tenths) for tenths in SCALES[1:]}
    cell = _make_cell(config)
    state: tuple[keras.KerasTensor, ...] = ()
    maps = []
    for level in LEVELS:
        fused = _fuse_scales(taps[level], {tenths: again[level] for tenths, again in smaller.items()}, config, level)
        state = _apply_cell(cell, fused, state, level)
        score = apply_score_conv(state[0], f"{level}_score")
        maps.append(BilinearUpsampling(VGG16_STRIDES[level], name=f"{level}_up")(score))
    mean = keras.initializers.Constant(1 / len(maps))
    joined = layers.Concatenate(name="fuse_concat")(maps)
    maps.append(layers.Conv2D(1, 1, kernel_initializer=mean, name=SCORE_LAYER)(joined))
    return keras.Model(image, apply_logits_output(layers.Concatenate(name="maps_concat")(maps)), name="convlstm")


def _apply_encoder_again(encoder: keras.Model, scaled: keras.KerasTensor, tenths: int) -> dict[str, keras.KerasTensor]:
    """The levels of a smaller picture: the layers of VGG16, one after the other, with normalizations of its own."""
    prefix = f"scale{tenths}"
    tensor = BilinearResizing(tenths, STRIDE, dtype="float32", name=f"{prefix}_resizing")([scaled, scaled])
    outputs = {}
    for layer in (layer for layer in encoder.layers if layer.name.startswith("vgg_")):
        if isinstance(layer, BatchNormalization):
            norm = BatchNormalization(momentum=NORMALIZATION_MOMENTUM, name=f"{prefix}_{layer.name}")
            tensor = norm(tensor)
        else:
            tensor = layer(tensor)
        outputs[layer.name] = tensor
    return {level: outputs[f"vgg_{level}_relu"] for level in LEVELS}


def _fuse_scales(
    largest: keras.KerasTensor, smaller: dict[int, keras.KerasTensor], config: NormalizedConfig, level: str
) -> keras.KerasTensor:
    """Features of all scales at one level, at the size of the largest."""
    tensors = [largest]
    for tenths, tensor in smaller.items():
        reduced = apply_conv(tensor, FILTERS, config, f"{level}_scale{tenths}", size=1)
        tensors.append(BilinearResizing(name=f"{level}_scale{tenths}_up")([reduced, largest]))
    return apply_conv(layers.Concatenate(name=f"{level}_concat")(tensors), FILTERS, config, f"{level}_fuse")


def _make_cell(config: NormalizedConfig) -> dict[str, tuple[layers.Conv2D, layers.Conv2D]]:
    """For each gate the convolution of the features and that of the state before; all steps share them."""
    filters = scale_filters(FILTERS, config.width)
    cell = {}
    for gate in GATES:
        bias = "ones" if gate == "forget" else "zeros"
        of_features = layers.Conv2D(filters, 3, padding="same", bias_initializer=bias, name=f"cell_{gate}_features")
        of_state = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"cell_{gate}_state")
        cell[gate] = of_features, of_state
    return cell


def _apply_cell(
    cell: dict[str, tuple[layers.Conv2D, layers.Conv2D]],
    features: keras.KerasTensor,
    state: tuple[keras.KerasTensor, ...],
    name: str,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """One step: the new (H, C) from the features and the (H, C) of the step before, which the first step lacks."""
    before = [BilinearUpsampling(2, name=f"{name}_{part}_up")(one) for part, one in zip("hc", state, strict=False)]
    gates = {}
    for gate, (of_features, of_state) in cell.items():
        tensor = of_features(features)
        if before:
            tensor = layers.Add(name=f"{name}_{gate}_add")([tensor, of_state(before[0])])
        gates[gate] = layers.Activation(GATES[gate], name=f"{name}_{gate}")(tensor)
    memory = layers.Multiply(name=f"{name}_write")([gates["input"], gates["candidate"]])
    if before:
        kept = layers.Multiply(name=f"{name}_keep")([gates["forget"], before[1]])
        memory = layers.Add(name=f"{name}_c")([kept, memory])
    shown = layers.Activation("tanh", name=f"{name}_tanh")(memory)
    return layers.Multiply(name=f"{name}_h")([gates["output"], shown]), memory


NETWORK = SegmentationNetwork(
    title="Conv-LSTM fusion network",
    reference="Heng et al., IEEE Access 8, 2020",
    config_class=NormalizedConfig,
    build=build_convlstm,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
