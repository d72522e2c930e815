"""The settings of one stage of training B-NET or E-NET."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from training.data.camera import FAMILIES, LEVEL_SHARE
from training.data.sources import DEVELOPMENT_STRIDE
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
)

#: B-NET, or E-NET over B-NET's frozen f1.
Head = Literal["blur", "edge"]
#: ``dense``: all points of a crop share its feature maps. ``patches``: each point has its own 41 px patch, as in the
#: paper. ``device``: as ``dense``, but crops are drawn and rendered on the accelerator, as cameras make them.
SamplerName = Literal["dense", "patches", "device"]
OptimizerName = Literal["muon", "adam"]
#: ``levels``: `blur_level_loss`. ``cross entropy``: that of the nearest level, as in the paper. ``focal``: `focal_loss`
#: of E-NET.
LossName = Literal["levels", "cross entropy", "focal"]
#: Patches that are taken from one crop. A batch of 256 then holds 32 crops, each with its own picture, scene and
#: camera; drawing them takes a fraction of the step. Fewer patches per crop would mix more and render longer.
PATCHES_PER_CROP = 8


def _check_families(families: dict[str, float]) -> dict[str, float]:
    """Refuse no family, and unknown ones."""
    if not families or not set(families) <= set(FAMILIES):
        msg = f"must be a table of positive shares, of {', '.join(FAMILIES)}"
        raise ValueError(msg)
    return families


Families = Annotated[dict[str, Annotated[float, Field(gt=0)]], AfterValidator(_check_families)]


@dataclass(frozen=True, config=CHECKED)
class TrainingSettings(StageSettings):
    """One stage of training; see `StageSettings` for the fields without a comment."""

    head: Head
    steps: Count
    #: Number of crops in one step.
    crops: Count = 20
    #: Largest number of edge points of one crop.
    points: Count = 96
    learning_rate: Share = 2e-3
    warmup: CountOrZero = 50
    decay: Share = 0.5
    precision: Precision = "float32"
    seed: Seed = 0
    sampler: SamplerName = "dense"
    optimizer: OptimizerName = "muon"
    schedule: Schedule = "stable-decay"
    drop_steps: CountOrZero = 0
    loss: LossName = "levels"
    #: Family of scenes to how often it occurs.
    families: Families = field(default_factory=lambda: dict(FAMILIES))
    #: Share of the uniform crops that have exactly the radius of a level.
    level_share: Share = LEVEL_SHARE
    validation_stride: ValidationStride = DEVELOPMENT_STRIDE
    start: str | None = None
    #: Name and size of the store of crops that the stage learns from; None: crops are rendered during the training.
    store: str | None = None
    #: Seconds after which the stage ends if its steps have not ended before; the rate then follows the clock. None: the
    #: steps alone count, and each run gives the same weights.
    seconds: Annotated[float, Field(gt=0)] | None = None
    #: Begin f2-NET, a twin of B-NET's first branch, as a copy of it.
    copy_branch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = ("cross entropy", "focal" if self.head == "edge" else "levels")
        if self.loss not in allowed:
            name = "E-NET" if self.head == "edge" else "B-NET"
            msg = f"loss must be {' or '.join(map(repr, allowed))} for {name}. Got: {self.loss!r}."
            raise ValueError(msg)
        if self.sampler == "patches" and self.precision != "float32":
            msg = f"precision must be 'float32' with patches. Got: {self.precision!r}."
            raise ValueError(msg)
