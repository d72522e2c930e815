"""Crops from the accelerator, and from the CPU the crops that the accelerator cannot render."""

from __future__ import annotations

import numpy as np

from training.data.sources import Sources
from training.edges.batches import Balance, CropBatch
from training.edges.crops import CropSampler
from training.edges.device.crops import DeviceCropSampler
from training.edges.device.recipes import DEVICE_FAMILIES
from training.edges.settings import TrainingSettings


class MixedSampler:
    """Draws each batch either on the accelerator or, for families that only the CPU can render, on the CPU.

    Only `families` and `level_share` of the settings count here. Raises ValueError as both samplers do.
    """

    def __init__(self, sources: Sources, settings: TrainingSettings) -> None:
        families = settings.families
        on_device = {name: share for name, share in families.items() if name in DEVICE_FAMILIES}
        on_host = {name: share for name, share in families.items() if name not in DEVICE_FAMILIES}
        self._device = DeviceCropSampler(sources, families=on_device, level_share=settings.level_share)
        self._host = CropSampler(sources, families=on_host) if on_host else None
        self._host_share = sum(on_host.values()) / sum(families.values())

    def draw_batch(
        self, crops: int, points_per_crop: int, *, rng: np.random.Generator, balance: Balance = "radius"
    ) -> CropBatch:
        """See `CropSampler.draw_batch`; all that is random depends on `rng`."""
        if self._host is not None and rng.random() < self._host_share:
            return self._host.draw_batch(crops, points_per_crop, rng=rng, balance=balance)
        seed = rng.integers(2**31, size=2).tolist()
        return self._device.draw_batch(crops, points_per_crop, seed=seed, balance=balance)
