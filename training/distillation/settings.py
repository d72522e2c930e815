"""The settings of a student's training, and its configurations."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from training.data.camera import LEVEL_SHARE
from training.data.sources import DEVELOPMENT_STRIDE
from training.distillation.choices import STUDENT
from training.edges.settings import Families
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

#: ``store``: windows of pictures whose answers `python -m training answers` has stored. ``device``: windows are drawn,
#: rendered and answered on the accelerator, without end.
SamplerName = Literal["store", "device"]
# What the sampler ``device`` alone has settings for.
_DRAWN = ("families", "level_share", "photo_share")


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
    sampler: SamplerName = "store"
    #: Family of rendered windows to how often it occurs, and share of the uniform ones that have the radius of a level.
    families: Families = field(default_factory=lambda: {"uniform": 0.4, "gradual": 0.1, "composite": 0.5})
    level_share: Share = LEVEL_SHARE
    #: Share of the windows that are cut out of photographs as they are.
    photo_share: Share = 0.2
    #: Seconds after which the training ends if its steps have not ended before; the rate then follows the clock.
    seconds: Annotated[float, Field(gt=0)] | None = None


#: The training of a student, in one stage.
StudentConfig = OneStageConfig[StudentSettings]


def read_student_config(config: str) -> StudentConfig:
    """Read a configuration, given by name or as a TOML file; see `read_file`."""
    return read_file(config, _build_config, network=STUDENT)


def _build_config(name: str, tables: Table) -> StudentConfig:
    """Build a configuration from the tables of a file."""
    file = build_table(OneStageFile, tables)
    fixed = {"seed": file.seed, "validation_stride": file.validation_stride}
    is_drawn = file.training.get("sampler") == "device"
    with name_place("training."):
        unused = () if is_drawn else _DRAWN
        settings = build_stage(StudentSettings, file.training, fixed, unused=unused)
    from defocus_edge.networks.edge.architecture import POOL_STRIDE, EdgeNetworksConfig

    with name_place("network."):
        architecture = build_architecture(EdgeNetworksConfig, file.network, without=["depth_threshold", "context"])
        if architecture.grid_step != POOL_STRIDE:
            msg = f"grid_step must be {POOL_STRIDE}: a student looks at squares. Got: {architecture.grid_step}."
            raise ValueError(msg)
    return StudentConfig(name, {STUDENT: settings}, architecture, file.checkpoint_seconds, tables)
