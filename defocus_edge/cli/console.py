"""What the commands share: files to work on, progress and errors on stderr, the JSON document on stdout.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import typer

from defocus_edge._quiet import hold_stderr
from defocus_edge._version import __version__
from defocus_edge.choices import DEFAULT_PAGES, Pages
from defocus_edge.cli.pages import list_pages
from defocus_edge.summary_table import escape_controls

#: Entry of the JSON document for one file.
Record = dict[str, Any]
#: Added to the name of a photo, without its suffix, for the name of its map.
MAP_ENDING = "_blur"
#: Exit codes; shells give 130 to a program that Ctrl-C ended.
SOME_FILES_FAILED, USAGE_ERROR, INTERRUPTED = 1, 2, 130
# Seconds over which the speed is averaged for the time that is left: one file may take a minute.
_SPEED_PERIOD = 600.0


@dataclass(frozen=True)
class Job:
    """One file to work on, and the files to write for it by kind."""

    source: Path
    outputs: dict[str, Path]
    #: Page of the file, from 0; None for the first of a file whose others are not worked on, or that has no others.
    page: int | None = None

    @property
    def title(self) -> str:
        """The file, with the page if it has one, which users count from 1."""
        return str(self.source) if self.page is None else f"{self.source}, page {self.page + 1}"

    def list_outputs(self) -> str:
        """The files to write in one line."""
        return ", ".join(map(str, self.outputs.values()))


def fail(message: str, *, code: int = USAGE_ERROR) -> NoReturn:
    """End the program with one line on stderr."""
    typer.echo(f"Error: {escape_controls(message)}", err=True)
    raise typer.Exit(code)


def describe_error(error: BaseException, path: Path) -> str:
    """One line on what went wrong with a file."""
    if not isinstance(error, list_file_errors()):
        text = f"unexpected {type(error).__name__}: {error} Run the command with --debug to see where it comes from."
    elif isinstance(error, MemoryError):
        text = "not enough memory for this picture"
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    else:
        text = str(error)
    return _name_file(text, path)


def _name_file(text: str, path: Path) -> str:
    """Text in one line, with the name of its file."""
    text = " ".join(text.split())
    return text if f"'{path}'" in text else f"{path}: {text}"


@contextmanager
def tell_image_warnings(tell: Callable[[str], None]) -> Iterator[None]:
    """Hand the text of each `ImageWarning` of the block to `tell`, once; other warnings go their usual way."""
    from defocus_edge.arrays import ImageWarning

    told: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", ImageWarning)
        show_others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, ImageWarning):
                show_others(message, category, *place, **more)
            elif str(message) not in told:
                told.add(str(message))
                tell(str(message))

        warnings.showwarning = show
        yield


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Hold back what libraries write to file descriptor 2; show it after all if the block raises an exception.

    TensorFlow's C++ code greets with lines that no setting silences.
    """
    with hold_stderr(lambda text, error: text if isinstance(error, Exception) else b""):
        yield


class Screen:
    """Progress of `count` files on stderr: lines, and on a terminal bars that vanish at the end.

    With `has_steps` there is a bar for the steps of each file. Without it, one bar shows the files and the time that is
    left.
    """

    def __init__(self, count: int, *, has_steps: bool = True) -> None:
        from rich import progress
        from rich.console import Console

        # Own descriptor: the bars go on while `silence_stderr` holds number 2.
        is_terminal = sys.stderr.isatty()
        self._stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", errors="backslashreplace") if is_terminal else None
        times: list[progress.ProgressColumn] = [progress.TimeElapsedColumn()]
        times += [] if has_steps else [progress.TextColumn("left:"), progress.TimeRemainingColumn()]
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            *(progress.BarColumn(), progress.TaskProgressColumn() if has_steps else progress.MofNCompleteColumn()),
            *times,
            console=Console(file=self._stream or sys.stderr),
            transient=True,
            disable=not is_terminal,
            speed_estimate_period=_SPEED_PERIOD,
        )
        self._files = self._bars.add_task("Files", total=count, visible=count > 1 or not has_steps)
        self._points = self._bars.add_task("", total=None, visible=has_steps)

    @property
    def is_terminal(self) -> bool:
        """Whether there are bars."""
        return self._stream is not None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()
        if self._stream:
            self._stream.close()

    def say(self, text: str, *, style: str | None = None) -> None:
        """Write one line; the style shows on a terminal only."""
        text = escape_controls(text)
        if self._stream:
            self._bars.console.print(text, style=style, soft_wrap=True, markup=False, highlight=False, emoji=False)
        else:
            typer.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Write one line on something that the user should change."""
        self.say(f"Warning: {text}", style="yellow")

    def begin(self, text: str) -> None:
        """Name what is being worked on."""
        self._bars.remove_task(self._points)  # a total, once set, cannot be taken back
        self._points = self._bars.add_task(text, total=None)

    def count_points(self, done: int, total: int) -> None:
        """Move the bar of edge points or tiles."""
        self._bars.update(self._points, completed=done, total=total)

    def finish_file(self) -> None:
        """Move the bar of files."""
        self._bars.advance(self._files)


def plan_jobs(
    sources: list[Path],
    name_endings: Callable[[Path], dict[str, str]],
    *,
    out: Path | None,
    from_map: Path | None = None,
    pages: Pages = DEFAULT_PAGES,
) -> list[Job]:
    """Name all files to write, by kind for each page of each source; refuse to write one twice or over an input."""
    inputs = {os.path.realpath(source) for source in [*sources, *filter(None, [from_map])]}
    taken: dict[str, Path] = {}
    jobs: list[Job] = []
    for source in sources:
        stem = source.stem.removesuffix(MAP_ENDING) if source == from_map else source.stem
        folder, endings = out or source.parent, name_endings(source)
        for page, mark in list_pages(source, pages):
            outputs = {kind: folder / f"{stem}{mark}{ending}" for kind, ending in endings.items()}
            jobs.append(Job(source, outputs, page))
    for job in jobs:
        _claim_outputs(job, inputs, taken)
    return jobs


def _claim_outputs(job: Job, inputs: set[str], taken: dict[str, Path]) -> None:
    """Add the files to write to those `taken`, or end the program if one is an input or taken already."""
    for target in job.outputs.values():
        place = os.path.realpath(target)  # Path.resolve raises at a link that points to itself
        if place in inputs:
            fail(f"{target}, to be written for {job.source}, is an input too. Choose another folder with --out.")
        if place in taken:
            fail(f"{target} would be written for both {taken[place]} and {job.source}. Run them apart, with --out.")
        taken[place] = job.source


def name_origin(job: Job, preset: str) -> dict[str, Any]:
    """What the file of a map says of where it comes from."""
    page = {} if job.page is None else {"page": job.page + 1}
    return {"source": job.source.name, **page, "software": f"defocus_edge {__version__}", "preset": preset}


def prepare_folder(out: Path | None, *, name: str = "--out") -> None:
    """Make the folder for the results; errors call it by the name of its option."""
    if out is None:
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{name} must be a folder that can be made. Got: {out} ({error.strerror}).")
    if not os.access(out, os.W_OK | os.X_OK):
        fail(f"{name} must be a folder that can be written to. Got: {out}.")


def _check_access(job: Job) -> Record:
    """Raise an error if the file cannot be read, or the folder of its results cannot be written to."""
    if not job.source.exists():
        raise FileNotFoundError("there is no such file. Check the name.")
    if job.source.is_dir():
        raise IsADirectoryError("is a folder. Pass its files one by one.")
    if not os.access(job.source, os.R_OK):
        raise PermissionError("may not be read. Change its permissions.")
    folder = next(iter(job.outputs.values())).parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"the folder {folder} cannot be written to. Choose another one with --out.")
    return {}


def run_jobs(
    jobs: list[Job], work: Callable[[Job, Screen], Record], *, out: Path | None, as_json: bool, debug: bool = False
) -> None:
    """Make the folder for the results, check all paths, then work on all files; report the bad ones, do the others.

    Prints the records as one JSON list if wanted, and ends the program with an error if a file failed. With `debug` an
    unexpected error shows its traceback.
    """
    prepare_folder(out)
    records: list[Record] = [_begin_record(job) for job in jobs]
    with Screen(len(jobs)) as screen:
        for job, record in zip(jobs, records, strict=True):
            _attempt(lambda job, _: _check_access(job), job, record, screen, debug=debug)
        for job, record in zip(jobs, records, strict=True):
            if not record["error"]:
                _attempt(work, job, record, screen, debug=debug)
            if not record["error"]:
                record["outputs"] = {kind: str(path) for kind, path in job.outputs.items()}
            screen.finish_file()
    if as_json:
        typer.echo(json.dumps(records, indent=2))
    if any(record["error"] for record in records):
        raise typer.Exit(SOME_FILES_FAILED)


def _begin_record(job: Job) -> Record:
    """Entry of the JSON document for a file or a page of it, which the document counts from 1."""
    page = {} if job.page is None else {"page": job.page + 1}
    return {"file": str(job.source), **page, "error": None, "warnings": []}


def _attempt(step: Callable[[Job, Screen], Record], job: Job, record: Record, screen: Screen, *, debug: bool) -> None:
    """Add the findings and warnings of a step to the record of its file, or what is wrong with the file."""
    page = "" if job.page is None else f"page {job.page + 1}: "

    def tell(text: str) -> None:
        record["warnings"].append(page + _name_file(text, job.source))
        screen.warn(record["warnings"][-1])

    try:
        with tell_image_warnings(tell):
            record |= step(job, screen)
    except typer.Exit:  # the program ends, and why was said
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the other files are done
        if debug and not isinstance(error, list_file_errors()):
            for line in traceback.format_exc().splitlines():
                screen.say(line)
        record["error"] = page + describe_error(error, job.source)
        screen.say(f"Error: {record['error']}", style="red")


def list_file_errors() -> tuple[type[Exception], ...]:
    """Errors that a file may be expected to give; all others are bugs."""
    from defocus_edge.estimation.reduction import TooSmallError
    from defocus_edge.files.atomic import ImageReadError
    from defocus_edge.propagation.propagate import NoEdgesError

    return ImageReadError, NoEdgesError, TooSmallError, OSError, MemoryError
