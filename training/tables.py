"""Tables of scores: means that pass over what could not be measured, printed as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

#: One line of a table: column to cell.
Row = dict[str, str | float]


def average_known(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if none is left."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


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
