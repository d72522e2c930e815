"""Configurations of the training of B-NET and E-NET: a table for each stage, and one for the networks."""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from training.edges.settings import PATCHES_PER_CROP, TrainingSettings
from training.runs.config import (
    Table,
    TrainingConfig,
    TrainingFile,
    build_architecture,
    build_checked,
    build_stage,
    build_table,
    name_place,
    read_file,
)
from training.runs.settings import CHECKED, Count

# Name of each stage's table, its head and the loss that it has unless the table names one.
_STAGES = (("bnet", "blur", "levels"), ("enet", "edge", "cross entropy"))


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class _EdgeFile(TrainingFile):
    """The tables of a file, and the keys above them."""

    bnet: Table
    enet: Table
    networks: Table = field(default_factory=dict)
    #: Number of held-back crops that are scored after each stage.
    validation_crops: Count = 512


@dataclass(frozen=True, config=CHECKED)
class _Patches:
    """The key that stands for `crops` and `points` with the sampler ``patches``."""

    #: Number of patches in one step.
    batch: Annotated[int, Field(gt=0, multiple_of=PATCHES_PER_CROP)]


@plain_dataclass(frozen=True)
class EdgeTrainingConfig(TrainingConfig[TrainingSettings]):
    """The training of both networks."""

    #: Number of held-back crops that are scored after each stage.
    validation_crops: int

    @property
    def bnet(self) -> TrainingSettings:
        """The settings of B-NET's stage."""
        return self.stages["blur"]

    @property
    def enet(self) -> TrainingSettings:
        """The settings of E-NET's stage, with the seed and validation stride of B-NET's."""
        return self.stages["edge"]


def read_config(config: str) -> EdgeTrainingConfig:
    """Read a configuration, given by name or as a TOML file; see `read_file`."""
    return read_file(config, _build_config)


def _build_config(name: str, tables: Table) -> EdgeTrainingConfig:
    """Build a configuration from the tables of a file."""
    file = build_table(_EdgeFile, tables)
    stages = {}
    for key, head, loss in _STAGES:
        shared = {"head": head, "seed": file.seed, "validation_stride": file.validation_stride}
        with name_place(f"{key}."):
            stages[head] = _build_settings({"loss": loss} | getattr(file, key), shared)
    # Keras is loaded last: what is wrong is said at once.
    from defocus_edge.networks.edge.architecture import EdgeNetworksConfig

    with name_place("networks."):
        architecture = build_architecture(EdgeNetworksConfig, file.networks, without=["depth_threshold", "context"])
    return EdgeTrainingConfig(name, stages, architecture, file.checkpoint_seconds, tables, file.validation_crops)


def _build_settings(table: Table, fixed: dict[str, Any]) -> TrainingSettings:
    """Settings of a stage; a batch of patches is counted in crops."""
    if table.get("sampler") != "patches":
        return build_stage(TrainingSettings, table, fixed)
    batch = build_checked(_Patches, {key: table[key] for key in ("batch",) if key in table}).batch
    counted = {"crops": batch // PATCHES_PER_CROP, "points": PATCHES_PER_CROP}
    return build_stage(TrainingSettings, table, fixed | counted, more_keys=["batch"])
