"""What the program must know of a network that detects blur."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras

from defocus_edge.networks.segmentation.blocks import SegmentationConfig

#: What the sigmoid of a network's last map says of a pixel: how probable it is that it is blurred, or its radius as a
#: share of `LARGEST_RADIUS`.
Answer = Literal["mask", "radius"]
#: What a network learns beside the radius: the picture without blur, or the depth.
Auxiliary = Literal["sharp", "depth"]
#: Largest radius that a network can answer with, px; that of the scenes that it learns from.
LARGEST_RADIUS = 12.0


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
        float32 logits. The sigmoid of the last map is the answer.
    stride : int
        Height and width of a picture must be multiples of it, px.
    score_maps : int
        Number of maps that training supervises.
    score_layer : str
        Name of the convolution that gives the last map: its logits are linear in the layer's weights.
    answer : {'mask', 'radius'}
        What the answer says, see `Answer`.
    domain_layer : str, optional
        Name of the layer whose features should be alike for rendered scenes and for photographs.
    auxiliary : {'sharp', 'depth'}, optional
        What else a network with radii learns, see `Auxiliary`.
    """

    title: str
    reference: str
    config_class: type[SegmentationConfig]
    build: Callable[[Any], keras.Model]
    stride: int
    score_maps: int
    score_layer: str
    answer: Answer = "mask"
    domain_layer: str | None = None
    auxiliary: Auxiliary | None = None
