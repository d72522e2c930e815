"""Libraries held silent that write of damaged files on the terminal: a caller gets one exception instead."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

import cv2

_STDERR = 2
_DESCRIPTOR_LOCK = threading.Lock()
# Lines of LibRaw and OpenEXR that name the bytes which they are given.
_COMPLAINTS = re.compile(rb"^(unknown file: |<python_buffer>: ).*\n?", re.MULTILINE)
_WARNINGS = re.compile(r"^Warning: Exception raised reading pixel data .*\n?", re.MULTILINE)


class _QuietOpenCV:
    """Holds OpenCV's log silent; counts its users, as the level belongs to the whole process."""

    def __init__(self) -> None:
        self._lock, self._users, self._level = threading.Lock(), 0, 0

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                cv2.utils.logging.setLogLevel(self._level)


QUIET_OPENCV = _QuietOpenCV()


@contextlib.contextmanager
def without_complaints() -> Iterator[None]:
    """Drop what LibRaw and OpenEXR print of damaged files, which no setting stops; one thread at a time.

    What other threads print meanwhile comes afterwards.
    """
    with _DESCRIPTOR_LOCK, _filter_stdout(), _filter_stderr():
        yield


@contextlib.contextmanager
def _filter_stdout() -> Iterator[None]:
    """Python's, not the descriptor: so writes OpenEXR."""
    held = io.StringIO()
    try:
        with contextlib.redirect_stdout(held):
            yield
    finally:
        sys.stdout.write(_WARNINGS.sub("", held.getvalue()))


@contextlib.contextmanager
def _filter_stderr() -> Iterator[None]:
    """The descriptor: so write C and C++."""
    try:
        original = os.dup(_STDERR)
    except OSError:  # closed: then nobody reads it
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(original, _STDERR)
            os.close(original)
            held.seek(0)
            os.write(_STDERR, _COMPLAINTS.sub(b"", held.read()))
