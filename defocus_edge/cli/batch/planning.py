"""Which pictures of a folder are to be done, and the names of what is written for them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from defocus_edge._extras import RAW
from defocus_edge.cli.batch.records import Item
from defocus_edge.files.kinds import READABLE_SUFFIXES, looks_raw


def find_pictures(folder: Path, *, patterns: Sequence[str] = (), excluded: Path | None = None) -> list[str]:
    """Find the pictures of a folder and all folders below it.

    Parameters
    ----------
    folder : Path
    patterns : sequence of str, optional
        Pictures are the files that match one of these, instead of those with a known suffix. A pattern without a slash
        is compared with the name, one with a slash with the path below `folder`; ``*`` matches slashes, too. Case does
        not count.
    excluded : Path, optional
        This folder is not looked into.

    Returns
    -------
    list of str
        Paths below `folder`, with slashes, sorted. Files and folders whose names begin with a dot are left out, and
        links to folders are not followed, so that no loop can form.
    """
    left_out = None if excluded is None else os.path.realpath(excluded)
    lowered = [pattern.lower() for pattern in patterns]
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (left_out is None or os.path.realpath(Path(place, name)) != left_out)
        ]
        base = Path(place).relative_to(folder)
        paths = [(base / name).as_posix() for name in names if not name.startswith(".")]
        found += [path for path in paths if _is_wanted(path, lowered)]
    return sorted(found)


def _is_wanted(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path is that of a picture; patterns are in lower case."""
    if not patterns:
        suffix = PurePosixPath(path).suffix.lower()
        return suffix in READABLE_SUFFIXES or (RAW.is_installed and looks_raw(b"", suffix))
    lowered = path.lower()
    name = lowered.rpartition("/")[2]
    return any(fnmatchcase(lowered if "/" in pattern else name, pattern) for pattern in patterns)


def plan_items(folder: Path, pictures: Sequence[str], out: Path, endings: Mapping[str, str]) -> list[Item]:
    """Name the files to write, in the same tree of folders as the pictures.

    Parameters
    ----------
    folder : Path
        Of the pictures.
    pictures : sequence of str
        Paths below it, as `find_pictures` returns.
    out : Path
        Folder for the outputs.
    endings : mapping of str to str
        What each kind of output adds to the name of its picture.

    Returns
    -------
    list of Item
        In the order of `pictures`, with absolute paths.

    Raises
    ------
    ValueError
        If an output would replace a picture.
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
        outputs = {kind: out / path.parent / f"{stems[path]}{ending}" for kind, ending in endings.items()}
        for output in outputs.values():
            if os.path.realpath(output) in inputs:
                msg = f"{output}, to be written for {picture}, is one of the pictures. Choose another folder."
                raise ValueError(msg)
        items.append(Item(picture, folder / picture, outputs))
    return items


def name_stems(names: Sequence[str]) -> dict[str, str]:
    """Distinct beginnings for the outputs of the pictures of one folder.

    Parameters
    ----------
    names : sequence of str
        Distinct names of files.

    Returns
    -------
    dict of str to str
        For each name the name without its suffix or, where several are equal then, the whole name: ``IMG_1`` for
        IMG_1.JPG alone, ``IMG_1.JPG`` and ``IMG_1.CR2`` for the pair. They differ by more than case, so that every file
        system tells them apart: where whole names do not, all but the first get a number, such as ``a.jpg~2``.
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
