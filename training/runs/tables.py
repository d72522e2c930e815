"""Tables of scores in Markdown; means leave out what could not be measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

#: One line of a table: column to cell.
Row = dict[str, str | float]
#: Family of the rows over all families.
ALL_FAMILIES = "all"
#: A score that could not be measured.
NAN = float("nan")
#: Files of a report: the table, and the scores of each picture.
SUMMARY_FILE, PICTURES_FILE = "summary.csv", "pictures.csv"


class MethodScore(Protocol):
    """A score of one method on one picture of a family."""

    @property
    def family(self) -> str:
        """Kind of scene."""

    @property
    def method(self) -> str:
        """Name of what was scored."""


T = TypeVar("T")
Score = TypeVar("Score", bound=MethodScore)


def group_by_family(scores: Sequence[Score]) -> list[tuple[str, str, list[Score]]]:
    """Group scores by family and method, in order of appearance; groups of all follow if there are several families."""
    methods = list(dict.fromkeys(score.method for score in scores))
    families = list(dict.fromkeys(score.family for score in scores))
    groups = [
        (family, method, [score for score in scores if (score.family, score.method) == (family, method)])
        for family in families
        for method in methods
    ]
    if len(families) > 1:
        groups += [(ALL_FAMILIES, method, [score for score in scores if score.method == method]) for method in methods]
    return [group for group in groups if group[2]]


def group_by(scores: Iterable[T], *names: str) -> dict[tuple[Any, ...], list[T]]:
    """Group scores by the values of some of their attributes, in order of appearance."""
    groups: dict[tuple[Any, ...], list[T]] = {}
    for score in scores:
        groups.setdefault(tuple(getattr(score, name) for name in names), []).append(score)
    return groups


def average_attributes(scores: Sequence[object], names: Iterable[str]) -> Row:
    """Mean of each of some attributes over scores, see `average_known`."""
    return {name: average_known(getattr(score, name) for score in scores) for name in names}


def average_known(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if none is left."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else NAN


def spread_known(values: Iterable[float]) -> float:
    """Standard deviation (divisor n) of the values that are not NaN; NaN if none is left."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.std(known)) if known else NAN


def median_known(values: Iterable[float]) -> float:
    """Median of the values that are not NaN; NaN if none is left."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.median(known)) if known else NAN


def divide(value: float, reference: float) -> float:
    """Ratio of two scores, NaN where the reference is 0 or NaN."""
    return value / reference if reference else NAN


def format_table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table, numbers with three decimals, a dash for NaN."""
    if not rows:
        return ""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    for row in rows:
        cells = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]
        lines.append("| " + " | ".join("–" if cell == "nan" else cell for cell in cells) + " |")
    return "\n".join(lines)
