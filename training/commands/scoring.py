"""Steps that all commands of `python -m training evaluate` share: check, load, render, watch, print and write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from training.commands.options import AuthorsSettings
from training.commands.tools import check_matting, split_words

if TYPE_CHECKING:
    from defocus_edge.masks import BlurDetector
    from defocus_edge.pipeline import BlurEstimator
    from training.data.development import DevelopmentScene
    from training.evaluation.map_methods import MapMethod
    from training.evaluation.mask_methods import MaskMethod
    from training.runs.tables import Row

T = TypeVar("T")


def check_out(out: Path | None) -> None:
    """Refuse a file that could not be written, before minutes of work and not after."""
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        msg = f"out must name a file in a folder that exists. Got: {out}."
        raise typer.BadParameter(msg)


def name_authors(settings: AuthorsSettings) -> str:
    """Name of the authors' row. It tells their two propagations apart."""
    return "authors" if settings is AuthorsSettings.CODE else f"authors ({settings})"


def load_estimators(
    presets: Sequence[str] | None,
    authors: Path | None = None,
    authors_settings: AuthorsSettings = AuthorsSettings.CODE,
) -> dict[str, BlurEstimator]:
    """Load estimators by the names of their rows, in order; a wrong name is wrong usage."""
    from defocus_edge.choices import DEFAULT_PRESET
    from defocus_edge.networks.preset_files import PresetError
    from defocus_edge.pipeline import BlurEstimator
    from defocus_edge.propagation.settings import PropagationSettings

    with refuse_faults(OSError, PresetError):
        estimators = {name: BlurEstimator(name) for name in presets or [DEFAULT_PRESET]}
        if authors is not None:
            options: dict[str, Any] = {}
            if authors_settings is AuthorsSettings.PAPER:
                paper = PropagationSettings.paper()
                options = {"propagation": paper, "depth_penalty": paper.depth_penalty}
            estimators[name_authors(authors_settings)] = BlurEstimator.from_authors_weights(authors, **options)
    return estimators


def load_methods(words: Sequence[str], authors: Path | None) -> list[MapMethod]:
    """Load methods that make maps by name; a wrong name is wrong usage."""
    from training.evaluation.map_methods import load_map_methods

    _check_packages(words)
    with refuse_faults(OSError, ValueError):  # PresetError is a ValueError
        return load_map_methods(words, authors=authors)


def load_mask_methods(methods: str) -> dict[str, MaskMethod]:
    """Load methods that find blurred pixels by the names of their rows, from METHOD, METHOD=PRESET or baselines."""
    from training.baselines import BASELINES
    from training.evaluation.mask_methods import wrap_baseline, wrap_detector

    found, words = {}, split_words(methods)
    _check_packages(words)
    for word in words:
        if word in BASELINES:
            found[word] = wrap_baseline(BASELINES[word])
        else:
            found |= {name: wrap_detector(one) for name, one in load_detectors(word, also=tuple(BASELINES)).items()}
    return found


def _check_packages(words: Sequence[str]) -> None:
    """Refuse baselines whose optional package is missing."""
    from training.baselines import BASELINES

    for word in words:
        if word in BASELINES and BASELINES[word].matting:
            check_matting(word)


def load_detectors(methods: str, *, also: Sequence[str] = ()) -> dict[str, BlurDetector]:
    """Load detectors by the names of their rows, from METHOD or METHOD=PRESET with commas.

    `also` are names that the message about a wrong one offers besides.
    """
    from defocus_edge.choices import MAP_METHOD
    from defocus_edge.masks import BlurDetector
    from defocus_edge.networks.segmentation.names import NETWORK_NAMES

    detectors, known = {}, (MAP_METHOD, *NETWORK_NAMES)
    for word in methods.split(","):
        method, _, preset = word.strip().partition("=")
        if method not in known:
            msg = f"methods must be of {', '.join([*known, *also])}. Got: {method!r}."
            raise typer.BadParameter(msg)
        with refuse_faults(ValueError):
            name = f"{method} ({Path(preset).name})" if preset else method
            detectors[name] = BlurDetector(method, preset=preset or None)
    return detectors


def render_scenes(root: Path) -> list[DevelopmentScene]:
    """Render the development set as a list, so that its length is known: a progress bar needs an end."""
    from defocus_edge.files.atomic import ImageReadError
    from training.data.development import render_development_set

    with refuse_faults(OSError, ImageReadError):
        return list(render_development_set(root))


@contextmanager
def refuse_faults(*faults: type[Exception], hint: str | None = None) -> Iterator[None]:
    """Say in one line what is wrong with pictures, weights or names; `hint` is the option that is wrong."""
    try:
        yield
    except faults as error:
        raise typer.BadParameter(str(error), param_hint=hint) from error


@contextmanager
def watch_progress(
    items: Iterable[T], text: str, *, count: int | None = None
) -> Iterator[tuple[Iterator[T], Callable[[str], None]]]:
    """Pass items on and show on a terminal how many are done; `say` writes a line about one that was skipped."""
    from defocus_edge._progress import show_progress

    with show_progress(len(items) if isinstance(items, Sequence) else count or 0, text) as (advance, say):

        def walk() -> Iterator[T]:
            for item in items:
                yield item
                advance(1)

        yield walk(), say


def print_table(rows: Sequence[Row], *, hidden: Set[str] = frozenset()) -> None:
    """Print rows as a Markdown table without some columns."""
    from training.runs.tables import format_table

    typer.echo(format_table([{name: row[name] for name in row if name not in hidden} for row in rows]))


def write_scores(out: Path | None, scores: Sequence[Any]) -> None:
    """Write scores as JSON, if a file was asked for."""
    from defocus_edge.files.atomic import atomic_write

    if out is not None:
        with atomic_write(out) as temporary:
            temporary.write_text(json.dumps([asdict(score) for score in scores], indent=1), encoding="utf-8")
