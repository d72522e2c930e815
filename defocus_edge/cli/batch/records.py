"""What goes to a worker and what comes back: small things that can be pickled, never a picture or a map."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from defocus_edge.thresholds import MapSummary


@dataclass(frozen=True)
class Item:
    """One picture and the files to write for it.

    Attributes
    ----------
    picture : str
        Path below the folder of the pictures, with slashes: its name in all tables.
    source : Path
        The picture.
    outputs : dict of str to Path
        By kind; ``map`` is always among them.
    """

    picture: str
    source: Path
    outputs: dict[str, Path]


@dataclass(frozen=True)
class Record:
    """What became of one picture.

    Attributes
    ----------
    picture : str
        As in `Item`.
    summary : MapSummary, optional
        Of its map, unless the picture failed.
    error : str, optional
        One line on why it failed.
    seconds : float
        What it took.
    is_new : bool
        False if its outputs were there before.
    warning : str, optional
        What is wrong with the computer, not with the picture.
    is_fatal : bool
        Whether all other pictures would fail in the same way.
    """

    picture: str
    summary: MapSummary | None = None
    error: str | None = None
    seconds: float = 0.0
    is_new: bool = True
    warning: str | None = None
    is_fatal: bool = False


#: The work on one picture. It can be pickled, and raises only what no other picture will answer for: a worker that it
#: raises in is taken for dead.
Work = Callable[[Item], Record]

#: A picture with which this many workers died is given up: once may be bad luck, such as memory that ran out.
MAX_DEATHS = 2


class EngineError(RuntimeError):
    """Workers cannot be had at all."""


def give_up(item: Item, reason: str) -> Record:
    """Record of a picture with which too many workers died."""
    return Record(item.picture, error=f"worker died {MAX_DEATHS} times with this picture: {reason}")


class Mortality:
    """Ends the process if the block raises anything, without a traceback: what a bug leaves behind is not trusted.

    Parameters
    ----------
    tell : callable
        Given what was raised, in one line, before the end.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._tell(" ".join(f"{type(error).__name__}: {error}".split()))
            os._exit(1)
