"""`python -m training evaluate masks`: score the methods of `detect_blur` on masks."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from training.commands.options import Costs, DetectorMethods, Figures
from training.commands.scoring import load_mask_methods, print_table, refuse_faults, watch_progress
from training.commands.tools import hide_columns, make_folder

if TYPE_CHECKING:
    from training.data.mask_datasets import MaskPair
    from training.masks.scenes import MaskScene


class EvaluationSet(StrEnum):
    """Pictures to score on: held-back scenes or sharp pictures, or the test part of a set of photographs."""

    SYNTHETIC = "synthetic"
    WHOLLY_SHARP = "sharp"
    WHOLLY_BLURRED = "blurred"
    CUHK = "cuhk"
    DUT = "dut"
    CTCUG = "ctcug"
    PAIRS = "pairs"


class Split(StrEnum):
    """Splits of CUHK: three published ones, and our development set, every tenth picture of those that are there."""

    TEST_100 = "604/100"
    TEST_200 = "504/200"
    TEST_200_OF_ALL = "800/200"
    TENTH = "tenth"


def evaluate_masks(
    root: Annotated[
        Path,
        typer.Option(
            help="Folder of the pictures: with sharp/*, objects, focus_masks and rgbd for synthetic scenes, as the "
            "set unpacks, or with image and gt for pairs.",
            show_default=False,
        ),
    ],
    dataset: Annotated[EvaluationSet, typer.Option(help="What to score on.")] = EvaluationSet.SYNTHETIC,
    methods: DetectorMethods = "threshold,msdu,defusion,maganet,lite",
    split: Annotated[Split, typer.Option(help="Split of cuhk.")] = Split.TEST_100,
    split_list: Annotated[
        Path | None, typer.Option(help="File with the test pictures of cuhk.", show_default=False)
    ] = None,
    aggregation: Annotated[str, typer.Option(help="'per-image mean' or 'pooled'.")] = "per-image mean",
    size: Annotated[
        str, typer.Option(help="'native size', or what pictures are resized to first, such as 320x320.")
    ] = "native size",
    figures: Figures = None,
    reliability: Annotated[
        bool, typer.Option("--reliability", help="How often pixels are blurred for each probability, instead.")
    ] = False,
    costs: Costs = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for CSV files and the PR, Fβ and ROC plots.", show_default=False)
    ] = None,
) -> None:
    """Score methods against masks and print the table (Markdown); the positive class is blurred."""
    from defocus_edge.metrics import MaskProtocol
    from training.evaluation.costs import COSTS, add_costs
    from training.evaluation.masks import (
        FIGURES,
        SECONDS,
        score_masks,
        tabulate_masks,
        tabulate_reliability,
        write_report,
    )

    with refuse_faults(ValueError):
        protocol = MaskProtocol(cast("Any", aggregation), size)
    hidden = hide_columns(figures, [*FIGURES, SECONDS, *(COSTS if costs else ())])
    if out is not None:
        make_folder(out)
    loaded = load_mask_methods(methods)
    pictures = _list_pictures(dataset, root, split, split_list)
    with watch_progress(pictures, "pictures") as (watched, say):
        scores = score_masks(watched, loaded, protocol=protocol, say=say)
    if not scores:
        msg = f"root must hold a picture with a mask that can be read. Got: {root}."
        raise typer.BadParameter(msg)
    if reliability:
        print_table(tabulate_reliability(scores))
    else:
        rows = tabulate_masks(scores, protocol)
        presets = {name: method.preset for name, method in loaded.items()}
        print_table(add_costs(rows, presets, column="detector") if costs else rows, hidden=hidden)
    if out is not None:
        write_report(out, scores, protocol)


def _list_pictures(
    dataset: EvaluationSet, root: Path, split: Split, split_list: Path | None
) -> Sequence[MaskScene | MaskPair]:
    """List scenes, or the pairs of a set."""
    from defocus_edge.files.atomic import ImageReadError
    from training.data.mask_datasets import list_ctcug, list_cuhk, list_dut, list_pairs
    from training.masks.scenes import render_mask_development_set, render_whole_pictures

    with refuse_faults(OSError, ImageReadError, ValueError, hint="--root"):
        if dataset is EvaluationSet.SYNTHETIC:
            return list(render_mask_development_set(root))
        if dataset in (EvaluationSet.WHOLLY_SHARP, EvaluationSet.WHOLLY_BLURRED):
            return list(render_whole_pictures(root, blurred=dataset is EvaluationSet.WHOLLY_BLURRED))
        if dataset is EvaluationSet.CUHK:
            return list_cuhk(root, split=split.value, part="test", split_list=split_list)
        if dataset is EvaluationSet.DUT:
            return list_dut(root, part="test")
        return list_ctcug(root) if dataset is EvaluationSet.CTCUG else list_pairs(root / "image", root / "gt")
