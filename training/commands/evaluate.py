"""Commands of `python -m training evaluate` that score networks that estimate blur on scenes and photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import Authors, AuthorsRun, AuthorsSettings, OutScores, Presets, Root
from training.commands.scoring import (
    check_out,
    load_estimators,
    name_authors,
    print_table,
    refuse_faults,
    render_scenes,
    watch_progress,
    write_scores,
)


def evaluate_edges(
    root: Root,
    preset: Presets = None,
    authors: Authors = None,
    authors_settings: AuthorsRun = AuthorsSettings.CODE,
    out: OutScores = None,
) -> None:
    """Score weights on the development set and print the table (Markdown).

    With --authors the last column is the dense error divided by theirs.
    """
    from training.evaluation.edges import score_estimators, summarize_scores

    check_out(out)
    estimators = load_estimators(preset, authors, authors_settings)
    settings = next(iter(estimators.values())).settings
    with watch_progress(render_scenes(root), "scenes") as (scenes, say):
        scores = score_estimators(scenes, estimators, settings=settings, say=say)
    reference = None if authors is None else name_authors(authors_settings)
    print_table(summarize_scores(scores, reference=reference))
    write_scores(out, scores)


def evaluate_robustness(
    root: Root,
    preset: Presets = None,
    authors: Authors = None,
    authors_settings: AuthorsRun = AuthorsSettings.CODE,
    condition: Annotated[
        list[str] | None, typer.Option(help="Only this one besides clean; again for more: noise-2, jpeg-75, …")
    ] = None,
    out: OutScores = None,
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
    estimators = load_estimators(preset, authors, authors_settings)
    clean = render_scenes(root)
    with watch_progress(degrade_all(clean, chosen), "pictures", count=len(clean) * len(chosen)) as (scenes, say):
        scores = score_robustness(scenes, estimators, say=say)
    print_table(summarize_robustness(scores))
    write_scores(out, scores)


def evaluate_pairs(
    folder: Annotated[Path, typer.Option(help="Pairs NAME-A, NAME-B focused near, far.", show_default=False)],
    preset: Presets = None,
    authors: Authors = None,
    authors_settings: AuthorsRun = AuthorsSettings.CODE,
    out: OutScores = None,
) -> None:
    """Score weights on real pairs of photographs and print the table (Markdown).

    Where one picture of a pair is measurably sharper, its map must have the smaller radius; `ordered` is the share of
    the compared pixels where it has.
    """
    from defocus_edge.files.atomic import ImageReadError
    from training.data.focus_pairs import FocusPairError, load_focus_pairs
    from training.evaluation.pairs import score_pairs, summarize_pairs

    check_out(out)
    with refuse_faults(OSError, FocusPairError, ImageReadError):
        found = load_focus_pairs(folder)
    estimators = load_estimators(preset, authors, authors_settings)
    with watch_progress(found, "pairs") as (pairs, say):
        scores = score_pairs(pairs, estimators, say=say)
    if not scores:
        msg = f"folder must hold a pair that can be compared. Got: {folder} with {len(found)} that cannot."
        raise typer.BadParameter(msg)
    print_table(summarize_pairs(scores))
    write_scores(out, scores)


def evaluate_apertures(
    folder: Annotated[Path, typer.Option(help="NAME_f2.8.JPG, NAME_f8.JPG, NAME_depth_mm.png.", show_default=False)],
    preset: Presets = None,
    authors: Authors = None,
    authors_settings: AuthorsRun = AuthorsSettings.CODE,
    out: OutScores = None,
) -> None:
    """Score weights in px on real scenes at two apertures with depth, and print the table (Markdown).

    Every second scene counts. A thin lens gives the true radius; `beyond` counts maps with far too large radii.
    """
    from defocus_edge.files.atomic import ImageReadError
    from training.data.apertures import list_scenes, read_scene
    from training.evaluation.apertures import score_apertures, summarize_apertures

    check_out(out)
    with refuse_faults(OSError):
        names = list_scenes(folder)
    estimators = load_estimators(preset, authors, authors_settings)
    read = (read_scene(folder, name) for name in names)
    with refuse_faults(OSError, ImageReadError), watch_progress(read, "scenes", count=len(names)) as (scenes, say):
        scores = score_apertures(scenes, estimators, say=say)
    print_table(summarize_apertures(scores))
    write_scores(out, scores)


def evaluate_range(
    root: Root,
    preset: Annotated[str | None, typer.Option(help="Name or folder.", show_default=False)] = None,
    side: Annotated[int, typer.Option(min=256, help="Side of the scenes, px.")] = 2000,
    out: OutScores = None,
) -> None:
    """Score the pyramid and a single scale on large scenes with radii up to 24 px, and print the table (Markdown).

    The error is |estimate - true| / max(true, 1 px).
    """
    from defocus_edge.files.atomic import ImageReadError
    from training.data.large_scenes import BAND_SCENES, PERSON_SCENES, render_large_scenes
    from training.evaluation.range import score_range, summarize_range

    check_out(out)
    (estimator,) = load_estimators(None if preset is None else [preset]).values()
    count = len(BAND_SCENES) + len(PERSON_SCENES)
    large = render_large_scenes(root, side=side)
    with refuse_faults(OSError, ImageReadError), watch_progress(large, "scenes", count=count) as (scenes, say):
        scores = score_range(scenes, estimator, say=say)
    print_table(summarize_range(scores))
    write_scores(out, scores)
