"""A long run: memory and open files of one process that estimates thousands of small pictures; run as a script."""

import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from defocus_edge.cli.batch.planning import plan_items
from defocus_edge.cli.batch.work import PictureWork
from tests.benchmarks.measuring import print_table, read_memory

COUNT, SIDE, BLOCK = 2000, 64, 6
#: Pictures after which all is loaded and the memory counts as that of the start.
WARM = 100
#: Files that the pictures take turns in, so that the disk holds few.
FILES = 50
PRESET = "edge-fast"


def run() -> list[dict[str, Any]]:
    """One row for the start and one for the end, files in and files out. Linux only, by ``/proc``."""
    rng, rows = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "in", Path(name) / "out"
        folder.mkdir()
        for number in range(FILES):
            coarse = rng.integers(0, 256, (-(-SIDE // BLOCK), -(-SIDE // BLOCK), 3), dtype=np.uint8)
            picture = coarse.repeat(BLOCK, 0).repeat(BLOCK, 1)[:SIDE, :SIDE]
            cv2.imwrite(str(folder / f"{number:02}.png"), picture)
        items = plan_items(folder, sorted(path.name for path in folder.iterdir()), out, {"map": "_blur.tif"})
        work, started = PictureWork(PRESET, {}), time.monotonic()
        for done in range(1, COUNT + 1):
            record = work(items[done % FILES])
            if record.error:
                raise RuntimeError(record.error)
            if done in (WARM, COUNT):
                rows.append(
                    {
                        "pictures": done,
                        "MB of memory": round(read_memory() / 1e6, 1),
                        "open files": len(list(Path("/proc/self/fd").iterdir())),
                        "seconds": round(time.monotonic() - started),
                    }
                )
    return rows


if __name__ == "__main__":
    print_table(f"{COUNT} pictures of {SIDE}×{SIDE} in one process, preset {PRESET}", run())
