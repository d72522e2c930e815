"""A progress bar with the rate on stderr, for the programs that make data and train."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def show_progress(count: int, text: str) -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """Show how far a run is, with steps per second and the time that is left; only on a terminal.

    `count` is the number of all steps, `text` names what is counted. Yields `advance`, which takes a number of steps,
    and `say`, which writes a line to stderr, above the bar.
    """
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        """Steps per second."""

        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.1f}/s")

    console = Console(file=sys.stderr)
    columns = (
        *(progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn()),
        *(Rate(), progress.TimeRemainingColumn()),
    )
    with progress.Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(text, total=count)

        def say(line: str) -> None:
            console.print(f"Skipped: {line}", soft_wrap=True, markup=False, highlight=False, emoji=False)

        yield lambda steps: bars.advance(task, steps), say
