"""The table of summaries of maps: its columns, a row, and the text of a CSV file. Imports nothing heavy."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from defocus_edge.thresholds import MapSummary

#: Decimals of shares and radii.
DECIMALS = 4
# Control characters, and what Python makes of bytes that are no UTF-8, which some streams refuse.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: Columns of the summary and their types in NumPy and Arrow.
SUMMARY_COLUMNS = {
    "picture": "string",
    "height": "int64",
    "width": "int64",
    "blurred_share": "float64",
    "median_radius_px": "float64",
    "p95_radius_px": "float64",
    "sharpest_row": "int64",
    "sharpest_column": "int64",
    "sharpest_height": "int64",
    "sharpest_width": "int64",
    "sharpest_radius_px": "float64",
}


def escape_controls(text: str) -> str:
    """Text with their codes, such as x1b, for control characters, which would steer a terminal or break a row."""

    def escape(found: re.Match[str]) -> str:
        code = ord(found[0])
        return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"

    return _CONTROLS.sub(escape, text)


def make_row(picture: str, summary: MapSummary) -> tuple[str | int | float, ...]:
    """Values of the columns of the summary."""
    return (
        make_text(picture),
        summary.height,
        summary.width,
        *(round(value, DECIMALS) for value in (summary.blurred_share, summary.median_radius, summary.p95_radius)),
        *summary.sharpest_box,
        round(summary.sharpest_radius, DECIMALS),
    )


def make_text(text: str) -> str:
    """Text for UTF-8, which the names of files need not fit."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _escape(value: Any) -> Any:
    """Value of a CSV cell: a text that a spreadsheet would run gets an apostrophe first, control characters a code."""
    if not isinstance(value, str):
        return value
    text = escape_controls(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def format_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(tuple(map(_escape, row)) for row in rows)
    return text.getvalue()
