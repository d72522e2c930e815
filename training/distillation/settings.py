"""The settings of a student's training, and its configurations."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from training.data.sources import DEVELOPMENT_STRIDE
from training.distillation.choices import STUDENT
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
class StudentSettings(StageSettings):
    """The training of both networks at once; see `StageSettings` for the fields without a comment."""

    steps: Count
    #: Number of windows in one step, and of squares of one window at most.
    windows: Count = 24
    squares: Count = 40
    #: Patches to which the first weights are fitted, see `pruning`.
    patches: Count = 2000
    learning_rate: Share = 2e-3
    #: Share of the truth in B-NET's loss, where it is known; the rest is the teacher's answer.
    truth_share: Share = 0.3
    #: Weight of E-NET's loss beside that of B-NET.
    edge_weight: Weight = 1.5
    schedule: Schedule = "stable-decay"
    warmup: CountOrZero = 50
    decay: Share = 0.4
    drop_steps: CountOrZero = 0
    precision: Precision = "float32"
    seed: Seed = 0
    validation_stride: ValidationStride = DEVELOPMENT_STRIDE
    start: str | None = None


#: The training of a student, in one stage.
StudentConfig = OneStageConfig[StudentSettings]


def read_student_config(config: str) -> StudentConfig:
    """Read a configuration, given by name or as a TOML file; see `read_file`."""
    return read_file(config, _build_config, network=STUDENT)


def _build_config(name: str, tables: Table) -> StudentConfig:
    """Build a configuration from the tables of a file."""
    file = build_table(OneStageFile, tables)
    fixed = {"seed": file.seed, "validation_stride": file.validation_stride}
    with name_place("training."):
        settings = build_stage(StudentSettings, file.training, fixed)
    from defocus_edge.networks.edge.architecture import EdgeNetworksConfig

    with name_place("network."):
        architecture = build_architecture(EdgeNetworksConfig, file.network, without=["depth_threshold", "context"])
    return StudentConfig(name, {STUDENT: settings}, architecture, file.checkpoint_seconds, tables)
