"""Folder of a run: its files and its manifest, also when the run is continued."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from defocus_edge.files.atomic import atomic_write
from defocus_edge.files.folders import InUseError, hold, is_leftover, remove_leftovers
from defocus_edge.files.images import write_picture
from defocus_edge.files.maps import write_map
from synth.rendering import Sample
from synth.signed_rendering import CodedPicture, Pair

MANIFEST = "manifest.jsonl"
RUN = "run.json"
# Numbers of samples in a manifest are smaller; others are damage.
_MOST_SAMPLES = 10**9
#: Folder and suffix of each kind of file; each kind is an attribute of the sample.
FILES = {
    "picture": ("pictures", ".png"),
    "radius": ("radius", ".tif"),
    "depth_edges": ("depth_edges", ".png"),
    "mask": ("masks", ".png"),
}
_SIGNED_RADIUS = {"radius": ("signed_radius", ".tif")}
#: The same for the families whose samples have other files.
SIGNED_FILES = {
    "dual": {"left": ("left", ".png"), "right": ("right", ".png"), "sharp": ("sharp", ".png")} | _SIGNED_RADIUS,
    "coded": {"picture": ("pictures", ".png")} | _SIGNED_RADIUS,
}
#: Description in the files of signed radii.
SIGNED_QUANTITY = {"quantity": "signed blur radius, positive in front of the focus"}


class FolderError(ValueError):
    """A folder that cannot take the samples of a run."""


def name_files(number: int, family: str = "") -> dict[str, str]:
    """Names of the files of one sample of a family, relative to the run's folder, by kind."""
    kinds = SIGNED_FILES.get(family, FILES)
    return {kind: f"{folder}/{number:06}{suffix}" for kind, (folder, suffix) in kinds.items()}


def write_sample(out: Path, number: int, sample: Sample | Pair | CodedPicture, family: str = "") -> None:
    """Write the files of a sample of a family: maps of px as float32 TIFF, pictures and masks (255 = True) as PNG."""
    description = SIGNED_QUANTITY if family in SIGNED_FILES else None
    for kind, name in name_files(number, family).items():
        if kind == "radius":
            write_map(out / name, sample.radius, description=description)
        else:
            write_picture(out / name, getattr(sample, kind))


@dataclass
class RunFolder:
    """An open folder of a run, made by `open_folder`. `lines` holds the manifest line of each sample that is done."""

    out: Path
    lines: dict[int, str] = field(default_factory=dict)
    _lock: ExitStack = field(default_factory=ExitStack)
    _file: TextIO | None = None

    def add(self, number: int, record: Mapping[str, Any]) -> None:
        """Append the line of a sample to the manifest; its files are written already."""
        line = json.dumps(record, separators=(", ", ": "), allow_nan=False)
        self.lines[number] = line
        if self._file is None:
            self._file = (self.out / MANIFEST).open("a", encoding="utf-8", newline="\n")
        self._file.write(line + "\n")
        self._file.flush()

    def close(self) -> None:
        """Write the manifest in the order of the numbers and let other processes in."""
        if self._file is not None:
            self._file.close()
            self._file = None
        _write_manifest(self.out, self.lines)
        self._lock.close()


def open_folder(out: str | Path, run: Mapping[str, Any]) -> RunFolder:
    """Make the folder of a run, or continue the run that it holds: samples with a line in the manifest and all files.

    `run` holds the JSON values that all samples depend on. FolderError if the folder holds other files or another run,
    or another process writes to it.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise FolderError(f"out must be a folder. Got: the file '{out}'. Choose another name.")
    out.mkdir(parents=True, exist_ok=True)
    _check_run(out, json.loads(json.dumps(run)))
    lock = ExitStack()
    try:
        lock.enter_context(hold(out / RUN))
    except InUseError as error:
        raise FolderError(
            f"out must not be in use. Got: '{out}', which another process writes to. Wait for it, or choose another."
        ) from error
    family = str(run.get("family", ""))
    for folder, _ in SIGNED_FILES.get(family, FILES).values():
        (out / folder).mkdir(exist_ok=True)
    remove_leftovers(out)
    lines = _read_manifest(out)
    kept = {
        number: line
        for number, line in lines.items()
        if all((out / name).is_file() and (out / name).stat().st_size for name in name_files(number, family).values())
    }
    _write_manifest(out, kept)
    return RunFolder(out, kept, lock)


def _check_run(out: Path, run: dict[str, Any]) -> None:
    """Write the description of the run, or raise if the folder holds another run."""
    path = out / RUN
    if not path.exists():
        strangers = [entry.name for entry in out.iterdir() if not is_leftover(entry)]
        if strangers:
            raise FolderError(
                f"out must be empty or hold an earlier run. Got: '{out}' with {min(strangers)}. Choose another one."
            )
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        return
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        different = sorted(key for key in {*earlier, *run} if earlier.get(key) != run.get(key))
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise FolderError(f"'{path}' must describe a run. Got: {error}. Choose another folder.") from error
    if different:
        got = ", ".join(f"{_name_key(key)} {earlier.get(key)!r} there and {run.get(key)!r} now" for key in different)
        raise FolderError(f"out must hold samples of the same run to go on with. Got: {got}. Choose another folder.")


def _name_key(key: str) -> str:
    """Key of a description for messages; one that is no name comes from damage."""
    return key if key.isidentifier() else repr(key)


def _read_manifest(out: Path) -> dict[int, str]:
    """Lines by sample; a line that was cut off when the machine stopped is dropped, and so is what is no such line."""
    path = out / MANIFEST
    lines: dict[int, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []:
        try:
            number = json.loads(line)["sample"]
        except (ValueError, LookupError, TypeError, RecursionError):
            continue
        if type(number) is int and 0 <= number < _MOST_SAMPLES:
            lines[number] = line
    return lines


def _write_manifest(out: Path, lines: dict[int, str]) -> None:
    """Write all lines in the order of the numbers, unless the file holds just that."""
    text = "".join(f"{lines[number]}\n" for number in sorted(lines))
    path = out / MANIFEST
    if not path.exists() or path.read_bytes() != text.encode():
        with atomic_write(path) as temporary:
            temporary.write_bytes(text.encode())
