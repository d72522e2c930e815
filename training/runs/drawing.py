"""Batches are drawn ahead of the step that uses them, in a thread or in processes of their own."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np

Batch = TypeVar("Batch")
Batch_co = TypeVar("Batch_co", covariant=True)

# Batches drawn ahead of the one in use; with processes, for each of them.
_AHEAD = 4
_AHEAD_OF_EACH = 2

# What a process of its own draws with, and the seed of the run.
_kept: list[Any] = []


class Drawer(Protocol[Batch_co]):
    """Draws the batch of a step, which depends on nothing but the step and its generator."""

    def draw(self, step: int, rng: np.random.Generator, /) -> Batch_co:
        """See `Task.draw`."""


def draw_ahead(
    drawer: Drawer[Batch], *, seed: int, first: int, last: int, jobs: int = 0
) -> Iterator[tuple[int, Batch]]:
    """Steps after `first` up to `last` with their batches, the same however many processes draw.

    With `jobs` processes the drawer is sent to each of them; they do not load what trains. With 0 it draws in a thread.
    """
    executor: Executor
    draw: Callable[[int], Batch]
    if jobs:
        # Started anew, since a process that trains must not be copied.
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_keep, initargs=(drawer, seed))
        draw, ahead = _draw_kept, _AHEAD_OF_EACH * jobs
    else:
        executor = ThreadPoolExecutor(1)
        draw, ahead = lambda step: _draw(drawer, seed, step), _AHEAD
    try:
        steps = range(first + 1, last + 1)
        waiting = deque(executor.submit(draw, step) for step in steps[:ahead])
        for step in steps:
            batch = waiting.popleft().result()
            if step + ahead <= last:
                waiting.append(executor.submit(draw, step + ahead))
            yield step, batch
    finally:
        executor.shutdown(cancel_futures=True)


def _draw(drawer: Drawer[Batch], seed: int, step: int) -> Batch:
    # A generator for each step: a run that goes on ends as one that was never interrupted.
    return drawer.draw(step, np.random.default_rng((seed, step)))


def _keep(drawer: Drawer[Any], seed: int) -> None:
    """Begin a process: Ctrl-C is for the one that trains, and each process has one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _kept[:] = drawer, seed


def _draw_kept(step: int) -> Any:
    drawer, seed = _kept
    return _draw(drawer, seed, step)
