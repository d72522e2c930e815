"""`defocus-edge batch`: blur maps of all pictures of a folder.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from defocus_edge import choices
from defocus_edge._extras import Extra
from defocus_edge.choices import (
    AUTO,
    DEFAULT_MAX_PIXELS,
    DEFAULT_PAGES,
    DEFAULT_PRECISION,
    DEFAULT_PRESET,
    DEFAULT_PROPAGATION,
    DEFAULT_READ_OUT,
)
from defocus_edge.cli.console import SOME_FILES_FAILED, fail, prepare_folder
from defocus_edge.cli.estimate import MAP_ENDINGS
from defocus_edge.cli.options import (
    BitDepth,
    Debug,
    DepthPenalty,
    DepthThreshold,
    Device,
    EdgeStep,
    MaxPixels,
    MaxRadius,
    Pages,
    Precision,
    Preset,
    Propagation,
    Raw,
    ReadOut,
    check_not_negative,
)
from defocus_edge.summary_table import escape_controls

if TYPE_CHECKING:
    from defocus_edge.cli.batch.local_engine import LocalEngine
    from defocus_edge.cli.batch.ray_engine import RayEngine
    from defocus_edge.cli.batch.records import Item, Work
    from defocus_edge.cli.batch.report import ReportWriter

PARQUET = Extra("parquet", "pyarrow", "Parquet tables")


def batch(
    in_dir: Annotated[
        Path,
        typer.Argument(metavar="IN_DIR", readable=False, help="Folder of the pictures, with all folders below it."),
    ],
    out_dir: Annotated[
        Path,
        typer.Argument(metavar="OUT_DIR", readable=False, help="Folder for the results, made if it is missing."),
    ],
    patterns: Annotated[
        list[str] | None,
        typer.Option(
            "--glob",
            metavar="PATTERN",
            help="Only files with such names, or such paths below IN_DIR if the pattern has a slash; several patterns "
            "add up; case does not count. [default: all kinds of pictures that can be read]",
        ),
    ] = None,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Skip pictures whose results are whole, with a map of the same preset and settings that is not older "
            "than they are.",
        ),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", min=1, help="Worker processes, which share the cores; each needs 1 GB or more."),
    ] = 1,
    preview: Annotated[bool, typer.Option("--preview", help="Also NAME_blur.png: the map in colours.")] = False,
    summary: Annotated[choices.TableKind, typer.Option(help="Kind of the table.")] = "csv",
    report: Annotated[
        bool,
        typer.Option("--report", help="Also report.html: a page with thumbnails and histograms, in one file."),
    ] = False,
    engine: Annotated[choices.BatchEngine, typer.Option(help="Processes of this computer, or Ray Data.")] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Cluster, which sees the same folders. [default: this computer]"),
    ] = None,
    num_gpus: Annotated[
        float | None,
        typer.Option(
            metavar="N", callback=check_not_negative, help="With Ray: GPUs per job, such as 0.5. [default: 0]"
        ),
    ] = None,
    pages: Pages = DEFAULT_PAGES,
    preset: Preset = None,
    read_out: ReadOut = DEFAULT_READ_OUT,
    depth_penalty: DepthPenalty = None,
    depth_threshold: DepthThreshold = None,
    propagation: Propagation = DEFAULT_PROPAGATION,
    max_radius: MaxRadius = AUTO,
    bit_depth: BitDepth = AUTO,
    raw: Raw = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    edge_step: EdgeStep = 1,
    precision: Precision = DEFAULT_PRECISION,
    device: Device = AUTO,
    debug: Debug = False,
) -> None:
    """Measure the blur of all pictures of a folder and the folders below it.

    Writes NAME_blur.tif, as estimate does, in the same tree of folders, summary.csv, and failures.csv with what failed.
    Pictures of one folder that differ in the suffix only write IMG_1.JPG_blur.tif. Names that begin with a dot are left
    out, links to folders are not followed. A run that was stopped goes on with --skip-existing.
    """
    _check_engine(engine, summary, {"--ray-address": ray_address, "--num-gpus": num_gpus})
    _check_preset(preset)
    endings = MAP_ENDINGS if preview else {"map": MAP_ENDINGS["map"]}
    items, others, unread = _plan(in_dir, out_dir, patterns or (), endings, pages)
    prepare_folder(out_dir, name="OUT_DIR")
    writer, side = _plan_report(in_dir, out_dir, len(items)) if report else (None, 0)
    from defocus_edge.cli.batch.run import run_items
    from defocus_edge.cli.batch.work import PictureWork
    from defocus_edge.files.folders import InUseError, hold

    options = {"read_out": read_out, "depth_penalty": depth_penalty, "propagation": propagation, "device": device}
    options |= {"max_radius": max_radius, "edge_step": edge_step, "precision": precision}
    options |= {"depth_threshold": depth_threshold}
    reading = {"bit_depth": bit_depth, "raw": raw, "max_pixels": max_pixels}
    work = PictureWork(preset, options, reading, skips_existing=skip_existing, thumbnail_side=side, debug=debug)
    workers = _make_engine(work, engine, jobs=jobs, num_gpus=num_gpus or 0, address=ray_address)
    try:
        with hold(out_dir):  # another run would take unfinished files for leftovers
            is_complete = run_items(workers, items, out_dir, table_kind=summary, report=writer)
    except InUseError:
        fail(f"Another run is writing to {out_dir}. Wait for its end, or choose another folder.")
    if others:
        typer.echo(f"Left out as no pictures: {others}.", err=True)
    if unread or not is_complete:
        raise typer.Exit(SOME_FILES_FAILED)


def _check_engine(engine: choices.BatchEngine, summary: choices.TableKind, ray_options: Mapping[str, object]) -> None:
    """Refuse options that do not go together, and packages that are missing."""
    from defocus_edge.cli.batch.ray_engine import RAY

    if engine == "local":
        for name, value in ray_options.items():
            if value is not None:
                fail(f"{name} goes with --engine ray only. Got: {value}.")
    elif not RAY.is_installed:
        fail(f"{RAY.advice}.")
    if summary == "parquet" and not PARQUET.is_installed:
        fail(f"{PARQUET.advice}.")


def _check_preset(preset: str | None) -> None:
    """Refuse a preset that no worker could load."""
    from defocus_edge.networks.preset_files import PresetError, verify_preset

    try:
        verify_preset(preset or DEFAULT_PRESET)
    except PresetError as error:
        fail(str(error))


def _plan(
    folder: Path, out: Path, patterns: Sequence[str], endings: Mapping[str, str], pages: choices.Pages
) -> tuple[list[Item], str, list[OSError]]:
    """All pictures, each with its files to write, the others counted by suffix, as text, and unreadable folders."""
    from defocus_edge.cli.batch.planning import count_others, find_pictures, plan_items

    if not folder.is_dir():
        fail(f"IN_DIR must be a folder. Got: {folder}.")
    if not os.access(folder, os.R_OK | os.X_OK):
        fail(f"IN_DIR must be a folder that can be read. Got: {folder}.")
    if os.path.realpath(folder) == os.path.realpath(out):
        fail(f"OUT_DIR must be another folder than IN_DIR. Got: {out}.")
    unread: list[OSError] = []
    pictures = find_pictures(folder, patterns=patterns, excluded=out, tell=unread.append)
    for error in unread:
        typer.echo(escape_controls(f"Error: the folder {error.filename} cannot be read: {error.strerror}."), err=True)
    if not pictures:
        fail(f"There are no pictures in {folder}, or none that the patterns of --glob match.")
    others = {} if patterns else count_others(folder, pictures, excluded=out)
    text = ", ".join(f"{suffix or 'without suffix'} {count}" for suffix, count in sorted(others.items()))
    try:
        return plan_items(folder, pictures, out, endings, pages=pages), text, unread
    except ValueError as error:
        fail(str(error))


def _plan_report(folder: Path, out: Path, count: int) -> tuple[ReportWriter, int]:
    """What writes the report, and the side of its thumbnails in px; no file of somebody else is replaced."""
    from defocus_edge.cli.batch.report import REPORT, ReportWriter, is_foreign
    from defocus_edge.cli.batch.thumbnails import choose_side

    path = out / REPORT
    if is_foreign(path):
        rule = "--report must not replace a file that batch did not write"
        fail(f"{rule}. Got: {path}. Move it, or choose another folder.")
    return ReportWriter(path, folder=folder, count=count), choose_side(count)


def _make_engine(
    work: Work, engine: choices.BatchEngine, *, jobs: int, num_gpus: float, address: str | None
) -> LocalEngine | RayEngine:
    """The engine of that name, whose workers share the cores."""
    from defocus_edge.cli.batch.threads import share_cores

    environment = share_cores(jobs)
    if engine == "local":
        from defocus_edge.cli.batch.local_engine import LocalEngine

        return LocalEngine(work, jobs=jobs, environment=environment)
    from defocus_edge.cli.batch.ray_engine import RayEngine

    return RayEngine(work, jobs=jobs, num_gpus=num_gpus, address=address, environment=environment)
