"""What a student learns from: pictures, and what the teacher says of their squares; one file for each picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defocus_edge.estimation.edges import find_edges
from defocus_edge.estimation.light_range import find_step, stretch_range
from defocus_edge.networks.edge.architecture import POOL_STRIDE
from defocus_edge.networks.edge.dense import DenseEvaluator
from training.runs.records import read_record, store_record

#: How the name of a file ends.
SUFFIX = ".answers.npz"
#: Side of the squares in px.
GRID_STEP = POOL_STRIDE


@dataclass(frozen=True, eq=False)
class Answers:
    """A picture and the teacher's answers.

    Attributes
    ----------
    image : (H, W, 3) ndarray of uint8
        RGB, its range stretched as the estimator does.
    squares : (N, 2) ndarray of int16
        Row and column of each square of 3×3 px that holds edge points.
    blur : (N, 23) ndarray of float16
        Probability of each level, for the patch in the middle of the square.
    depth : (N,) ndarray of float16
        Probability of a depth edge.
    truth : (N,) ndarray of float16
        True radius in px at the edge point next to the middle; NaN where it is not known.
    """

    image: NDArray[np.uint8]
    squares: NDArray[np.int16]
    blur: NDArray[np.float16]
    depth: NDArray[np.float16]
    truth: NDArray[np.float16]


def ask(image: NDArray[np.float32], truth: NDArray[np.float32] | None, teacher: DenseEvaluator) -> Answers | None:
    """Ask the teacher about a picture; None if it has no edge.

    `image` is (H, W, 3) RGB in [0, 1], `truth` its (H, W) radii in px; the teacher looks at squares.
    """
    step = find_step(image) / (float(np.ptp(image)) or 1)
    image = stretch_range(image)
    squares, points = find_squares(np.argwhere(find_edges(image, step=step)))
    if not len(squares):
        return None
    said = teacher.predict(image, points)
    known = np.full(len(points), np.nan) if truth is None else truth[tuple(points.T)]
    return Answers(
        np.rint(image * 255).astype(np.uint8),
        squares.astype(np.int16),
        said.blur.astype(np.float16),
        said.edge[:, 1].astype(np.float16),
        known.astype(np.float16),
    )


def find_squares(points: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Squares that hold points, (N, 2) sorted by row and column, and the point next to the middle of each."""
    squares = points // GRID_STEP
    distance = np.abs(points - squares * GRID_STEP - GRID_STEP // 2).sum(axis=1)
    order = np.lexsort((distance, squares[:, 1], squares[:, 0]))
    ordered = squares[order]
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return ordered[first], points[order][first]


def store_answers(folder: Path, name: str, make: Callable[[], Answers | None]) -> bool:
    """Write the answers to a picture unless the folder has them; False if there are none to write."""
    return store_record(folder / f"{name}{SUFFIX}", make)


def read_answers(path: Path) -> Answers:
    """Read one file; raises OSError or ValueError."""
    return read_record(path, Answers)


def list_answers(folder: Path) -> list[Path]:
    """Paths of all files of a folder, sorted."""
    return sorted(folder.glob(f"*{SUFFIX}"))
