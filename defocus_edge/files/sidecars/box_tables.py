"""Tables of boxes in pictures, as CSV."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from defocus_edge.files.atomic import PathLike, quote, read_bytes

#: Columns that a table must have.
BOX_COLUMNS = ("picture", "row", "column", "height", "width")
#: Row and column of the first pixel, height and width, px.
Box = tuple[int, int, int, int]
# Least value of each number.
_LEAST = {"row": 0, "column": 0, "height": 1, "width": 1}
_RULE = f"must be a CSV file in UTF-8 with the columns {', '.join(BOX_COLUMNS)}"


def read_boxes(path: PathLike) -> dict[str, list[Box]]:
    """Boxes by picture, from a table with a line for each box. Other columns do not count.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file at `path`.
    ValueError
        If the file is no such table; the message names the line.
    """
    name = quote(path)
    try:
        text = read_bytes(Path(path)).decode("utf-8-sig")
        rows = csv.DictReader(text.splitlines(), strict=True)
        missing = [column for column in BOX_COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"{name} {_RULE}. Got: no column {missing[0]}. Write the names in its first line.")
        boxes = defaultdict[str, list[Box]](list)
        for row in rows:
            boxes[str(row["picture"])].append(_read_box(row, f"line {rows.line_num} of {name}"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{name} {_RULE}. Got: {error}.") from error
    if not boxes:
        raise ValueError(f"{name} {_RULE}. Got: no line below the first. Add a line for each box.")
    return dict(boxes)


def _read_box(row: Mapping[str, str | None], place: str) -> Box:
    """The numbers of a line."""
    numbers = []
    for column, least in _LEAST.items():
        value = (row[column] or "").strip()
        if not (value.isascii() and value.isdigit() and int(value) >= least):
            raise ValueError(f"{column} in {place} must be a whole number of px, {least} or more. Got: {value!r}.")
        numbers.append(int(value))
    first, second, third, fourth = numbers
    return first, second, third, fourth
