"""The settings of the training of a small network of a baseline."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

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


@dataclass(frozen=True, config=CHECKED)
class PatchSettings(StageSettings):
    """The training of one network; see `StageSettings` for the fields without a comment."""

    #: Never reached if there are seconds: they end it.
    steps: Count = 1_000_000
    #: Number of pictures in one step, and of patches of each at most.
    pictures: Count = 8
    patches: Count = 16
    learning_rate: Share = 2e-3
    schedule: Schedule = "stable-decay"
    warmup: CountOrZero = 50
    decay: Share = 0.5
    drop_steps: CountOrZero = 0
    precision: Precision = "float32"
    seed: Seed = 0
    validation_stride: ValidationStride = DEVELOPMENT_STRIDE
    start: str | None = None
    #: Seconds after which the training ends; the rate then follows the clock.
    seconds: Annotated[float, Field(gt=0)] | None = None
