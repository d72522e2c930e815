"""The network that refines a spread blur map: a U-Net on cells of the picture, with an encoder that knows ImageNet.

O. Ronneberger, P. Fischer and T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
arXiv:1505.04597; the encoder is `defocus_edge.networks.efficientnet`. The combination is ours: Karaali, Harte and Jung
2022 name a learned propagation as future work.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from defocus_edge.choices import AUTO
from defocus_edge.networks.devices import choose_device, use_device
from defocus_edge.networks.efficientnet import apply_efficientnet
from defocus_edge.networks.inference import compile_inference

#: Side in px of a cell of the picture that the encoder sees.
CELL = 4
#: Height and width of a picture in cells must be multiples of it.
CELL_STEP = 8
#: Number of values that describe a cell, see `defocus_edge.estimation.refinement.describe_cells`.
CELL_VALUES = 14
#: Filters to which the features of the encoder are reduced, by stride.
FEATURE_FILTERS = {4: 16, 8: 32, 16: 64, 32: 96}
# Natural logarithm of the width in px of the error that an untrained network expects.
_FIRST_WIDTH = -1.0


@dataclass(frozen=True)
class RefinementConfig:
    """Architecture: filters of the U-Net at full, half, quarter and eighth size of the cells."""

    filters: tuple[int, int, int, int] = (32, 48, 96, 128)


@dataclass(frozen=True, eq=False)
class RefinementNetwork:
    """The network in two parts, so that training can keep the features of its pictures.

    Attributes
    ----------
    encoder : keras.Model
        (B, 4 R, 4 C, 3) RGB in [0, 1] to features of stride 4, 8, 16 and 32.
    decoder : keras.Model
        (B, R, C, `CELL_VALUES`) cells and the features to (B, R, C, 2): what to add to log2 of the radius, and the
        natural logarithm of the width in px of the error that is left.
    joint : keras.Model
        Both: [pictures, cells] to what the decoder gives.
    """

    config: RefinementConfig
    encoder: keras.Model
    decoder: keras.Model
    joint: keras.Model


def build_refinement_network(config: RefinementConfig | None = None) -> RefinementNetwork:
    """Build the network with random weights; the map stays as it is until it is trained."""
    config = config or RefinementConfig()
    image = keras.Input((None, None, 3), name="picture")
    encoder = keras.Model(image, list(apply_efficientnet(image).values()), name="encoder")
    cells = keras.Input((None, None, CELL_VALUES), name="cells")
    features = [
        keras.Input((None, None, shape[-1]), name=f"features_{i}") for i, shape in enumerate(encoder.output_shape)
    ]
    decoder = keras.Model([cells, *features], _apply_unet(cells, features, config), name="decoder")
    joint = keras.Model([image, cells], decoder([cells, *encoder(image)]), name="refinement")
    return RefinementNetwork(config, encoder, decoder, joint)


class RefinementEvaluator:
    """Runs a network on pictures of any size; any number of threads may use it."""

    def __init__(self, network: RefinementNetwork, *, device: str = AUTO) -> None:
        self.device = choose_device(device)
        signature: list[tuple[tuple[int | None, ...], str]] = [
            ((1, None, None, channels), "float32") for channels in (3, CELL_VALUES)
        ]
        self._run = compile_inference(lambda picture, cells: network.joint([picture, cells]), signature)

    def predict(self, picture: NDArray[np.float32], cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer (R, C, 2) of the decoder for a picture (4 R, 4 C, 3) and its cells (R, C, `CELL_VALUES`)."""
        with use_device(self.device):
            answer = self._run(picture[None], cells[None])
        return np.asarray(ops.convert_to_numpy(answer)[0])


def _apply_unet(
    cells: keras.KerasTensor, features: list[keras.KerasTensor], config: RefinementConfig
) -> keras.KerasTensor:
    """Encode cells and features from fine to coarse, then decode with skip connections."""
    reduced = [
        layers.Conv2D(filters, 1, activation="relu", name=f"reduce_{stride}")(feature)
        for (stride, filters), feature in zip(FEATURE_FILTERS.items(), features, strict=True)
    ]
    tensor = _apply_conv(cells, config.filters[0], "cells_conv")
    skips = []
    for level, filters in enumerate(config.filters):
        if level:
            tensor = _apply_conv(tensor, filters, f"down_{level}", stride=2)
        tensor = layers.Concatenate(name=f"join_{level}")([tensor, reduced[level]])
        tensor = _apply_conv(tensor, filters, f"encode_{level}")
        skips.append(tensor)
    tensor = _apply_conv(tensor, config.filters[-1], "bottom")
    for level in reversed(range(len(config.filters) - 1)):
        tensor = layers.UpSampling2D(2, name=f"up_{level}")(tensor)
        tensor = layers.Concatenate(name=f"skip_{level}")([tensor, skips[level]])
        tensor = _apply_conv(tensor, config.filters[level], f"decode_{level}")
    tensor = _apply_conv(tensor, config.filters[0], "last")
    bias = keras.initializers.Constant(0.0)
    change = layers.Conv2D(1, 1, kernel_initializer="zeros", bias_initializer=bias, name="change")(tensor)
    width = layers.Conv2D(
        1, 1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(_FIRST_WIDTH), name="width"
    )(tensor)
    return layers.Concatenate(name="answer")([change, width])


def _apply_conv(tensor: keras.KerasTensor, filters: int, name: str, *, stride: int = 1) -> keras.KerasTensor:
    """A 3×3 convolution and ReLU."""
    return layers.Conv2D(
        filters, 3, stride, padding="same", activation="relu", kernel_initializer="he_normal", name=name
    )(tensor)
