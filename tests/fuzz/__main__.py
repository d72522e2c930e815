"""`make fuzz`: changed files through every reader, in processes of their own, for some minutes.

A crash, more than 2 s of the processor or 1 GB of memory, a hang, or an error that is not documented is kept in a
folder with its seed, and makes the exit code 1. ``--again FILE`` reads one of these files once more. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import INPUT, STATE, save

#: Seconds without a new input after which a worker hangs: it waits for something, or the machine is very busy.
PATIENCE = 60.0


@dataclass
class Process:
    """A worker that is started anew when it ends."""

    home: Path
    failures: Path
    names: list[str]
    number: int
    step: int
    counts: dict[str, int] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _since: float = 0.0

    def start(self) -> None:
        """Begin with a number that was not tried."""
        self.home.mkdir(exist_ok=True)
        (self.home / STATE).unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.fuzz.worker", str(self.home), str(self.failures)]
        with (self.home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(self.number), str(self.step), *self.names], stdout=log, stderr=log
            )
        self._since = time.monotonic()

    def look(self) -> None:
        """Start it again if it has ended or hangs, and keep what it was at."""
        assert self._process is not None
        code = self._process.poll()
        waits = time.time() - (self.home / STATE).stat().st_mtime if (self.home / STATE).exists() else 0.0
        if code is None and waits < PATIENCE:
            return
        if code is None:
            self._process.kill()
        self.stop()
        state = self._read_state()
        log = (self.home / "log").read_text(encoding="utf-8", errors="replace")
        if state is None:
            raise SystemExit(f"A worker ended before its first input.\n{log}")
        reason = _explain(code)
        save(self.failures, state["target"], state["number"], (self.home / INPUT).read_bytes(), f"{reason}\n{log}")
        self._add(state)
        # What follows the input in the same round is left out.
        self.number = state["number"] + self.step
        shutil.rmtree(self.home / "files", ignore_errors=True)
        self.start()

    def finish(self) -> None:
        """End it and count."""
        self.stop()
        if state := self._read_state():
            self._add(state)

    def stop(self) -> None:
        """End the process."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _read_state(self) -> dict | None:
        with suppress(OSError, ValueError):
            return json.loads((self.home / STATE).read_text(encoding="ascii"))
        return None

    def _add(self, state: dict) -> None:
        for name, count in state["counts"].items():
            self.counts[name] = self.counts.get(name, 0) + count


def _explain(code: int | None) -> str:
    """What ended a process."""
    if code is None:
        return f"hang: no new input in {PATIENCE:g} s"
    if code == -signal.SIGPROF:
        return "more than 2 s of the processor"
    return f"crash: {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def fuzz(names: list[str], minutes: float, workers: int, seed: int) -> int:
    """Run the workers; exit code."""
    failures = Path(tempfile.mkdtemp(prefix="fuzz-failures-"))
    print(f"{len(names)} targets, {workers} processes, {minutes:g} minutes, seed {seed}. Failures: {failures}")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        processes = [Process(Path(folder) / str(at), failures, names, seed + at, workers) for at in range(workers)]
        try:
            for process in processes:
                process.start()
            end = time.monotonic() + 60 * minutes
            while time.monotonic() < end:
                time.sleep(0.5)
                for process in processes:
                    process.look()
        finally:
            for process in processes:
                process.finish()
    totals = {name: sum(process.counts.get(name, 0) for process in processes) for name in names}
    for name, count in totals.items():
        print(f"{count:9} {name}")
    print(f"{sum(totals.values()):9} in all")
    found = sorted(failures.glob("*.txt"))
    for path in found:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        print(f"FAILED {path.with_suffix('.input')}: {lines[1] if 'Traceback' not in lines[1] else lines[-1]}")
    if not found:
        failures.rmdir()
    return int(bool(found))


def read_again(path: Path) -> None:
    """Read a kept input; its name begins with that of its target."""
    target = TARGETS[path.stem.rpartition("-")[0]]
    with tempfile.TemporaryDirectory() as folder:
        accepted = target.check(path.read_bytes(), Path(folder))
    print("accepted" if accepted else "refused as documented")


def main() -> int:
    """Read the command line; exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", choices=[*TARGETS], help="only this one; several add up")
    parser.add_argument("--again", type=Path, help="an input that was kept")
    options = parser.parse_args()
    if options.again:
        read_again(options.again)
        return 0
    return fuzz(options.target or [*TARGETS], options.minutes, options.workers, options.seed)


if __name__ == "__main__":
    sys.exit(main())
