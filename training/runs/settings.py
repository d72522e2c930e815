"""What the settings of all trainings have in common: types of fields with their bounds, and the rule between them.

The field of a settings class is the one place that holds its type, bounds, default and comment.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from training.data.sources import DEVELOPMENT_STRIDE

#: Rules of all checked dataclasses: no unknown field, no NaN, no infinity, no conversion but from integers to floats.
CHECKED = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
#: Seconds between checkpoints, unless a configuration says otherwise.
CHECKPOINT_SECONDS = 180.0
#: Allowed strides n. If every n-th file is kept out, every tenth one, the development set, must be among them.
VALIDATION_STRIDES = tuple(n for n in range(2, DEVELOPMENT_STRIDE + 1) if DEVELOPMENT_STRIDE % n == 0)


def _check_stride(stride: int) -> int:
    """Refuse a stride that would train on pictures of the development set."""
    if stride not in VALIDATION_STRIDES:
        msg = (
            f"must be one of {', '.join(map(str, VALIDATION_STRIDES))}, so that every {DEVELOPMENT_STRIDE}th picture, "
            "the development set, is never trained on"
        )
        raise ValueError(msg)
    return stride


Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
#: ``stable-decay``: the rate rises during `warmup`, stays, and falls during `decay`. ``steps``: it is divided by ten
#: after every `drop_steps`.
Schedule = Literal["stable-decay", "steps"]
#: Precision of the convolutions; weights are always float32.
Precision = Literal["float32", "mixed_bfloat16"]
#: NumPy takes no negative seed.
Seed = CountOrZero
#: Every n-th file of each folder is kept out of training.
ValidationStride = Annotated[int, AfterValidator(_check_stride)]


class StageSettings:
    """All that the result of one stage of training depends on, apart from the pictures.

    The dataclasses of the tasks repeat these fields, since their order is that of the settings in checkpoints.
    """

    #: Number of the last step.
    steps: Count
    #: Highest learning rate.
    learning_rate: Share
    schedule: Schedule
    #: Number of steps in which the rate first rises, with the schedule ``stable-decay``.
    warmup: CountOrZero
    #: Share of the steps, the last ones, in which the rate falls linearly to a hundredth, with the same schedule. Until
    #: then a shorter run and a longer one are the same.
    decay: Share
    #: Number of steps between drops of the rate, with the schedule ``steps``.
    drop_steps: CountOrZero
    precision: Precision
    #: Seed of the random weights and of the data.
    seed: Seed
    validation_stride: ValidationStride
    #: Name of the run or preset whose weights the stage begins with; None for random weights.
    start: str | None
    #: Seconds after which the stage ends, see `training.runs.clock`; only some tasks have them.
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.schedule == "steps" and not self.drop_steps:
            msg = f"drop_steps must be positive with the schedule 'steps'. Got: {self.drop_steps}."
            raise ValueError(msg)
