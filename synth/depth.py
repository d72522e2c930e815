"""Reads depth and disparity files as inverse depth without holes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.images import read_image
from defocus_edge.files.kinds import MAP_SUFFIXES
from defocus_edge.files.maps import read_map


def read_inverse_depth(path: str | Path, *, kind: str) -> NDArray[np.float32]:
    """Read a disparity or depth file as inverse depth, (H, W) without holes, in any unit; larger is nearer.

    The file is a picture of 8 or 16 bits, or a map of floats; values <= 0 are unknown. `kind` is ``"disparity"``
    (larger is nearer) or ``"depth"`` (larger is farther).

    Raises
    ------
    OSError, ImageReadError
        If the file cannot be read.
    ValueError
        If `kind` is unknown, no pixel has a depth, or one is too small to be divided by.
    """
    if kind not in ("disparity", "depth"):
        raise ValueError(f"kind must be 'disparity' or 'depth'. Got: {kind!r}.")
    values = _read_values(Path(path))
    holes = values <= 0
    if holes.all():
        raise ValueError(f"'{path}' must hold depth > 0 somewhere. Got: none.")
    with np.errstate(over="ignore"):
        inverse = values if kind == "disparity" else 1 / np.where(holes, 1, values)
    if not np.isfinite(inverse).all():
        raise ValueError(f"'{path}' must hold depth whose inverse is finite. Got: {values[~holes].min()}.")
    return fill_holes(np.where(holes, 0, inverse).astype(np.float32), holes)


def fill_holes(values: NDArray[np.float32], holes: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill each hole of (H, W) inverse depth with the smaller (farther) of the nearest values left and right.

    A part that one of the two stereo cameras cannot see lies behind an object and belongs to the background. A row
    without values is copied from the nearest row that has some.
    """
    filled = values.copy()
    columns = np.arange(values.shape[1])
    for row, hole in zip(filled, holes, strict=True):
        if hole.any() and not hole.all():
            known = columns[~hole]
            right = np.searchsorted(known, columns[hole])
            before = row[known[np.maximum(right - 1, 0)]]
            after = row[known[np.minimum(right, len(known) - 1)]]
            row[hole] = np.minimum(before, after)
    known_rows = np.flatnonzero(~holes.all(axis=1))
    if 0 < len(known_rows) < len(values):
        distance = np.abs(np.arange(len(values))[:, None] - known_rows[None, :])
        filled = filled[known_rows[distance.argmin(axis=1)]]
    return filled


def _read_values(path: Path) -> NDArray[np.float32]:
    """Numbers of a depth file. Floats are read as a map, since the floats of a picture must lie in [0, 1]."""
    if path.suffix.lower() in MAP_SUFFIXES:
        try:
            return read_map(path)
        except ValueError:
            if path.suffix.lower() == ".npy":
                raise
    return np.ascontiguousarray(read_image(path, bit_depth=16)[..., 0])
