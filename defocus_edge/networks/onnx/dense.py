"""Dense evaluation of B-NET and E-NET as ONNX graphs: what `networks.edge.features` does with Keras.

`add_maps` turns tiles into the maps ``coarse`` and ``fine``; `add_heads` gathers their values at points and gives the
answers, by `add_head` for each head. With a grid of 3 px the poolings have their stride, and ``coarse`` is a third as
high and wide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from defocus_edge.networks.edge.architecture import (
    BRANCH_NAMES,
    BRANCH_SIDES,
    HEAD_SIDE,
    HEADS,
    POOL_STRIDE,
    SECOND_BRANCH,
    EdgeWeights,
)
from defocus_edge.networks.edge.patches import PATCH_SIDE
from defocus_edge.networks.onnx.graph import CHANNELS, CHANNELS_FIRST, CHANNELS_LAST, COLUMNS, ROWS, GraphBuilder


def add_maps(graph: GraphBuilder, weights: EdgeWeights, image: str) -> tuple[str, str]:
    """Add the branches and the first convolution of both heads; return the names of ``coarse`` and ``fine``.

    `image` names the tiles with their border, (B, T+40, T+40, 3). Both maps have their channels last, those of B-NET's
    head first. With a grid, row and column 0 of the maps belong to the middle of the first square.
    """
    return _Maps(graph, weights).add(image)


def add_heads(graph: GraphBuilder, weights: EdgeWeights, coarse: str, fine: str, points: str) -> dict[str, str]:
    """Add the heads at points and return the name of the output of each.

    `points` names a tensor (N, 3) int32: number of the tile, row and column in it, without its border; with a grid,
    number of the tile, row and column of the square.
    """
    filters, grid_step = weights.config.filters, weights.config.grid_step
    index = graph.add("Cast", [points], f"{points}/int64", to=TensorProto.INT64)
    axis = graph.add_constant(f"{points}/axis", np.array([1], np.int64))
    corners = graph.add("Unsqueeze", [index, axis], f"{points}/corners")
    grids = [
        _gather(graph, coarse, corners, 1, POOL_STRIDE // grid_step),
        _gather(graph, fine, corners, grid_step, 1),
    ]
    first = graph.add("Relu", [graph.add("Add", grids, "heads/sum")], "heads/relu")
    shape = graph.add_constant("heads/shape", np.array([-1, HEAD_SIDE, HEAD_SIDE, filters], np.int64))
    answers = {}
    for number, head in enumerate(HEADS):
        own = graph.add_slice(first, {2: (number * filters, (number + 1) * filters)}, f"{head}/channels")
        answers[head] = add_head(graph, weights, graph.add("Reshape", [own, shape], f"{head}/grid"), head)
    return answers


def add_head(graph: GraphBuilder, weights: EdgeWeights, grid: str, head: str) -> str:
    """Add a head from its second convolution on, at (N, 5, 5, filters) values; return the name of its output.

    Products of matrices in place of these small convolutions were measured: they take longer.
    """
    arrays = weights.arrays
    grid = graph.add("Transpose", [grid], f"{head}/channels_first", perm=CHANNELS_FIRST)
    for number in (2, 3, 4):
        name = f"{head}_head_conv{number}"
        grid = graph.add_activation(graph.add_convolution(grid, arrays[name][0], name), "relu")
    values = graph.add("Flatten", [grid], f"{head}/values")
    if weights.config.head_normalization:
        values = graph.add_head_normalization(values, f"{head}/normalized")
    count = len(weights.config.dense_units) + 1
    for number in range(1, count + 1):
        name = f"{head}_head_dense{number}"
        kernel, bias = arrays[name]
        values = graph.add_dense(values, kernel, bias, name, "relu" if number < count else "softmax")
    return values


def _gather(graph: GraphBuilder, maps: str, corners: str, corner_step: int, step: int) -> str:
    """Gather values (N, 25, C) of a map at corner_step · corner + step · d, d in {0…4}²."""
    rows, cols = np.indices((HEAD_SIDE, HEAD_SIDE)).reshape(2, -1) * step
    offsets = graph.add_constant(f"{maps}/offsets", np.stack([np.zeros_like(rows), rows, cols], axis=1))
    if corner_step > 1:
        factors = graph.add_constant(f"{maps}/factors", np.array([1, corner_step, corner_step], np.int64))
        corners = graph.add("Mul", [corners, factors], f"{maps}/corners")
    return graph.add("GatherND", [maps, graph.add("Add", [corners, offsets], f"{maps}/index")], f"{maps}/gathered")


class _Maps:
    """Adds the branches on the whole picture."""

    def __init__(self, graph: GraphBuilder, weights: EdgeWeights) -> None:
        self._graph, self._config, self._arrays = graph, weights.config, weights.arrays
        # Neighbours in a patch's map lie 3 px apart after a pooling: 3 values of the whole picture's map apart, or
        # side by side in a map on the grid.
        self._dilation = POOL_STRIDE // self._config.grid_step

    def add(self, image: str) -> tuple[str, str]:
        """See `add_maps`."""
        config = self._config
        first = self._graph.add("Transpose", [image], f"{image}/channels_first", perm=CHANNELS_FIRST)
        scaled = self._graph.add_scaling(first, config.input_gain, -config.input_mean * config.input_gain, "scaling")
        ways = dict(zip(BRANCH_NAMES, (self._add_large, self._add_middle, self._add_small), strict=True))
        branches = {
            name: ways[name](self._crop(scaled, side, name), name)
            for name, side in zip(BRANCH_NAMES, BRANCH_SIDES, strict=True)
            if side in config.branch_sides
        }
        small = branches.pop("b3", None)
        second = self._add_large(self._crop(scaled, PATCH_SIDE, SECOND_BRANCH), SECOND_BRANCH)
        parts = {"blur": [*branches.values()], "edge": [second, *branches.values()]}
        coarse = [self._add_coarse(head, names) for head, names in parts.items()]
        if small is None:  # there is no branch of 15 px: a convolution with nothing
            small = self._crop(scaled, HEAD_SIDE + 2, "fine")
            kernel = np.zeros((3, 3, 3, len(parts) * config.filters), np.float32)
        else:
            kernel = np.concatenate([self._kernel(f"{h}_head_conv1")[:, :, -config.filters :] for h in parts], axis=3)
        fine = self._graph.add_convolution(small, kernel, "fine/conv")
        joined = self._graph.add("Concat", coarse, "coarse/conv", axis=CHANNELS)
        last = [self._graph.add("Transpose", [name], name.split("/")[0], perm=CHANNELS_LAST) for name in (joined, fine)]
        return last[0], last[1]

    def _kernel(self, name: str) -> NDArray[np.float32]:
        return self._arrays[name][0]

    def _crop(self, scaled: str, side: int, name: str) -> str:
        """Cut off what patches of a side do not reach, and what lies before the middle of the first square."""
        margin = (PATCH_SIDE - side) // 2
        shift = self._config.crop_shift if margin else 0
        start, stop = margin + shift + self._config.grid_step // 2, shift - margin
        return self._graph.add_slice(scaled, {ROWS: (start, stop), COLUMNS: (start, stop)}, f"{name}/crop")

    def _convolve(self, source: str, name: str, dilation: int = 1) -> str:
        convolved = self._graph.add_convolution(source, self._kernel(name), name, dilation=dilation)
        return self._graph.add_activation(convolved, "relu")

    def _pool(self, source: str, name: str) -> str:
        options = {"kernel_shape": [POOL_STRIDE] * 2, "strides": [self._config.grid_step] * 2}
        return self._graph.add("MaxPool", [source], f"{name}_pool", **options)

    def _add_large(self, source: str, name: str) -> str:
        """Branch 1 or f2: conv, pool, three convolutions."""
        tensor = self._pool(self._convolve(source, f"{name}_conv1"), name)
        for number in (2, 3, 4):
            tensor = self._convolve(tensor, f"{name}_conv{number}", self._dilation)
        return tensor

    def _add_middle(self, tensor: str, name: str) -> str:
        """Branch 2: three convolutions, pool, conv 1×1."""
        for number in (1, 2, 3):
            tensor = self._convolve(tensor, f"{name}_conv{number}")
        return self._convolve(self._pool(tensor, name), f"{name}_conv4")

    def _add_small(self, tensor: str, name: str) -> str:
        """Branch 3: four convolutions."""
        for number in (1, 2, 3, 4):
            tensor = self._convolve(tensor, f"{name}_conv{number}")
        return tensor

    def _add_coarse(self, head: str, parts: list[str]) -> str:
        """First convolution of a head on the branches that pool."""
        joined = self._graph.add("Concat", parts, f"{head}/joined", axis=CHANNELS) if len(parts) > 1 else parts[0]
        kernel = self._kernel(f"{head}_head_conv1")[:, :, : len(parts) * self._config.filters]
        return self._graph.add_convolution(joined, kernel, f"{head}_head_conv1", dilation=self._dilation)
