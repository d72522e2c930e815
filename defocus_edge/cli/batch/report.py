"""The report of a run: one page of HTML that has everything inside, for a browser and for a mail.

The page loads nothing from elsewhere, and its policy forbids it. Without JavaScript it is a plain table.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from defocus_edge._version import __version__
from defocus_edge.cli.batch.records import Record
from defocus_edge.cli.batch.report_charts import draw_radius_histogram, draw_scale, draw_share_histogram
from defocus_edge.cli.batch.tables import sort_records
from defocus_edge.summary_table import escape_controls, make_text

REPORT = "report.html"
# Ours are known by this line.
_MARK = '<meta name="generator" content="defocus-edge batch --report">'
# Bytes of the beginning of a file that are looked at.
_START_LENGTH = 1000
# Seconds between two versions of a page while a run goes on.
_PERIOD = 10.0
# The run waits for so many times what the last version took: at most 2 % of its time go into the page, however long it
# gets.
_REST = 50.0
# Ranges of the filter, and the columns that they look at.
_RANGES = {"Blurred, %": "Blurred", "Radius of the sharpest box, px": "Its radius"}
# Failures are shown at once if they are no more than these.
_SHOWN_FAILURES = 10
#: Names of the columns, and whether rows can be sorted by them.
COLUMNS = {
    "Picture": True,
    "Blur map": False,
    "Sharpest box": False,
    "Its radius": True,
    "Median radius": True,
    "95th percentile": True,
    "Blurred": True,
}


def is_foreign(path: Path) -> bool:
    """Whether something else than a report of ours has the name; a file that cannot be read counts as such."""
    if not path.is_symlink() and not path.exists():
        return False
    try:
        with path.open("rb") as file:
            return _MARK.encode() not in file.read(_START_LENGTH)
    except OSError:
        return True


class ReportWriter:
    """Writes the page of a run of `count` pictures, anew from time to time, so that a run that is killed has one too.

    `folder` is that of the pictures. `clock` tells seconds.
    """

    def __init__(self, path: Path, *, folder: Path, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self._folder, self._count, self._clock = path, folder, count, clock
        self._next = clock() + _PERIOD

    def update(self, records: Sequence[Record]) -> None:
        """Write the page if it is time to; raises OSError as `write` does."""
        if self._clock() >= self._next:
            self.write(records)

    def write(self, records: Sequence[Record]) -> None:
        """Write the page, whole or not at all; OSError if it cannot be written."""
        from defocus_edge.files.atomic import atomic_write

        started = self._clock()
        self._next = started + _PERIOD  # also if it fails
        with atomic_write(self.path) as temporary:
            temporary.write_bytes(make_page(records, folder=self._folder, count=self._count).encode("utf-8"))
        ended = self._clock()
        self._next = ended + max(_PERIOD, _REST * (ended - started))


def make_page(records: Sequence[Record], *, folder: Path, count: int) -> str:
    """The page for the records of a run of `count` pictures of a folder."""
    here = Path(__file__)
    style, script = (here.with_suffix(suffix).read_text(encoding="utf-8") for suffix in (".css", ".js"))
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    done = [record for record in sort_records(records) if record.summary]
    failed = [record for record in sort_records(records) if record.error]
    name = _escape(Path(os.path.realpath(folder)).name)
    has_thumbnails = any(record.thumbnails for record in done)
    rows = "\n".join(_make_row(record) for record in done)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{_MARK}
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Blur of {name}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>Blur of <bdi>{name}</bdi></h1>
{_describe_progress(len(done), len(failed), count)}
<p><small>Radii are radii of the blur disk in px of the picture. The sharpest box is the quarter of the sides with the
smallest mean radius, white in the thumbnail. Made by defocus-edge {__version__}.</small></p>
{_list_failures(failed, folder)}
<div class="charts">
{draw_radius_histogram([record.summary.sharpest_radius for record in done if record.summary])}
{draw_share_histogram([record.summary.blurred_share for record in done if record.summary])}
{draw_scale() if has_thumbnails else ""}
</div>
{_make_form()}
<p><output aria-live="polite">{len(done)} pictures</output></p>
<table role="table" aria-label="Pictures"{"" if has_thumbnails else ' class="plain"'}>
<thead role="rowgroup"><tr role="row">{_make_head()}</tr></thead>
<tbody role="rowgroup">
{rows}
</tbody>
</table>
</main>
<script>{script}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    """How a policy names the one style or script that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def _escape(text: str) -> str:
    """Text for HTML, whatever the name of a file has in it."""
    return html.escape(escape_controls(make_text(text)))


def _describe_progress(done: int, failed: int, count: int) -> str:
    """How far the run is."""
    if done + failed >= count:
        return f"<p>{done} pictures are done, {failed} failed.</p>"
    left = count - done - failed
    told = f"{done} of {count} pictures are done, {failed} failed"
    return f"<p>{told}. {left} are left: the run goes on, or it ended early.</p>"


def _list_failures(failed: Sequence[Record], folder: Path) -> str:
    """The pictures that failed, and why; whoever gets the page need not know where the folder lies."""
    if not failed:
        return ""
    place = os.path.join(folder.absolute(), "")  # noqa: PTH118 - with the slash at its end
    errors = [(record.picture, (record.error or "").replace(place, "")) for record in failed]
    lines = "\n".join(f"<li><bdi>{_escape(name)}</bdi>: {_escape(error)}</li>" for name, error in errors)
    is_open = " open" if len(failed) <= _SHOWN_FAILURES else ""
    return f"<details{is_open}><summary>Failed: {len(failed)}</summary>\n<ul>\n{lines}\n</ul>\n</details>"


def _make_form() -> str:
    """Fields that narrow the table down; the script shows them."""
    places = {name: number for number, name in enumerate(COLUMNS)}
    ranges = "\n".join(
        f"<fieldset><legend>{title}</legend>"
        + " to ".join(
            f'<input type="number" min="0" step="any" aria-label="{title}, {limit}" data-column="{places[column]}" '
            f'data-limit="{limit}">'
            for limit in ("least", "most")
        )
        + "</fieldset>"
        for title, column in _RANGES.items()
    )
    return f"""<form hidden aria-label="Filter">
<label>Name contains <input type="search" name="name" autocomplete="off"></label>
{ranges}
<button type="reset">Show all</button>
</form>"""


def _make_head() -> str:
    """Cells with the names of the columns."""
    orders = {name: ' aria-sort="none"' if has_order else "" for name, has_order in COLUMNS.items()}
    orders["Picture"] = ' aria-sort="ascending"'
    return "".join(f'<th role="columnheader" scope="col"{order}>{name}</th>' for name, order in orders.items())


def _make_row(record: Record) -> str:
    """Row of the table for a picture that has a map."""
    summary = record.summary
    if summary is None:
        return ""
    row, column, height, width = summary.sharpest_box
    cells = [
        _make_image(record, "map", "Blur map"),
        f"row {row}, column {column}, height {height}, width {width}",
        *(f"{radius:.2f} px" for radius in (summary.sharpest_radius, summary.median_radius, summary.p95_radius)),
        f"{100 * summary.blurred_share:.1f} %",
    ]
    name = f"<span><bdi>{_escape(record.picture)}</bdi> <small>{summary.width} × {summary.height} px</small></span>"
    head = f'<th role="rowheader" scope="row">{_make_image(record, "picture", "")}{name}</th>'
    row_cells = "".join(f'<td role="cell">{cell}</td>' for cell in cells)
    return f'<tr role="row">{head}{row_cells}</tr>'


def _make_image(record: Record, kind: str, text: str) -> str:
    """Thumbnail inside the page."""
    thumbnail = record.thumbnails.get(kind)
    if thumbnail is None:
        return '<span class="none">no thumbnail</span>'
    data = base64.b64encode(thumbnail.data).decode("ascii")
    size = f'width="{thumbnail.width}" height="{thumbnail.height}"'
    return f'<img src="data:image/jpeg;base64,{data}" {size} alt="{text}" loading="lazy" decoding="async">'
