"""`python -m training evaluate maps`: error of dense maps, ours and the baselines'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from defocus_edge.choices import DEFAULT_PRESET
from training.commands.options import Authors, Costs, Figures, OutTables
from training.commands.scoring import load_methods, print_table, refuse_faults, render_scenes, watch_progress
from training.commands.tools import hide_columns, make_folder, split_words

if TYPE_CHECKING:
    from training.data.development import DevelopmentScene
    from training.data.map_datasets import MapPair


class MapDataset(StrEnum):
    """Pictures to score on: held-back synthetic scenes, the RTF set, or pairs in a folder."""

    SCENES = "scenes"
    RTF = "rtf"
    FOLDER = "folder"


class Unit(StrEnum):
    """Unit of the numbers in a true map."""

    PX = "px"
    SIGMA = "sigma"
    LEVEL = "level"


def evaluate_maps(
    root: Annotated[
        Path,
        typer.Option(
            help="Folder of the pictures: with sharp/*, objects, focus_masks and rgbd for scenes, with image_NN.png "
            "and map_NN.mat for rtf, with NAME.png and NAME_radius.npy or what `python -m synth` wrote for folder.",
            show_default=False,
        ),
    ],
    dataset: Annotated[MapDataset, typer.Option(help="What to score on.")] = MapDataset.SCENES,
    methods: Annotated[
        str,
        typer.Option(
            help="With commas: presets by name or folder, zhuo-sim, karaali-jung, hifst, lbp; true (true radii at the "
            "edges) for scenes."
        ),
    ] = f"{DEFAULT_PRESET},zhuo-sim,karaali-jung,hifst,lbp",
    authors: Authors = None,
    truth_unit: Annotated[
        Unit,
        typer.Option(help="Unit of true maps of rtf and folder: disk radius, Gaussian's sigma, or level number."),
    ] = Unit.PX,
    figures: Figures = None,
    costs: Costs = False,
    out: OutTables = None,
) -> None:
    """Score blur maps against true ones and print the table (Markdown).

    Errors are means over pictures ± standard deviation. Relative errors compare maps divided by their own maxima, or
    both by the largest true radius of the picture.
    """
    from training.evaluation.costs import COSTS, add_costs
    from training.evaluation.map_methods import TRUE_POINTS
    from training.evaluation.maps import ERRORS, SECONDS, format_spreads, score_maps, summarize_maps, write_map_report

    hidden = hide_columns(figures, [*ERRORS, SECONDS, *(COSTS if costs else ())])
    words = split_words(methods)
    if TRUE_POINTS in words and dataset is not MapDataset.SCENES:
        msg = (
            f"methods must not hold {TRUE_POINTS!r} unless the dataset is scenes: depth edges must be known. Got: both."
        )
        raise typer.BadParameter(msg)
    if out is not None:
        make_folder(out)
    loaded = load_methods(words, authors)
    scenes, count = _open_scenes(dataset, root, truth_unit)
    with watch_progress(scenes, "pictures", count=count) as (watched, say):
        scores = score_maps(watched, loaded, say=say)
    rows = format_spreads(summarize_maps(scores))
    presets = {method.name: method.preset for method in loaded}
    print_table(add_costs(rows, presets, column="method") if costs else rows, hidden=hidden)
    if out is not None:
        write_map_report(out, scores)


def _open_scenes(dataset: MapDataset, root: Path, unit: Unit) -> tuple[Iterable[DevelopmentScene], int]:
    """List scenes, of which pairs are read one at a time, and count them; damaged files are told before any score."""
    from defocus_edge.files.atomic import ImageReadError
    from training.data.map_datasets import MapSetError, check_map_pairs, list_folder, list_rtf

    if dataset is MapDataset.SCENES:
        scenes = render_scenes(root)
        return scenes, len(scenes)
    with refuse_faults(OSError, ImageReadError, MapSetError, hint="--root"):
        pairs = (list_rtf if dataset is MapDataset.RTF else list_folder)(root, unit=unit.value)
        check_map_pairs(pairs)
    return _read_pairs(pairs), len(pairs)


def _read_pairs(pairs: Sequence[MapPair]) -> Iterator[DevelopmentScene]:
    """Read pairs one at a time."""
    from training.data.map_datasets import read_map_pair

    for pair in pairs:
        yield read_map_pair(pair)
