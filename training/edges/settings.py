"""The settings of one stage of training: all that its result depends on, apart from the pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from training.data.camera import FAMILIES, LEVEL_SHARE
from training.data.sources import DEVELOPMENT_STRIDE

Head = Literal["blur", "edge"]
SamplerName = Literal["dense", "patches", "device"]
OptimizerName = Literal["muon", "adam"]
ScheduleName = Literal["stable-decay", "steps"]
LossName = Literal["levels", "cross entropy"]
Precision = Literal["float32", "mixed_bfloat16"]
#: Seconds between checkpoints.
CHECKPOINT_SECONDS = 180.0
#: Held-back crops that are scored after a stage.
VALIDATION_CROPS = 512
#: With these every n-th file is among the validation pictures if every tenth, the development set, must be.
VALIDATION_STRIDES = tuple(n for n in range(2, DEVELOPMENT_STRIDE + 1) if DEVELOPMENT_STRIDE % n == 0)


@dataclass(frozen=True)
class TrainingSettings:
    """One stage of training.

    Parameters
    ----------
    head : {'blur', 'edge'}
        B-NET, or E-NET over B-NET's frozen f1.
    steps : int
    crops : int
        In one step.
    points : int
        Edge points of one crop, at most.
    learning_rate : float
        Highest rate.
    warmup : int
        Steps over which the rate rises first, with the schedule ``stable-decay``.
    decay : float
        Share of the steps, the last ones, over which it falls along a straight line to a hundredth, with the same
        schedule. Before them the checkpoint of a shorter run is that of a longer one, too.
    precision : {'float32', 'mixed_bfloat16'}
        Of the convolutions over crops.
    seed : int
        Of weights and crops.
    sampler : {'dense', 'patches', 'device'}
        All points of a crop share its feature maps, or each has its own 41 px patch as in the paper. ``device``: as
        ``dense``, but crops are drawn and rendered on the accelerator.
    optimizer : {'muon', 'adam'}
    schedule : {'stable-decay', 'steps'}
        ``steps``: a tenth of the rate after every `drop_steps`.
    drop_steps : int
    loss : {'levels', 'cross entropy'}
        Of B-NET: `blur_level_loss`, or cross entropy of the nearest level as in the paper. E-NET has the latter.
    families : dict
        Family of scenes to how often it occurs.
    level_share : float
        How many of the uniform crops have exactly the radius of a level.
    validation_stride : int
        Every n-th file of each folder is kept out of training.
    start : str, optional
        Name of the run or preset whose weights the stage begins with; random ones of the seed otherwise.
    """

    head: Head
    steps: int
    crops: int = 20
    points: int = 96
    learning_rate: float = 2e-3
    warmup: int = 50
    decay: float = 0.5
    precision: Precision = "float32"
    seed: int = 0
    sampler: SamplerName = "dense"
    optimizer: OptimizerName = "muon"
    schedule: ScheduleName = "stable-decay"
    drop_steps: int = 0
    loss: LossName = "levels"
    families: dict[str, float] = field(default_factory=lambda: dict(FAMILIES))
    level_share: float = LEVEL_SHARE
    validation_stride: int = DEVELOPMENT_STRIDE
    start: str | None = None

    def __post_init__(self) -> None:
        for name, (rule, holds) in RULES.items():
            check_value(name, getattr(self, name), rule, holds)
        check_value("families", self.families, _FAMILIES_RULE, _are_families)
        if self.head == "edge":
            check_value("loss", self.loss, "'cross entropy' for E-NET", lambda value: value == "cross entropy")
        if self.sampler == "patches":
            check_value("precision", self.precision, "'float32' with patches", lambda value: value == "float32")
        if self.schedule == "steps":
            check_value("drop_steps", self.drop_steps, "positive with the schedule 'steps'", lambda value: value > 0)


def check_value(name: str, value: Any, rule: str, holds: Callable[[Any], bool]) -> None:
    """Raise ValueError unless a value holds to its rule."""
    if not holds(value):
        msg = f"{name} must be {rule}. Got: {value!r}."
        raise ValueError(msg)


def is_integer(value: Any, least: int = 1) -> bool:
    """An int, not a bool, of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: Any, low: float, high: float) -> bool:
    """An int or float, not a bool, from `low` to `high`."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _are_families(families: Any) -> bool:
    shares = families.values() if isinstance(families, dict) else ()
    known = set(shares and families) <= set(FAMILIES)
    return bool(shares) and known and all(is_number(share, 0, 1e6) and share > 0 for share in shares)


def choose_word(literal: Any) -> tuple[str, Callable[[Any], bool]]:
    """Rule and check of a value that is one of some words."""
    words = get_args(literal)
    return " or ".join(repr(word) for word in words), lambda value: value in words


_FAMILIES_RULE = f"a table of positive shares, of {', '.join(FAMILIES)}"
_COUNT: tuple[str, Callable[[Any], bool]] = ("a positive integer", is_integer)
COUNT_OR_NONE: tuple[str, Callable[[Any], bool]] = ("an integer of 0 or more", lambda value: is_integer(value, 0))
SHARE: tuple[str, Callable[[Any], bool]] = ("a number from 0 to 1", lambda value: is_number(value, 0, 1))
#: What the value of a setting must be, and whether it is.
RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "head": choose_word(Head),
    "steps": _COUNT,
    "crops": _COUNT,
    "points": _COUNT,
    "learning_rate": SHARE,
    "warmup": COUNT_OR_NONE,
    "decay": SHARE,
    "precision": choose_word(Precision),
    "seed": COUNT_OR_NONE,  # NumPy takes no negative seed
    "sampler": choose_word(SamplerName),
    "optimizer": choose_word(OptimizerName),
    "schedule": choose_word(ScheduleName),
    "drop_steps": COUNT_OR_NONE,
    "loss": choose_word(LossName),
    "level_share": SHARE,
    "validation_stride": (
        f"one of {', '.join(map(str, VALIDATION_STRIDES))}, so that every {DEVELOPMENT_STRIDE}th picture, the "
        "development set, is never trained on",
        lambda value: is_integer(value) and value in VALIDATION_STRIDES,
    ),
}
