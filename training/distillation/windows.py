"""Random windows of the pictures of a store, as batches for the student."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import N_LEVELS
from defocus_edge.networks.edge.patches import PATCH_RADIUS, PATCH_SIDE
from defocus_edge.networks.edge.point_tiles import read_padded_window
from training.distillation.answers import GRID_STEP, Answers

#: Squares along a side of a window, and the side in px of a window with its border. Squares of a window are alike, so
#: that many small windows teach more than few large ones that take as long.
WINDOW_SQUARES = 8
WINDOW_SIDE = WINDOW_SQUARES * GRID_STEP + PATCH_SIDE - 1
#: Power of the number of squares of a kind by which kinds are drawn, and share of the windows around a depth edge.
BALANCE, DEPTH_SHARE = 0.25, 0.15


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """B windows with the answers at P of their squares; the rest of the room is padding.

    Attributes
    ----------
    images : (B, 64, 64, 3) ndarray of float32
        RGB in [0, 1].
    squares : (P, 3) ndarray of int32
        Number of the window, row and column of the square in it.
    answers : (P, 25) ndarray of float32
        The teacher's 23 probabilities of levels and its probability of a depth edge, and the true radius in px, NaN
        where it is not known.
    weights : (P,) ndarray of float32
        1, or 0 for padding.
    """

    images: NDArray[np.float32]
    squares: NDArray[np.int32]
    answers: NDArray[np.float32]
    weights: NDArray[np.float32]

    def fetch(self) -> WindowBatch:
        """The same batch in NumPy, if it lies in the memory of an accelerator."""
        return WindowBatch(*(np.asarray(getattr(self, field.name)) for field in fields(self)))


class WindowSource(Protocol):
    """Draws windows without end."""

    def draw_batch(self, windows: int, squares: int, *, rng: np.random.Generator) -> WindowBatch:
        """Draw `windows` windows with at most `squares` squares each."""


class WindowSampler:
    """Draws windows without end, each in a random one of its eight turns and mirrorings.

    A window is drawn around a square of a kind: of one of the levels, or a depth edge, by the teacher's answer. Of most
    photographs nearly all squares are of the first level. Kinds are therefore drawn by the fourth root of their number,
    and a share of the windows, `DEPTH_SHARE`, is of depth edges.
    """

    def __init__(self, pictures: Sequence[Answers]) -> None:
        self._pictures = list(pictures)
        kinds = np.concatenate([find_kinds(picture) for picture in self._pictures])
        counts = np.bincount(kinds, minlength=N_LEVELS + 1)
        self._by_kind = np.split(np.argsort(kinds, kind="stable").astype(np.int32), np.cumsum(counts)[:-1])
        self._firsts = np.cumsum([0, *(len(picture.squares) for picture in self._pictures)])
        shares = counts**BALANCE
        shares[N_LEVELS] = (counts[N_LEVELS] > 0) * DEPTH_SHARE / (1 - DEPTH_SHARE) * (shares[:N_LEVELS].sum() or 1)
        self._shares = shares / shares.sum()

    def draw_batch(self, windows: int, squares: int, *, rng: np.random.Generator) -> WindowBatch:
        """See `WindowSource`."""
        images = np.empty((windows, WINDOW_SIDE, WINDOW_SIDE, 3), dtype=np.float32)
        places = np.zeros((windows, squares, 3), dtype=np.int32)
        answers = np.full((windows, squares, N_LEVELS + 2), np.nan, dtype=np.float32)
        answers[..., :-1] = 0
        weights = np.zeros((windows, squares), dtype=np.float32)
        for number in range(windows):
            image, inside, said = self._draw_window(squares, rng)
            images[number], count = image / np.float32(255), len(inside)
            places[number, :count, 0], places[number, :count, 1:] = number, inside
            answers[number, :count], weights[number, :count] = said, 1
        return WindowBatch(images, places.reshape(-1, 3), answers.reshape(-1, N_LEVELS + 2), weights.reshape(-1))

    def _draw_window(
        self, most: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.integer], NDArray[np.float32]]:
        """One window, its squares and what is known of them."""
        chosen = rng.choice(self._by_kind[rng.choice(N_LEVELS + 1, p=self._shares)])
        number = np.searchsorted(self._firsts, chosen, side="right") - 1
        picture = self._pictures[number]
        squares = picture.squares.astype(np.int64)
        # The square lies anywhere in its window, and the window in the picture if that is large enough.
        first = squares[chosen - self._firsts[number]] - rng.integers(0, WINDOW_SQUARES, 2)
        last = -(-np.array(picture.image.shape[:2]) // GRID_STEP) - WINDOW_SQUARES
        first = np.clip(first, 0, np.maximum(last, 0))
        image = read_padded_window(picture.image, first * GRID_STEP, np.array([WINDOW_SIDE, WINDOW_SIDE]))
        members = np.flatnonzero(((squares >= first) & (squares < first + WINDOW_SQUARES)).all(axis=1))
        if len(members) > most:
            kinds = find_kinds(picture)[members]
            shares = 1 / np.sqrt(np.bincount(kinds)[kinds])
            members = rng.choice(members, most, replace=False, p=shares / shares.sum())
        said = np.column_stack([picture.blur[members], picture.depth[members], picture.truth[members]])
        image, inside = turn(image, squares[members] - first, int(rng.integers(4)), mirror=rng.random() < 0.5)
        return image, inside, said.astype(np.float32)


def find_kinds(picture: Answers) -> NDArray[np.uint8]:
    """Kind of each square: the teacher's likeliest level, 0 to 22, or 23 where it rather sees a depth edge."""
    return np.where(picture.depth > 0.5, N_LEVELS, picture.blur.argmax(axis=1)).astype(np.uint8)


def turn(
    image: NDArray[np.uint8], squares: NDArray[np.integer], quarters: int, *, mirror: bool
) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
    """Turn a window and its squares by quarters, counter-clockwise, then mirror it; middles of squares stay such."""
    last = WINDOW_SQUARES - 1
    for _ in range(quarters):
        squares = np.stack([last - squares[:, 1], squares[:, 0]], axis=1)
    image = np.rot90(image, quarters)
    if mirror:
        return image[:, ::-1], np.stack([squares[:, 0], last - squares[:, 1]], axis=1)
    return image, squares


def cut_patches(batch: WindowBatch) -> NDArray[np.float32]:
    """Patches of 41×41 px, (P, 41, 41, 3), in the middles of the squares of a batch without its padding."""
    corners = batch.squares[batch.weights > 0] * np.array([1, GRID_STEP, GRID_STEP]) + np.array([0, 1, 1])
    side = 2 * PATCH_RADIUS + 1
    return np.stack([batch.images[n, row : row + side, col : col + side] for n, row, col in corners])
