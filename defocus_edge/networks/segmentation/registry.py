"""The networks that detect blur, by name: how to build them, and which pictures they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras

from defocus_edge.networks.segmentation import defusion_net, lite_net, ma_ganet, msdu_net
from defocus_edge.networks.segmentation.blocks import SegmentationConfig


@dataclass(frozen=True)
class SegmentationNetwork:
    """One architecture.

    Attributes
    ----------
    name : str
        Name of the network in presets and commands.
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

    name: str
    title: str
    reference: str
    config_class: type[SegmentationConfig]
    build: Callable[[Any], keras.Model]
    stride: int
    score_maps: int
    score_layer: str


#: The architectures by name.
SEGMENTATION_NETWORKS: Mapping[str, SegmentationNetwork] = MappingProxyType(
    {
        network.name: network
        for network in (
            SegmentationNetwork(
                name="msdu",
                title="MSDU-net",
                reference="Yang & Xiao 2020, arXiv:2006.03182",
                config_class=msdu_net.MsduNetConfig,
                build=msdu_net.build_msdu_net,
                stride=msdu_net.STRIDE,
                score_maps=msdu_net.SCORE_MAPS,
                score_layer="classes",
            ),
            SegmentationNetwork(
                name="defusion",
                title="DeFusionNET",
                reference="Tang et al., CVPR 2019",
                config_class=defusion_net.DefusionNetConfig,
                build=defusion_net.build_defusion_net,
                stride=defusion_net.STRIDE,
                score_maps=defusion_net.SCORE_MAPS,
                score_layer="fuse_score",
            ),
            SegmentationNetwork(
                name="maganet",
                title="MA-GANet",
                reference="Jiang et al., IEEE Transactions on Image Processing 30, 2021",
                config_class=ma_ganet.MaGanetConfig,
                build=ma_ganet.build_ma_ganet,
                stride=ma_ganet.STRIDE,
                score_maps=ma_ganet.SCORE_MAPS,
                score_layer="score",
            ),
            SegmentationNetwork(
                name="lite",
                title="lite",
                reference="Tan & Le 2019, arXiv:1905.11946 (its encoder)",
                config_class=lite_net.LiteNetConfig,
                build=lite_net.build_lite_net,
                stride=lite_net.STRIDE,
                score_maps=lite_net.SCORE_MAPS,
                score_layer="score",
            ),
        )
    }
)


def build_segmentation_network(name: str, config: SegmentationConfig | None = None) -> keras.Model:
    """Build a network that detects blur, with random weights: see `SegmentationNetwork`.

    `config` is an instance of the network's `config_class`; unless given, the architecture is the paper's. ValueError
    if there is no such network, TypeError if the config is that of another one.
    """
    if name not in SEGMENTATION_NETWORKS:
        msg = f"name must be one of {sorted(SEGMENTATION_NETWORKS)}. Got: {name!r}."
        raise ValueError(msg)
    network = SEGMENTATION_NETWORKS[name]
    config = network.config_class() if config is None else config
    if not isinstance(config, network.config_class):
        msg = f"config of {name!r} must be a {network.config_class.__name__}. Got: {type(config).__name__}."
        raise TypeError(msg)
    return network.build(config)
