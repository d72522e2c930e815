"""Segmentation networks on pictures of any size: padded to the stride; large ones reduced, or cut into tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from keras import ops
from numpy.typing import NDArray

from defocus_edge.arrays import shrink
from defocus_edge.networks.inference import compile_inference

if TYPE_CHECKING:
    import keras

#: Side in px above which a picture is cut into tiles; it bounds the memory. Chosen by us.
LARGEST_SIDE = 1024
#: Smallest overlap of neighbouring tiles in px: the border of a tile sees less of the picture and has little weight.
#: Chosen by us.
OVERLAP = 128
# Probabilities this close to 0 or 1 count as this: their logits would be infinite.
_LEAST_PROBABILITY = 1e-6


class MapEvaluator:
    """A network that turns a picture into a probability for each pixel, on pictures of any size.

    The picture is continued below and to the right by its mirror image. Tiles begin at multiples of the stride, so that
    pooling sees the same grid in each. Across an overlap the weight of one tile falls linearly while that of the other
    rises.

    A network that was trained on whole photographs of about `seen_side` px gets larger ones reduced to that; its map is
    enlarged again. With several sizes the answer is the sigmoid of the mean of the logits.

    Parameters
    ----------
    model : keras.Model
        (B, H, W, 3) RGB in [0, 1] to (B, H, W, K) logits, the last of which is the answer; H and W are multiples of
        `stride`.
    stride : int
        See `SegmentationNetwork`, px.
    largest_side : int
        Side in px above which the picture is cut into tiles, rounded down to the stride. It bounds the memory.
    overlap : int
        Smallest overlap of tiles in px, less than half of `largest_side`.
    seen_side : int or sequence of int, optional
        Longest side in px of what the network sees; larger pictures are averaged down. With several ones it sees a
        picture in each of these sizes that the picture has. Unless given, it sees all pictures in full size.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        stride: int,
        largest_side: int = LARGEST_SIDE,
        overlap: int = OVERLAP,
        seen_side: int | Sequence[int] | None = None,
    ) -> None:
        side = largest_side // stride * stride
        if side < stride or not 0 <= overlap < side / 2:
            msg = (
                f"largest_side must be at least the stride, {stride}, and more than twice the overlap. "
                f"Got: {largest_side} and {overlap}."
            )
            raise ValueError(msg)
        self._stride, self._side, self._overlap = stride, side, overlap
        self._seen_sides = _list_sides(seen_side)
        self._compiled = compile_inference(
            lambda image: ops.sigmoid(model(image, training=False)[..., -1]), [((1, None, None, 3), "float32")]
        )

    def predict(
        self, image: NDArray[np.float32], *, progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Probability of each pixel, (H, W), of an (H, W, 3) RGB picture in [0, 1].

        `progress` is called with (tiles done, all tiles), for each size that the network sees.
        """
        longest = max(image.shape[:2])
        sides = sorted({min(side, longest) for side in self._seen_sides or (longest,)})
        if len(sides) == 1:
            return self._predict_reduced(image, sides[0], progress)
        logits = np.zeros(image.shape[:2], dtype=np.float32)
        for side in sides:
            logits += _to_logits(self._predict_reduced(image, side, progress)) / np.float32(len(sides))
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)

    def _predict_reduced(
        self, image: NDArray[np.float32], side: int, progress: Callable[[int, int], None] | None
    ) -> NDArray[np.float32]:
        """Probability of each pixel of a picture that is seen with a longest side."""
        height, width = image.shape[:2]
        probability = self._predict_all(shrink(image, side), progress)
        if max(height, width) == side:
            return probability
        return np.asarray(cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR))

    def _predict_all(
        self, image: NDArray[np.float32], progress: Callable[[int, int], None] | None
    ) -> NDArray[np.float32]:
        """Probability of each pixel of a picture as it is, whole or in tiles."""
        height, width = image.shape[:2]
        rows, cols = (self._cut_axis(size) for size in (height, width))
        tiles = [(row, col) for row in rows for col in cols]
        if len(tiles) == 1:
            probability = self._predict_tile(image, *tiles[0])[:height, :width]
        else:
            probability = self._blend(image, tiles, progress)
        return np.clip(probability, 0, 1)

    def _cut_axis(self, size: int) -> list[tuple[slice, NDArray[np.float32]]]:
        """Position of each tile along an axis that is padded to the stride, and the weights of its pixels."""
        padded = -(-size // self._stride) * self._stride
        if padded <= self._side:
            return [(slice(0, padded), np.ones(padded, dtype=np.float32))]
        count = -(-(padded - self._overlap) // (self._side - self._overlap))
        starts = np.linspace(0, (padded - self._side) // self._stride, count).round().astype(int) * self._stride
        return [(slice(start, start + self._side), self._weigh(start, starts)) for start in starts.tolist()]

    def _weigh(self, start: int, starts: NDArray[np.int_]) -> NDArray[np.float32]:
        """Weights of a tile: 1, and falling linearly to nearly 0 where another tile overlaps."""
        position = np.arange(self._side) + 0.5
        weight = np.ones(self._side)
        for other in starts[np.abs(starts - start) < self._side]:
            shared = self._side - abs(int(other) - start)
            if other != start:
                weight = np.minimum(weight, (position if other < start else self._side - position) / shared)
        return weight.astype(np.float32)

    def _blend(
        self, image: NDArray[np.float32], tiles: list[Any], progress: Callable[[int, int], None] | None
    ) -> NDArray[np.float32]:
        """Weighted mean of all tiles."""
        height, width = image.shape[:2]
        total = np.zeros((height, width), dtype=np.float32)
        weights = np.zeros((height, width), dtype=np.float32)
        for number, ((rows, row_weight), (cols, col_weight)) in enumerate(tiles, start=1):
            kept = total[rows, cols].shape
            weight = (row_weight[:, None] * col_weight[None, :])[: kept[0], : kept[1]]
            tile = self._predict_tile(image, (rows, row_weight), (cols, col_weight))[: kept[0], : kept[1]]
            total[rows, cols] += tile * weight
            weights[rows, cols] += weight
            if progress is not None:
                progress(number, len(tiles))
        return total / weights

    def _predict_tile(self, image: NDArray[np.float32], *axes: tuple[slice, Any]) -> NDArray[np.float32]:
        """Probability of each pixel of one tile."""
        rows, cols = (
            _mirror(np.arange(part.start, part.stop), size) for (part, _), size in zip(axes, image.shape, strict=False)
        )
        tile = image[rows[:, None], cols[None, :]][None]
        return np.asarray(ops.convert_to_numpy(self._compiled(tile))[0], dtype=np.float32)


def _list_sides(seen_side: int | Sequence[int] | None) -> tuple[int, ...]:
    """The sizes of a number, of several ones, or of none or 0, which stands for full size."""
    if isinstance(seen_side, Sequence):
        return tuple(seen_side)
    return (seen_side,) if seen_side else ()


def _to_logits(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    inner = np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.log(inner) - np.log1p(-inner)


def _mirror(index: NDArray[np.int_], size: int) -> NDArray[np.int_]:
    """Index with positions beyond the end of an axis mirrored, as by `numpy.pad(mode="reflect")`."""
    period = max(2 * (size - 1), 1)
    index = index % period
    return np.minimum(index, period - index) if size > 1 else np.zeros_like(index)
