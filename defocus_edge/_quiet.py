"""Holds back what libraries print about damaged files or at their start. OpenCV is loaded only to silence its log."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO

_STDERR = 2
_DESCRIPTOR_LOCK = threading.Lock()
# Lines that libraries print about a file: LibRaw, OpenEXR, libpng, and libjpeg, whose warnings (jerror.h) begin so.
_COMPLAINTS = re.compile(
    rb"^((?:unknown file: |<python_buffer>: |libpng (?:warning|error): |Corrupt JPEG data: |Premature end of JPEG file"
    rb"|Inconsistent progression |Invalid SOS parameters |Unknown Adobe color |Warning: unknown JFIF |Application tran"
    rb"sferred too many scanlines).*)\n?",
    re.MULTILINE,
)
_WARNINGS = re.compile(r"^Warning: Exception raised reading pixel data .*\n?", re.MULTILINE)


class _QuietOpenCV:
    """Holds OpenCV's log silent; counts its users, as the level belongs to the whole process."""

    def __init__(self) -> None:
        self._lock, self._users, self._level = threading.Lock(), 0, 0

    def __enter__(self) -> None:
        from cv2.utils import logging

        with self._lock:
            if self._users == 0:
                self._level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
            self._users += 1

    def __exit__(self, *_: object) -> None:
        from cv2.utils import logging

        with self._lock:
            self._users -= 1
            if self._users == 0:
                logging.setLogLevel(self._level)


QUIET_OPENCV = _QuietOpenCV()


@contextlib.contextmanager
def catch_complaints() -> Iterator[list[str]]:
    """Catch what libraries print about the file that the block reads, which no setting stops; one thread at a time.

    Yields a list that holds these lines after the block. What other threads print meanwhile comes afterwards.
    """
    complaints: list[str] = []

    def take(text: bytes, _: BaseException | None) -> bytes:
        complaints.extend(line.decode(errors="replace") for line in dict.fromkeys(_COMPLAINTS.findall(text)))
        return _COMPLAINTS.sub(b"", text)

    with _DESCRIPTOR_LOCK, _filter_stdout(), hold_stderr(take):
        yield complaints


@contextlib.contextmanager
def _filter_stdout() -> Iterator[None]:
    """Drop OpenEXR's warnings from Python's stdout, where it prints them; the descriptor stays as it is."""
    held = io.StringIO()
    try:
        with contextlib.redirect_stdout(held):
            yield
    finally:
        sys.stdout.write(_WARNINGS.sub("", held.getvalue()))


def _open_holder() -> IO[bytes] | None:
    """File in memory, or else a temporary one; None where neither can be made: what libraries print then passes."""
    try:
        if hasattr(os, "memfd_create"):  # Linux: needs no folder for temporary files
            return os.fdopen(os.memfd_create("defocus-edge"), "w+b")
        return tempfile.TemporaryFile()
    except OSError:
        return None


@contextlib.contextmanager
def hold_stderr(choose: Callable[[bytes, BaseException | None], bytes]) -> Iterator[None]:
    """Hold back all that is written to file descriptor 2, by C and C++ libraries too.

    `choose` takes what was written and the exception that ended the block, or None. What it returns is then written.
    """
    try:
        original = os.dup(_STDERR)
    except OSError:  # closed: then nobody reads it
        yield
        return
    error: BaseException | None = None
    holder = _open_holder()
    if holder is None:
        os.close(original)
        yield
        return
    with holder as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            os.dup2(original, _STDERR)
            os.close(original)
            held.seek(0)
            os.write(_STDERR, choose(held.read(), error))
