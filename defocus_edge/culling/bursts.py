"""Frames that were taken together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from defocus_edge.choices import BurstRule
from defocus_edge.files.kinds import looks_raw
from defocus_edge.files.sidecars.captures import Capture


@dataclass(frozen=True)
class Frame:
    """A photograph by its path below the folder, with slashes, and what its file tells of its capture."""

    picture: str
    capture: Capture | None = None


def find_bursts(frames: Iterable[Frame], *, by: BurstRule, gap: float) -> list[list[Frame]]:
    """Put the frames together that are to be compared.

    Parameters
    ----------
    frames : iterable of Frame
        Photographs of one folder and those below it.
    by : {'time', 'folder', 'all'}
        By time, a burst has frames of one folder and one camera, each at most `gap` seconds after the one before it. A
        frame without a time is a burst of its own. Raw files and others are apart, so that a camera that writes both
        has two bursts.
    gap : float
        Seconds, 0 or more.

    Returns
    -------
    list of list of Frame
        Each burst in the order of its frames' times, then names; the bursts in the order of their first names.
    """
    bursts: list[list[Frame]] = []
    for group in _group(frames, by):
        for frame in sorted(group, key=_order):
            last = bursts[-1][-1] if bursts and bursts[-1][-1] in group else None
            if last is not None and (by != "time" or _is_next(last, frame, gap)):
                bursts[-1].append(frame)
            else:
                bursts.append([frame])
    return sorted(bursts, key=lambda burst: min(frame.picture for frame in burst))


def _group(frames: Iterable[Frame], by: BurstRule) -> list[set[Frame]]:
    """Frames that may be in one burst."""
    groups = defaultdict[Hashable, set[Frame]](set)
    for frame in frames:
        path = PurePosixPath(frame.picture)
        camera = frame.capture.camera if frame.capture else None
        keys = {"time": (path.parent, camera, looks_raw(b"", path.suffix)), "folder": path.parent, "all": None}
        groups[keys[by]].add(frame)
    return list(groups.values())


def _order(frame: Frame) -> tuple[datetime, str]:
    """By time, then name."""
    return frame.capture.moment if frame.capture else datetime.min, frame.picture


def _is_next(last: Frame, frame: Frame, gap: float) -> bool:
    """Whether a frame follows the last one in the same burst."""
    if last.capture is None or frame.capture is None:
        return False
    return (frame.capture.moment - last.capture.moment).total_seconds() <= gap
