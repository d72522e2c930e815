"""`python -m training evaluate masks`: score the methods of `detect_blur` on masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from training.commands.evaluate import watch_progress
from training.commands.tools import hide_columns, make_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from defocus_edge.masks import BlurDetector
    from training.data.mask_datasets import MaskPair
    from training.masks.scenes import MaskScene


class EvaluationSet(StrEnum):
    """What can be scored on: held-back synthetic scenes, or the test part of a set of photographs."""

    SYNTHETIC = "synthetic"
    CUHK = "cuhk"
    DUT = "dut"
    CTCUG = "ctcug"
    PAIRS = "pairs"


class Split(StrEnum):
    """Published splits of CUHK."""

    TEST_100 = "604/100"
    TEST_200 = "504/200"
    TEST_200_OF_ALL = "800/200"


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
    methods: Annotated[
        str, typer.Option(help="Of detect_blur, with commas; METHOD=PRESET for other weights.")
    ] = "threshold,msdu,defusion,maganet",
    split: Annotated[Split, typer.Option(help="Of cuhk.")] = Split.TEST_100,
    split_list: Annotated[
        Path | None, typer.Option(help="File with the test pictures of cuhk.", show_default=False)
    ] = None,
    aggregation: Annotated[str, typer.Option(help="'per-image mean' or 'pooled'.")] = "per-image mean",
    size: Annotated[
        str, typer.Option(help="'native size', or what pictures are resized to first, such as 320x320.")
    ] = "native size",
    figures: Annotated[
        str | None, typer.Option(help="Columns of the table, with commas; all unless given.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for CSV files and the PR, Fβ and ROC plots.", show_default=False)
    ] = None,
) -> None:
    """Score methods against masks and print the table (Markdown); the positive class is blurred."""
    from defocus_edge.metrics import MaskProtocol
    from training.evaluation import masks as evaluation
    from training.runs.tables import format_table

    try:
        protocol = MaskProtocol(cast("Any", aggregation), size)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    hidden = hide_columns(figures, [*evaluation.FIGURES, evaluation.SECONDS])
    if out is not None:
        make_folder(out)
    detectors = load_detectors(methods)
    pictures = _list_pictures(dataset, root, split, split_list)
    detect = {name: _make_detector(detector) for name, detector in detectors.items()}
    thresholds = {name: detector.threshold for name, detector in detectors.items()}
    with watch_progress(pictures, len(pictures), "pictures") as (watched, say):
        scores = evaluation.evaluate_masks(watched, detect, protocol=protocol, thresholds=thresholds, say=say)
    if not scores:
        msg = f"root must hold a picture with a mask that can be read. Got: {root}."
        raise typer.BadParameter(msg)
    rows = evaluation.tabulate_masks(scores, protocol)
    typer.echo(format_table([{name: row[name] for name in row if name not in hidden} for row in rows]))
    if out is not None:
        evaluation.write_report(out, scores, protocol)


def load_detectors(methods: str) -> dict[str, BlurDetector]:
    """Detectors by the names of their rows, from METHOD or METHOD=PRESET with commas."""
    from defocus_edge.choices import METHODS
    from defocus_edge.masks import BlurDetector
    from defocus_edge.networks.preset_files import PresetError

    detectors = {}
    for word in methods.split(","):
        method, _, preset = word.strip().partition("=")
        if method not in METHODS:
            msg = f"methods must be of {', '.join(METHODS)}. Got: {method!r}."
            raise typer.BadParameter(msg)
        try:
            name = f"{method} ({Path(preset).name})" if preset else method
            detectors[name] = BlurDetector(method, preset=preset or None)
        except PresetError as error:
            raise typer.BadParameter(str(error)) from error
    return detectors


def _make_detector(detector: BlurDetector) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Probability of a picture; one half all over where a method has no answer, since all score the same pictures."""
    import numpy as np

    from defocus_edge.propagation.propagate import NoEdgesError

    def detect(image: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            return detector.detect(image).probability
        except NoEdgesError:
            return np.full(image.shape[:2], 0.5, dtype=np.float32)

    return detect


def _list_pictures(
    dataset: EvaluationSet, root: Path, split: Split, split_list: Path | None
) -> Sequence[MaskScene | MaskPair]:
    from defocus_edge.files.atomic import ImageReadError
    from training.data.mask_datasets import MaskSetError, list_ctcug, list_cuhk, list_dut, list_pairs
    from training.masks.scenes import render_mask_development_set

    try:
        if dataset is EvaluationSet.SYNTHETIC:
            return list(render_mask_development_set(root))
        if dataset is EvaluationSet.CUHK:
            return list_cuhk(root, split=split.value, part="test", split_list=split_list)
        if dataset is EvaluationSet.DUT:
            return list_dut(root, part="test")
        return list_ctcug(root) if dataset is EvaluationSet.CTCUG else list_pairs(root / "image", root / "gt")
    except (OSError, ImageReadError, MaskSetError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--root") from error
