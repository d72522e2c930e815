"""What `defocus-edge batch` does with a folder of pictures.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defocus_edge._extras import Extra
from defocus_edge.cli.console import MAP_ENDING, SOME_FILES_FAILED, Screen, fail, prepare_folder
from defocus_edge.cli.options import check_not_negative

if TYPE_CHECKING:
    from defocus_edge.cli.batch.records import Item, Record, Work

PARQUET = Extra("parquet", "pyarrow", "Parquet tables")


class EngineChoice(StrEnum):
    """What runs the workers."""

    LOCAL = "local"
    RAY = "ray"


class SummaryChoice(StrEnum):
    """Kinds of the table."""

    CSV = "csv"
    PARQUET = "parquet"


InDir = Annotated[
    Path,
    typer.Argument(
        metavar="IN_DIR", readable=False, show_default=False, help="Folder of the pictures, with all folders below it."
    ),
]
OutDir = Annotated[
    Path,
    typer.Argument(
        metavar="OUT_DIR", readable=False, show_default=False, help="Folder for the results, made if it is missing."
    ),
]
Patterns = Annotated[
    list[str] | None,
    typer.Option(
        "--glob",
        metavar="PATTERN",
        help="Only files of such names, or paths below IN_DIR if it has a slash; several add up; case does not count. "
        "[default: all kinds of pictures that can be read]",
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Leave pictures alone whose results are there, the map not older than they."),
]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=1, help="Worker processes, which share the cores; each needs 1 GB or more.")
]
Preview = Annotated[bool, typer.Option("--preview", help="Also NAME_blur.png: the map in colours.")]
Summary = Annotated[SummaryChoice, typer.Option(help="Kind of the table.")]
Engine = Annotated[EngineChoice, typer.Option(help="Processes of this computer, or Ray Data.")]
RayAddress = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Cluster, which sees the same folders. [default: this computer]"),
]
NumGpus = Annotated[
    float | None,
    typer.Option(metavar="N", callback=check_not_negative, help="With Ray: GPUs per job, such as 0.5. [default: 0]"),
]


@dataclass(frozen=True)
class BatchOptions:
    """The options of the command, but for those of the estimator."""

    patterns: Sequence[str]
    skips_existing: bool
    jobs: int
    has_preview: bool
    summary: SummaryChoice
    engine: EngineChoice
    ray_address: str | None
    num_gpus: float | None


def run_batch(
    folder: Path, out: Path, options: BatchOptions, *, preset: str | None, choices: dict[str, Any], propagation: str
) -> None:
    """Do all pictures of a folder; ends the program with an error if some failed."""
    _check_options(options)
    _check_preset(preset)
    items = _plan(folder, out, options)
    prepare_folder(out, name="OUT_DIR")
    from defocus_edge.cli.batch.work import PictureWork
    from defocus_edge.files.folders import InUseError, hold

    work = PictureWork(preset, choices, propagation, skips_existing=options.skips_existing)
    try:
        with hold(out):  # another run would take unfinished files for leftovers
            is_complete = _run(items, work, out, options)
    except InUseError:
        fail(f"Another run is writing to {out}. Wait for its end, or choose another folder.")
    if not is_complete:
        raise typer.Exit(SOME_FILES_FAILED)


def _check_options(options: BatchOptions) -> None:
    """Refuse at once what cannot be done."""
    from defocus_edge.cli.batch.ray_engine import RAY

    if options.engine is EngineChoice.LOCAL:
        for name, value in (("--ray-address", options.ray_address), ("--num-gpus", options.num_gpus)):
            if value is not None:
                fail(f"{name} goes with --engine ray only. Got: {value}.")
    elif not RAY.is_installed:
        fail(f"{RAY.advice}.")
    if options.summary is SummaryChoice.PARQUET and not PARQUET.is_installed:
        fail(f"{PARQUET.advice}.")


def _check_preset(preset: str | None) -> None:
    """Refuse a preset that no worker could load."""
    from defocus_edge.choices import DEFAULT_PRESET
    from defocus_edge.networks.preset_files import PresetError, verify_preset

    try:
        verify_preset(preset or DEFAULT_PRESET)
    except PresetError as error:
        fail(str(error))


def _plan(folder: Path, out: Path, options: BatchOptions) -> list[Item]:
    """All pictures and what is to be written for each."""
    from defocus_edge.cli.batch.planning import find_pictures, plan_items

    if not folder.is_dir():
        fail(f"IN_DIR must be a folder. Got: {folder}.")
    if not os.access(folder, os.R_OK | os.X_OK):
        fail(f"IN_DIR must be a folder that can be read. Got: {folder}.")
    if os.path.realpath(folder) == os.path.realpath(out):
        fail(f"OUT_DIR must be another folder than IN_DIR. Got: {out}.")
    pictures = find_pictures(folder, patterns=options.patterns, excluded=out)
    if not pictures:
        fail(f"There are no pictures in {folder}, or none that the patterns of --glob match.")
    endings = {"map": f"{MAP_ENDING}.tif"} | ({"preview": f"{MAP_ENDING}.png"} if options.has_preview else {})
    try:
        return plan_items(folder, pictures, out, endings)
    except ValueError as error:
        fail(str(error))


def _run(items: list[Item], work: Work, out: Path, options: BatchOptions) -> bool:
    """Have the work done and write the tables, also of a run that is interrupted; whether all pictures are done."""
    from defocus_edge.cli.batch.records import EngineError
    from defocus_edge.files.folders import remove_leftovers

    remove_leftovers(out)
    records: list[Record] = []
    fault = None
    with Screen(len(items), has_steps=False) as screen:
        try:
            with closing(_start(items, work, options)) as stream:
                _collect(stream, records, len(items), screen)
        except EngineError as error:
            fault = str(error)
        finally:
            remove_leftovers(out)
            is_told = _write_tables(out, records, options.summary, screen)
        if fault:
            screen.say(f"Error: {fault}", style="red")
    return is_told and not fault and len(records) == len(items) and not any(record.error for record in records)


def _start(items: list[Item], work: Work, options: BatchOptions) -> Generator[Record, None, None]:
    """The stream of records of the engine that was chosen."""
    from defocus_edge.cli.batch.threads import share_cores

    environment = share_cores(options.jobs)
    if options.engine is EngineChoice.LOCAL:
        from defocus_edge.cli.batch.local_engine import LocalEngine

        return LocalEngine(work, jobs=options.jobs, environment=environment).run(items)
    from defocus_edge.cli.batch.ray_engine import RayEngine

    engine = RayEngine(
        work,
        jobs=options.jobs,
        num_gpus=options.num_gpus or 0,
        address=options.ray_address,
        environment=environment,
    )
    return engine.run(items)


def _collect(stream: Iterator[Record], records: list[Record], count: int, screen: Screen) -> None:
    """Keep each record and tell of it; one that speaks for all others is the last."""
    started, warnings = time.monotonic(), set[str]()
    for record in stream:
        records.append(record)
        screen.finish_file()
        if record.warning and record.warning not in warnings:
            warnings.add(record.warning)
            screen.say(f"Warning: {record.warning}", style="yellow")
        left = (time.monotonic() - started) / len(records) * (count - len(records))
        text = f"[{len(records)}/{count}, {_format_duration(left)} left] {record.picture}"
        if record.error:
            screen.say(f"Error: {text}: {record.error}", style="red")
        elif not screen.is_terminal:
            screen.say(f"{text}: {_describe(record)}")
        if record.is_fatal:
            return


def _describe(record: Record) -> str:
    """What a line says of a picture that is done."""
    summary = record.summary
    figures = f"median {summary.median_radius:.2f} px, {summary.blurred_share:.0%} blurred" if summary else ""
    return f"{figures}, {f'{record.seconds:.1f} s' if record.is_new else 'was done'}"


def _format_duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _write_tables(out: Path, records: list[Record], kind: SummaryChoice, screen: Screen) -> bool:
    """Write both tables and say where they are; False if one cannot be written."""
    from defocus_edge.cli.batch.tables import write_failures, write_summary

    try:
        failures = write_failures(out, records)
        summary = write_summary(out, records, kind=kind.value)
    except OSError as error:
        screen.say(f"Error: the tables cannot be written: {error.strerror or error}", style="red")
        return False
    failed = sum(record.error is not None for record in records)
    told = f", {failed} failed: {failures}" if failures else ""
    screen.say(f"{len(records) - failed} pictures done: {summary}{told}")
    return True
