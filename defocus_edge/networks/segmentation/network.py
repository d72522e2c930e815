"""What the program must know of a network that detects blur."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from defocus_edge.networks.segmentation.blocks import SegmentationConfig


@dataclass(frozen=True)
class SegmentationNetwork:
    """One architecture.

    Attributes
    ----------
    title : str
        Name of the network in its paper.
    reference : str
        The paper.
    config_class : type
        Frozen dataclass of the architecture; the defaults are the paper's.
    build : callable
        Takes the config and returns a `keras.Model`: (B, H, W, 3) float32 RGB in [0, 1] to (B, H, W, score_maps)
        float32 logits. The sigmoid of the last map is the probability that a pixel is blurred.
    stride : int
        Height and width of a picture must be multiples of it, px.
    score_maps : int
        Number of maps that training supervises.
    score_layer : str
        Name of the convolution that gives the last map: its logits are linear in the layer's weights.
    """

    title: str
    reference: str
    config_class: type[SegmentationConfig]
    build: Callable[[Any], keras.Model]
    stride: int
    score_maps: int
    score_layer: str
