"""Records in folders, one file each: dataclasses of arrays, written once."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from defocus_edge.files.atomic import atomic_write, read_bytes

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")


def store_record(path: Path, make: Callable[[], DataclassInstance | None]) -> bool:
    """Write what `make` returns, a dataclass of arrays, unless the file is there; False if it returns None."""
    if path.is_file():
        return True
    record = make()
    if record is None:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, **asdict(record))
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return True


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read one file; raises OSError or ValueError."""
    with np.load(io.BytesIO(read_bytes(path))) as arrays:
        return kind(**{field.name: arrays[field.name] for field in fields(kind)})
