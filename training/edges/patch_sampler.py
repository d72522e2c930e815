"""Independent patches as in the paper: a few points from each of many crops, so that a step sees many pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defocus_edge.networks.edge.patches import PATCH_SIDE
from training.edges.batches import Balance, CropSource, PatchBatch


class PatchSampler:
    """Draws batches of patches from crops.

    Each batch comes from new crops and the generator of its step alone, so that a run resumes exactly. The content of a
    shuffle buffer would be a state to restore.
    """

    def __init__(self, crops: CropSource) -> None:
        self.crops = crops

    def draw_batch(
        self, crops: int, points_per_crop: int, *, rng: np.random.Generator, balance: Balance = "radius"
    ) -> PatchBatch:
        """At most `points_per_crop` patches of each of `crops` new crops, see `CropSampler.draw_batch`."""
        batch = self.crops.draw_batch(crops, points_per_crop, rng=rng, balance=balance)
        return PatchBatch(
            levels=batch.levels,
            radius=batch.radius,
            is_depth=batch.is_depth,
            valid=batch.valid,
            family=batch.family,
            patches=cut_patches(batch.images, batch.points),
        )


def cut_patches(images: NDArray[np.float32], points: NDArray[np.int32]) -> NDArray[np.float32]:
    """Patches of 41×41 px centred on points in the inner part of crops.

    `images` are (B, S + 40, S + 40, 3) float32. `points` are (P, 3) int32: crop number, row and column in its inner
    S×S px. Returns (P, 41, 41, 3) float32 patches.
    """
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH_SIDE, PATCH_SIDE), axis=(1, 2))
    number, row, col = points.T
    return np.ascontiguousarray(np.moveaxis(windows[number, row, col], 1, -1))
