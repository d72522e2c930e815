"""Evaluates both networks at the edge points of an image, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from defocus_edge._ahead import map_ahead
from defocus_edge.blur_levels import N_LEVELS
from defocus_edge.networks.edge.architecture import EDGE_CLASSES, EdgeNetworksConfig
from defocus_edge.networks.edge.patches import check_points
from defocus_edge.networks.edge.point_tiles import CUT_STEP, cut_tiles

#: Values of a map of the networks that a tile may have at most, unless its side is given; bounds the memory.
TILE_VALUES = 1 << 22
#: Tiles have at least this side in px, and at most `LARGEST_TILE_SIDE`, unless it is given.
LEAST_TILE_SIDE, LARGEST_TILE_SIDE = 192, 384
#: Tile with its border, (1, h, w, 3); its corner in the picture; numbers of its points: see `cut_tiles`.
Tile = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class EdgePrediction:
    """Softmax of both networks at N points.

    `blur` (N, 23) is the probability of each blur level, `edge` (N, 2) that of a pattern edge and of a depth edge.
    """

    blur: NDArray[np.float32]
    edge: NDArray[np.float32]


class Engine(Protocol):
    """What runs the networks: Keras on any device, or onnxruntime."""

    @property
    def name(self) -> str:
        """Name for users."""

    @property
    def config(self) -> EdgeNetworksConfig:
        """Architecture."""

    @property
    def device(self) -> str:
        """``"cpu:0"`` or ``"gpu:N"``."""

    @property
    def takes_one_shape(self) -> bool:
        """Whether a new shape of tiles takes longer than the empty parts of tiles of one shape."""

    @property
    def calls_at_once(self) -> int:
        """Number of threads that call the engine side by side."""

    @property
    def tiles_in_call(self) -> int:
        """Number of tiles in one call; above 1, `takes_one_shape` is True."""

    @property
    def points_in_call(self) -> int:
        """Largest number of edge points, or squares, whose heads are computed in one call."""

    def make_maps(self, tiles: NDArray[np.float32]) -> Any:
        """Maps of tiles with their border, (B, h, w, 3)."""

    def predict(self, maps: Any, points: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Softmax of both networks, (N, 23) and (N, 2), at (N, 3) points: number of the tile, row and column in it.

        With a grid these are the row and column of its square.
        """


class DenseEvaluator:
    """Exact evaluation of both networks at any set of edge points, in bounded memory.

    Parameters
    ----------
    engine : Engine
        `KerasEngine` or `OnnxEngine`.
    tile_side : int, optional
        Largest side in px of the tiles that are evaluated at once, without their 20 px border. The result does not
        depend on it. Unless given, it follows from the filters: a map of a tile has at most `TILE_VALUES` values.
    """

    def __init__(self, engine: Engine, *, tile_side: int | None = None) -> None:
        if tile_side is not None and tile_side < 1:
            msg = f"tile_side must be a positive number of pixels. Got: {tile_side}."
            raise ValueError(msg)
        self.engine = engine
        fitting = int((TILE_VALUES / engine.config.filters) ** 0.5)
        self.tile_side = tile_side or min(max(fitting, LEAST_TILE_SIDE), LARGEST_TILE_SIDE)

    @property
    def config(self) -> EdgeNetworksConfig:
        """Architecture of the networks."""
        return self.engine.config

    def predict(
        self,
        image: NDArray[np.float32],
        points: NDArray[np.integer],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> EdgePrediction:
        """Softmax of both networks at points of an (H, W, 3) RGB image in [0, 1].

        `points` holds row and column of each point, (N, 2); ValueError if one lies outside the image. `progress` is
        called with (points done, all points) after each tile.
        """
        points = check_points(points, image.shape)
        blur = np.empty((len(points), N_LEVELS), dtype=np.float32)
        edge = np.empty((len(points), len(EDGE_CLASSES)), dtype=np.float32)
        for rows, chunk in self.predict_chunks(image, points, progress=progress):
            blur[rows], edge[rows] = chunk.blur, chunk.edge
        return EdgePrediction(blur, edge)

    def predict_chunks(
        self,
        image: NDArray[np.float32],
        points: NDArray[np.integer],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[tuple[NDArray[np.int64], EdgePrediction]]:
        """Predict piece by piece: the softmax takes 100 bytes a point, which a large picture has no room for.

        Yields the numbers of the points in the piece and the prediction at them. A piece has at most `points_in_call`
        points, or those of as many squares of the grid. Each point comes once.
        """
        points = check_points(points, image.shape)
        if not len(points):
            return
        engine, done = self.engine, 0
        cut_step = self.tile_side if engine.takes_one_shape else CUT_STEP
        tiles = cut_tiles(image, points, tile_side=self.tile_side, cut_step=cut_step, grid=self.config.grid_step)
        calls = ((points, batch) for batch in _batch(tiles, engine.tiles_in_call))
        for pieces in map_ahead(self._predict_tiles, calls, threads=engine.calls_at_once):
            yield from pieces
            done += sum(len(rows) for rows, _ in pieces)
            if progress is not None:
                progress(done, len(points))

    def _predict_tiles(
        self, points: NDArray[np.integer], tiles: list[Tile]
    ) -> list[tuple[NDArray[np.int64], EdgePrediction]]:
        """Pieces of some tiles, which are one call of the engine."""
        engine, step = self.engine, self.config.grid_step
        stacked = tiles[0][0]
        if engine.tiles_in_call > 1:  # a call with fewer tiles is filled up: one shape
            stacked = np.zeros((engine.tiles_in_call, *stacked.shape[1:]), np.float32)
            for number, (tile, _, _) in enumerate(tiles):
                stacked[number] = tile[0]
        maps = engine.make_maps(stacked)
        numbers = np.concatenate([members for _, _, members in tiles])
        places = np.empty((len(numbers), 3), np.int32)
        places[:, 0] = np.repeat(np.arange(len(tiles)), [len(members) for _, _, members in tiles])
        places[:, 1:] = np.concatenate([(points[members] - corner) // step for _, corner, members in tiles])
        pieces = []
        for rows, different, answer in _chunk(numbers, places, engine.points_in_call):
            blur, edge = engine.predict(maps, different)
            pieces.append((rows, EdgePrediction(blur[answer], edge[answer])))
        return pieces


def _batch(tiles: Iterator[Tile], count: int) -> Iterator[list[Tile]]:
    """So many tiles together, at the end fewer."""
    while batch := list(islice(tiles, count)):
        yield batch


def _chunk(
    members: NDArray[np.int64], places: NDArray[np.int32], most: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]]:
    """Divide points by their places: number of the tile, row and column. Several points may share one.

    Yields the points, up to `most` different places, and for each point which of these is its own.
    """
    tile, row, column = places.T.astype(np.int64)
    _, first, shared = np.unique(tile << 48 | row << 24 | column, return_index=True, return_inverse=True)
    order = np.argsort(shared, kind="stable")
    ends = np.searchsorted(shared[order], np.arange(most, len(first) + most, most))
    for number, (start, stop) in enumerate(zip([0, *ends], ends, strict=False)):
        rows = order[start:stop]
        before = number * most
        yield members[rows], places[first[before : before + most]], shared[rows] - before
