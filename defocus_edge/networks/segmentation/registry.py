"""The networks that detect blur, by name: how to build them, and which pictures they take."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import keras

from defocus_edge.networks.segmentation.blocks import SegmentationConfig
from defocus_edge.networks.segmentation.names import NETWORK_NAMES
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: The architectures by name: the `NETWORK` of each file in the folder `architectures`.
SEGMENTATION_NETWORKS: Mapping[str, SegmentationNetwork] = MappingProxyType(
    {name: import_module(f"defocus_edge.networks.segmentation.architectures.{name}").NETWORK for name in NETWORK_NAMES}
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
