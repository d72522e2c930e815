"""Tables of a run: a summary of each map, and the failures. The order of the records does not change the bytes."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from defocus_edge.choices import TableKind
from defocus_edge.cli.batch.records import Record
from defocus_edge.summary_table import SUMMARY_COLUMNS, format_csv, make_row, make_text

FAILURES = "failures.csv"
_FAILURE_COLUMNS = ["picture", "error"]
# Characters of the first line of a table that are looked at.
_LONGEST_HEADER = 1000


def write_summary(folder: Path, records: Iterable[Record], *, kind: TableKind = "csv") -> Path:
    """Write ``summary.csv`` or ``summary.parquet``: a row for each picture that has a map, sorted by picture.

    Removes a table of the other kind that an earlier run wrote. If the file cannot be written, it raises OSError and
    leaves an existing one.
    """
    rows = [make_row(record.picture, record.summary) for record in sort_records(records) if record.summary]
    path = folder / f"summary.{kind}"
    if kind == "parquet":
        _write_parquet(path, rows)
    else:
        write_csv(path, list(SUMMARY_COLUMNS), rows)
    other = path.with_suffix(".csv" if kind == "parquet" else ".parquet")
    if read_header(other) == list(SUMMARY_COLUMNS):
        other.unlink()
    return path


def write_failures(folder: Path, records: Iterable[Record]) -> Path | None:
    """Write ``failures.csv``: a row of picture and error for each that failed.

    If none did, it returns None and removes a file that an earlier run wrote. If the file cannot be written, it raises
    OSError and leaves an existing one.
    """
    path = folder / FAILURES
    rows = [(make_text(record.picture), make_text(record.error)) for record in sort_records(records) if record.error]
    if rows:
        write_csv(path, _FAILURE_COLUMNS, rows)
        return path
    if read_header(path) == _FAILURE_COLUMNS:
        path.unlink()
    return None


def read_header(path: Path) -> list[str] | None:
    """Names of the columns of a table, by which our own are known; None if there is none that can be read."""
    if not path.is_file():
        return None
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8") as file:
                return next(csv.reader([file.readline(_LONGEST_HEADER)]), None)
        import pyarrow.parquet

        return list(pyarrow.parquet.read_schema(path).names)
    except (OSError, ValueError, ImportError, csv.Error):  # pyarrow's errors are ValueErrors and OSErrors
        return None


def sort_records(records: Iterable[Record]) -> list[Record]:
    """Records in the order of their pictures."""
    return sorted(records, key=lambda record: record.picture)


def write_csv(path: Path, header: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Write a CSV file, whole or not at all."""
    from defocus_edge.files.atomic import atomic_write

    with atomic_write(path) as temporary:
        temporary.write_bytes(format_csv(header, rows).encode("utf-8"))


def _write_parquet(path: Path, rows: list[tuple[str | int | float, ...]]) -> None:
    """Write a Parquet file, whole or not at all."""
    import pyarrow
    import pyarrow.parquet

    from defocus_edge.files.atomic import atomic_write

    schema = pyarrow.schema(list(SUMMARY_COLUMNS.items()))
    columns = list(zip(*rows, strict=True)) or [()] * len(SUMMARY_COLUMNS)
    arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    with atomic_write(path) as temporary:
        pyarrow.parquet.write_table(pyarrow.table(arrays, schema=schema), temporary)
