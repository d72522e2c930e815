"""The pictures of a folder, and the names of the files to write for them."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from defocus_edge._extras import RAW
from defocus_edge.choices import DEFAULT_PAGES, Pages
from defocus_edge.cli.batch.records import Item
from defocus_edge.cli.pages import list_pages
from defocus_edge.files.kinds import READABLE_SUFFIXES, looks_raw


def find_pictures(
    folder: Path,
    *,
    patterns: Sequence[str] = (),
    excluded: Path | None = None,
    tell: Callable[[OSError], None] | None = None,
) -> list[str]:
    """Find the pictures of a folder and all folders below it; return their paths below it, with slashes, sorted.

    Pictures are the files with a known suffix or, if there are patterns, those that match one. A pattern without a
    slash is compared with the name of the file, a pattern with a slash with its path below `folder`; ``*`` matches
    slashes, too. Case does not count. Names that begin with a dot and the folder `excluded` are left out. Links to
    folders are not followed, so that no loop can form. `tell` gets the error of each folder that cannot be read.
    """
    lowered = [pattern.lower() for pattern in patterns]
    return sorted(path for path in _walk(folder, excluded, tell) if _is_wanted(path, lowered))


def count_others(folder: Path, pictures: Collection[str], *, excluded: Path | None = None) -> Counter[str]:
    """Count the files that `find_pictures` passed over, by lower-case suffix."""
    known = set(pictures)
    return Counter(PurePosixPath(path).suffix.lower() for path in _walk(folder, excluded) if path not in known)


def _walk(folder: Path, excluded: Path | None, tell: Callable[[OSError], None] | None = None) -> Iterator[str]:
    """Paths of visible files below a folder, with slashes; for pipes and devices the error comes when they are read."""
    left_out = None if excluded is None else os.path.realpath(excluded)
    for place, folders, names in os.walk(folder, onerror=tell):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (left_out is None or os.path.realpath(Path(place, name)) != left_out)
        ]
        base = Path(place).relative_to(folder)
        for name in names:
            if not name.startswith("."):
                yield (base / name).as_posix()


def _is_wanted(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path names a picture; patterns are in lower case."""
    if not patterns:
        suffix = PurePosixPath(path).suffix.lower()
        return suffix in READABLE_SUFFIXES or (RAW.is_installed and looks_raw(b"", suffix))
    lowered = path.lower()
    name = lowered.rpartition("/")[2]
    return any(fnmatchcase(lowered if "/" in pattern else name, pattern) for pattern in patterns)


def plan_items(
    folder: Path, pictures: Sequence[str], out: Path, endings: Mapping[str, str], *, pages: Pages = DEFAULT_PAGES
) -> list[Item]:
    """Name the files to write, in the same tree of folders as the pictures, with absolute paths.

    `pictures` are paths below `folder`, as from `find_pictures`; `endings` says what each kind of output adds to the
    name of its picture. `pages` says whether each page of a file has its own outputs. A ValueError says that an output
    would replace a picture, or that of another one.
    """
    by_folder: dict[PurePosixPath, list[str]] = defaultdict(list)
    for picture in pictures:
        by_folder[PurePosixPath(picture).parent].append(PurePosixPath(picture).name)
    stems = {place / name: stem for place, names in by_folder.items() for name, stem in name_stems(names).items()}
    folder, out = folder.absolute(), out.absolute()
    inputs = {os.path.realpath(folder / picture) for picture in pictures}
    items = []
    for picture in pictures:
        path = PurePosixPath(picture)
        for page, mark in list_pages(folder / picture, pages):
            outputs = {kind: out / path.parent / f"{stems[path]}{mark}{ending}" for kind, ending in endings.items()}
            items.append(Item(f"{picture}{mark and f'#page={mark[2:]}'}", folder / picture, outputs, page))
    _check_outputs(items, inputs)
    return items


def _check_outputs(items: Sequence[Item], inputs: Collection[str]) -> None:
    """Raise a ValueError if an output would replace a picture, or that of another picture: a.tif has a_p001, too."""
    taken: dict[str, str] = {}
    for item in items:
        for output in item.outputs.values():
            place = os.path.realpath(output)
            if place in inputs:
                msg = f"{output}, to be written for {item.picture}, is one of the pictures. Choose another folder."
                raise ValueError(msg)
            if place in taken:
                msg = f"{output} would be written for both {taken[place]} and {item.picture}. Rename one of them."
                raise ValueError(msg)
            taken[place] = item.picture


def name_stems(names: Sequence[str]) -> dict[str, str]:
    """Distinct beginnings for the outputs of the pictures of one folder, by the pictures' names.

    The beginning is the name without its suffix; names that are equal without it keep it: ``IMG_1`` for IMG_1.JPG
    alone, ``IMG_1.JPG`` and ``IMG_1.CR2`` for the pair. Some file systems ignore case. If names differ in case only,
    all but the first therefore get a number, such as ``a.jpg~2``.
    """
    levels = dict.fromkeys(sorted(names), 0)
    while True:
        groups: dict[str, list[str]] = defaultdict(list)
        for name, level in levels.items():
            groups[_name_stem(name, level).casefold()].append(name)
        if len(groups) == len(levels):
            return {name: _name_stem(name, level) for name, level in levels.items()}
        for group in groups.values():
            short = [name for name in group if levels[name] == 0]
            for name in short if len(group) > 1 and short else group[1:]:
                levels[name] += 1


def _name_stem(name: str, level: int) -> str:
    """Stem, whole name, or whole name with a number."""
    if level == 0:
        return PurePosixPath(name).stem
    return name if level == 1 else f"{name}~{level}"
