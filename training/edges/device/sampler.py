"""Batches of crops that are drawn, rendered and labelled on the accelerator, with JAX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MIN_RADIUS
from training.data.camera import CROP_SIDE, FAMILIES, LEVEL_SHARE
from training.data.labels import UNDECIDED, share_levels
from training.data.sources import Sources
from training.edges.batches import Balance, CropBatch
from training.edges.crops import CropSampler
from training.edges.device.apertures import build_optics
from training.edges.device.atlas import SIDE, Kinds, build_atlas
from training.edges.device.lazy_jax import jax
from training.edges.device.photos import Mix, PhotoSampler

#: Factors of the sizes at which the pictures are kept. Pictures are never perfectly sharp as they come; ours.
FACTORS = (0.41, 0.48, 0.55, 0.64)


class DeviceCropSampler:
    """Draws crops without end on the accelerator that JAX sees. On a CPU, `CropSampler` is faster.

    Raises ValueError if there is no family that can be drawn here; if at no size a window of 96×96 px fits into a sharp
    picture, or, with the family ``composite``, into an object or mask; if a factor is outside (0, 1].

    Parameters
    ----------
    families : dict, optional
        Name of a family to how often it occurs. Default: those of `FAMILIES` that can be drawn here.
    factors : sequence of float
        Factors of the sizes at which the pictures are kept. Each takes 4 bytes per pixel on the accelerator.
    level_share : float
        Share of the uniform crops that have exactly the radius of a level.

    Notes
    -----
    The crops show more of what photographs have than those of `CropSampler`, see `training.edges.device.photos`. Scenes
    with depth maps cannot be drawn here, since the number of slices of a depth map differs: if `families` name
    ``depth``, its share of the batches comes from `CropSampler`. Hysteresis reaches 16 px. A crop with few edge points
    is not drawn again. The first draw of each size of batch compiles a function.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        families: dict[str, float] | None = None,
        factors: Sequence[float] = FACTORS,
        level_share: float = LEVEL_SHARE,
    ) -> None:
        here = Mix._fields
        families = {name: FAMILIES[name] for name in here} if families is None else families
        shares = np.array([families.get(name, 0.0) for name in here])
        if not shares.any():
            msg = f"families must name one or more of {', '.join(here)}. Got: {', '.join(families) or 'none'}."
            raise ValueError(msg)
        on_host = {name: share for name, share in families.items() if name not in here}
        self._host = CropSampler(sources, families=on_host) if on_host else None
        self._host_share = sum(on_host.values()) / sum(families.values())
        self._atlas, self._kinds = build_atlas(sources, factors)
        check_layers(families, self._kinds, factors)
        self._shares, self._level_share = shares / shares.sum(), level_share
        self._compiled: dict[tuple[int, int, Balance], Any] = {}

    def draw_batch(
        self, crops: int, points_per_crop: int, *, rng: np.random.Generator, balance: Balance = "radius"
    ) -> CropBatch:
        """See `CropSampler.draw_batch`; all that is random depends on `rng`.

        Images, points and levels lie in the memory of the accelerator if Keras runs on JAX. Another version of JAX or
        kind of accelerator draws other numbers. Raises ValueError if `crops` is less than 1, or `points_per_crop` is
        less than 1 or more than the 24×24 px of a crop.
        """
        if crops < 1:
            msg = f"crops must be at least 1. Got: {crops}."
            raise ValueError(msg)
        if not 1 <= points_per_crop <= CROP_SIDE**2:
            msg = f"points_per_crop must be from 1 to {CROP_SIDE**2}. Got: {points_per_crop}."
            raise ValueError(msg)
        if self._host is not None and rng.random() < self._host_share:
            return self._host.draw_batch(crops, points_per_crop, rng=rng, balance=balance)
        mix = self.count_families(crops)
        size = (crops, points_per_crop, balance)
        if size not in self._compiled:
            sampler = PhotoSampler(self._kinds, mix, self._level_share, points_per_crop, balance)
            self._compiled[size] = jax.jit(sampler.draw)
        batch = self._compiled[size](jax.random.key(rng.integers(2**32)), self._atlas, build_optics())
        keep: Any = (lambda array: array) if keras.backend.backend() == "jax" else np.asarray
        valid = np.asarray(batch.valid)
        radius = np.where(valid > 0, np.asarray(batch.radius), np.float32(MIN_RADIUS))
        return CropBatch(
            levels=share_levels(radius),
            radius=radius,
            is_depth=np.where(valid > 0, np.asarray(batch.is_depth), UNDECIDED).astype(np.int8),
            valid=valid,
            family=np.repeat(np.array(Mix._fields), np.array(mix) * points_per_crop),
            images=keep(batch.images),
            points=keep(batch.points),
        )

    def count_families(self, crops: int) -> Mix:
        """Number of crops of each family in a batch."""
        return split_crops(self._shares, crops)


def check_layers(families: dict[str, float], kinds: Kinds, factors: Sequence[float]) -> None:
    """Raise ValueError if composites are wanted and an atlas has nothing for their nearer layers."""
    if "composite" in families and not any(kinds[kind][1] for kind in ("object", "shape")):
        msg = (
            f"sources must hold an object or a mask that has {SIDE}×{SIDE} px when reduced by one of "
            f"{tuple(factors)} if families name 'composite'. Got: none."
        )
        raise ValueError(msg)


def split_crops(shares: NDArray[np.floating], crops: int) -> Mix:
    """Split a number of crops by the shares of the families, whose sum is 1."""
    bounds = np.rint(np.cumsum(shares) * crops).astype(int)
    return Mix(*np.diff(bounds, prepend=0).tolist())
