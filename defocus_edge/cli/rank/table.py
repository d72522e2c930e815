"""The table of `rank`: a row for each photo that was measured.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

from pathlib import Path

from defocus_edge.cli.console import Record
from defocus_edge.summary_table import format_csv, make_text

TABLE = "rank.csv"
#: Columns of the table, which are keys of the JSON document, too.
RANK_COLUMNS = [
    *("burst", "rank", "picture", "radius_px", "verdict", "rating"),
    *("judged_by", "row", "column", "height", "width", "taken"),
]


def write_table(path: Path, records: list[Record]) -> None:
    """Write the table, whole or not at all; OSError if it cannot be written."""
    from defocus_edge.cli.batch.tables import write_csv

    write_csv(path, RANK_COLUMNS, _list_rows(records))


def format_table(records: list[Record]) -> str:
    """The table as text."""
    return format_csv(RANK_COLUMNS, _list_rows(records))


def _list_rows(records: list[Record]) -> list[tuple[object, ...]]:
    """Rows of the photos that were measured."""
    done = [record | {"picture": make_text(record["picture"])} for record in records if not record["error"]]
    return [tuple(record[column] for column in RANK_COLUMNS) for record in done]
