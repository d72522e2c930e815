"""What the tests of batches share: pictures that are scripts, and work that follows them without any network."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer

from defocus_edge.cli.batch.records import Item
from defocus_edge.cli.batch.work import PictureWork
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.maps import write_map

SIDE = 24
DIE, DIE_ONCE, RAISE, BAD, FULL, FATAL = "die", "die once", "raise", "bad", "full", "fatal"
#: Pictures that may not be read, and one after which nothing can be written.
DENIED, READ_ONLY = "denied", "read-only"
#: Name of a picture whose end the run must not see.
SLOW = "slow"


@dataclass
class ScriptedWork(PictureWork):
    """Writes a map that follows from the picture's bytes, unless these say something else; notes each attempt."""

    notes: Path
    seconds: float = 0.0
    skips_existing: bool = False

    def __post_init__(self):
        super().__init__(None, {}, skips_existing=self.skips_existing)

    def write_outputs(self, item, screen):  # noqa: ARG002 - of the method that it replaces
        script = item.source.read_text(encoding="utf-8")
        with (self.notes / "attempts").open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{item.picture} {os.getpid()}\n")
        self.follow(script, item)
        time.sleep(self.seconds)
        write_map(item.outputs["map"], make_map(item.source))

    def follow(self, script, item):
        if script == SLOW:
            time.sleep(60)
        if script == DIE or (script == DIE_ONCE and self.is_first(item)):
            os.kill(os.getpid(), signal.SIGKILL)
        if script == RAISE:
            raise ArithmeticError("a bug\nof two lines")
        if script == BAD:
            raise ImageReadError(f"Cannot read picture '{item.source}': bad.")
        if script == FATAL:
            raise typer.Exit(1)
        if script == FULL:
            raise OSError(28, "No space left on device")
        if script == DENIED:
            raise PermissionError(13, "Permission denied", str(item.source))
        if script == READ_ONLY:
            Path.touch = refuse_to_write

    def is_first(self, item):
        marker = self.notes / item.picture.replace("/", "_")
        if marker.exists():
            return False
        marker.touch()
        return True

    def read_attempts(self):
        """Pictures and process numbers, in the order of the attempts."""
        path = self.notes / "attempts"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [tuple(line.rsplit(" ", 1)) for line in lines]


def refuse_to_write(*_, **__):
    raise OSError(30, "Read-only file system")


def make_map(source):
    seed = list(source.read_bytes() + os.fsencode(source.name))
    return np.random.default_rng(seed).uniform(0.5, 6, (SIDE, SIDE)).astype(np.float32)


def write_scripts(folder, scripts):
    """Pictures by their path below a folder."""
    for picture, script in scripts.items():
        path = folder / picture
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
    return folder


def make_items(folder, out, scripts):
    write_scripts(folder, scripts)
    return [Item(picture, folder / picture, {"map": out / f"{picture}.tif"}) for picture in scripts]


def read_tree(folder):
    """Bytes of all files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run_main(notes, seconds, arguments):
    """The command line with scripted work; exit code."""
    from defocus_edge.cli import app as cli
    from defocus_edge.cli.batch import work

    def make_work(*_, skips_existing, **__):
        return ScriptedWork(Path(notes), float(seconds), skips_existing)

    original, work.PictureWork = work.PictureWork, make_work
    try:
        return cli.main(["batch", *map(str, arguments)])
    finally:
        work.PictureWork = original
