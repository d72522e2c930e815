"""Measures the sharpness of pictures and lists or copies those that are in focus everywhere."""

from __future__ import annotations

import json
import math
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import islice
from pathlib import Path

from defocus_edge.files.atomic import atomic_write
from defocus_edge.files.images import read_image
from synth.readers import Source
from synth.sharpness import DEFAULT_LIMIT, Sharpness, measure_sharpness
from synth.workers import start_workers

# Pictures in progress for each process.
_IN_HAND = 4
_LIST_SUFFIXES = (".txt", ".jsonl")


class PickError(ValueError):
    """A place that cannot take the picked pictures."""


def pick_pictures(
    sources: list[Source],
    folders: list[Path],
    out: Path,
    *,
    limit: float = DEFAULT_LIMIT,
    workers: int = 1,
    on_picture: Callable[[int], None] | None = None,
    on_complaint: Callable[[str], None] | None = None,
) -> tuple[int, int]:
    """Pick the pictures that are sharp everywhere; return how many they are, and how many could not be read.

    Parameters
    ----------
    sources : list of Source
    folders : list of Path
        Folders of these sources. If there are several, copies go to folders that are named by their numbers.
    out : Path
        ``.txt``: the paths of the sharp pictures, relative to their folder, one per line. ``.jsonl``: all pictures with
        folder number, path, radius in px (null without edges) and kept. Otherwise a folder for copies.
    limit : float
        Largest blur radius in px of the edges of a sharp picture.
    workers : int
        Number of processes.
    on_picture : callable, optional
        Called with 1 for each picture that is done.
    on_complaint : callable, optional
        Called with a line about each picture that cannot be read.

    Raises
    ------
    PickError
        If `out` lies in a source folder, where it would be read the next time, or is a file with another suffix.
    OSError
        If `out` cannot be written to.
    """
    as_list = out.suffix.lower() in _LIST_SUFFIXES
    _check_place(out, folders, as_list=as_list)
    records, failed = [], 0
    for source, found in _measure_all(sources, workers):
        number = folders.index(source.folder)
        if isinstance(found, str):
            failed += 1
            if on_complaint is not None:
                on_complaint(found)
        else:
            kept = found.is_sharp(limit)
            radius = None if math.isnan(found.radius) else round(found.radius, 3)
            records.append({"folder": number, "path": source.picture, "radius": radius, "kept": kept})
            if kept and not as_list:
                place = out / str(number) if len(folders) > 1 else out
                _copy(source.folder / source.picture, place / source.picture)
        if on_picture is not None:
            on_picture(1)
    if as_list:
        _write_list(out, records)
    return sum(bool(record["kept"]) for record in records), failed


def _measure_all(sources: list[Source], workers: int) -> Iterator[tuple[Source, Sharpness | str]]:
    """Each picture with its sharpness or with what is wrong with it, in order."""
    with start_workers(workers) as executor:
        waiting, in_hand = iter(sources), deque[tuple[Source, Future[Sharpness | str]]]()
        most = _IN_HAND * workers if workers > 1 else 1
        while True:
            for source in islice(waiting, most - len(in_hand)):
                in_hand.append((source, executor.submit(_measure, source.folder / source.picture)))
            if not in_hand:
                return
            source, future = in_hand.popleft()
            yield source, future.result()


def _measure(path: Path) -> Sharpness | str:
    """Sharpness of a picture, or what is wrong with it."""
    try:
        return measure_sharpness(read_image(path))
    except (OSError, ValueError) as error:
        return str(error)


def _check_place(out: Path, folders: list[Path], *, as_list: bool) -> None:
    """Make the folder; raise if it would lie among the sources or a file has its name."""
    if as_list:
        return
    if out.exists() and not out.is_dir():
        raise PickError(f"out must end in {' or '.join(_LIST_SUFFIXES)} or be a folder. Got: the file '{out}'.")
    for folder in folders:
        if out.resolve().is_relative_to(folder.resolve()):
            raise PickError(f"out must not lie in a source folder. Got: '{out}' in '{folder}'. Choose another place.")
    out.mkdir(parents=True, exist_ok=True)


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as temporary:
        shutil.copyfile(path, temporary)


def _write_list(out: Path, records: list[dict[str, object]]) -> None:
    if out.suffix.lower() == ".jsonl":
        lines = [json.dumps(record) for record in records]
    else:
        lines = [str(record["path"]) for record in records if record["kept"]]
    with atomic_write(out) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
