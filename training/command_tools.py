"""What the training commands share: a command line as it was given, one line for what goes wrong, folders."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer


def format_command(command: str, options: dict[str, Any]) -> str:
    """The command line of some options; those that are None or False are left out."""
    words = ["python", "-m", "training", command]
    for name, value in options.items():
        if value is not None and value is not False:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join(words)


@contextmanager
def explain_faults(go_on: str) -> Iterator[None]:
    """One line for what is wrong with checkpoint or preset, and for Ctrl-C: the command line that goes on."""
    from defocus_edge.networks.preset_files import PresetError
    from training.checkpoints import CheckpointError

    try:
        yield
    except (CheckpointError, PresetError) as error:
        raise typer.BadParameter(str(error)) from error
    except KeyboardInterrupt:
        typer.echo(f"Interrupted. To go on: {go_on}", err=True)
        raise typer.Exit(130) from None  # 128 + SIGINT, as shells count


def make_folder(out: Path) -> None:
    """Make the folder of a run or a report, before minutes of work and not after."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"out must be a folder that can be written. Got: {error}."
        raise typer.BadParameter(msg, param_hint="--out") from error
