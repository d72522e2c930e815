"""Networks do not survive a fork: the new process lacks the threads of the libraries, and would wait for them for ever.

Processes that are started with ``spawn`` or ``forkserver`` are no such copies.
"""

from __future__ import annotations

import os

# Process that has started networks; a forked process inherits the number of another one.
_STARTED_IN: list[int] = []


class ForkError(RuntimeError):
    """Networks are used in a process that was forked from one that had started networks."""


def check_process() -> None:
    """Note that this process starts networks; ForkError if one that it was forked from had."""
    number = os.getpid()
    if not _STARTED_IN:
        _STARTED_IN.append(number)
    elif _STARTED_IN[0] != number:
        rule = "networks must run in a process that was not forked after networks had been started"
        advice = "Start processes with 'spawn': multiprocessing.get_context('spawn')"
        raise ForkError(f"{rule}. Got: process {number}, which was forked from {_STARTED_IN[0]}. {advice}.")
