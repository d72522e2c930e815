"""Random crops that are drawn, rendered and labelled on the accelerator, as `training.edges.crops` does on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS, N_LEVELS, RADIUS_STEP
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from training.data.camera import CROP_SIDE, FAMILIES, LEVEL_SHARE, REDUCTIONS
from training.data.labels import UNDECIDED
from training.data.sources import Sources
from training.edges.batches import Balance, CropBatch
from training.edges.device.atlas import IMAGE_SIDE, MARGIN, SIDE, Atlas, build_atlas, cut_pixels, index_dtype
from training.edges.device.edges import LABEL_REACH, choose_balanced, find_edges, label_depth_edges, stratify
from training.edges.device.recipes import DEVICE_FAMILIES, Recipe, Stream, draw_recipe, make_key
from training.edges.device.scenes import (
    STEPS_PER_PIXEL,
    VERSIONS,
    Optics,
    build_optics,
    cover,
    decode_light,
    render_far,
    take_pictures,
)
from training.edges.settings import Head, TrainingSettings

# Number of sizes at which pictures are kept; each takes memory of the accelerator.
_SIZES = 4
#: Factors of these sizes, evenly spaced over the range that `CropSampler` draws from.
FACTORS = tuple(np.linspace(*REDUCTIONS, _SIZES).round(3).tolist())


@dataclass(frozen=True)
class DeviceCropBatch(CropBatch):
    """A `CropBatch` in tensors of the backend: labels are float32, `family` holds numbers in `DEVICE_FAMILIES`."""

    def weigh(self, head: Head) -> Any:
        """(P,) float32, 1 for the points that a head learns from, see `PointBatch.weigh`."""
        left_out = 1 if head == "blur" else UNDECIDED
        return self.valid * ops.cast(self.is_depth != left_out, "float32")

    def make_target(self, settings: TrainingSettings) -> Any:
        """Target of the loss, see `PointBatch.make_target`."""
        if settings.loss == "levels":
            return self.levels
        level = ops.round((self.radius - MIN_RADIUS) / RADIUS_STEP)
        classes = level if settings.head == "blur" else ops.maximum(self.is_depth, 0)
        return ops.cast(classes[:, None], index_dtype())

    def to_host(self) -> CropBatch:
        """The same batch in NumPy's arrays."""
        arrays = {name: np.asarray(ops.convert_to_numpy(value)) for name, value in vars(self).items()}
        return CropBatch(
            levels=arrays["levels"],
            radius=arrays["radius"],
            is_depth=arrays["is_depth"].astype(np.int8),
            valid=arrays["valid"],
            family=np.array(DEVICE_FAMILIES)[arrays["family"].astype(np.int64)],
            images=arrays["images"],
            points=arrays["points"].astype(np.int32),
        )


class DeviceCropSampler:
    """Draws crops without end on the accelerator of the backend in use. On a CPU, `CropSampler` is faster.

    Raises ValueError if there is no family or one that cannot be drawn here; if at no size a window of 96×96 px fits
    into a sharp picture, or, with the family ``composite``, into an object or mask; if a factor is outside (0, 1].

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
    The crops are those of `CropSampler`, with these differences. There are no scenes with depth maps, since the number
    of slices of a depth map differs. There is no JPEG. Pictures have a few sizes, radii have steps of 1/16 px, and the
    blur of a ramp mixes that of two disks. Hysteresis reaches 16 px. A crop with few edge points is not drawn again.

    The first draw of each size of batch compiles a function. The disks are applied as products of Fourier transforms:
    the cost does not depend on the radius, and products are not rounded to 10 bits as in convolutions on accelerators.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        families: dict[str, float] | None = None,
        factors: Sequence[float] = FACTORS,
        level_share: float = LEVEL_SHARE,
    ) -> None:
        families = {name: FAMILIES[name] for name in DEVICE_FAMILIES} if families is None else families
        unknown = [repr(name) for name in families if name not in DEVICE_FAMILIES]
        if unknown or not families:
            known, got = ", ".join(DEVICE_FAMILIES), ", ".join(unknown) or "none"
            msg = f"families must be one or more of {known} to be drawn on the accelerator. Got: {got}."
            raise ValueError(msg)
        self._atlas, self._kinds = build_atlas(sources, factors)
        if "composite" in families and not any(self._kinds[kind][1] for kind in ("object", "shape")):
            msg = (
                f"sources must hold an object or a mask that has {SIDE}×{SIDE} px when reduced by one of "
                f"{tuple(factors)} if families name 'composite'. Got: none."
            )
            raise ValueError(msg)
        shares = np.array([families.get(name, 0.0) for name in DEVICE_FAMILIES])
        self._shares = (shares / shares.sum()).tolist()
        self._has_ramps, self._has_layers = "gradual" in families, "composite" in families
        self._level_share = level_share
        self._optics = build_optics()
        self._compiled: dict[tuple[int, int, Balance], Callable[..., Any]] = {}

    def draw_batch(
        self, crops: int, points_per_crop: int, *, seed: int | Sequence[int], balance: Balance = "radius"
    ) -> DeviceCropBatch:
        """Draw crops with at most `points_per_crop` random edge points each; the rest of the room is padding.

        The same `seed` gives the same batch, whatever was drawn before. Another backend or kind of accelerator draws
        other numbers from it. Raises ValueError if `crops` is less than 1, or `points_per_crop` is less than 1 or more
        than the 24×24 px of a crop.
        """
        if crops < 1:
            msg = f"crops must be at least 1. Got: {crops}."
            raise ValueError(msg)
        if not 1 <= points_per_crop <= CROP_SIDE**2:
            msg = f"points_per_crop must be from 1 to {CROP_SIDE**2}. Got: {points_per_crop}."
            raise ValueError(msg)
        size = (crops, points_per_crop, balance)
        if size not in self._compiled:
            self._compiled[size] = _compile(lambda key, *tables: self._compute_batch(key, *tables, size=size))
        return DeviceCropBatch(*self._compiled[size](make_key(seed), self._atlas, self._optics))

    def _compute_batch(
        self, key: Any, atlas: Atlas, optics: Optics, *, size: tuple[int, int, Balance]
    ) -> tuple[Any, ...]:
        """The fields of a batch."""
        crops, points_per_crop, balance = size
        stream = Stream(key)
        recipe = draw_recipe(crops, atlas, self._kinds, stream, shares=self._shares, level_share=self._level_share)
        light, matte = self._render(recipe, atlas.pixels, optics)
        noise = keras.random.normal((crops, IMAGE_SIDE, IMAGE_SIDE, 3), seed=stream)
        images = take_pictures(_trim(light, MARGIN), recipe.deviation, noise)
        edges = _trim(find_edges(images, recipe.quantile), PATCH_RADIUS)
        edges, radius, label = (ops.reshape(each, (crops, -1)) for each in (edges, *find_truth(recipe, matte)))
        chance = keras.random.uniform((crops, CROP_SIDE**2), seed=stream)
        chosen, valid = choose_balanced(edges, stratify(radius, label, balance), points_per_crop, chance)
        radius = ops.where(valid, ops.take_along_axis(radius, chosen, axis=-1), MIN_RADIUS)
        label = ops.where(valid, ops.take_along_axis(label, chosen, axis=-1), float(UNDECIDED))
        flat = ops.reshape(radius, (-1,))
        return (
            ops.maximum(
                1 - ops.abs((flat[:, None] - MIN_RADIUS) / RADIUS_STEP - ops.arange(N_LEVELS, dtype="float32")), 0
            ),
            flat,
            ops.reshape(label, (-1,)),
            ops.cast(ops.reshape(valid, (-1,)), "float32"),
            ops.repeat(recipe.family, points_per_crop),
            images,
            _locate(chosen, valid),
        )

    def _render(self, recipe: Recipe, pixels: Any, optics: Optics) -> tuple[Any, Any]:
        """Light of the crops, and the sharp matte of the nearer layer, which is 0 in crops without such a layer."""
        far = decode_light(cut_pixels(pixels, recipe.far)[..., :3] / 255) * recipe.far_gain[:, None, None]
        light = render_far(far, recipe.far_step, optics, versions=VERSIONS if self._has_ramps else 1)
        if not self._has_layers:
            return light, ops.zeros_like(light[..., 0])
        near = decode_light(cut_pixels(pixels, recipe.near)[..., :3] / 255) * recipe.near_gain[:, None, None]
        matte = cut_pixels(pixels, recipe.matte)[..., 3] / 255
        matte = ops.where(recipe.is_inverted[:, None, None], 1 - matte, matte)
        is_composite = recipe.family == DEVICE_FAMILIES.index("composite")
        matte = ops.where(is_composite[:, None, None], matte, 0.0)
        return cover(light, near, matte, recipe.near_step, optics), matte


def find_truth(recipe: Recipe, matte: Any) -> tuple[Any, Any]:
    """Radius within the levels and E-NET label of each pixel of the inner part of crops, (B, 24, 24) each."""
    inner = MARGIN + PATCH_RADIUS
    far, near = _trim(recipe.far_step, inner) / STEPS_PER_PIXEL, recipe.near_step / STEPS_PER_PIXEL
    radius = ops.where(_trim(matte, inner) >= 0.5, near[:, None, None], far)
    # The background of a layer has one radius.
    label = label_depth_edges(_trim(matte, inner - LABEL_REACH), near, far[:, 0, 0])
    return ops.clip(radius, MIN_RADIUS, MAX_RADIUS), label


def _trim(values: Any, border: int) -> Any:
    """Cut a border away from (B, H, W, …) values."""
    return values[:, border:-border, border:-border]


def _locate(chosen: Any, valid: Any) -> Any:
    """(B, count) numbers of pixels in crops to (B · count, 3) numbers of crops, rows and columns; 0 for padding."""
    crops, count = chosen.shape
    pixel = ops.cast(chosen, "float32")
    row = ops.floor(pixel / CROP_SIDE)
    crop = ops.repeat(ops.arange(crops, dtype="float32"), count)
    place = ops.stack([ops.reshape(crop, (crops, count)), row, pixel - CROP_SIDE * row], axis=-1)
    return ops.cast(ops.reshape(ops.where(valid[..., None], place, 0.0), (-1, 3)), index_dtype())


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of nested tensors of fixed sizes for the backend in use."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    if backend == "jax":
        import jax

        return jax.jit(function)
    import torch

    return torch.no_grad()(function)
