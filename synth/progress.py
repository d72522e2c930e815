"""A progress bar with rate on stderr; lines in between go above it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def show_progress(count: int, text: str) -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """Show how far a run is, with samples per second and the time that is left; only on a terminal.

    Parameters
    ----------
    count : int
        Steps in all.
    text : str
        What is counted.

    Yields
    ------
    advance : callable
        Takes so many steps.
    say : callable
        Writes a line to stderr.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps per second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.1f}/s")

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(text, total=count)

        def say(line: str) -> None:
            console.print(f"Skipped: {line}", soft_wrap=True, markup=False, highlight=False, emoji=False)

        yield lambda steps: bars.advance(task, steps), say
