"""The work on one picture, the same for all engines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from defocus_edge.cli.batch.records import Item, Record
from defocus_edge.cli.console import Job, Screen, describe_error
from defocus_edge.cli.estimate import estimate_photo, open_estimator

if TYPE_CHECKING:
    from defocus_edge.cli.networks import LazyNetworks
    from defocus_edge.pipeline import BlurEstimator
    from defocus_edge.thresholds import MapSummary

_WARNING = "Warning: "


class _Silence(Screen):
    """A screen that shows nothing, as a worker has none; it remembers warnings."""

    def __init__(self) -> None:
        self.warning: str | None = None

    def say(self, text: str, *, style: str | None = None) -> None:  # noqa: ARG002 - of all screens
        if text.startswith(_WARNING):
            self.warning = text.removeprefix(_WARNING)

    def begin(self, text: str) -> None:
        pass

    def count_points(self, done: int, total: int) -> None:
        pass


class PictureWork:
    """Estimates pictures and writes what is wanted of them, as the command ``estimate`` does.

    Parameters
    ----------
    preset : str, optional
        Name or folder; that of the package if None.
    choices : dict
        Options of `BlurEstimator`.
    propagation : str
        What the maps name as such.
    skips_existing : bool
        Whether pictures are left alone whose outputs are all there, the map not older than the picture.

    Notes
    -----
    The networks are loaded for the first picture that needs them, and kept. Each map is summarized as it stands in its
    file: whoever reads it later finds the same numbers.
    """

    def __init__(
        self, preset: str | None, choices: dict[str, Any], propagation: str, *, skips_existing: bool = False
    ) -> None:
        self._preset, self._choices, self._propagation = preset, choices, propagation
        self._skips_existing = skips_existing
        self._networks: LazyNetworks[BlurEstimator] | None = None

    def __call__(self, item: Item) -> Record:
        """Do one picture; what is wrong with it stands in the record."""
        from defocus_edge.files.atomic import ImageReadError
        from defocus_edge.propagation.propagate import NoEdgesError

        started, screen = time.perf_counter(), _Silence()
        summary = self._find_finished(item) if self._skips_existing else None
        is_new, error, is_fatal = summary is None, None, False
        try:
            summary = summary or self._do(item, screen)
        except (ImageReadError, NoEdgesError, OSError, MemoryError) as fault:
            error = describe_error(fault, item.source).removeprefix(f"{item.source}: ")
        except typer.Exit:  # the networks cannot be loaded, which has been said
            error, is_fatal = "the networks cannot be loaded", True
        seconds = round(time.perf_counter() - started, 3)
        return Record(item.picture, summary, error, seconds, is_new, screen.warning, is_fatal)

    def _find_finished(self, item: Item) -> MapSummary | None:
        """Summary of the map of a picture that is done; None for one that must be done, or done again."""
        from defocus_edge.files.atomic import ImageReadError

        try:
            is_newer = item.outputs["map"].stat().st_mtime_ns >= item.source.stat().st_mtime_ns
            if is_newer and all(output.is_file() for output in item.outputs.values()):
                return _summarize_file(item.outputs["map"])
        except (ImageReadError, OSError):  # not there, damaged, or not to be read: the work tells which
            return None
        return None

    def _do(self, item: Item, screen: Screen) -> MapSummary:
        """Write the outputs of a picture, and see that its map is whole; the summary of the map."""
        from defocus_edge.files.atomic import ImageReadError

        for folder in {output.parent for output in item.outputs.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        self.write_outputs(item, screen)
        path = item.outputs["map"]
        try:
            return _summarize_file(path)
        except ImageReadError as error:  # not all systems tell of a full disk when a file is written
            path.unlink()
            msg = f"{path} was cut short as it was written. Is the disk full?"
            raise OSError(msg) from error

    def write_outputs(self, item: Item, screen: Screen) -> None:
        """Write the outputs of a picture into folders that are there."""
        if self._networks is None:
            self._networks = open_estimator(self._preset, self._choices)
        job = Job(item.source, item.outputs)
        estimate_photo(job, screen, networks=self._networks, propagation=self._propagation, scale_top=None)


def _summarize_file(path: Path) -> MapSummary:
    """Summary of a map as it stands in its file."""
    from defocus_edge.files.maps import read_map
    from defocus_edge.thresholds import summarize_map

    return summarize_map(read_map(path))
