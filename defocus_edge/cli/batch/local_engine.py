"""Worker processes of this computer for a batch: a worker that dies costs one attempt at one picture."""

from __future__ import annotations

import os
import signal
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from defocus_edge.cli.batch.records import MAX_DEATHS, EngineError, Item, Record, Work, end_process_on_error, give_up

# Seconds that a worker without more work has to end.
_PATIENCE = 5.0


@dataclass(eq=False)
class _Worker:
    """A process, our end of its pipe, and the picture that it works on."""

    process: SpawnProcess
    pipe: Connection
    is_ready: bool = False
    item: Item | None = None
    fault: str | None = None


class LocalEngine:
    """Worker processes that are given one picture at a time.

    Each of the `jobs` processes gets a copy of the work and the variables of `environment`. A single worker is a
    process of its own, too: its crashes do not end the run.

    Processes are spawned, as TensorFlow does not survive a fork. Each has its own pipe, which tells on which picture a
    process died. That picture is given to a new process, until `MAX_DEATHS` processes died with it. Workers end when
    this process ends, in whatever way, because their pipe closes.
    """

    def __init__(self, work: Work, *, jobs: int = 1, environment: Mapping[str, str] | None = None) -> None:
        self._work, self._jobs, self._environment = work, jobs, dict(environment or {})
        self._workers: list[_Worker] = []
        self._waiting: deque[Item] = deque()
        self._deaths: Counter[str] = Counter()
        self._failed_starts = 0

    def run(self, items: Sequence[Item]) -> Generator[Record, None, None]:
        """Have all pictures done; yield the result of each as it ends. Closing the iterator kills busy workers.

        Raises an EngineError if processes end before they are ready for a picture.
        """
        self._waiting.extend(items)
        try:
            while self._waiting or any(worker.item for worker in self._workers):
                self._employ()
                for pipe in connection.wait([worker.pipe for worker in self._workers]):
                    worker = next(worker for worker in self._workers if worker.pipe is pipe)
                    record = self._listen(worker)
                    if record:
                        yield record
        finally:
            self._dismiss()

    def _employ(self) -> None:
        """Start the processes that are missing, and hand out pictures."""
        busy = sum(worker.item is not None for worker in self._workers)
        for _ in range(min(self._jobs, busy + len(self._waiting)) - len(self._workers)):
            self._workers.append(_start_worker(self._work, self._environment))
        for worker in self._workers:
            if worker.is_ready and not worker.item and self._waiting:
                worker.item = self._waiting.popleft()
                try:
                    worker.pipe.send(worker.item)
                except OSError:  # it has just died, not of this picture; `_listen` will find its pipe closed
                    self._waiting.appendleft(worker.item)
                    worker.item = None

    def _listen(self, worker: _Worker) -> Record | None:
        """Take a message of a worker, which may be its end; return a record if it is one."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if isinstance(message, Record):
            worker.item = None
            return message
        if message is None:
            worker.is_ready, self._failed_starts = True, 0
        else:
            worker.fault = message
        return None

    def _bury(self, worker: _Worker) -> Record | None:
        """Remove a dead worker; its picture waits for another one, or is given up."""
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        reason = worker.fault or _describe_exit(worker.process.exitcode)
        if not worker.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= MAX_DEATHS:
                msg = f"Worker processes end as soon as they start: {reason}."
                raise EngineError(msg)
        if not worker.item:
            return None
        self._deaths[worker.item.picture] += 1
        if self._deaths[worker.item.picture] >= MAX_DEATHS:
            return give_up(worker.item, reason)
        self._waiting.appendleft(worker.item)
        return None

    def _dismiss(self) -> None:
        """End all workers; kill the busy ones at once."""
        for worker in self._workers:
            worker.pipe.close()
            if worker.item:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()


def _start_worker(work: Work, environment: dict[str, str]) -> _Worker:
    """Start a process that waits for pictures."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work, environment), daemon=True)
    with _hold_ctrl_c():
        process.start()
    theirs.close()  # else it would stay open when the worker dies
    return _Worker(process, ours)


@contextmanager
def _hold_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to all its processes, from those started in the block; ours gets it after."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its first start would lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, work: Work, environment: dict[str, str]) -> None:
    """Run a worker: work on the pictures from the pipe until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)
    try:
        pipe.send(None)
        while True:
            item = pipe.recv()
            with end_process_on_error(pipe.send):
                record = work(item)
            pipe.send(record)
    except (EOFError, ConnectionError):  # no more work, or the main process has ended
        return


def _describe_exit(code: int | None) -> str:
    """How a process ended."""
    if code is not None and code < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"killed by {names.get(-code, f'signal {-code}')}"
    return f"exit code {code}"
