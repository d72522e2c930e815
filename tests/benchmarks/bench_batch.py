"""Throughput and memory of `defocus-edge batch` on many small pictures, with both engines; run as a script."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data

from defocus_edge.cli.batch.local_engine import LocalEngine
from defocus_edge.cli.batch.planning import plan_items
from defocus_edge.cli.batch.ray_engine import RayEngine
from defocus_edge.cli.batch.records import Item, Record
from defocus_edge.cli.batch.threads import share_cores
from defocus_edge.cli.batch.work import PictureWork
from tests.benchmarks.measuring import print_table, read_memory

COUNT, SIDE = 200, 96
#: Engines and their jobs.
SETTINGS = (("local", 1), ("local", 2), ("ray", 1), ("ray", 2))


class MeasuredWork(PictureWork):
    """The work of a batch that also notes the memory of its process after each picture."""

    def __init__(self, notes: Path) -> None:
        super().__init__(None, {})
        self._notes = notes

    def __call__(self, item: Item) -> Record:
        """Do one picture."""
        record = super().__call__(item)
        with self._notes.open("a", encoding="utf-8") as file:
            file.write(f"{time.monotonic()} {read_memory()}\n")
        return record


@contextmanager
def make_pictures() -> Iterator[Path]:
    """Folder of parts of a photograph."""
    photo, rng = skimage.data.astronaut(), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        for number in range(COUNT):
            top, left = rng.integers(0, 512 - SIDE, 2)
            cv2.imwrite(f"{name}/{number:03}.png", photo[top : top + SIDE, left : left + SIDE, ::-1])
        yield Path(name)


def measure(folder: Path, engine: str, jobs: int) -> dict[str, Any]:
    """One row: pictures per second once all workers have their networks, and what the largest worker holds."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        items = plan_items(folder, sorted(path.name for path in folder.iterdir()), out, {"map": "_blur.tif"})
        work, environment = MeasuredWork(out / "notes"), share_cores(jobs)
        make = LocalEngine if engine == "local" else RayEngine
        started = time.monotonic()
        records = list(make(work, jobs=jobs, environment=environment).run(items))
        total = time.monotonic() - started
        notes = np.loadtxt(out / "notes")
    quarter = len(notes) // 4
    times, memory = notes[:, 0] - notes[quarter, 0], notes[:, 1] / 1e6
    return {
        "engine": engine,
        "jobs": jobs,
        "pictures": sum(record.error is None for record in records),
        "seconds in all": round(total, 1),
        "pictures per s after a quarter": round((len(notes) - 1 - quarter) / times[-1], 2),
        "MB of a worker after a quarter": round(memory[quarter - 5 : quarter + 5].max()),
        "MB at the end": round(memory[-10:].max()),
    }


def run() -> list[dict[str, Any]]:
    """One row for each engine and number of jobs. Linux only, by ``/proc``."""
    with make_pictures() as folder:
        return [measure(folder, engine, jobs) for engine, jobs in SETTINGS]


if __name__ == "__main__":
    from tests.benchmarks import bench_batch  # workers know the work by this name, not as a part of __main__

    print_table(f"defocus-edge batch, {COUNT} pictures of {SIDE}×{SIDE}, default preset", bench_batch.run())
