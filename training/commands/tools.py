"""What all commands of `training` share: command lines, errors of one line, folders, columns."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer


def format_command(command: str, options: dict[str, Any]) -> str:
    """Command line with some options; options that are None or False are left out."""
    words = ["python", "-m", "training", command]
    for name, value in options.items():
        if value is not None and value is not False:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join(words)


@contextmanager
def explain_faults(go_on: str) -> Iterator[None]:
    """Say in one line what is wrong with a checkpoint or preset, and after Ctrl-C with which command line to go on."""
    from defocus_edge.networks.preset_files import PresetError
    from training.runs.checkpoints import CheckpointError

    try:
        yield
    except (CheckpointError, PresetError) as error:
        raise typer.BadParameter(str(error)) from error
    except KeyboardInterrupt:
        typer.echo(f"Interrupted. To go on: {go_on}", err=True)
        raise typer.Exit(130) from None  # 128 + SIGINT, as shells count


def make_folder(out: Path) -> None:
    """Make the folder of a run or a report before minutes of work, not after."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"out must be a folder that can be written. Got: {error}."
        raise typer.BadParameter(msg, param_hint="--out") from error


def split_words(text: str) -> list[str]:
    """Words of an option between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def hide_columns(figures: str | None, known: Sequence[str]) -> set[str]:
    """Columns that the table leaves out; a wrong name is an error of usage."""
    if figures is None:
        return set()
    chosen = split_words(figures)
    for figure in chosen:
        if figure not in known:
            msg = f"figures must be of {', '.join(known)}. Got: {figure!r}."
            raise typer.BadParameter(msg)
    return set(known) - set(chosen)


def check_matting(what: str) -> None:
    """Refuse what needs the optional package pymatting."""
    check_package("pymatting", "'defocus-edge[evaluation]'", what)


def check_package(module: str, install: str, what: str) -> None:
    """Refuse what needs an optional package before minutes of work, not after."""
    if importlib.util.find_spec(module) is None:
        msg = f"{what} needs {module}. Got: none. Install it with: pip install {install}."
        raise typer.BadParameter(msg)
