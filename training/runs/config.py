"""Training configurations: TOML files that become checked settings; errors name file, table, key, rule and value."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass as plain_dataclass
from dataclasses import field, fields, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from training.data.sources import DEVELOPMENT_STRIDE
from training.runs.settings import (
    CHECKED,
    CHECKPOINT_SECONDS,
    Count,
    Seed,
    StageSettings,
    ValidationStride,
    Weight,
)

#: Where the configurations of the package lie.
CONFIGS_FOLDER = Path(__file__).resolve().parents[1] / "configs"
Table = dict[str, Any]
T = TypeVar("T")
Settings = TypeVar("Settings", bound=StageSettings)

# Keys that say how long a stage is.
_LENGTH_KEYS = {"steps", "epochs", "steps_per_epoch"}
# Further keys of each schedule: a key that would change nothing is refused.
_SCHEDULE_KEYS = {"stable-decay": {"warmup", "decay"}, "steps": {"drop_epochs"}}
# Fields that no key of a table is named after, unless the schedule allows it.
_NO_KEYS = {"warmup", "decay", "drop_steps", "start", "store"}


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class TrainingFile:
    """Keys above the tables of every configuration."""

    seed: Seed = 0
    validation_stride: ValidationStride = DEVELOPMENT_STRIDE
    checkpoint_seconds: Weight = CHECKPOINT_SECONDS


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class OneStageFile(TrainingFile):
    """The tables of a configuration with one stage."""

    training: Table
    network: Table = field(default_factory=dict)


@plain_dataclass(frozen=True)
class TrainingConfig(Generic[Settings]):
    """A whole training: the settings of its stages and the architecture of what it trains."""

    name: str
    #: Name of the checkpoint of each stage to its settings.
    stages: dict[str, Settings]
    #: Configuration of the networks.
    architecture: Any
    #: Time between checkpoints, s.
    checkpoint_seconds: float
    #: Content of the file.
    source: Table

    def change(self, **settings: Any) -> Self:
        """The same configuration with other settings of all stages; None leaves a setting as it is."""
        given: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
        changed = {name: replace(stage, **given) for name, stage in self.stages.items()}  # type: ignore[type-var]  # a dataclass
        return replace(self, stages=changed)


@plain_dataclass(frozen=True)
class OneStageConfig(TrainingConfig[Settings]):
    """A training in one stage."""

    @property
    def settings(self) -> Settings:
        """The settings of the only stage."""
        return next(iter(self.stages.values()))


def list_configs(network: str = ".") -> list[str]:
    """Sorted names of the configurations of the package: for B-NET and E-NET, or for a network that detects blur."""
    return sorted(path.stem for path in (CONFIGS_FOLDER / network).glob("*.toml"))


def read_file(config: str, build: Callable[[str, Table], T], *, network: str = ".") -> T:
    """Read a configuration.

    Raises ValueError if there is no such file, or a key is unknown, missing, of the wrong type or out of range.

    Parameters
    ----------
    config : str
        Name of a configuration of the package, or a TOML file.
    build : callable
        Name and tables to the configuration.
    network : str
        See `list_configs`.
    """
    known = list_configs(network)
    path = CONFIGS_FOLDER / network / f"{config}.toml" if config in known else Path(config)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # not there, a folder, not UTF-8, not TOML, too deep
        reason = error.strerror if isinstance(error, OSError) else error
        msg = f"config must be one of {known} or a TOML file. Got: {config!r}: {reason}."
        raise ValueError(msg) from error
    with name_place(f"{path.name}: "):
        return build(path.stem, tables)


@contextmanager
def name_place(place: str) -> Iterator[None]:
    """Put file or table in front of the key that an error names."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}{error}") from error


def build_checked(schema: Callable[..., T], values: Table) -> T:
    """Call a checked dataclass; a wrong value becomes a ValueError of one line."""
    try:
        return schema(**values)
    except ValidationError as error:
        raise ValueError(_explain(error)) from error


def build_table(schema: type[T], table: Table) -> T:
    """Build a checked dataclass from a table whose keys are its fields."""
    _check_keys(table, [field.name for field in fields(schema)])  # type: ignore[arg-type]  # a dataclass
    return build_checked(schema, table)


def build_architecture(config_class: type[T], table: Table, *, without: Iterable[str] = ()) -> T:
    """Build the configuration of a network, a dataclass without type checks, and check types as well as its own rules.

    `without` names the fields that a file may not set.
    """
    names = [field.name for field in fields(config_class)]  # type: ignore[arg-type]  # a dataclass
    _check_keys(table, set(names) - set(without))
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    checked = build_checked(dataclass(config_class, frozen=True, config=CHECKED), values)
    return config_class(**{name: getattr(checked, name) for name in names})


def build_stage(
    schema: type[Settings], table: Table, fixed: Table, *, more_keys: Iterable[str] = (), unused: Iterable[str] = ()
) -> Settings:
    """Build the settings of a stage from its table, which may count in epochs.

    `fixed` are settings that the table may not hold, nor may it hold `unused` ones, which keep their defaults.
    `more_keys` are keys that the table may hold and that are no settings.
    """
    names = {field.name for field in fields(schema)}  # type: ignore[arg-type]  # a dataclass
    every_schedule = set().union(*_SCHEDULE_KEYS.values())
    of_schedule = _SCHEDULE_KEYS.get(str(table.get("schedule", "stable-decay")), every_schedule)
    _check_keys(table, (names - _NO_KEYS - set(fixed) - set(unused)) | _LENGTH_KEYS | of_schedule | set(more_keys))
    direct = {key: value for key, value in table.items() if key in names}
    return build_checked(schema, {**direct, **fixed, **_count_steps(table)})


def _check_keys(table: Table, known: Iterable[str]) -> None:
    """Refuse an unknown key."""
    allowed = set(known)
    for key in table:
        if key not in allowed:
            msg = f"{key} must not be there. Known keys here: {', '.join(sorted(allowed))}. Got: {table[key]!r}."
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class _Length:
    """How long a stage is, in steps or in epochs, and after how many epochs its rate drops."""

    steps: Count | None = None
    epochs: Count | None = None
    steps_per_epoch: Count | None = None
    drop_epochs: Count | None = None


def _count_steps(table: Table) -> dict[str, int]:
    """Number of steps of a stage, and between drops of its rate."""
    given = {key: value for key, value in table.items() if key in {*_LENGTH_KEYS, "drop_epochs"}}
    length = build_checked(_Length, given)
    got = " and ".join(given) or "none"
    if (length.steps is None) == (length.epochs is None):
        msg = f"steps must be given, or else epochs with steps_per_epoch. Got: {got}."
        raise ValueError(msg)
    if table.get("schedule") == "steps" and length.drop_epochs is None:
        msg = f"drop_epochs must go with the schedule 'steps'. Got: {got}."
        raise ValueError(msg)
    if (length.epochs is None and length.drop_epochs is None) != (length.steps_per_epoch is None):
        msg = f"steps_per_epoch must go with epochs or drop_epochs. Got: {got}."
        raise ValueError(msg)
    of_epoch = length.steps_per_epoch or 0
    return {
        "steps": length.steps or (length.epochs or 0) * of_epoch,
        "drop_steps": (length.drop_epochs or 0) * of_epoch,
    }


def _explain(error: ValidationError) -> str:
    """Key, rule and value of the first thing that is wrong, in one line."""
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    rule = first["msg"].removeprefix("Value error, ").replace("Input should", "must", 1)
    for word, of_toml in (("valid dictionary", "table"), ("valid tuple", "list")):
        rule = rule.replace(word, of_toml)
    if first["type"] == "missing":
        return f"{key} must be given. Got: none."
    # A rule between several fields has no key of its own: its text names the fields and the values.
    return f"{key} {rule}. Got: {first['input']!r}." if key else rule
