"""The work on one picture, the same for all engines."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from defocus_edge.choices import DEFAULT_MAX_PIXELS
from defocus_edge.cli.batch.records import Item, Record, Thumbnail
from defocus_edge.cli.console import Job, Screen, describe_error, list_file_errors, tell_image_warnings
from defocus_edge.cli.estimate import describe_request, estimate_photo, open_estimator

if TYPE_CHECKING:
    from defocus_edge.cli.lazy_networks import LazyNetworks
    from defocus_edge.pipeline import BlurEstimator
    from defocus_edge.thresholds import MapSummary


class _WorkerScreen(Screen):
    """Screen of a worker: it shows nothing and remembers the last warning."""

    def __init__(self) -> None:
        self.warning: str | None = None

    def say(self, text: str, *, style: str | None = None) -> None:
        pass

    def warn(self, text: str) -> None:
        self.warning = text

    def begin(self, text: str) -> None:
        pass

    def count_points(self, done: int, total: int) -> None:
        pass


class PictureWork:
    """Estimates pictures and writes the outputs of their items, as the command ``estimate`` does.

    The preset and options are those of `open_estimator`; `reading` are options of `read_image`. The networks are loaded
    for the first picture that needs them, and kept. `skips_existing` skips pictures whose outputs all exist and are
    whole, with a map that is not older than the picture and names no other preset or settings. Maps are summarized as
    read back from their files, so that everybody who reads them finds the same numbers. With a `thumbnail_side` in px
    the records have thumbnails. An unexpected error ends the process, with `debug` after a traceback.

    A picture is read in its turn, not ahead as by `BlurEstimator.estimate_many`: if a file crashes its decoder, that
    file must be blamed, not the one before it. Reading 12 megapixels takes 0.2 s, measuring them 40 s and more.
    """

    def __init__(
        self,
        preset: str | None,
        options: Mapping[str, Any],
        reading: Mapping[str, Any] | None = None,
        *,
        skips_existing: bool = False,
        thumbnail_side: int = 0,
        debug: bool = False,
    ) -> None:
        self._preset, self._options, self._reading = preset, options, reading or {}
        self._max_pixels = int(self._reading.get("max_pixels", DEFAULT_MAX_PIXELS))
        self._skips_existing, self._thumbnail_side, self._debug = skips_existing, thumbnail_side, debug
        self._networks: LazyNetworks[BlurEstimator] | None = None
        self._description: dict[str, Any] | None = None

    def __call__(self, item: Item) -> Record:
        """Do one picture; the record says what is wrong with it."""
        started, screen = time.perf_counter(), _WorkerScreen()
        summary = self._find_finished(item) if self._skips_existing else None
        is_new, error, is_fatal = summary is None, None, False
        remarks: list[str] = []
        thumbnails: Mapping[str, Thumbnail] = {}
        try:
            with tell_image_warnings(lambda text: remarks.append(_shorten(text, item))):
                summary = summary or self._do(item, screen)
            thumbnails = self._make_thumbnails(item, summary)
        except list_file_errors() as fault:
            error = _shorten(describe_error(fault, item.source), item)
        except typer.Exit:  # from `LazyNetworks`, which has written why
            error, is_fatal = "the networks cannot be loaded", True
        except Exception:
            if self._debug:
                traceback.print_exc()
            raise
        seconds = round(time.perf_counter() - started, 3)
        return Record(
            item.picture, summary, error, seconds, is_new, screen.warning, is_fatal, tuple(remarks), thumbnails
        )

    def _make_thumbnails(self, item: Item, summary: MapSummary) -> Mapping[str, Thumbnail]:
        """Thumbnails for the report, if there is one."""
        if not self._thumbnail_side:
            return {}
        from defocus_edge.cli.batch.thumbnails import make_thumbnails

        return make_thumbnails(item, summary.sharpest_box, side=self._thumbnail_side, reading=self._reading)

    def _find_finished(self, item: Item) -> MapSummary | None:
        """Summary of the map of a finished picture; None if the picture must be done, perhaps again."""
        from defocus_edge.files.atomic import ImageReadError
        from defocus_edge.files.images import read_image

        path = item.outputs["map"]
        try:
            if path.stat().st_mtime_ns < item.source.stat().st_mtime_ns or not self._has_settings(path):
                return None
            summary = self._summarize_file(path)
            for kind, output in item.outputs.items():
                if kind != "map":
                    read_image(output, max_pixels=self._max_pixels)
        except (ImageReadError, OSError):  # missing, damaged or unreadable: the work finds out which
            return None
        return summary

    def _has_settings(self, path: Path) -> bool:
        """Whether a map names no other preset or settings than ours; other programs name none."""
        from defocus_edge.files.maps import read_map_description

        if self._description is None:
            self._description = describe_request(self._preset, self._options)
        try:
            found = json.loads(read_map_description(path))
        except (ValueError, RecursionError):
            return True
        if not isinstance(found, dict):
            return True
        return all(found.get(name, value) == value for name, value in self._description.items())

    def _do(self, item: Item, screen: Screen) -> MapSummary:
        """Write the outputs of a picture, check that its map is whole, and return the map's summary."""
        from defocus_edge.files.atomic import ImageReadError

        for folder in {output.parent for output in item.outputs.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        self.write_outputs(item, screen)
        path = item.outputs["map"]
        try:
            return self._summarize_file(path)
        except ImageReadError as error:  # some systems do not report a full disk when a file is written
            path.unlink()
            msg = f"{path} was cut short as it was written. Is the disk full?"
            raise OSError(msg) from error

    def _summarize_file(self, path: Path) -> MapSummary:
        """Summary of a map, read from its file."""
        from defocus_edge.files.maps import read_map
        from defocus_edge.thresholds import summarize_map

        return summarize_map(read_map(path, max_pixels=self._max_pixels))

    def write_outputs(self, item: Item, screen: Screen) -> None:
        """Write the outputs of a picture; their folders exist."""
        if self._networks is None:
            self._networks = open_estimator(self._preset, self._options)
        estimate_photo(
            Job(item.source, item.outputs, item.page),
            screen,
            networks=self._networks,
            options=self._options,
            reading=self._reading,
        )


def _shorten(text: str, item: Item) -> str:
    """Text without the path of the picture before it: its line begins with the name."""
    return text.removeprefix(f"{item.source}: ")
