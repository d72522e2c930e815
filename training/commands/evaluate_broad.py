"""`python -m training evaluate broad`: one table of what the project judges by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.commands.options import Presets
from training.commands.scoring import load_estimators, print_table, refuse_faults, watch_progress
from training.commands.tools import make_folder, split_words

if TYPE_CHECKING:
    from defocus_edge.pipeline import BlurEstimator

_TRUTH, _AUTHORS = "truth", "authors"
Root = Annotated[Path, typer.Option(help="Folder as for training, and real/* in it.", show_default=False)]


def evaluate_broad(
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder for scores and scenes; a second run goes on there.")],
    estimators: Annotated[
        list[str] | None,
        typer.Argument(help="PRESET or PRESET:OPTION=VALUE,…; truth; authors=FOLDER. The first one is the reference."),
    ] = None,
    families: Annotated[str | None, typer.Option(help="Only these, with commas.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many scenes of each family.")] = None,
) -> None:
    """Score estimators on 252 rendered scenes and on real photographs, and print the table (Markdown).

    Options are those of BlurEstimator, for example edge-v1:max_radius=6. Scores that OUT/scores.csv holds are kept:
    name another folder after a change of the program. Scenes are rendered once, into OUT/scenes. Each figure has the
    interval that holds 95 % of its values if the scenes are drawn anew.
    """
    from defocus_edge.choices import DEFAULT_PRESET
    from defocus_edge.files.atomic import ImageReadError
    from training.evaluation.broad import FAMILIES, list_cases, score_cases, summarize_broad

    chosen = list(FAMILIES) if families is None else split_words(families)
    if wrong := [name for name in chosen if name not in FAMILIES]:
        msg = f"families must be of {', '.join(FAMILIES)}. Got: {wrong[0]!r}."
        raise typer.BadParameter(msg)
    make_folder(out)
    loaded = {word: _load(word) for word in estimators or [DEFAULT_PRESET]}
    faults = (OSError, ImageReadError)
    with refuse_faults(*faults, hint="--root"):
        cases = list_cases(root, out / "scenes", chosen, limit, lambda line: typer.echo(line, err=True))
    with refuse_faults(*faults), watch_progress(cases, "scenes") as (watched, _):
        scores = score_cases(watched, loaded, out)
    print_table(summarize_broad(scores))


def evaluate_reliability(
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder as for evaluate broad, for its scenes.")],
    preset: Presets = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many scenes of each family.")] = None,
) -> None:
    """Tell how often radii of the rendered scenes are right for each tenth of the confidence (Markdown).

    Right is within 0.5 px, or in the map within a twelfth of a radius above 6 px.
    """
    from defocus_edge.files.atomic import ImageReadError
    from training.data.broad_scenes import FAMILY_SCENES
    from training.evaluation.broad import list_rendered
    from training.evaluation.reliability import score_reliability, summarize_reliability

    make_folder(out)
    estimators = load_estimators(preset)
    faults = (OSError, ImageReadError)
    with refuse_faults(*faults, hint="--root"):
        listed = list(list_rendered(root, out / "scenes", list(FAMILY_SCENES), limit))
    rendered = (load() for _, _, load in listed)
    with refuse_faults(*faults), watch_progress(rendered, "scenes", count=len(listed)) as (scenes, say):
        scores = score_reliability(scenes, estimators, say=say)
    print_table(summarize_reliability(scores))


def _load(word: str) -> BlurEstimator | None:
    """The estimator that a word names; None for true radii."""
    from defocus_edge.networks.preset_files import PresetError
    from defocus_edge.pipeline import BlurEstimator

    if word == _TRUTH:
        return None
    preset, _, listed = word.partition(":")
    options = {name: _read(value) for name, _, value in (item.partition("=") for item in split_words(listed))}
    with refuse_faults(PresetError, OSError, TypeError, ValueError, hint=word):
        name, _, folder = preset.partition("=")
        if name == _AUTHORS:
            return BlurEstimator.from_authors_weights(folder, **options)
        return BlurEstimator(preset, **options)


def _read(value: str) -> Any:
    """A number if it is one."""
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() else number
