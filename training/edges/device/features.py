"""The maps of `DenseFeatures` as an accelerator computes them and their gradients fast."""

from __future__ import annotations

from typing import Any

from keras import ops

from defocus_edge.networks.edge.architecture import BRANCH_SIDES
from defocus_edge.networks.edge.features import DenseFeatures

_STRIDE = 3


class ProductFeatures(DenseFeatures):
    """`DenseFeatures` for crops of a fixed size, whose convolutions are products of matrices.

    Choosing among a library's kernels for some hundred convolutions took minutes before the first step; products need
    no choice. ValueError if they need dilation.
    """

    def _convolve(self, tensor: Any, kernel: Any, dilation: int = 1) -> Any:
        """Valid convolution in the precision of the tensor."""
        if dilation != 1:
            raise ValueError(f"dilation must be 1. Got: {dilation}.")
        rows, cols, _, filters = kernel.shape
        height, width = tensor.shape[1] - rows + 1, tensor.shape[2] - cols + 1
        patches = [tensor[:, row : row + height, col : col + width] for row in range(rows) for col in range(cols)]
        joined = ops.concatenate(patches, axis=-1)
        flat = ops.cast(ops.reshape(kernel, (-1, filters)), tensor.dtype)
        return ops.reshape(ops.matmul(ops.reshape(joined, (-1, joined.shape[-1])), flat), (-1, height, width, filters))


class SquareFeatures(ProductFeatures):
    """The maps of networks that look at squares of 3×3 px."""

    def _pool(self, tensor: Any) -> Any:
        """Maximum of each square."""
        _, height, width, channels = tensor.shape
        rows, cols = height // _STRIDE, width // _STRIDE
        tensor = tensor[:, : rows * _STRIDE, : cols * _STRIDE]
        return ops.max(ops.reshape(tensor, (-1, rows, _STRIDE, cols, _STRIDE, channels)), axis=(2, 4))


class InterleavedFeatures(ProductFeatures):
    """The maps of one head at all pixels; `suits` says for which networks.

    Two more things suit a GPU better. What follows a pooling with stride 3 is computed on nine interleaved pictures of
    a third of the size instead of with dilated kernels. Poolings are maxima of shifted maps, whose gradient is quick.
    """

    def call(self, tiles: Any) -> tuple[Any, Any]:
        """(B, 64, 64, 3) crops to ``coarse`` (B, 36, 36, C) and ``fine`` (B, 28, 28, C) of one head."""
        config, (head,) = self.config, self.heads
        scaled = ops.cast((tiles - config.input_mean) * config.input_gain, self.compute_dtype)
        middle, small = (self._crop(scaled, side) for side in BRANCH_SIDES[1:])
        *before, last = self.branches["b2"]
        for layer in before:
            middle = self._apply(layer, middle)
        for layer in self.branches["b3"]:
            small = self._apply(layer, small)
        large = [self._apply_large(scaled, name) for name in ("f2", "b1") if name in self.branches]
        joined = ops.concatenate([*large, self._apply(last, _part(self._pool(middle)))], axis=-1)
        kernel, split = self.head_convs[head].kernel, joined.shape[-1]
        return _weave(self._convolve(joined, kernel[:, :, :split])), self._convolve(small, kernel[:, :, split:])

    def _apply_large(self, tensor: Any, name: str) -> Any:
        """A branch of 41 px, in nine interleaved pictures."""
        first, *others = self.branches[name]
        tensor = _part(self._pool(self._apply(first, tensor)))
        for layer in others:
            tensor = self._apply(layer, tensor)
        return tensor

    def _pool(self, tensor: Any) -> Any:
        """Maximum over 3×3 px around each."""
        height, width = tensor.shape[1] - 2, tensor.shape[2] - 2
        tall = ops.maximum(ops.maximum(tensor[:, :height], tensor[:, 1:-1]), tensor[:, 2:])
        return ops.maximum(ops.maximum(tall[:, :, :width], tall[:, :, 1:-1]), tall[:, :, 2:])

    @staticmethod
    def suits(config: Any) -> bool:
        """Whether networks have the three centred patches that this needs."""
        return config.branch_sides == BRANCH_SIDES and not config.crop_shift


def _part(tensor: Any) -> Any:
    """(B, 3 n, 3 n, C) to (9 B, n, n, C): each third px of each third row."""
    _, height, width, channels = tensor.shape
    parts = ops.reshape(tensor, (-1, height // _STRIDE, _STRIDE, width // _STRIDE, _STRIDE, channels))
    parts = ops.transpose(parts, (0, 2, 4, 1, 3, 5))
    return ops.reshape(parts, (-1, height // _STRIDE, width // _STRIDE, channels))


def _weave(parts: Any) -> Any:
    """The inverse of `_part`."""
    _, height, width, channels = parts.shape
    tensor = ops.reshape(parts, (-1, _STRIDE, _STRIDE, height, width, channels))
    return ops.reshape(ops.transpose(tensor, (0, 3, 1, 4, 2, 5)), (-1, _STRIDE * height, _STRIDE * width, channels))
