"""Ctrl-C between two steps, never within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def hold_interrupt() -> Iterator[Callable[[], bool]]:
    """Remember Ctrl-C until the end of the block; a second one interrupts at once.

    An interrupt within a step would leave weights that do not belong to the number of steps. Yields a function that
    tells whether Ctrl-C was pressed. Raises KeyboardInterrupt at the end of the block if it was.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set a handler
        yield lambda: False
        return
    pressed = False

    def remember(*_: Any) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
    if pressed:
        raise KeyboardInterrupt
