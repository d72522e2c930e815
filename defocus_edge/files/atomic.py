"""Bytes of files in and out: a file is read as a whole, and written as a whole or not at all."""

from __future__ import annotations

import errno
import logging
import lzma
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from defocus_edge.files.folders import hold

PathLike = str | os.PathLike[str]
# Exceptions that parsers raise at damaged files: a wrong header can point anywhere and ask for any amount of memory.
BROKEN_FILE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, OSError, EOFError),
    *(
        struct.error,
        zlib.error,
        lzma.LZMAError,
        RuntimeError,
        AssertionError,
    ),  # imagecodecs and tifffile raise the last
)

# Some network file systems cannot flush a folder.
_CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else its notes about damaged files land on stderr


class ImageReadError(ValueError):
    """A file that exists but cannot be read: it is no picture, cut short, damaged or of an unsupported kind."""


class UnsupportedError(ValueError):
    """A sound file whose kind no decoder at hand reads right; the message ends with what to do."""


def quote(path: PathLike) -> str:
    """Path between quotes, for messages."""
    return f"'{os.fspath(path)}'"


@contextmanager
def blame_picture(path: PathLike) -> Iterator[None]:
    """Turn what parsers raise into an `ImageReadError` with the name of the file."""
    try:
        yield
    except UnsupportedError as error:
        raise ImageReadError(f"Cannot read picture {quote(path)} faithfully. Got: {error}.") from error
    except BROKEN_FILE as error:
        reason = "cut short or damaged"
        raise ImageReadError(f"Cannot read picture {quote(path)}: {reason}. Got: {error}. Copy it again.") from error


def read_bytes(path: PathLike) -> bytes:
    """Whole content of a file that must exist."""
    if Path(path).is_dir():
        raise IsADirectoryError(f"path must name a file. Got: the folder {quote(path)}. Pass its files one by one.")
    if Path(path).exists() and not Path(path).is_file():  # a pipe would wait for ever, some devices never end
        raise ImageReadError(f"path must name an ordinary file. Got: the device or pipe {quote(path)}.")
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"path must name an existing file. Got: {quote(path)}. Check the name.") from error


@contextmanager
def atomic_write(path: PathLike) -> Iterator[Path]:
    """Write a file so that it appears whole, at the end, or not at all; then it is on the disk, too.

    Yields an empty file beside `path`, with the same suffix. What the block writes there becomes `path`; a symbolic
    link is followed. On any failure, KeyboardInterrupt too, an existing file stays.

    Raises
    ------
    IsADirectoryError, FileExistsError
        If `path` is a folder, or a device or pipe.
    OSError
        If `path` is a link that leads to itself.
        If the folder is missing, no folder or not writable. The message names it.
    """
    target = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError at a link that points to itself
    if target.is_symlink():
        rule = "path must name a file to write"
        raise OSError(errno.ELOOP, f"{rule}. Got: the link {quote(path)}, which leads to itself. Remove it.")
    if target.is_dir():
        raise IsADirectoryError(f"path must name a file to write. Got: the folder {quote(path)}. Add a file name.")
    if target.exists() and not target.is_file():  # a pipe, or /dev/null, which root could replace by a file
        raise FileExistsError(f"path must name a file to write. Got: the device {quote(path)}. Choose another name.")
    temporary = target.with_name(f".defocus-edge-{secrets.token_hex(6)}{target.suffix}")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        advice = "Create it first" if isinstance(error, FileNotFoundError) else "Choose a folder you can write to"
        reason = f"cannot write into the folder {quote(target.parent)}. Got: {error.strerror}. {advice}."
        raise OSError(error.errno, reason) from error
    try:
        with hold(temporary):  # else another run could take it for what a killed one left
            yield temporary
            move_durably(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def move_durably(temporary: Path, target: Path) -> None:
    """Move a finished file to its name in the same folder; after that it survives a loss of power.

    The content is on the disk before the name is, so that no name ever leads to half a file.
    """
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(target)
    if os.name == "posix":  # Windows cannot open a folder
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno not in _CANNOT_FLUSH:
                raise
        finally:
            os.close(folder)


def check_suffix(path: PathLike, allowed: tuple[str, ...]) -> str:
    """Lower-case suffix of the path; raise if it is none of those allowed."""
    suffix = Path(path).suffix.lower()
    if suffix not in allowed:
        raise ValueError(f"path must end in one of {', '.join(allowed)}. Got: {quote(path)}. Change the suffix.")
    return suffix
