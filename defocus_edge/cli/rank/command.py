"""`defocus-edge rank`: which frame of a burst is the sharpest where it matters.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from defocus_edge import choices
from defocus_edge.choices import AUTO, DEFAULT_GAP, DEFAULT_MAX_PIXELS, FAST_PRESET
from defocus_edge.cli.console import SOME_FILES_FAILED, Record, fail, prepare_folder
from defocus_edge.cli.options import (
    Debug,
    Device,
    Json,
    MaxPixels,
    MaxRadius,
    Raw,
    check_not_negative,
    check_positive,
)

if TYPE_CHECKING:
    from defocus_edge.culling.faces import FaceFinder
    from defocus_edge.files.sidecars.box_tables import Box


def rank(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", readable=False, help="Folder of the photos, with all folders below it."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", readable=False, help="Folder for rank.csv, made if it is missing. [default: print the table]"
        ),
    ] = None,
    by: Annotated[
        choices.BurstRule,
        typer.Option(help="What is a burst: frames of one camera taken one after another, a folder, or all photos."),
    ] = "time",
    gap: Annotated[
        float,
        typer.Option(metavar="SECONDS", callback=check_not_negative, help="Longest time from frame to frame."),
    ] = DEFAULT_GAP,
    patterns: Annotated[
        list[str] | None,
        typer.Option("--glob", metavar="PATTERN", help="Only files with such names, as in batch."),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            readable=False,
            help="Judge photos in boxes: a table with the columns picture, row, column, height and width, in px.",
        ),
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL.onnx", readable=False, help="Judge photos by the faces that this model of YuNet finds."
        ),
    ] = None,
    soft_above: Annotated[
        float | None,
        typer.Option(metavar="PX", callback=check_positive, help="Radius above which a photo is soft. [default: 1]"),
    ] = None,
    xmp: Annotated[
        choices.SidecarKind | None,
        typer.Option(
            help="Also write ratings beside the photos: NAME.xmp of raw files for Lightroom, NAME.EXT.xmp of all files "
            "for darktable and digiKam, or both."
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="Weights: a name that info lists, or a folder.")
    ] = FAST_PRESET,
    max_radius: MaxRadius = AUTO,
    raw: Raw = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = AUTO,
    json_output: Json = False,
    debug: Debug = False,
) -> None:
    """Find the sharpest frame of each burst, where it matters, and the photos that are soft.

    Frames are compared in the largest region that is in focus in the burst, or in boxes. Their figure is the median
    blur radius there, in px. The table has a row for each photo. The photos themselves are never written to; a sidecar
    that another program wrote is left as it is.
    """
    if boxes and faces:
        fail(f"--boxes and --faces exclude each other. Got: {boxes} and {faces}.")
    pictures = _find_pictures(folder, out, patterns or ())
    _check_table(out)
    given = _read_boxes(boxes, pictures) if boxes else {}
    from defocus_edge.cli.estimate import open_estimator

    networks = open_estimator(preset, {"max_radius": max_radius, "device": device})
    finder = _open_faces(faces) if faces else None
    prepare_folder(out)
    from defocus_edge.cli.rank.run import Ranking

    reading = {"raw": raw, "max_pixels": max_pixels}
    ranking = Ranking(folder, networks, boxes=given, faces=finder, reading=reading, debug=debug)
    is_written = True
    try:
        ranking.run(pictures, by=by, gap=gap, soft_above=soft_above, xmp=xmp)
    finally:  # Ctrl-C, too: bursts that are done have their rows
        if ranking.records:
            is_written = _write_table(ranking.records, out, is_printed=not json_output)
    if json_output:
        typer.echo(json.dumps(ranking.records, indent=2))
    if not is_written or ranking.has_failed:
        raise typer.Exit(SOME_FILES_FAILED)


def _write_table(records: list[Record], out: Path | None, *, is_printed: bool) -> bool:
    """Write the table into its folder, or print it if that is wanted; False if it cannot be written."""
    from defocus_edge.cli.rank.table import TABLE, format_table, write_table

    if out is None:
        typer.echo(format_table(records) if is_printed else "", nl=False)
        return True
    try:
        write_table(out / TABLE, records)
    except OSError as error:
        typer.echo(f"Error: the table cannot be written: {error.strerror or error}", err=True)
        return False
    typer.echo(f"{sum(not record['error'] for record in records)} photos ranked: {out / TABLE}", err=True)
    return True


def _find_pictures(folder: Path, out: Path | None, patterns: Sequence[str]) -> list[str]:
    """Photos by their path below the folder; the program ends if there are none."""
    from defocus_edge.cli.batch.planning import find_pictures

    if not folder.is_dir():
        fail(f"FOLDER must be a folder. Got: {folder}.")
    if not os.access(folder, os.R_OK | os.X_OK):
        fail(f"FOLDER must be a folder that can be read. Got: {folder}.")
    unread: list[OSError] = []
    inside = out if out is not None and os.path.realpath(out) != os.path.realpath(folder) else None
    pictures = find_pictures(folder, patterns=patterns, excluded=inside, tell=unread.append)
    if unread:
        fail(f"FOLDER must have folders that can be read. Got: {unread[0].filename} ({unread[0].strerror}).")
    if not pictures:
        fail(f"There are no pictures in {folder}, or none that the patterns of --glob match.")
    return pictures


def _check_table(out: Path | None) -> None:
    """Refuse to replace a table of somebody else."""
    from defocus_edge.cli.batch.tables import read_header
    from defocus_edge.cli.rank.table import RANK_COLUMNS, TABLE

    if out is None:
        return
    path = out / TABLE
    if path.exists() and read_header(path) != RANK_COLUMNS:
        fail(f"--out must not have a table that rank did not write. Got: {path}. Move it, or choose another folder.")


def _read_boxes(path: Path, pictures: Sequence[str]) -> dict[str, list[Box]]:
    """Boxes of a table, all of them of pictures that are there."""
    from defocus_edge.files.sidecars.box_tables import read_boxes

    try:
        boxes = read_boxes(path)
    except (OSError, ValueError) as error:
        fail(f"--boxes cannot be used: {error}")
    strangers = sorted(set(boxes) - set(pictures))
    if strangers:
        rule = "--boxes must name pictures of FOLDER by their path below it, with slashes"
        fail(f"{rule}. Got: {strangers[0]} and {len(strangers) - 1} others.")
    return boxes


def _open_faces(path: Path) -> FaceFinder:
    """What finds faces."""
    from defocus_edge.culling.faces import FaceFinder
    from defocus_edge.files.atomic import read_bytes

    try:
        return FaceFinder(read_bytes(path))
    except (OSError, ValueError) as error:
        fail(f"--faces must name a model of YuNet in ONNX. Got: {path} ({error}). OpenCV's model zoo has it.")
