"""Samples as the decoder sees them, and batches of parts of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.estimation.light_range import stretch_range
from defocus_edge.estimation.point_blur import PointBlur
from defocus_edge.estimation.pyramid import PyramidBlur
from defocus_edge.estimation.refinement import describe_cells, reduce_picture
from defocus_edge.networks.refinement import CELL_STEP, RefinementNetwork
from training.refinement.samples import Sample

#: Sizes of parts in cells, rows and columns; ours. Samples that are smaller than the first are not used.
SIZES = ((32, 48), (48, 64), (64, 88), (80, 112))
#: Share of the samples whose radii are multiplied by a factor, and the range of its log2; ours. A cell of a large
#: photograph has more px than those of training, so its radii are smaller in px of the picture that the encoder sees.
SCALED_SHARE, SCALES = 0.3, (-3.0, 1.0)
# Share of a cell that must have a known truth.
_LEAST_KNOWN = 0.25

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CellSample:
    """Cells (R, C, K), features by stride, and the true radius in px with its weight, both (R, C)."""

    cells: NDArray[np.float16]
    features: list[NDArray[np.float16]]
    truth: FloatArray
    weight: FloatArray

    @property
    def is_large_enough(self) -> bool:
        """Whether the smallest part fits in, and some truth is known."""
        return _contains(self, SIZES[0]) and bool(self.weight.any())


def open_sample(sample: Sample, network: RefinementNetwork, *, depth_threshold: float) -> CellSample:
    """Describe the cells of a sample and encode its picture.

    `depth_threshold` is that of the edge networks that measured it.
    """
    image = stretch_range(sample.image.astype(np.float32) / np.float32(255))
    found = PointBlur(
        sample.points.astype(np.int32),
        sample.point_radius.astype(np.float32),
        sample.point_confidence.astype(np.float32),
        sample.depth_probability.astype(np.float32),
        depth_threshold,
    )
    blur = PyramidBlur(found, sample.scale.astype(np.int32))
    picture = reduce_picture(image)
    cells = describe_cells(picture, blur, sample.radius.astype(np.float32), sample.confidence.astype(np.float32))
    features = [np.asarray(each[0], np.float16) for each in network.encoder(picture[None])]
    size = cells.shape[1::-1]
    known = np.isfinite(sample.truth)
    share = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    filled = np.where(known, np.maximum(sample.truth, np.float16(MIN_RADIUS)), 0).astype(np.float32)
    truth = cv2.resize(filled, size, interpolation=cv2.INTER_AREA) / np.maximum(share, _LEAST_KNOWN)
    weight = np.where(share >= _LEAST_KNOWN, share, 0).astype(np.float32)
    return CellSample(cells.astype(np.float16), features, np.maximum(truth, MIN_RADIUS).astype(np.float32), weight)


def draw_batch(
    samples: Sequence[CellSample], count: int, rng: np.random.Generator
) -> tuple[list[FloatArray], FloatArray]:
    """Draw parts of one size from random samples.

    Returns the inputs of the decoder, and (B, R, C, 3): the true radius, its weight, and the radius of the spread map.
    """
    size = SIZES[int(rng.integers(len(SIZES)))]
    large = [sample for sample in samples if _contains(sample, size)]
    if not large:
        size, large = SIZES[0], list(samples)
    parts = [_cut(large[int(index)], size, rng) for index in rng.integers(len(large), size=count)]
    inputs = [np.stack(arrays).astype(np.float32) for arrays in zip(*(part[0] for part in parts), strict=True)]
    truth = np.stack([part[1] for part in parts])
    spread = np.exp2(inputs[0][..., :1])
    inputs[0][..., 0] += rng.uniform(*SCALES, (count, 1, 1)) * (rng.random((count, 1, 1)) < SCALED_SHARE)
    return inputs, np.concatenate([truth, spread], axis=-1)


def _contains(sample: CellSample, size: tuple[int, int]) -> bool:
    """Whether a part of some size fits in."""
    rows, columns = sample.truth.shape
    return rows >= size[0] and columns >= size[1]


def _cut(
    sample: CellSample, size: tuple[int, int], rng: np.random.Generator
) -> tuple[list[NDArray[np.float16]], FloatArray]:
    """Inputs and truth of a random part, mirrored or not."""
    spare = [(whole - side) // CELL_STEP for whole, side in zip(sample.truth.shape, size, strict=True)]
    top, left = (CELL_STEP * int(rng.integers(most + 1)) for most in spare)
    step = -1 if rng.random() < 0.5 else 1

    def cut(values: NDArray[Any], divisor: int = 1) -> NDArray[Any]:
        rows = slice(top // divisor, (top + size[0]) // divisor)
        columns = slice(left // divisor, (left + size[1]) // divisor)
        return values[rows, columns][:, ::step]

    inputs = [cut(sample.cells), *(cut(each, 2**level) for level, each in enumerate(sample.features))]
    return inputs, cut(np.stack([sample.truth, sample.weight], axis=-1))
