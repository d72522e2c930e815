"""A run: samples are drawn, rendered by several processes and recorded in order. A stopped run can be continued."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from synth.folder import name_files, open_folder, write_sample
from synth.loading import SourceError
from synth.readers import Source
from synth.recipes import Recipe, describe_recipe, draw_recipe
from synth.rendering import render_sample
from synth.settings import Pool, Settings
from synth.signed_rendering import RENDERERS
from synth.workers import start_workers

#: A line of the manifest.
Record = dict[str, Any]
#: Version of the output, increased when the same settings give other bytes than before.
FORMAT = 1
#: A sample is given up after this many unusable choices of sources; chosen.
MOST_ATTEMPTS = 200
# Samples in progress for each process: enough to keep it busy, few enough to lose little.
_IN_HAND = 3


@dataclass(frozen=True)
class Summary:
    """Result of a run.

    `written` is the number of samples made now, `kept` that of samples made before. `failed` lists the samples for
    which no source was usable, `complaints` has one line for each source that was skipped.
    """

    written: int
    kept: int
    failed: list[int]
    complaints: list[str]


@dataclass
class _Outcome:
    """Result of a recipe: the record of its sample, or the complaint about a source, its culprit."""

    recipe: Recipe
    record: Record | None
    complaint: str = ""
    culprit: Source | None = None


def generate(
    settings: Settings,
    pool: Pool,
    folders: list[Path],
    out: str | Path,
    count: int,
    *,
    workers: int = 1,
    on_sample: Callable[[int], None] | None = None,
    on_complaint: Callable[[str], None] | None = None,
) -> Summary:
    """Fill a folder with samples 0 to `count` - 1.

    Parameters
    ----------
    settings : Settings
    pool : Pool
        Sources to draw from.
    folders : list of Path
        Folders of these sources, which the manifest names by their position in this list.
    out : str or Path
        Folder of the run. Samples that the same run made before are kept; `count` may have grown.
    count : int
        Number of samples wanted.
    workers : int
        Number of processes. The bytes in `out` do not depend on it.
    on_sample : callable, optional
        Called with the number of samples done since the last call, at first with that of the samples kept.
    on_complaint : callable, optional
        Called with a line about each source that is skipped.

    Raises
    ------
    ValueError
        If `count` or `workers` is not positive, the pool lacks what the family needs (`PoolError`), or `out` holds
        other files or another run (`FolderError`).
    OSError
        If `out` cannot be written to.
    """
    for name, number in (("count", count), ("workers", workers)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1. Got: {number}.")
    pool.check(settings.family)
    folder = open_folder(out, describe_run(settings, pool, folders))
    todo = [number for number in range(count) if number not in folder.lines]
    failed = []
    count_done = on_sample or _pass_over
    count_done(count - len(todo))
    try:
        with start_workers(workers) as executor:
            in_hand = _IN_HAND * workers if workers > 1 else 1
            line = _Line(settings, pool, folders, Path(out), executor, in_hand, on_complaint or _pass_over)
            for number, record in line.run(todo):
                if record is None:
                    failed.append(number)
                else:
                    folder.add(number, record)
                count_done(1)
    finally:
        folder.close()
    return Summary(len(todo) - len(failed), count - len(todo), failed, list(line.complaints))


def describe_run(settings: Settings, pool: Pool, folders: list[Path]) -> dict[str, Any]:
    """JSON values that all samples depend on: the settings and a fingerprint of the names of the sources."""
    digest = hashlib.sha256()
    for sources in (pool.pictures, pool.objects, pool.scenes, pool.shapes):
        for source in sources:
            number = source.outline and source.outline.number
            names = (folders.index(source.folder), source.picture, source.mask, number, source.depth)
            digest.update(repr(names).encode())
        digest.update(b"\n")
    return {"format": FORMAT, **asdict(settings), "sources": digest.hexdigest()}


def make_sample(recipe: Recipe, folders: list[Path], out: Path) -> Record:
    """Render a sample, write its files and return its line of the manifest; raises `SourceError` and OSError."""
    family = recipe.settings.family
    sample = RENDERERS.get(family, render_sample)(recipe)
    write_sample(out, recipe.number, sample, family)
    height, width = sample.radius.shape
    return describe_recipe(recipe, folders) | {
        "height": height,
        "width": width,
        "smallest_radius": float(sample.radius.min()),
        "largest_radius_seen": float(sample.radius.max()),
        "files": name_files(recipe.number, family),
    }


class _Line:
    """Hands recipes to the processes and returns their records in the order of the numbers.

    At any time at most `in_hand` samples are in progress or wait for an earlier one.
    """

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        folders: list[Path],
        out: Path,
        executor: Executor,
        in_hand: int,
        on_complaint: Callable[[str], None],
    ) -> None:
        self.complaints: dict[str, None] = {}
        self._settings, self._pool, self._folders, self._out = settings, pool, folders, out
        self._executor, self._in_hand, self._on_complaint = executor, in_hand, on_complaint
        self._bad: set[Source] = set()
        self._pending: set[Future[_Outcome]] = set()
        self._done: dict[int, Record | None] = {}

    def run(self, numbers: list[int]) -> Iterator[tuple[int, Record | None]]:
        """Yield each number with its record, or with None if the sample was given up."""
        waiting, order = iter(numbers), deque[int]()
        while True:
            for number in islice(waiting, self._in_hand - len(order)):
                order.append(number)
                self._submit(number, 0)
            if not order:
                return
            while order and order[0] in self._done:
                number = order.popleft()
                yield number, self._done.pop(number)
            if self._pending:
                finished, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._judge(future.result())

    def _submit(self, number: int, attempt: int) -> None:
        """Hand over the next recipe of a sample that needs no source known to be bad."""
        for later in range(attempt, MOST_ATTEMPTS):
            recipe = draw_recipe(self._settings, self._pool, number, attempt=later)
            if self._bad.isdisjoint(recipe.sources):
                self._pending.add(self._executor.submit(_try_recipe, recipe, self._folders, self._out))
                return
        self._done[number] = None

    def _judge(self, outcome: _Outcome) -> None:
        """Keep the record, or complain about the source and try others."""
        recipe = outcome.recipe
        if outcome.record is not None:
            self._done[recipe.number] = outcome.record
            return
        if outcome.culprit is not None:
            self._bad.add(outcome.culprit)
        if outcome.complaint not in self.complaints:
            self.complaints[outcome.complaint] = None
            self._on_complaint(outcome.complaint)
        self._submit(recipe.number, recipe.attempt + 1)


def _pass_over(_: object) -> None:
    """Ignore a report that the caller did not ask for."""


def _try_recipe(recipe: Recipe, folders: list[Path], out: Path) -> _Outcome:
    """Make a sample; a bad source is an outcome, all other errors are raised."""
    try:
        return _Outcome(recipe, make_sample(recipe, folders, out))
    except SourceError as error:
        return _Outcome(recipe, None, str(error), error.source)
