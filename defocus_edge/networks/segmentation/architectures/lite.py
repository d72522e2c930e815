"""`lite`: our network that detects blur, a light decoder on EfficientNet-Lite0's features."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from defocus_edge.networks.segmentation.blocks import (
    BilinearUpsampling,
    SegmentationConfig,
    apply_logits_output,
    apply_score_conv,
    scale_filters,
)
from defocus_edge.networks.segmentation.efficientnet_lite import (
    apply_efficientnet_lite,
    apply_lite_scaling,
    apply_normalized_conv,
    apply_normalized_depthwise,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: Filters of the decoder at each stride.
DECODER_FILTERS = {32: 96, 16: 64, 8: 48, 4: 32, 2: 24}
#: Height and width of a picture must be multiples of it.
STRIDE = max(DECODER_FILTERS)
#: Number of supervised score maps.
SCORE_MAPS = 1


@dataclass(frozen=True)
class LiteNetConfig(SegmentationConfig):
    """Architecture of `lite`.

    Parameters
    ----------
    width : float
        Factor on the number of filters of each layer. Weights trained on ImageNet fit only 1.
    normalization : {'batch'}
        The encoder has batch normalization, and so has the decoder.
    """

    normalization: str = "batch"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.normalization != "batch":
            msg = f"normalization must be 'batch' for lite. Got: {self.normalization!r}."
            raise ValueError(msg)


def build_lite_net(config: LiteNetConfig | None = None) -> keras.Model:
    """Build `lite`, a network that detects blur, with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 32, to (B, H, W, 1) float32 logits; their sigmoid is
        the probability that a pixel is blurred.

    Notes
    -----
    The encoder is that of EfficientNet-Lite0, see `apply_efficientnet_lite`. The mean over the picture of its last maps
    is added to them: what is in focus is seen by comparison. The decoder goes up from stride 32 to stride 2. At each
    step the maps are enlarged, joined with the encoder's, and filtered by a depthwise and a 1×1 convolution.
    """
    config = config or LiteNetConfig()
    image = keras.Input((None, None, 3), name="image")
    taps = apply_efficientnet_lite(apply_lite_scaling(image), config.width)
    tensor = _apply_context(taps[STRIDE], _count(STRIDE, config))
    for stride in (stride for stride in DECODER_FILTERS if stride < STRIDE):
        tensor = BilinearUpsampling(2, name=f"decoder{stride}_up")(tensor)
        tensor = layers.Concatenate(name=f"decoder{stride}_concat")([tensor, taps[stride]])
        filters = _count(stride, config)
        tensor = apply_normalized_conv(tensor, f"decoder{stride}_join", filters=filters)
        tensor = apply_normalized_depthwise(tensor, f"decoder{stride}_depthwise", kernel=3)
        tensor = apply_normalized_conv(tensor, f"decoder{stride}_mix", filters=filters)
    logits = BilinearUpsampling(2, name="score_up")(apply_score_conv(tensor, "score"))
    return keras.Model(image, apply_logits_output(logits), name="lite_net")


def _apply_context(tensor: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """Add to maps what the whole picture shows."""
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="context_pooling")(tensor)
    mean = layers.Conv2D(filters, 1, activation="relu", name="context_conv")(mean)
    tensor = apply_normalized_conv(tensor, f"decoder{STRIDE}_join", filters=filters)
    return layers.Add(name="context_add")([tensor, mean])


def _count(stride: int, config: LiteNetConfig) -> int:
    """Number of the decoder's filters at a stride."""
    return scale_filters(DECODER_FILTERS[stride], config.width)


NETWORK = SegmentationNetwork(
    title="lite",
    reference="Tan & Le 2019, arXiv:1905.11946 (its encoder)",
    config_class=LiteNetConfig,
    build=build_lite_net,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer="score",
)
