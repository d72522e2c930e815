"""One run of a batch: an engine works on the pictures, a line tells of each, tables and the report sum them up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from defocus_edge.choices import TableKind
from defocus_edge.cli.batch.records import EngineError, Item, Record
from defocus_edge.cli.batch.report import ReportWriter
from defocus_edge.cli.batch.tables import write_failures, write_summary
from defocus_edge.cli.console import Screen
from defocus_edge.files.folders import remove_leftovers

if TYPE_CHECKING:
    from defocus_edge.cli.batch.local_engine import LocalEngine
    from defocus_edge.cli.batch.ray_engine import RayEngine


def run_items(
    engine: LocalEngine | RayEngine,
    items: list[Item],
    out: Path,
    *,
    table_kind: TableKind,
    report: ReportWriter | None = None,
) -> bool:
    """Have the pictures done and write the tables into `out`, and the report, even if the run is interrupted.

    Removes unfinished files below `out`, so no other run may write there. Returns whether all pictures are done.
    """
    remove_leftovers(out)
    records: list[Record] = []
    fault = None
    with Screen(len(items), has_steps=False) as screen:
        try:
            with closing(engine.run(items)) as stream:
                _collect(stream, records, len(items), screen, report)
        except EngineError as error:
            fault = str(error)
        finally:
            remove_leftovers(out)
            has_tables = _write_tables(out, records, table_kind, screen)
            has_report = report is None or _write_report(report, records, screen)
        if fault:
            screen.say(f"Error: {fault}", style="red")
    is_written = has_tables and has_report and not fault
    return is_written and len(records) == len(items) and not any(record.error for record in records)


def _collect(
    stream: Iterator[Record], records: list[Record], count: int, screen: Screen, report: ReportWriter | None
) -> None:
    """Keep and report each record; stop after one that says that all other pictures would fail, too."""
    started, warnings = time.monotonic(), set[str]()
    for record in stream:
        records.append(record)
        screen.finish_file()
        if record.warning and record.warning not in warnings:
            warnings.add(record.warning)
            screen.warn(record.warning)
        left = (time.monotonic() - started) / len(records) * (count - len(records))
        text = f"[{len(records)}/{count}, {_format_duration(left)} left] {record.picture}"
        for remark in record.remarks:
            screen.warn(f"{record.picture}: {remark}")
        if record.error:
            screen.say(f"Error: {text}: {record.error}", style="red")
        elif not screen.is_terminal:
            screen.say(f"{text}: {_describe(record)}")
        if report:
            with suppress(OSError):  # the end of the run tries again, and tells it
                report.update(records)
        if record.is_fatal:
            return


def _describe(record: Record) -> str:
    """Figures of a finished picture for its line."""
    summary = record.summary
    figures = f"median {summary.median_radius:.2f} px, {summary.blurred_share:.0%} blurred" if summary else ""
    return f"{figures}, {f'{record.seconds:.1f} s' if record.is_new else 'was done'}"


def _format_duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _write_tables(out: Path, records: list[Record], kind: TableKind, screen: Screen) -> bool:
    """Write both tables and report where they are; False if one cannot be written."""
    try:
        failures = write_failures(out, records)
        summary = write_summary(out, records, kind=kind)
    except OSError as error:
        screen.say(f"Error: the tables cannot be written: {error.strerror or error}", style="red")
        return False
    failed = sum(record.error is not None for record in records)
    told = f", {failed} failed: {failures}" if failures else ""
    screen.say(f"{len(records) - failed} pictures done: {summary}{told}")
    return True


def _write_report(report: ReportWriter, records: list[Record], screen: Screen) -> bool:
    """Write the report and tell where it is; False if it cannot be written."""
    try:
        report.write(records)
    except OSError as error:
        screen.say(f"Error: the report cannot be written: {error.strerror or error}", style="red")
        return False
    screen.say(f"Report: {report.path}")
    return True
