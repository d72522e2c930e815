"""`python -m training evaluate`: score the networks on synthetic scenes and real photographs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from defocus_edge.pipeline import BlurEstimator
    from training.data.development import DevelopmentScene

T = TypeVar("T")


class AuthorsSettings(StrEnum):
    """How the authors' weights are run: as in their code or as in their paper, which differ in the penalty."""

    CODE = "code"
    PAPER = "paper"


Root = Annotated[Path, typer.Option(help="Folder with sharp/*, objects, focus_masks and rgbd.", show_default=False)]
Presets = Annotated[list[str] | None, typer.Option("--preset", help="Name or folder; again for more.")]
Authors = Annotated[Path | None, typer.Option(help="Folder of the authors' published weights.")]
AuthorsRun = Annotated[AuthorsSettings, typer.Option(help="Propagation of the authors' weights.")]
Out = Annotated[Path | None, typer.Option(help="JSON file for the score of each picture.")]


def evaluate_edges(
    root: Root,
    preset: Presets = None,
    authors: Authors = None,
    authors_settings: AuthorsRun = AuthorsSettings.CODE,
    out: Out = None,
) -> None:
    """Score weights on the development set and print the table (Markdown).

    With --authors the last column is the dense error divided by theirs.
    """
    from training.evaluation.edges import score_estimators, summarize_scores

    check_out(out)
    estimators = _load_estimators(preset, authors, authors_settings)
    scenes = render_scenes(root)
    settings = next(iter(estimators.values())).settings
    with watch_progress(scenes, len(scenes), "scenes") as (watched, say):
        scores = score_estimators(watched, estimators, settings=settings, say=say)
    reference = None if authors is None else _name_authors(authors_settings)
    _report(summarize_scores(scores, reference=reference), scores, out)


def evaluate_robustness(
    root: Root,
    preset: Presets = None,
    authors: Authors = None,
    authors_settings: AuthorsRun = AuthorsSettings.CODE,
    condition: Annotated[
        list[str] | None, typer.Option(help="Only this one besides clean; again for more: noise-2, jpeg-75, …")
    ] = None,
    out: Out = None,
) -> None:
    """Score weights on the development set when it is noisy, compressed or reduced, and print the table (Markdown).

    The ratios are to the errors of the same scenes when clean.
    """
    from training.data.degradations import CLEAN, CONDITIONS, degrade_all
    from training.evaluation.robustness import score_robustness, summarize_robustness

    check_out(out)
    unknown = [name for name in condition or [] if name not in CONDITIONS]
    if unknown:
        msg = f"condition must be one of {', '.join(CONDITIONS)}. Got: {unknown[0]!r}."
        raise typer.BadParameter(msg)
    chosen = [name for name in CONDITIONS if name == CLEAN or not condition or name in condition]
    estimators = _load_estimators(preset, authors, authors_settings)
    scenes = render_scenes(root)
    with watch_progress(degrade_all(scenes, chosen), len(scenes) * len(chosen), "pictures") as (watched, say):
        scores = score_robustness(watched, estimators, say=say)
    _report(summarize_robustness(scores), scores, out)


def evaluate_pairs(
    folder: Annotated[Path, typer.Option(help="Pairs NAME-A, NAME-B focused near, far.", show_default=False)],
    preset: Presets = None,
    authors: Authors = None,
    authors_settings: AuthorsRun = AuthorsSettings.CODE,
    out: Out = None,
) -> None:
    """Score weights on real pairs of photographs and print the table (Markdown).

    Where one picture of a pair is measurably sharper, its map must have the smaller radius; `ordered` is the share of
    the compared pixels where it has.
    """
    from defocus_edge.files.atomic import ImageReadError
    from training.data.focus_pairs import FocusPairError, load_focus_pairs
    from training.evaluation.pairs import score_pairs, summarize_pairs

    check_out(out)
    try:
        pairs = load_focus_pairs(folder)
    except (OSError, FocusPairError, ImageReadError) as error:
        raise typer.BadParameter(str(error)) from error
    estimators = _load_estimators(preset, authors, authors_settings)
    with watch_progress(pairs, len(pairs), "pairs") as (watched, say):
        scores = score_pairs(watched, estimators, say=say)
    if not scores:
        msg = f"folder must hold a pair that can be compared. Got: {folder} with {len(pairs)} that cannot."
        raise typer.BadParameter(msg)
    _report(summarize_pairs(scores), scores, out)


def evaluate_range(
    root: Root,
    preset: Annotated[str | None, typer.Option(help="Name or folder.", show_default=False)] = None,
    side: Annotated[int, typer.Option(min=256, help="Side of the scenes, px.")] = 2000,
    out: Out = None,
) -> None:
    """Score the pyramid and a single scale on large scenes with radii up to 24 px, and print the table (Markdown).

    The error is |estimate - true| / max(true, 1 px).
    """
    from defocus_edge.files.atomic import ImageReadError
    from training.data.large_scenes import PERSON_SCENES, render_large_scenes
    from training.evaluation.range import score_range, summarize_range

    check_out(out)
    estimator = next(iter(_load_estimators(None if preset is None else [preset], None, AuthorsSettings.CODE).values()))
    scenes = render_large_scenes(root, side=side)
    try:
        with watch_progress(scenes, 2 + len(PERSON_SCENES), "scenes") as (watched, say):
            scores = score_range(watched, estimator, say=say)
    except (OSError, ImageReadError) as error:
        raise typer.BadParameter(str(error)) from error
    _report(summarize_range(scores), scores, out)


def check_out(out: Path | None) -> None:
    """Refuse a file that could not be written, before minutes of work and not after."""
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        msg = f"out must name a file in a folder that exists. Got: {out}."
        raise typer.BadParameter(msg)


def _name_authors(settings: AuthorsSettings) -> str:
    """Name of the authors' row: nobody should take one propagation for the other."""
    return "authors" if settings is AuthorsSettings.CODE else f"authors ({settings})"


def _load_estimators(
    presets: list[str] | None, authors: Path | None, authors_settings: AuthorsSettings
) -> dict[str, BlurEstimator]:
    """Estimators by the names of their rows, in order."""
    from defocus_edge.choices import DEFAULT_PRESET
    from defocus_edge.networks.preset_files import PresetError
    from defocus_edge.pipeline import BlurEstimator
    from defocus_edge.propagation.settings import PropagationSettings

    try:
        estimators = {name: BlurEstimator(name) for name in presets or [DEFAULT_PRESET]}
        if authors is not None:
            options: dict[str, Any] = {}
            if authors_settings is AuthorsSettings.PAPER:
                paper = PropagationSettings.paper()
                options = {"propagation": paper, "depth_penalty": paper.depth_penalty}
            name = _name_authors(authors_settings)
            estimators[name] = BlurEstimator.from_authors_weights(authors, **options)
    except (OSError, PresetError) as error:
        raise typer.BadParameter(str(error)) from error
    return estimators


def render_scenes(root: Path) -> list[DevelopmentScene]:
    """Development set as a list, so that its length is known: a progress bar needs an end."""
    from defocus_edge.files.atomic import ImageReadError
    from training.data.development import render_development_set

    try:
        return list(render_development_set(root))
    except (OSError, ImageReadError) as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def watch_progress(items: Iterable[T], count: int, text: str) -> Iterator[tuple[Iterator[T], Callable[[str], None]]]:
    """Pass items on and show on a terminal how many are done; `say` writes a line about one that was skipped."""
    from defocus_edge._progress import show_progress

    with show_progress(count, text) as (advance, say):

        def walk() -> Iterator[T]:
            for item in items:
                yield item
                advance(1)

        yield walk(), say


def _report(rows: Sequence[dict[str, str | float]], scores: Sequence[Any], out: Path | None) -> None:
    """Print the table, and write the scores it was made from."""
    from defocus_edge.files.atomic import atomic_write
    from training.runs.tables import format_table

    typer.echo(format_table(rows))
    if out is not None:
        with atomic_write(out) as temporary:
            temporary.write_text(json.dumps([asdict(score) for score in scores], indent=1), encoding="utf-8")
