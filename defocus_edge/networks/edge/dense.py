"""Evaluates both networks at the edge points of an image, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from defocus_edge.blur_levels import N_LEVELS
from defocus_edge.choices import AUTO, PRECISIONS, Precision
from defocus_edge.networks.devices import choose_device, use_device
from defocus_edge.networks.edge.features import DenseFeatures, PointHead, gather_head_input
from defocus_edge.networks.edge.networks import EDGE_CLASSES, EdgeNetworks
from defocus_edge.networks.edge.patches import check_points
from defocus_edge.networks.edge.point_tiles import CUT_STEP, cut_tiles
from defocus_edge.networks.inference import compile_inference

#: Largest side in px of the tiles that an image is cut into; bounds the memory.
TILE_SIDE = 192
#: Largest number of edge points whose heads are computed in one call.
POINT_CHUNK = 2048
# A call with fewer points is filled up to a power of 2, at least this one, so that there are few shapes to compile.
_LEAST_CHUNK = 128


@dataclass(frozen=True)
class EdgePrediction:
    """Softmax of both networks at N points.

    `blur` (N, 23) is the probability of each blur level, `edge` (N, 2) that of a pattern edge and of a depth edge.
    """

    blur: NDArray[np.float32]
    edge: NDArray[np.float32]


class DenseEvaluator:
    """Exact evaluation of both networks at any set of edge points, in bounded memory.

    Two functions of fixed signature are compiled at the first call; pictures of any size use them.

    Parameters
    ----------
    networks : EdgeNetworks
    tile_side : int
        Largest side in px of the tiles that are evaluated at once, without their 20 px border. Half of it needs a
        quarter of the memory; the result does not depend on it.
    precision : {'float32', 'bfloat16'}
        Precision of the convolutions over the tiles; bfloat16 is not exact.
    device : str
        See `choose_device`.
    """

    def __init__(
        self,
        networks: EdgeNetworks,
        *,
        tile_side: int = TILE_SIDE,
        precision: Precision = "float32",
        device: str = AUTO,
    ) -> None:
        if tile_side < 1:
            msg = f"tile_side must be a positive number of pixels. Got: {tile_side}."
            raise ValueError(msg)
        if precision not in PRECISIONS:
            msg = f"precision must be one of {PRECISIONS}. Got: {precision!r}."
            raise ValueError(msg)
        self.networks = networks
        self.tile_side = tile_side
        self.device = choose_device(device)
        features = DenseFeatures(networks, dtype="mixed_bfloat16" if precision == "bfloat16" else "float32")
        heads = [PointHead(networks, head) for head in features.heads]
        filters = networks.config.filters

        def predict_points(coarse: Any, fine: Any, points: Any) -> list[Any]:
            grid = ops.cast(gather_head_input(coarse, fine, points), "float32")
            return [head(grid[..., number * filters : (number + 1) * filters]) for number, head in enumerate(heads)]

        channels = len(heads) * filters
        maps = ((1, None, None, channels), precision)
        self._features = compile_inference(lambda tile: features(tile), [((1, None, None, 3), "float32")])
        self._heads = compile_inference(predict_points, [maps, maps, ((None, 3), "int32")])

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

        Yields the numbers of the points in the piece, at most `POINT_CHUNK`, and the prediction at them. Each point
        comes once.
        """
        points = check_points(points, image.shape)
        if not len(points):
            return
        done = 0
        # JAX compiles, and GPUs choose their kernels, for each shape anew: that takes longer than empty parts of tiles.
        in_one_shape = keras.backend.backend() == "jax" or not self.device.startswith("cpu")
        cut_step = self.tile_side if in_one_shape else CUT_STEP
        for tile, corner, members in cut_tiles(image, points, tile_side=self.tile_side, cut_step=cut_step):
            with use_device(self.device):
                coarse, fine = self._features(tile)
            for start in range(0, len(members), POINT_CHUNK):
                rows = members[start : start + POINT_CHUNK]
                padded = np.zeros((max(_LEAST_CHUNK, 1 << (len(rows) - 1).bit_length()), 3), dtype=np.int32)
                padded[: len(rows), 1:] = points[rows] - corner
                with use_device(self.device):
                    outputs = self._heads(coarse, fine, padded)
                blur, edge = (ops.convert_to_numpy(output)[: len(rows)] for output in outputs)
                yield rows, EdgePrediction(blur, edge)
            done += len(members)
            if progress is not None:
                progress(done, len(points))
