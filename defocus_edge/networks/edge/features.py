"""The layers of B-NET and E-NET on a whole image at once: the same numbers as patch by patch, most work done once.

Neighbouring patches share most of their pixels. On one patch, a branch pools with stride 3 and goes on with plain
convolutions. On the image, that is a pooling with stride 1 and convolutions with dilation 3. So each branch is a fixed
chain of maps. The first convolution of a head is linear in the concatenated branches and can be split: its part on the
branches with dilation 3 gives the map ``coarse``, its part on the 15 px branch the map ``fine``. For a patch with its
corner at p and each d with 0 <= d <= 4

    head1(p, d) = relu(coarse[p + 3 d] + fine[p + d]).

These 25 positions are gathered for each edge point; the rest of the head works on them.

With a grid of 3 px, only the patches in the middles of its squares are wanted. Then the poolings keep their stride and
the convolutions after them are plain: ``coarse`` is a third as high and wide, and for the square q

    head1(q, d) = relu(coarse[q + d] + fine[3 q + d]).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from defocus_edge.networks.edge.architecture import BRANCH_NAMES, BRANCH_SIDES, HEAD_SIDE, HEADS, POOL_STRIDE
from defocus_edge.networks.edge.head_normalization import normalize_head
from defocus_edge.networks.edge.networks import EdgeNetworks
from defocus_edge.networks.edge.patches import PATCH_SIDE


class DenseFeatures(keras.layers.Layer):
    """The maps `coarse` and `fine` of one or both heads, on tiles with their border.

    The maps of `heads` are stacked as channels in this order. With ``dtype="mixed_bfloat16"`` the convolutions are in
    bfloat16.
    """

    def __init__(self, networks: EdgeNetworks, heads: tuple[str, ...] = tuple(HEADS), **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # the input is scaled before it loses precision
        self.config = networks.config
        self.heads = heads
        # Neighbours in a patch's map lie 3 px apart after a pooling: 3 values of the whole picture's map apart, or
        # side by side in a map on the grid.
        self.dilation = POOL_STRIDE // self.config.grid_step
        sides = dict(zip(BRANCH_NAMES, BRANCH_SIDES, strict=True))
        names = [name for name, side in sides.items() if side in self.config.branch_sides]
        names += ["f2"] if "edge" in heads else []
        self.branches = {
            name: [networks.joint.get_layer(f"{name}_conv{number}") for number in (1, 2, 3, 4)] for name in names
        }
        self.head_convs = {head: networks.joint.get_layer(f"{head}_head_conv1") for head in heads}

    def call(self, tiles: Any) -> tuple[Any, Any]:
        """(B, T+40, T+40, 3) tiles to ``coarse`` (B, T+12, T+12, C) and ``fine`` (B, T+4, T+4, C).

        With a grid they are (B, T/3+4, T/3+4, C) and (B, T+3, T+3, C).
        """
        config = self.config
        scaled = ops.cast((tiles - config.input_mean) * config.input_gain, self.compute_dtype)
        large = {
            name: self._apply_large(self._crop(scaled, PATCH_SIDE), name)
            for name in ("b1", "f2")
            if name in self.branches
        }
        middle = [self._apply_middle(self._crop(scaled, BRANCH_SIDES[1]))] if "b2" in self.branches else []
        small = self._apply_small(self._crop(scaled, BRANCH_SIDES[2])) if "b3" in self.branches else None
        coarse, fine = [], []
        for head in self.heads:
            kernel = self.head_convs[head].kernel
            inputs = [*([] if head == "blur" else [large["f2"]]), large["b1"], *middle]
            split = len(inputs) * config.filters
            joined = ops.concatenate(inputs, axis=-1)
            coarse.append(self._convolve(joined, kernel[:, :, :split], self.dilation))
            if small is None:
                seen = self._crop(scaled, HEAD_SIDE)  # one value for each pixel that the branch would have
                fine.append(ops.zeros((*ops.shape(seen)[:3], config.filters), seen.dtype))
            else:
                fine.append(self._convolve(small, kernel[:, :, split:]))
        return ops.concatenate(coarse, axis=-1), ops.concatenate(fine, axis=-1)

    def _crop(self, scaled: Any, branch_side: int) -> Any:
        """Cut off what the patches of one branch do not reach, and what lies before the middle of the first square."""
        margin = (PATCH_SIDE - branch_side) // 2
        shift = self.config.crop_shift if margin else 0
        start, stop = margin + shift + self.config.grid_step // 2, shift - margin
        return scaled[:, start : stop or None, start : stop or None, :]

    def _apply_large(self, tensor: Any, name: str) -> Any:
        """Branch 1 or f2: conv, pool, three convolutions."""
        first, *others = self.branches[name]
        tensor = self._pool(self._apply(first, tensor))
        for layer in others:
            tensor = self._apply(layer, tensor, self.dilation)
        return tensor

    def _apply(self, layer: Any, tensor: Any, dilation: int = 1) -> Any:
        """A convolution with ReLU."""
        return ops.relu(self._convolve(tensor, layer.kernel, dilation))

    def _convolve(self, tensor: Any, kernel: Any, dilation: int = 1) -> Any:
        """Valid convolution without bias."""
        return ops.conv(tensor, kernel, padding="valid", dilation_rate=dilation, data_format="channels_last")

    def _pool(self, tensor: Any) -> Any:
        """Maxima of squares, one for each pixel or for each square of the grid."""
        step = self.config.grid_step
        return ops.max_pool(tensor, POOL_STRIDE, strides=step, padding="valid", data_format="channels_last")

    def _apply_middle(self, tensor: Any) -> Any:
        """Branch 2: three convolutions, pool, conv 1×1."""
        *first, last = self.branches["b2"]
        for layer in first:
            tensor = self._apply(layer, tensor)
        return self._apply(last, self._pool(tensor))

    def _apply_small(self, tensor: Any) -> Any:
        """Branch 3: four convolutions."""
        for layer in self.branches["b3"]:
            tensor = self._apply(layer, tensor)
        return tensor


class PointHead(keras.layers.Layer):
    """The head ``blur`` or ``edge`` at points, from its second convolution on."""

    def __init__(self, networks: EdgeNetworks, head: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.convs = [networks.joint.get_layer(f"{head}_head_conv{number}") for number in (2, 3, 4)]
        self.is_normalized = networks.config.head_normalization
        count = len(networks.config.dense_units) + 1
        self.denses = [networks.joint.get_layer(f"{head}_head_dense{number}") for number in range(1, count + 1)]

    def call(self, grid: Any) -> Any:
        """(N, 5, 5, filters) output of the head's first convolution to (N, classes) softmax."""
        for layer in self.convs:
            grid = layer(grid)
        values = ops.reshape(grid, (-1, grid.shape[-1]))
        if self.is_normalized:
            values = normalize_head(values)
        for layer in self.denses:
            values = layer(values)
        return values


def gather_head_input(coarse: Any, fine: Any, points: Any, grid_step: int = 1) -> Any:
    """Values of the heads' first convolution at points: ``relu(coarse[p + 3 d] + fine[p + d])``.

    `coarse` and `fine` come from `DenseFeatures`. `points` (N, 3) holds the number of the tile, row and column in it;
    with a grid, those of the square. The result is (N, 5, 5, C); C is the number of heads times the filters.
    """
    corners = points * np.array([1, grid_step, grid_step], dtype=np.int32)
    return ops.relu(_gather_grid(coarse, points, POOL_STRIDE // grid_step) + _gather_grid(fine, corners, 1))


def _gather_grid(maps: Any, points: Any, step: int) -> Any:
    """(N, 5, 5, C) values at point + step · d, d in {0…4}²."""
    _, height, width, channels = ops.shape(maps)
    grid = np.arange(HEAD_SIDE, dtype=np.int32) * step
    offsets = grid[:, None] * width + grid[None, :]
    corner = (points[:, 0] * height + points[:, 1]) * width + points[:, 2]
    flat = ops.reshape(maps, (-1, channels))
    return ops.take(flat, corner[:, None, None] + ops.cast(offsets, corner.dtype), axis=0)
