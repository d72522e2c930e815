"""One run of `rank`: measures burst by burst, rates, and tells of each burst in one line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from defocus_edge.choices import DEFAULT_GAP, BurstRule, SidecarKind
from defocus_edge.cli.console import (
    Record,
    Screen,
    describe_error,
    list_file_errors,
    tell_image_warnings,
)
from defocus_edge.cli.lazy_networks import LazyNetworks
from defocus_edge.culling.bursts import Frame, find_bursts
from defocus_edge.culling.places import View, measure_views, reduce_map
from defocus_edge.culling.ranking import SOFT_ABOVE, RankedFrame, rank_frames
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import read_image
from defocus_edge.files.sidecars.box_tables import Box
from defocus_edge.files.sidecars.captures import read_capture
from defocus_edge.files.sidecars.xmp import name_sidecars, write_rating
from defocus_edge.summary_table import DECIMALS

if TYPE_CHECKING:
    from defocus_edge.culling.faces import FaceFinder
    from defocus_edge.pipeline import BlurEstimator


class Ranking:
    """Measures and rates the photos of a folder.

    `networks` measure the blur, `boxes` of pictures and `faces` say where it matters, `reading` are options of
    `read_image`. `records` grow burst by burst: the entries of the JSON document, in the order of the table.
    """

    def __init__(
        self,
        folder: Path,
        networks: LazyNetworks[BlurEstimator],
        *,
        boxes: Mapping[str, Sequence[Box]],
        faces: FaceFinder | None,
        reading: Mapping[str, Any],
        debug: bool = False,
    ) -> None:
        self._folder, self._networks, self._boxes, self._faces = folder, networks, boxes, faces
        self._reading, self._debug = reading, debug
        self._unrated = 0
        self.records: list[Record] = []
        self.has_failed = False

    def run(
        self,
        pictures: Sequence[str],
        *,
        by: BurstRule = "time",
        gap: float = DEFAULT_GAP,
        soft_above: float | None = None,
        xmp: SidecarKind | None = None,
    ) -> None:
        """Rank all pictures; one that fails does not end the run."""
        with Screen(len(pictures)) as screen:
            bursts = find_bursts(self._read_captures(pictures, by, screen), by=by, gap=gap)
            for number, burst in enumerate(bursts, 1):
                records: dict[str, Record] = {}
                # Frames of all kinds of views have no region in common, and need not be kept together.
                groups = [[frame] for frame in burst] if by == "all" else [burst]
                found = [
                    measurement
                    for group in groups
                    for measurement in measure_views(list(self._view_frames(group, records, screen)))
                ]
                ranked = rank_frames(found, soft_above=soft_above or SOFT_ABOVE)
                for frame in ranked:
                    record = records.pop(frame.measurement.frame.picture)
                    self.records.append({"burst": number} | record | _describe(frame))
                    if xmp:
                        self._rate(frame, xmp, self.records[-1], screen)
                self.records += [{"burst": number} | record for record in records.values()]  # of photos that failed
                _tell(number, ranked, screen)
            if self._unrated:
                told = "Lightroom reads sidecars of raw files only. Without a rating are"
                screen.warn(f"{told} {self._unrated} other photos. Take --xmp darktable or both.")

    def _read_captures(self, pictures: Sequence[str], by: BurstRule, screen: Screen) -> list[Frame]:
        """Frames with what their files tell of their capture, if bursts go by time."""
        if by != "time":
            return [Frame(picture) for picture in pictures]
        screen.begin("Reading EXIF")
        frames, untold = [], 0
        for picture in pictures:
            capture = None
            try:
                capture = read_capture(self._folder / picture)
                untold += capture is None
            except (ImageReadError, OSError) as error:
                text = describe_error(error, self._folder / picture)
                screen.warn(f"{text} The photo is a burst of its own.")
            frames.append(Frame(picture, capture))
        if untold:
            advice = "Group them with --by folder instead"
            screen.warn(f"{untold} photos without a time in EXIF are bursts of their own. {advice}.")
        return frames

    def _view_frames(self, frames: Sequence[Frame], records: dict[str, Record], screen: Screen) -> Iterator[View]:
        """What is kept of each frame; the record of a frame that fails says why."""
        for frame in frames:
            path = self._folder / frame.picture
            record: Record = {"picture": frame.picture, "error": None, "warnings": [], "sidecars": []}
            records[frame.picture] = record

            def tell(text: str, record: Record = record, picture: str = frame.picture) -> None:
                record["warnings"].append(text)
                screen.warn(text if picture in text else f"{picture}: {text}")

            view = None
            try:
                with tell_image_warnings(tell):
                    view = self._view(frame, path, record, screen)
            except typer.Exit:  # the program ends, and why was said
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the other photos are done
                if self._debug and not isinstance(error, list_file_errors()):
                    screen.say(traceback.format_exc())
                record["error"] = describe_error(error, path)
                self._fail(record["error"], screen)
            screen.finish_file()
            if view is not None:
                yield view

    def _view(self, frame: Frame, path: Path, record: Record, screen: Screen) -> View:
        """Measure the blur of a frame."""
        image = read_image(path, **self._reading)
        boxes = self._boxes.get(frame.picture, ())
        height, width = image.shape[:2]
        for row, column, down, across in boxes:
            if row + down > height or column + across > width:
                got = f"row {row}, column {column}, height {down}, width {across}"
                rule = f"boxes must lie in their picture of height {height} and width {width}"
                raise ImageReadError(f"{rule}. Got: {got}. Boxes are in px of the upright picture.")
        faces = self._faces.find(image) if self._faces else []
        blur, told = self._networks.run(
            lambda estimator: estimator.estimate(image, progress=screen.count_points), screen, unit="Edge points"
        )
        record |= told | {"faces": len(faces)} if self._faces else told
        taken = frame.capture.moment.isoformat(timespec="milliseconds") if frame.capture else None
        record |= {"taken": taken, "camera": frame.capture.camera if frame.capture else None}
        grid = reduce_map(blur.radius)
        return View(frame, grid, (height, width), boxes or faces, "faces" if self._faces else "boxes")

    def _rate(self, frame: RankedFrame, xmp: SidecarKind, record: Record, screen: Screen) -> None:
        """Write the rating of a frame beside it."""
        photo = self._folder / frame.measurement.frame.picture
        sidecars = name_sidecars(photo, xmp)
        self._unrated += not sidecars
        for sidecar in sidecars:
            try:
                if write_rating(sidecar, photo, frame.rating):
                    record["sidecars"].append(str(sidecar))
                else:
                    screen.warn(f"{sidecar} is of another program and stays as it is. Rate {photo.name} there.")
            except OSError as error:
                record["warnings"].append(f"{sidecar}: {error.strerror or error}")
                self._fail(record["warnings"][-1], screen)

    def _fail(self, text: str, screen: Screen) -> None:
        """Tell what failed."""
        self.has_failed = True
        screen.say(f"Error: {text}", style="red")


def _describe(frame: RankedFrame) -> Record:
    """Figures of a frame for its record."""
    found = frame.measurement
    row, column, height, width = found.box
    return {
        "rank": frame.rank,
        "radius_px": round(found.radius, DECIMALS),
        "verdict": frame.verdict,
        "rating": frame.rating,
        "judged_by": found.kind,
        "row": row,
        "column": column,
        "height": height,
        "width": width,
    }


def _tell(number: int, ranked: Sequence[RankedFrame], screen: Screen) -> None:
    """One line on a burst."""
    if not ranked:
        return
    best = ranked[0].measurement
    sharp = sum(frame.verdict == "sharp" for frame in ranked)
    counts = f"{len(ranked)} photos, {sharp} sharp"
    screen.say(f"Burst {number}: {best.frame.picture} is the sharpest, {best.radius:.2f} px; {counts}")
