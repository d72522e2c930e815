"""BTBNet: streams for three scales of a picture, fused and refined in recurrent steps (Zhao et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    NORMALIZATION_MOMENTUM,
    VGG16_FILTERS,
    VGG16_STRIDES,
    BilinearResizing,
    BilinearUpsampling,
    SegmentationConfig,
    apply_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16,
    scale_filters,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork
from defocus_edge.networks.segmentation.normalization import BatchNormalization

#: Size of what each stream sees, in tenths of the picture's, the largest first. Chosen by us.
SCALES = (10, 8, 6)
#: Recurrent steps that refine the fused map. Chosen by us.
STEPS = 3
#: Filters of the 3×3 convolutions of the fusion and of a recurrent step, each time in front of a 1×1 convolution.
#: Chosen by us.
FUSION_FILTERS = (64, 64, 64)
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES["conv5_3"]
#: Number of supervised score maps: one for each stream, the fused one, and one for each recurrent step.
SCORE_MAPS = len(SCALES) + 1 + STEPS
#: Layer that gives the last score map.
SCORE_LAYER = "score"


@dataclass(frozen=True)
class BtbnetConfig(SegmentationConfig):
    """Architecture of BTBNet.

    Parameters
    ----------
    width, normalization
        See `SegmentationConfig`.
    pooling : bool
        Whether VGG16 keeps its poolings. The paper removes them; with them the network needs a 33rd of the arithmetic,
        and an output pixel sees more of the picture.
    """

    pooling: bool = False


def build_btbnet(config: BtbnetConfig | None = None) -> keras.Model:
    """Build BTBNet with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 7) float32 logits: the maps of the
        streams for scales 1, 0.8 and 0.6, the fused map, and the map after each of the three recurrent steps. The
        sigmoid of the last map is the probability that a pixel is blurred; the others are supervised in training only.

    Notes
    -----
    A stream goes bottom-top-bottom: up through the blocks F_1 … F_5 of VGG16, and back down in four steps,

        G_5 = F_5,  G_i = relu(conv F_i) + relu(conv G_{i+1})  for i = 4, 3, 2, 1.

    A 1×1 convolution of G_1 gives the stream's map. Each stream sees the picture at another scale and has its own
    weights. The fusion network takes the picture with the maps of all streams. The recurrent reconstruction takes the
    picture with the map before, three times with the same weights.

    We could not read all details of the paper, and chose these. The scales are 1, 0.8 and 0.6, resized bilinearly. The
    convolutions on the way down are 3×3, with the filters of F_i. The fusion and a recurrent step are three 3×3
    convolutions of 64 filters and a 1×1 convolution. They take maps as probabilities, which are bounded. All maps are
    trained at once.

    We added three things. With batch normalization each recurrent step has its own normalization, because the first
    map has other statistics than the next. The last map passes one more 1×1 convolution, of one weight, which starts as
    the identity, so that it can be calibrated alone. With `pooling`, sides of the scaled pictures are rounded to
    multiples of 16, and G_{i+1} is enlarged bilinearly after its convolution.

    This is the network of the conference paper. The journal paper learns residuals from the smallest scale to the
    largest in the place of the recurrent steps, and supervises each step of a stream.

    References
    ----------
    W. Zhao, F. Zhao, D. Wang, H. Lu, "Defocus Blur Detection via Multi-Stream Bottom-Top-Bottom Fully Convolutional
    Network", CVPR 2018, doi:10.1109/CVPR.2018.00325; W. Zhao, F. Zhao, D. Wang, H. Lu, "Defocus Blur Detection via
    Multi-Stream Bottom-Top-Bottom Network", IEEE Transactions on Pattern Analysis and Machine Intelligence 42(8), 2020.
    """
    config = config or BtbnetConfig()
    image = keras.Input((None, None, 3), name="image")
    scaled = apply_input_scaling(image)
    maps = [_apply_stream(scaled, tenths, config) for tenths in SCALES]
    maps.append(_apply_fusion(scaled, maps, _make_convs("fusion", config), config, "fusion"))
    convs = _make_convs("recurrent", config)
    for step in range(1, STEPS + 1):
        maps.append(_apply_fusion(scaled, maps[-1:], convs, config, f"step{step}"))
    maps[-1] = layers.Conv2D(1, 1, kernel_initializer="ones", name=SCORE_LAYER)(maps[-1])
    return keras.Model(image, apply_logits_output(layers.Concatenate(name="maps_concat")(maps)), name="btbnet")


def _apply_stream(scaled: keras.KerasTensor, tenths: int, config: BtbnetConfig) -> keras.KerasTensor:
    """Logits, (B, H, W, 1), of one stream."""
    name = f"scale{tenths}"
    tensor = scaled
    if tenths < SCALES[0]:
        multiple = STRIDE if config.pooling else 1
        tensor = BilinearResizing(tenths, multiple, dtype="float32", name=f"{name}_resizing")([scaled, scaled])
    prefix = "" if tenths == SCALES[0] else f"{name}_"  # one stream has the names of VGG16_NAMES
    taps = apply_vgg16(tensor, config, with_pool5=False, prefix=prefix, pooling=config.pooling)
    *forward, tensor = taps.values()
    for block in range(len(forward), 0, -1):
        filters, step = VGG16_FILTERS[block - 1][-1], f"{name}_block{block}"
        tensor = apply_conv(tensor, filters, config, f"{step}_back")
        tensor = BilinearUpsampling(2 if config.pooling else 1, name=f"{step}_up")(tensor)
        tensor = layers.Add(name=f"{step}_add")([apply_conv(forward[block - 1], filters, config, step), tensor])
    return BilinearResizing(name=f"{name}_up")([apply_score_conv(tensor, f"{name}_score"), scaled])


def _make_convs(name: str, config: BtbnetConfig) -> list[layers.Conv2D]:
    """Convolutions of the fusion, or of all recurrent steps; the last one gives a score map."""
    options = {"padding": "same", "use_bias": config.normalization == "none", "kernel_initializer": "he_normal"}
    convs = [
        layers.Conv2D(scale_filters(filters, config.width), 3, name=f"{name}_conv{number}", **options)
        for number, filters in enumerate(FUSION_FILTERS, start=1)
    ]
    return [*convs, layers.Conv2D(1, 1, name=f"{name}_score")]


def _apply_fusion(
    scaled: keras.KerasTensor,
    maps: list[keras.KerasTensor],
    convs: list[layers.Conv2D],
    config: BtbnetConfig,
    name: str,
) -> keras.KerasTensor:
    """Logits of the picture with the probabilities of maps."""
    logits = layers.Concatenate(name=f"{name}_maps")(maps) if len(maps) > 1 else maps[0]
    probability = layers.Activation("sigmoid", name=f"{name}_sigmoid")(logits)
    tensor = layers.Concatenate(name=f"{name}_concat")([scaled, probability])
    for number, conv in enumerate(convs[:-1], start=1):
        tensor = conv(tensor)
        if config.normalization == "batch":
            norm = BatchNormalization(momentum=NORMALIZATION_MOMENTUM, name=f"{name}_norm{number}")
            tensor = norm(tensor)
        tensor = layers.ReLU(name=f"{name}_relu{number}")(tensor)
    return convs[-1](tensor)


NETWORK = SegmentationNetwork(
    title="BTBNet",
    reference="Zhao et al., CVPR 2018",
    config_class=BtbnetConfig,
    build=build_btbnet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
