"""Pool of processes that Ctrl-C does not reach and that end with this process, whatever happens to it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import cv2


class _SameProcess(Executor):
    """Runs each call at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def start_workers(workers: int) -> Iterator[Executor]:
    """Give an executor whose processes end with the block; OpenCV uses one thread in each."""
    if workers == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield _SameProcess()
        finally:
            cv2.setNumThreads(threads)
        return
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin_worker)
    try:
        _launch(executor)
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _launch(executor: Executor) -> None:
    """Start the processes while Ctrl-C is ignored, which they inherit: this process ends them."""
    if threading.current_thread() is not threading.main_thread():
        executor.submit(_do_nothing)
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        executor.submit(_do_nothing)
    finally:
        signal.signal(signal.SIGINT, before)


def _do_nothing() -> None:
    """First task of an executor: submitting it starts all processes."""


def _begin_worker() -> None:
    """Set up a process that ends when the one that started it ends, in whatever way."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """Wait for the end of another process, then end this one."""
    parent.join()
    os._exit(1)
