"""What the networks of the local metric learn from: patches around the centres of superpixels."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from training.baselines.cnn_metric import PATCH_SIDE, MetricConfig
from training.baselines.patch_networks import build_metric_networks
from training.baselines.pictures import convert_to_grey
from training.baselines.superpixels import find_centres, find_superpixels
from training.data.sources import Sources
from training.masks.scenes import MaskSceneSampler
from training.patch_networks.settings import PatchSettings
from training.patch_networks.training import Batch, PatchTask

#: Families of scenes and their shares: those in which everything is sharp or blurred.
FAMILIES = {"shape": 0.5, "person": 0.2, "uniform": 0.3}
#: Side in px of a picture, and of its superpixels.
PICTURE_SIDE, SUPERPIXEL_SIDE = 128, 16
#: A superpixel is learnt from if at least this share of it has one label.
LEAST_SHARE = 0.95
#: How many times as many patches come from a picture as the settings say: they take longer to render than crops.
POOLING = 3


class MetricTask(PatchTask):
    """Trains the networks of the local metric to tell blurred superpixels from sharp ones; see `PatchTask`.

    A picture gives `POOLING` times as many patches as the settings say.
    """

    def __init__(
        self, settings: PatchSettings, sources: Sources, development: Sources, config: MetricConfig | None = None
    ) -> None:
        config = config or MetricConfig()
        self._sampler, self._held_back_sampler = (
            MaskSceneSampler(side, side=PICTURE_SIDE, families=FAMILIES) for side in (sources, development)
        )
        self._networks = len(config.sides)
        super().__init__("cnn-metric", build_metric_networks(config), settings, config)

    def draw(self, _step: int, rng: np.random.Generator, /) -> Batch:
        """See `Task`."""
        return self._draw(self._sampler, rng)

    def draw_held_back(self, rng: np.random.Generator) -> Batch:
        """See `PatchTask`."""
        return self._draw(self._held_back_sampler, rng)

    def compare(self, logits: NDArray[np.float32], classes: NDArray[np.int32]) -> dict[str, float]:
        """Share of right answers of each network."""
        right = (logits.argmax(axis=2) == classes).mean(axis=0)
        return {f"accuracy_{number}": float(share) for number, share in enumerate(right)}

    def _draw(self, sampler: MaskSceneSampler, rng: np.random.Generator) -> Batch:
        pictures, patches = self.settings.pictures, self.settings.patches * POOLING
        seen = np.zeros((pictures, patches, PATCH_SIDE, PATCH_SIDE, 1), dtype=np.float32)
        blurred = np.zeros((pictures, patches), dtype=np.int32)
        weights = np.zeros((pictures, patches), dtype=np.float32)
        for number, (picture, mask) in enumerate(zip(*sampler.draw_batch(pictures, rng), strict=True)):
            cut, labels = cut_superpixels(picture, mask)
            chosen = rng.permutation(len(labels))[:patches]
            seen[number, : len(chosen), ..., 0] = cut[chosen]
            blurred[number, : len(chosen)] = labels[chosen]
            weights[number, : len(chosen)] = 1
        classes = np.repeat(blurred.reshape(-1, 1), self._networks, axis=1)
        return {"patch": seen.reshape(-1, *seen.shape[2:])}, classes, weights.ravel()


def cut_superpixels(
    picture: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Grey patches (N, 21, 21), minus their means, at the superpixels of one label each, and their labels (N,)."""
    segments = find_superpixels(picture, side=SUPERPIXEL_SIDE)
    share = np.bincount(segments.ravel(), mask.ravel()) / np.bincount(segments.ravel())
    sure = np.maximum(share, 1 - share) >= LEAST_SHARE
    padded = np.pad(convert_to_grey(picture), PATCH_SIDE // 2, mode="symmetric")
    windows = sliding_window_view(padded, (PATCH_SIDE,) * 2)
    patches = windows[tuple(find_centres(segments)[sure].T)]
    return patches - patches.mean(axis=(1, 2), keepdims=True), share[sure] > 0.5
