"""What DHDE's network learns from: edge points of pictures that are blurred evenly or in layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS, radius_to_class
from training.baselines.dhde_features import PATCH_SIDES, WEAK, describe_patches
from training.baselines.patch_networks import DhdeConfig, build_dhde_network
from training.data.sources import Sources
from training.edges.crops import CropSampler
from training.edges.patch_sampler import PatchSampler
from training.patch_networks.settings import PatchSettings
from training.patch_networks.training import Batch, PatchTask

#: Families of scenes and their shares. The paper has uniform blur alone; with layers, patches near the rim of an object
#: are learnt, too.
FAMILIES = {"uniform": 0.75, "composite": 0.25}
# Batches whose features are given mean 0 and variance 1.
_STANDARDIZED = 16


class DhdeTask(PatchTask):
    """Trains DHDE's network to tell the blur level of an edge point; see `PatchTask`.

    Each point is shown at either scale, whatever its strength. Points of depth edges are left out.
    """

    def __init__(
        self, settings: PatchSettings, sources: Sources, development: Sources, config: DhdeConfig | None = None
    ) -> None:
        config = config or DhdeConfig()
        self._sampler, self._held_back_sampler = (
            PatchSampler(CropSampler(side, families=FAMILIES)) for side in (sources, development)
        )
        super().__init__("dhde", build_dhde_network(config), settings, config)
        drawn = [self.draw(0, np.random.default_rng((settings.seed, 0, n))) for n in range(_STANDARDIZED)]
        features = np.concatenate([inputs["features"] for inputs, _, _ in drawn])
        self.model.get_layer("standardize").set_weights([features.mean(axis=0), features.var(axis=0)])

    def draw(self, _step: int, rng: np.random.Generator, /) -> Batch:
        """See `Task`."""
        return self._draw(self._sampler, rng)

    def draw_held_back(self, rng: np.random.Generator) -> Batch:
        """See `PatchTask`."""
        return self._draw(self._held_back_sampler, rng)

    def compare(self, logits: NDArray[np.float32], classes: NDArray[np.int32]) -> dict[str, float]:
        """Mean and median error in px."""
        error = np.abs(BLUR_LEVELS[logits.argmax(axis=1)] - BLUR_LEVELS[classes])
        return {"mae_px": float(error.mean()), "median_px": float(np.median(error))}

    def _draw(self, sampler: PatchSampler, rng: np.random.Generator) -> Batch:
        drawn = sampler.draw_batch(self.settings.pictures, self.settings.patches, rng=rng)
        margin = (drawn.patches.shape[1] - PATCH_SIDES[WEAK]) // 2
        inner = drawn.patches[:, margin:-margin, margin:-margin]
        patches, features = describe_patches(inner, rng.integers(len(PATCH_SIDES), size=len(inner)))
        classes = radius_to_class(drawn.radius).astype(np.int32)
        return {"patch": patches, "features": features}, classes, drawn.weigh("blur")
