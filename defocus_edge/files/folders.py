"""Folders by name only: lists files, finds what killed runs left behind, and keeps other runs out."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Names that `atomic_write` gives to unfinished files.
_LEFTOVER = re.compile(r"\.defocus-edge-[0-9a-f]{12}(\.\w+)?")


class InUseError(Exception):
    """A folder or file that another process holds."""


def list_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Visible files of a folder whose lower-case suffix is one of those given, sorted; none without the folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def index_by_stem(
    paths: Iterable[Path], *, start: str = "", end: str = "", repeated: type[ValueError] | None = None
) -> dict[str, Path]:
    """Files by name without suffix, in their order, so that files that belong together have one key.

    Only stems with this `start` and `end` count; both are left out of the keys. Where two files have one key, the error
    `repeated` is raised; unless it is given, the later file counts.
    """
    found: dict[str, Path] = {}
    for path in paths:
        stem = path.stem
        if not (stem.startswith(start) and stem.endswith(end)):
            continue
        key = stem[len(start) : len(stem) - len(end)]
        if repeated is not None and key in found:
            raise repeated(f"Names must differ in more than their suffix. Got: '{found[key]}' and '{path}'.")
        found[key] = path
    return found


def is_leftover(path: Path) -> bool:
    """Whether a file is one that `atomic_write` had not finished when its process was killed, by its name."""
    return _LEFTOVER.fullmatch(path.name) is not None


def remove_leftovers(folder: Path) -> int:
    """Remove the unfinished files of killed runs from a folder and all below it, and count them.

    Files that a process is still writing stay, such as those of another run into a folder below. Systems without locks
    cannot tell them.
    """
    places = ((Path(place), names) for place, _, names in os.walk(folder))
    leftovers = [path / name for path, names in places for name in names if is_leftover(Path(name))]
    leftovers = [path for path in leftovers if not _is_held(path)]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


def _is_held(path: Path) -> bool:
    """Whether another process holds a file."""
    try:
        with hold(path):
            return False
    except InUseError:
        return True
    except OSError:  # it is gone, or cannot be opened
        return False


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a folder or file, so that no other process that wants to hold it gets in; InUseError if it is held already.

    A process that is killed lets go. Systems and file systems without locks (Windows) let everybody in.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUseError(f"'{path}' is in use by another process.") from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)
