"""Messages to and from the workers of a batch. They can be pickled and are small: thumbnails, no pictures, no maps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from defocus_edge.thresholds import MapSummary


@dataclass(frozen=True)
class Item:
    """One picture and the files to write for it."""

    #: Path below the folder of the pictures, with slashes, and the page if it has one: the name in all tables.
    picture: str
    source: Path
    #: Files to write, by kind; ``map`` is always among them.
    outputs: dict[str, Path]
    #: Page of the file, from 0; None for the first of a file whose others are not worked on, or that has no others.
    page: int | None = None


@dataclass(frozen=True)
class Thumbnail:
    """A small picture for the report."""

    #: JPEG file.
    data: bytes
    height: int
    width: int


@dataclass(frozen=True)
class Record:
    """Result of one picture."""

    picture: str
    #: Summary of its map; None if the picture failed.
    summary: MapSummary | None = None
    #: One line on why it failed.
    error: str | None = None
    seconds: float = 0.0
    #: False if its outputs existed before.
    is_new: bool = True
    #: What is wrong with the computer, not with the picture.
    warning: str | None = None
    #: Whether all other pictures would fail in the same way.
    is_fatal: bool = False
    #: What should be known of the picture although it was measured.
    remarks: tuple[str, ...] = ()
    #: The picture and its map for the report, by kind (``picture``, ``map``); empty without a report.
    thumbnails: Mapping[str, Thumbnail] = field(default_factory=dict)


#: The work on one picture. It can be pickled. It reports in the record what is wrong with the picture; an error that it
#: raises is a bug and ends its worker process.
Work = Callable[[Item], Record]

#: A picture is given up after this many workers died with it. One death may be bad luck, such as memory that ran out.
MAX_DEATHS = 2


class EngineError(RuntimeError):
    """Workers cannot be started."""


def give_up(item: Item, reason: str) -> Record:
    """Record of a picture with which too many workers died."""
    return Record(item.picture, error=f"worker died {MAX_DEATHS} times with this picture: {reason}")


@contextmanager
def end_process_on_error(report: Callable[[str], object]) -> Iterator[None]:
    """End the process without a traceback if the block raises anything: a bug may have left it in a bad state.

    `report` is called with the error in one line before the end.
    """
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - whatever it is, the process ends
        report(" ".join(f"{type(error).__name__}: {error}".split()))
        os._exit(1)
