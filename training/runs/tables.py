"""Tables of scores in Markdown; means leave out what could not be measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np

#: One line of a table: column to cell.
Row = dict[str, str | float]
#: Family of the rows over all families.
ALL_FAMILIES = "all"


class MethodScore(Protocol):
    """A score of one method on one picture of a family."""

    @property
    def family(self) -> str:
        """Kind of scene."""

    @property
    def method(self) -> str:
        """Name of what was scored."""


Score = TypeVar("Score", bound=MethodScore)


def group_by_family(scores: Sequence[Score]) -> list[tuple[str, str, list[Score]]]:
    """Family, method and their scores.

    Parameters
    ----------
    scores : sequence
        Each has a `family` and a `method`.

    Returns
    -------
    list of (str, str, list)
        Families in order of appearance, and the methods of each in order of appearance. If there are several families,
        the rows of all of them together follow.
    """
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


def average_known(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if none is left."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def spread_known(values: Iterable[float]) -> float:
    """Standard deviation (divisor n) of the values that are not NaN; NaN if none is left."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.std(known)) if known else float("nan")


def median_known(values: Iterable[float]) -> float:
    """Median of the values that are not NaN; NaN if none is left."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.median(known)) if known else float("nan")


def divide(value: float, reference: float) -> float:
    """Ratio of two scores, NaN where the reference is 0 or NaN."""
    return value / reference if reference else float("nan")


def format_table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table, numbers with three decimals, a dash for NaN."""
    if not rows:
        return ""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    for row in rows:
        cells = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]
        lines.append("| " + " | ".join("–" if cell == "nan" else cell for cell in cells) + " |")
    return "\n".join(lines)
