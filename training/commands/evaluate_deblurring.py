"""`python -m training evaluate deblurring`, `uniform-deblurring` and `ablations`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from defocus_edge.choices import DEFAULT_PRESET
from training.commands.options import Authors, Figures, OutTables, Root
from training.commands.scoring import check_out, load_methods, print_table, refuse_faults, render_scenes, watch_progress
from training.commands.tools import check_matting, hide_columns, make_folder, split_words

if TYPE_CHECKING:
    from defocus_edge.networks.edge.networks import EdgeNetworks


def evaluate_deblurring(
    root: Root,
    methods: Annotated[
        str,
        typer.Option(help="Methods with maps in px, with commas: presets (name or folder), zhuo-sim, karaali-jung."),
    ] = f"{DEFAULT_PRESET},zhuo-sim,karaali-jung",
    authors: Authors = None,
    figures: Figures = None,
    overall: Annotated[bool, typer.Option("--overall", help="Only the means over all families of scenes.")] = False,
    out: OutTables = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for a side-by-side picture of each scene.", show_default=False)
    ] = None,
) -> None:
    """Score deblurring of the development set with true and estimated maps, and print the table (Markdown)."""
    from training.evaluation.deblurring import (
        FIGURES,
        score_deblurring,
        summarize_deblurring,
        write_deblurring_report,
    )
    from training.runs.tables import ALL_FAMILIES

    hidden = hide_columns(figures, FIGURES)
    loaded = load_methods(split_words(methods), authors)
    scored = [method.name for method in loaded if method.unit != "px"]
    if scored:
        msg = f"methods must have maps in px to deblur with. Got: {', '.join(scored)}."
        raise typer.BadParameter(msg)
    for folder in (out, pictures):
        if folder is not None:
            make_folder(folder)
    with watch_progress(render_scenes(root), "scenes") as (scenes, say):
        scores = score_deblurring(scenes, loaded, pictures=pictures, say=say)
    rows = summarize_deblurring(scores)
    if overall and any(row["family"] == ALL_FAMILIES for row in rows):  # a single family has no such rows
        rows = [row for row in rows if row["family"] == ALL_FAMILIES]
    print_table(rows, hidden=hidden)
    if out is not None:
        write_deblurring_report(out, scores)


def evaluate_uniform_deblurring(
    out: Annotated[Path | None, typer.Option(help="CSV file for all settings.", show_default=False)] = None,
) -> None:
    """Score deconvolution with one known disk beside scikit-image's, and print the table (Markdown).

    Pictures of scikit-image, 1 % noise, PSNR in linear light.
    """
    from training.evaluation.uniform_deblurring import list_methods, make_cases, score_uniform, summarize_uniform
    from training.runs.log import write_rows

    check_out(out)
    methods = list_methods()
    with watch_progress(list(make_cases()), "pictures") as (cases, _):
        scores = [score for case in cases for score in score_uniform(case, methods)]
    print_table(summarize_uniform(scores))
    if out is not None:
        write_rows(out, summarize_uniform(scores, keep_all=[method for method, _ in methods]))


def evaluate_ablations(
    root: Root,
    preset: Annotated[str, typer.Option(help="Name or folder.")] = DEFAULT_PRESET,
    short: Annotated[bool, typer.Option("--short/--no-short", help="Also two short trainings.")] = True,
    out: Annotated[Path | None, typer.Option(help="CSV file for the error of each scene.", show_default=False)] = None,
) -> None:
    """Score the pipeline with parts left out or exchanged, on the development set, and print the table (Markdown).

    Mean absolute error of the map in px, for each family of scenes. The short trainings (--config small and
    single-scale) differ in the patches that the networks see: 41, 27 and 15 px, or 41 px only.
    """
    from training.evaluation.ablations import SHORT_TRAININGS, score_ablations, summarize_ablations, write_ablations

    check_out(out)
    check_matting("A variant of the propagation")
    networks = _load_networks(preset)
    others = {name: _load_networks(str(folder)) for name, folder in SHORT_TRAININGS.items()} if short else {}
    with watch_progress(render_scenes(root), "scenes") as (scenes, say):
        scores = score_ablations(scenes, networks, others=others, say=say)
    print_table(summarize_ablations(scores))
    if out is not None:
        write_ablations(out, scores)


def _load_networks(preset: str) -> EdgeNetworks:
    """Load the networks of a preset; a wrong name is wrong usage."""
    from defocus_edge.networks.preset_files import PresetError
    from defocus_edge.networks.presets import load_edge_networks

    with refuse_faults(OSError, PresetError):
        return load_edge_networks(preset)
