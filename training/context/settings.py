"""The settings of the training of the context network, and its configurations."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from training.context.choices import CONTEXT
from training.data.sources import DEVELOPMENT_STRIDE
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
class ContextSettings(StageSettings):
    """The training of the network; see `StageSettings` for the fields without a comment."""

    steps: Count
    #: Number of points in one step.
    batch: Count = 1024
    #: Most points of a rendered scene, and of a photograph: the points of one picture are much alike.
    points_per_scene: Count = 3000
    points_per_photo: Count = 4000
    learning_rate: Share = 2e-3
    #: Weights of the losses of the width of the error and of the depth edges beside that of the error itself.
    width_weight: Weight = 0.1
    depth_weight: Weight = 0.3
    schedule: Schedule = "stable-decay"
    warmup: CountOrZero = 50
    decay: Share = 0.7
    drop_steps: CountOrZero = 0
    precision: Precision = "float32"
    seed: Seed = 0
    validation_stride: ValidationStride = DEVELOPMENT_STRIDE
    start: str | None = None


#: The training of the network, in one stage.
ContextTrainingConfig = OneStageConfig[ContextSettings]


def read_context_config(config: str) -> ContextTrainingConfig:
    """Read a configuration, given by name or as a TOML file; see `read_file`."""
    return read_file(config, _build_config, network=CONTEXT)


def _build_config(name: str, tables: Table) -> ContextTrainingConfig:
    """Build a configuration from the tables of a file."""
    file = build_table(OneStageFile, tables)
    fixed = {"seed": file.seed, "validation_stride": file.validation_stride}
    with name_place("training."):
        settings = build_stage(ContextSettings, file.training, fixed)
    # Keras is loaded last: what is wrong is said at once.
    from defocus_edge.networks.context import ContextConfig

    with name_place("network."):
        architecture = build_architecture(ContextConfig, file.network)
    return ContextTrainingConfig(name, {CONTEXT: settings}, architecture, file.checkpoint_seconds, tables)
