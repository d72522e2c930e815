"""The settings of the training of the network that refines a spread map, and its configurations."""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from training.data.sources import DEVELOPMENT_STRIDE
from training.refinement.choices import REFINEMENT
from training.runs.config import (
    Table,
    TrainingConfig,
    TrainingFile,
    build_architecture,
    build_stage,
    build_table,
    name_place,
    read_file,
)
from training.runs.settings import (
    CHECKED,
    Count,
    CountOrZero,
    Precision,
    Schedule,
    Seed,
    Share,
    StageSettings,
    ValidationStride,
    Weight,
)


@dataclass(frozen=True, config=CHECKED)
class RefinementSettings(StageSettings):
    """The training of the network; see `StageSettings` for the fields without a comment."""

    steps: Count
    #: Number of samples in one step.
    batch: Count = 8
    learning_rate: Share = 1e-3
    #: Share of each weight that is taken off, times the rate, at each step.
    weight_decay: Share = 1e-4
    #: Weight of the loss of the width of the error beside that of the error itself.
    width_weight: Weight = 0.1
    #: Share of the samples that are photographs, not rendered scenes, where there are any.
    photo_share: Share = 0.15
    schedule: Schedule = "stable-decay"
    warmup: CountOrZero = 50
    decay: Share = 0.5
    drop_steps: CountOrZero = 0
    precision: Precision = "float32"
    seed: Seed = 0
    validation_stride: ValidationStride = DEVELOPMENT_STRIDE
    start: str | None = None
    #: Largest norm of the gradient.
    clip: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class _RefinementFile(TrainingFile):
    """The tables of a file, and the keys above them."""

    training: Table
    network: Table = field(default_factory=dict)


@plain_dataclass(frozen=True)
class RefinementTrainingConfig(TrainingConfig[RefinementSettings]):
    """The training of the network, in one stage."""

    @property
    def settings(self) -> RefinementSettings:
        """The settings of the only stage."""
        return self.stages[REFINEMENT]


def read_refinement_config(config: str) -> RefinementTrainingConfig:
    """Read a configuration, given by name or as a TOML file; see `read_file`."""
    return read_file(config, _build_config, network=REFINEMENT)


def _build_config(name: str, tables: Table) -> RefinementTrainingConfig:
    """Build a configuration from the tables of a file."""
    file = build_table(_RefinementFile, tables)
    fixed = {"seed": file.seed, "validation_stride": file.validation_stride}
    with name_place("training."):
        settings = build_stage(RefinementSettings, file.training, fixed)
    # Keras is loaded last: what is wrong is said at once.
    from defocus_edge.networks.refinement import RefinementConfig

    with name_place("network."):
        architecture = build_architecture(RefinementConfig, file.network)
    return RefinementTrainingConfig(name, {REFINEMENT: settings}, architecture, file.checkpoint_seconds, tables)
