"""What the tables of a TOML configuration may say: checks that name file, table, key and rule."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.edges.settings import check_value, is_integer, is_number

Rule = tuple[str, Callable[[Any], bool]]
COUNT: Rule = ("a positive integer", is_integer)
NUMBER: Rule = ("a number", lambda value: is_number(value, -1e6, 1e6))
TABLE: Rule = ("a table", lambda value: isinstance(value, dict))
#: Keys that say how long a stage is.
LENGTH_KEYS = ("steps", "epochs", "steps_per_epoch")
#: Further keys of each schedule.
SCHEDULE_KEYS = {"stable-decay": ("warmup", "decay"), "steps": ("drop_epochs",)}


def read_tables(path: Path, known: list[str], config: str) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ValueError
        If it cannot be read; the message lists the `known` configurations.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # not there, a folder, not UTF-8, not TOML
        reason = error.strerror if isinstance(error, OSError) else error
        msg = f"config must be one of {known} or a TOML file. Got: {config!r}: {reason}."
        raise ValueError(msg) from error


def count_steps(table: dict[str, Any]) -> dict[str, int]:
    """Steps of a stage and between drops of its rate."""
    counted = {key: table[key] for key in (*LENGTH_KEYS, "drop_epochs") if key in table}
    check_rules(counted, dict.fromkeys(counted, COUNT))
    if ("steps" in table) == ("epochs" in table):
        msg = f"steps must be given, or else epochs with steps_per_epoch. Got: {' and '.join(table)}."
        raise ValueError(msg)
    if table.get("schedule") == "steps" and "drop_epochs" not in table:
        msg = f"drop_epochs must go with the schedule 'steps'. Got: {' and '.join(table)}."
        raise ValueError(msg)
    in_epochs = [key for key in ("epochs", "drop_epochs") if key in table]
    if bool(in_epochs) != ("steps_per_epoch" in table):
        msg = f"steps_per_epoch must go with epochs or drop_epochs. Got: {' and '.join(table)}."
        raise ValueError(msg)
    length = table.get("steps_per_epoch", 0)
    steps = table["steps"] if "steps" in table else table["epochs"] * length
    return {"steps": steps, "drop_steps": table.get("drop_epochs", 0) * length}


def check_keys(table: dict[str, Any], known: Iterable[str]) -> None:
    """Refuse an unknown key."""
    allowed = set(known)
    for key in table:
        if key not in allowed:
            msg = f"{key} must not be there. Known keys here: {', '.join(sorted(allowed))}. Got: {table[key]!r}."
            raise ValueError(msg)


def check_rules(table: dict[str, Any], rules: dict[str, Rule]) -> None:
    """Refuse a value that breaks the rule of its key."""
    for key, value in table.items():
        check_value(key, value, *rules[key])


@contextmanager
def name_place(place: str) -> Iterator[None]:
    """Put file or table in front of the key that an error names."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}{error}") from error
