"""Configurations of the networks that detect blur: a table for the training, and one for the network."""

from __future__ import annotations

from functools import partial

from training.masks.choices import Network
from training.masks.settings import MaskTrainingSettings
from training.runs.config import (
    OneStageConfig,
    OneStageFile,
    Table,
    build_architecture,
    build_stage,
    build_table,
    name_place,
    read_file,
)

#: The training of one network; its only stage is named after the network.
MaskTrainingConfig = OneStageConfig[MaskTrainingSettings]


def read_mask_config(network: Network, config: str) -> MaskTrainingConfig:
    """Read a configuration of a network, given by name or as a TOML file; see `read_file`."""
    return read_file(config, partial(_build_config, network), network=network)


def _build_config(network: Network, name: str, tables: Table) -> MaskTrainingConfig:
    """Build a configuration from the tables of a file."""
    file = build_table(OneStageFile, tables)
    fixed = {"network": network, "seed": file.seed, "validation_stride": file.validation_stride}
    with name_place("training."):
        settings = build_stage(MaskTrainingSettings, file.training, fixed)
    # Keras is loaded last: what is wrong is said at once.
    from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS

    with name_place("network."):
        architecture = build_architecture(SEGMENTATION_NETWORKS[network].config_class, file.network)
    return MaskTrainingConfig(name, {network: settings}, architecture, file.checkpoint_seconds, tables)
