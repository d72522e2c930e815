"""One process of `make fuzz`: reads inputs until it is ended. A file says what it is at, for the case of a crash."""

from __future__ import annotations

import faulthandler
import json
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

from defocus_edge.arrays import ImageWarning
from tests.fuzz.targets import TARGETS

#: Bounds of one input: seconds of the processor, after which the system ends the process, and bytes of memory.
MOST_SECONDS, MOST_MEMORY = 2.0, 1 << 30
#: Room above the bound until the system refuses memory.
_ROOM = 3 << 30
_KIB = 1024
#: Files of a worker: what it is at, and counts of inputs.
STATE, INPUT = "state.json", "input"


def read_memory(field: str) -> int:
    """Bytes of memory of this process by the kernel's name."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) * _KIB


def describe(error: BaseException) -> str:
    """Kind and place of an error, the same for all inputs that lead to one fault."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"


def save(folder: Path, target: str, number: int, data: bytes, text: str) -> None:
    """Keep an input with what it did."""
    name = f"{target}-{number}"
    (folder / f"{name}.input").write_bytes(data)
    (folder / f"{name}.txt").write_text(f"target {target}, seed {number}\n{text}", encoding="utf-8")


def work(home: Path, failures: Path, names: list[str], first: int, step: int) -> None:
    """Read inputs in turn, one of each target, with the numbers `first`, `first` + `step` and so on."""
    warnings.simplefilter("ignore", ImageWarning)
    faulthandler.enable()
    for name in names:  # loads what is loaded once
        with tempfile.TemporaryDirectory(dir=home) as folder:
            TARGETS[name].check(TARGETS[name].make_input(0), Path(folder))
    used = read_memory("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY + _ROOM, resource.RLIM_INFINITY))
    counts, seen = dict.fromkeys(names, 0), set[str]()
    number = first
    while True:
        for name in names:
            data = TARGETS[name].make_input(number)
            (home / INPUT).write_bytes(data)
            counts[name] += 1
            state = json.dumps({"target": name, "number": number, "counts": counts})
            (home / f".{STATE}").write_text(state, encoding="ascii")
            (home / f".{STATE}").replace(home / STATE)
            if fault := try_input(name, data, home):
                place, text = fault
                if place not in seen:
                    seen.add(place)
                    save(failures, name, number, data, text)
        number += step


def try_input(name: str, data: bytes, home: Path) -> tuple[str, str] | None:
    """Read one input; what is wrong, in short and in full."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak of memory starts anew
    before = read_memory("VmRSS")
    folder = home / "files"
    folder.mkdir()
    fault = None
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)  # its signal ends the process
    try:
        TARGETS[name].check(data, folder)
    except Exception as error:  # noqa: BLE001 - any is a finding
        fault = f"{name}: {describe(error)}", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        shutil.rmtree(folder)
    peak = read_memory("VmHWM") - before
    if fault is None and peak > MOST_MEMORY:
        fault = f"{name}: memory", f"{peak} bytes of memory\n"
    return fault


if __name__ == "__main__":
    place, out, first_number, stride, *chosen = sys.argv[1:]
    work(Path(place), Path(out), chosen, int(first_number), int(stride))
