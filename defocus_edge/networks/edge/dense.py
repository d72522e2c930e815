"""The two networks on a whole image at once: the same numbers as patch by patch, most work done once.

Neighbouring patches overlap almost wholly. A pooling with stride 3 followed by convolutions, seen from one patch, is
a stride-1 pooling followed by convolutions with dilation 3 on the image; so each branch is a fixed chain of maps. The
first convolution of a head is linear in the concatenated branches: its part on the branches with dilation 3 gives the
map ``coarse``, its part on the 15 px branch the map ``fine``, and for a patch with its corner at p and 0 <= d <= 4

    head1(p, d) = relu(coarse[p + 3 d] + fine[p + d]).

These 25 positions are gathered for each edge point; the rest of the head works on them.
"""

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
from defocus_edge.networks.edge.networks import BRANCH_NAMES, BRANCH_OUTPUT, BRANCH_SIDES, EDGE_CLASSES, EdgeNetworks
from defocus_edge.networks.edge.patches import PATCH_SIDE, check_points, extract_patches
from defocus_edge.networks.edge.point_tiles import CUT_STEP, cut_tiles

#: Of the convolutions over tiles.
#: Largest side in px of the tiles that an image is cut into; bounds the memory.
TILE_SIDE = 192
#: Edge points whose heads are computed in one call, at most.
POINT_CHUNK = 2048
# Fewer are filled up to a power of 2 from this on, so that there are few shapes.
_LEAST_CHUNK = 128
#: Patches in one call of the patch path.
PATCH_CHUNK = 256
# Stride of the poolings, so the dilation of what follows them.
_STRIDE = 3
# Positions along one axis after the first convolution of a head: 7 - 2.
_HEAD_SIDE = BRANCH_OUTPUT - 2
# How much wider the map `coarse` is than `fine`: the grid of positions reaches 3 times as far.
_COARSE_MARGIN = (_HEAD_SIDE - 1) * (_STRIDE - 1)


@dataclass(frozen=True)
class EdgePrediction:
    """Softmax of both networks at N points.

    Attributes
    ----------
    blur : (N, 23) ndarray of float32
    edge : (N, 2) ndarray of float32
        Pattern edge, depth edge.
    """

    blur: NDArray[np.float32]
    edge: NDArray[np.float32]


class DenseFeatures(keras.layers.Layer):
    """Maps `coarse` and `fine` of one or both heads on padded tiles.

    Parameters
    ----------
    networks : EdgeNetworks
    heads : tuple of {'blur', 'edge'}
        Heads whose maps are computed, stacked as channels in this order.
    **kwargs
        Of `keras.layers.Layer`; ``dtype="mixed_bfloat16"`` computes the convolutions in bfloat16.
    """

    def __init__(self, networks: EdgeNetworks, heads: tuple[str, ...] = ("blur", "edge"), **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # the input is scaled before it loses precision
        self.config = networks.config
        self.heads = heads
        sides = dict(zip(BRANCH_NAMES, BRANCH_SIDES, strict=True))
        names = [name for name, side in sides.items() if side in self.config.branch_sides]
        names += ["f2"] if "edge" in heads else []
        self.branches = {
            name: [networks.joint.get_layer(f"{name}_conv{number}") for number in (1, 2, 3, 4)] for name in names
        }
        self.head_convs = {head: networks.joint.get_layer(f"{head}_head_conv1") for head in heads}

    def call(self, tiles: Any) -> tuple[Any, Any]:
        """(B, T+40, T+40, 3) tiles to ``coarse`` (B, T+12, T+12, C) and ``fine`` (B, T+4, T+4, C)."""
        config = self.config
        scaled = ops.cast((tiles - config.input_mean) * config.input_gain, self.compute_dtype)
        large = {name: self._apply_large(scaled, name) for name in ("b1", "f2") if name in self.branches}
        middle = [self._apply_middle(self._crop(scaled, BRANCH_SIDES[1]))] if "b2" in self.branches else []
        small = self._apply_small(self._crop(scaled, BRANCH_SIDES[2])) if "b3" in self.branches else None
        coarse, fine = [], []
        for head in self.heads:
            kernel = self.head_convs[head].kernel
            inputs = [*([] if head == "blur" else [large["f2"]]), large["b1"], *middle]
            split = len(inputs) * config.filters
            coarse.append(
                ops.conv(ops.concatenate(inputs, axis=-1), kernel[:, :, :split], padding="valid", dilation_rate=_STRIDE)
            )
            if small is None:
                fine.append(ops.zeros_like(coarse[-1])[:, _COARSE_MARGIN:, _COARSE_MARGIN:])
            else:
                fine.append(ops.conv(small, kernel[:, :, split:], padding="valid"))
        return ops.concatenate(coarse, axis=-1), ops.concatenate(fine, axis=-1)

    def _crop(self, scaled: Any, branch_side: int) -> Any:
        """The part of the tile that the patches of one branch cover; the border has a fixed width, the tile not."""
        margin = (PATCH_SIDE - branch_side) // 2
        start, stop = margin + self.config.crop_shift, self.config.crop_shift - margin
        return scaled[:, start:stop, start:stop, :]

    def _apply_large(self, tensor: Any, name: str) -> Any:
        first, *others = self.branches[name]
        tensor = _convolve(tensor, first.kernel)
        tensor = ops.max_pool(tensor, _STRIDE, strides=1, padding="valid")
        for layer in others:
            tensor = _convolve(tensor, layer.kernel, _STRIDE)
        return tensor

    def _apply_middle(self, tensor: Any) -> Any:
        *first, last = self.branches["b2"]
        for layer in first:
            tensor = _convolve(tensor, layer.kernel)
        tensor = ops.max_pool(tensor, _STRIDE, strides=1, padding="valid")
        return _convolve(tensor, last.kernel)

    def _apply_small(self, tensor: Any) -> Any:
        for layer in self.branches["b3"]:
            tensor = _convolve(tensor, layer.kernel)
        return tensor


class PointHead(keras.layers.Layer):
    """The rest of one head, at points.

    Parameters
    ----------
    networks : EdgeNetworks
    head : {'blur', 'edge'}
    """

    def __init__(self, networks: EdgeNetworks, head: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.convs = [networks.joint.get_layer(f"{head}_head_conv{number}") for number in (2, 3, 4)]
        count = len(networks.config.dense_units) + 1
        self.denses = [networks.joint.get_layer(f"{head}_head_dense{number}") for number in range(1, count + 1)]

    def call(self, grid: Any) -> Any:
        """(N, 5, 5, filters) output of the head's first convolution to (N, classes) softmax."""
        for layer in self.convs:
            grid = layer(grid)
        values = ops.reshape(grid, (-1, grid.shape[-1]))
        for layer in self.denses:
            values = layer(values)
        return values


def gather_head_input(coarse: Any, fine: Any, points: Any) -> Any:
    """Output of the heads' first convolution at points.

    Parameters
    ----------
    coarse, fine : tensor
        What `DenseFeatures` returns.
    points : (N, 3) tensor of int32
        Number of the tile, row and column in it.

    Returns
    -------
    (N, 5, 5, C) tensor
        ``relu(coarse[p + 3 d] + fine[p + d])``; C is the number of heads times the filters.
    """
    return ops.relu(_gather_grid(coarse, points, _STRIDE) + _gather_grid(fine, points, 1))


def _convolve(tensor: Any, kernel: Any, dilation: int = 1) -> Any:
    """Valid convolution without bias, with ReLU."""
    return ops.relu(ops.conv(tensor, kernel, padding="valid", dilation_rate=dilation))


def _gather_grid(maps: Any, points: Any, step: int) -> Any:
    """(N, 5, 5, C) values at point + step · d, d in {0…4}²."""
    _, height, width, channels = ops.shape(maps)
    grid = np.arange(_HEAD_SIDE, dtype=np.int32) * step
    offsets = grid[:, None] * width + grid[None, :]
    corner = (points[:, 0] * height + points[:, 1]) * width + points[:, 2]
    flat = ops.reshape(maps, (-1, channels))
    return ops.take(flat, corner[:, None, None] + offsets, axis=0)


class DenseEvaluator:
    """Exact evaluation of both networks at any set of edge points, in bounded memory.

    Parameters
    ----------
    networks : EdgeNetworks
    tile_side : int
        Largest side in px of the rectangles that are evaluated at once, without their 20 px halo. Half of it needs a
        quarter of the memory; the result does not depend on it.
    precision : {'float32', 'bfloat16'}
        Of the convolutions over the tiles; not exact in bfloat16.
    device : str
        See `choose_device`.

    Raises
    ------
    ValueError
        If an option is none of these, or the device is not there.

    Notes
    -----
    Two functions of fixed signature are compiled at the first call; pictures of any size use them.
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
        self._features = compile_inference(lambda tile: features(tile), [((1, None, None, 3), "float32")])
        self._heads = compile_inference(
            predict_points,
            [
                ((1, None, None, channels), precision),
                ((1, None, None, channels), precision),
                ((None, 3), "int32"),
            ],
        )

    def predict(
        self,
        image: NDArray[np.float32],
        points: NDArray[np.integer],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> EdgePrediction:
        """Softmax of both networks at points of an image.

        Parameters
        ----------
        image : (H, W, 3) ndarray of float32
            RGB in [0, 1].
        points : (N, 2) ndarray of int
            Row and column of each point.
        progress : callable, optional
            Called with (points done, all points) after each tile.

        Returns
        -------
        EdgePrediction
            In the order of `points`.

        Raises
        ------
        ValueError
            If a point lies outside the image.
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
        """The same, piece by piece: 100 bytes for each point of a large picture are more than its map.

        Parameters
        ----------
        image, points, progress
            As for `predict`.

        Yields
        ------
        rows : (n,) ndarray of int64
            Which of the points; n is at most `POINT_CHUNK`. All points come once.
        prediction : EdgePrediction
            Of these.

        Raises
        ------
        ValueError
            If a point lies outside the image.
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


class PatchEvaluator:
    """The same predictions from one 41 px patch for each point: slow and obvious, the oracle of the dense path."""

    def __init__(self, networks: EdgeNetworks) -> None:
        self._joint = compile_inference(
            lambda patches: networks.joint(patches, training=False), [((None, PATCH_SIDE, PATCH_SIDE, 3), "float32")]
        )

    def predict(self, image: NDArray[np.float32], points: NDArray[np.integer]) -> EdgePrediction:
        """Softmax of both networks at (N, 2) points of an (H, W, 3) image, as `DenseEvaluator.predict`."""
        points = np.asarray(points)
        blur = np.empty((len(points), N_LEVELS), dtype=np.float32)
        edge = np.empty((len(points), len(EDGE_CLASSES)), dtype=np.float32)
        for start in range(0, len(points), PATCH_CHUNK):
            rows = slice(start, start + PATCH_CHUNK)
            outputs = self._joint(extract_patches(image, points[rows]))
            blur[rows] = ops.convert_to_numpy(outputs["blur"])
            edge[rows] = ops.convert_to_numpy(outputs["edge"])
        return EdgePrediction(blur, edge)


def compile_inference(
    function: Callable[..., Any], signature: list[tuple[tuple[int | None, ...], str]]
) -> Callable[..., Any]:
    """Compile a function of tensors for the backend in use, once, with a fixed signature.

    Parameters
    ----------
    function : callable
        Of positional tensors, written with `keras.ops` and Keras layers.
    signature : list of (shape, dtype)
        Of each argument; None in a shape for an axis of any length.

    Returns
    -------
    callable
        Takes arrays or tensors, returns tensors of the backend.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in signature]
        return tf.function(function, input_signature=specs, jit_compile=False)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return _without_gradient(function)


def _without_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """A torch function of arrays, run without recording gradients."""
    import torch

    def run(*arguments: Any) -> Any:
        with torch.no_grad():
            return function(*(ops.convert_to_tensor(argument) for argument in arguments))

    return run
