"""Values of a preset's config.json are checked before a network is built from them: types, and sizes of memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

from defocus_edge.arrays import MIN_SIDE
from defocus_edge.networks.preset_files import shorten

Config = TypeVar("Config")

#: Largest number in a configuration. The widest layer of the shipped networks has 1024 filters.
LARGEST_NUMBER = 4096
#: Most numbers in a list.
LARGEST_LIST = 16
#: What `are_sides` asks for.
SIDES_RULE = f"a whole number from {MIN_SIDE} to {LARGEST_NUMBER}, or a list of up to {LARGEST_LIST} of them"


def build_config(config_class: Callable[..., Config], values: Mapping[str, Any]) -> Config:
    """Build the dataclass of an architecture from JSON values; lists become tuples.

    Raises ValueError if a value is of another type than its field or too large, or if the class refuses it.
    """
    kinds = get_type_hints(config_class)
    for name, value in values.items():
        if name not in kinds:
            raise ValueError(f"its options must be of {', '.join(kinds)}. Got: {shorten(repr(name))}.")
        rule, fits = _RULES[kinds[name]]
        if not fits(value):
            raise ValueError(f"{name} must be {rule}. Got: {shorten(repr(value))}.")
    return config_class(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def is_number(value: object) -> bool:
    """Whether a JSON value is a number of a possible size; NaN is none, and neither is true."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -LARGEST_NUMBER <= value <= LARGEST_NUMBER


def are_sides(value: Any) -> bool:
    """Whether a JSON value is the longest side of a picture in px, or a list of some."""
    sides = value if isinstance(value, list) else [value]
    return 0 < len(sides) <= LARGEST_LIST and all(_is_whole(side) and side >= MIN_SIDE for side in sides)


def _is_whole(value: object) -> bool:
    """Whether a JSON value is a whole number of a possible size."""
    return type(value) is int and is_number(value)


def _is_list(value: object) -> bool:
    """Whether a JSON value is a short list of whole numbers."""
    return isinstance(value, list) and len(value) <= LARGEST_LIST and all(_is_whole(item) for item in value)


# Rule and check for each type of a field.
_RULES: Mapping[Any, tuple[str, Callable[[object], bool]]] = {
    int: (f"a whole number up to {LARGEST_NUMBER}", _is_whole),
    float: (f"a number up to {LARGEST_NUMBER}", is_number),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    str: ("a text", lambda value: isinstance(value, str)),
    str | None: ("a text or null", lambda value: value is None or isinstance(value, str)),
    tuple[int, ...]: (f"a list of up to {LARGEST_LIST} whole numbers up to {LARGEST_NUMBER}", _is_list),
}
