"""What the world outside does to a command: streams that are closed, and signals that ask it to end.

Imports nothing heavy.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

#: What shells add to the number of the signal that ended a program.
SIGNAL_BASE = 128
#: Signals that ask a program to end; the second comes when a terminal closes, and Windows lacks it.
ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def open_closed_streams() -> None:
    """Open the standard streams that the caller has closed, on nothing.

    Otherwise the next file that is opened would get the number of such a stream, and libraries write messages there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the smallest free number
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open while the program runs


@contextmanager
def stop_on_signals(tell: Callable[[int], object]) -> Iterator[None]:
    """Raise KeyboardInterrupt in the block, as Ctrl-C does, if a signal asks the program to end.

    `tell` gets the number of the signal. Signals that are ignored, as by nohup, stay so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        tell(number)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    for number, handler in before.items():
        if handler == signal.SIG_DFL:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler == signal.SIG_DFL:
                signal.signal(number, handler)
