"""Random choices for the crops that are rendered on the accelerator, drawn there as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS, N_LEVELS, RADIUS_STEP
from training.data.camera import (
    BEYOND_SHARE,
    COLOUR_CAST,
    EDGE_QUANTILES,
    EXPOSURE_DEVIATION,
    FOCUS_RADII,
    FOCUS_SHARE,
    LARGEST_RADIUS,
    MEAN_NOISE,
    MOST_NOISE,
    NOISE_SHARE,
    RADII,
    RIM_DISTANCE,
    STEEPEST_RAMP,
)
from training.edges.device.atlas import SIDE, Atlas, Cut, Kinds, index_dtype
from training.edges.device.scenes import LARGEST_STEP, STEPS_PER_PIXEL

#: Families that can be drawn: the slices of a depth map differ between scenes and cannot be vectorized.
DEVICE_FAMILIES = ("uniform", "gradual", "composite")
# Random numbers that are drawn at once for each crop; a recipe needs fewer.
_DRAWS = 64
# A seed is two integers; type of these integers in each backend.
_SEED_DTYPES = {"jax": np.uint32, "tensorflow": np.int32, "torch": np.int64}


class Recipe(NamedTuple):
    """All random choices for B crops except noise and the choice of points."""

    #: (B,) tensor of float32: number of the family in `DEVICE_FAMILIES`.
    family: Any
    #: Places of the background, of the light of the nearer layer and of its matte in the atlas.
    far: Cut
    near: Cut
    matte: Cut
    #: (B, 3) tensors of float32, factors of red, green and blue.
    far_gain: Any
    near_gain: Any
    #: (B,) tensor of bool: whether the nearer layer lies where the matte is 0.
    is_inverted: Any
    #: (B, 96, 96) tensor of float32: radius of the background in 1/16 px.
    far_step: Any
    #: (B,) tensor of float32: radius of the nearer layer in 1/16 px.
    near_step: Any
    #: (B,) tensor of float32: standard deviation of the noise in 8-bit steps.
    deviation: Any
    #: (B,) tensor of float32: quantile of the gradients above which edges start.
    quantile: Any


class Stream(keras.random.SeedGenerator):
    """Seeds that depend on a key and on the number of seeds that were drawn before.

    Keras' own generator keeps a state between calls of a compiled function: a batch would depend on the batches before.
    """

    def __init__(self, key: Any) -> None:  # without super().__init__(), which creates a variable
        self._key = key
        self._drawn = 0

    def next(self, ordered: bool = True) -> Any:  # noqa: ARG002 - Keras passes it
        """Two integers."""
        self._drawn += 1
        return self._key + np.array([0, self._drawn], dtype=_SEED_DTYPES[keras.backend.backend()])


def make_key(seed: int | Sequence[int]) -> NDArray[np.integer]:
    """Key for `Stream`: two integers that differ in most bits from those of another seed."""
    # Two bits less: room for the count and for the sign.
    words = np.random.SeedSequence(seed).generate_state(2) >> 2
    return words.astype(_SEED_DTYPES[keras.backend.backend()])


class _Chance:
    """One random number for each of B crops at a time."""

    def __init__(self, crops: int, stream: Stream) -> None:
        self._rows = iter(ops.unstack(keras.random.uniform((_DRAWS, crops), seed=stream), _DRAWS))

    def draw(self, low: float = 0.0, high: float = 1.0) -> Any:
        """Evenly distributed numbers."""
        return low + (high - low) * next(self._rows)

    def count(self, number: Any) -> Any:
        """Whole numbers from 0 to number - 1, as floats; `number` may differ between crops."""
        number = ops.cast(number, "float32")
        return ops.maximum(ops.minimum(ops.floor(next(self._rows) * number), number - 1), 0)

    def toss(self, share: float = 0.5) -> Any:
        """True with this probability."""
        return next(self._rows) < share


def draw_recipe(
    crops: int, atlas: Atlas, kinds: Kinds, stream: Stream, *, shares: Sequence[float], level_share: float
) -> Recipe:
    """Draw the same choices as `CropSampler`.

    `shares` holds the share of each of `DEVICE_FAMILIES`; their sum is 1. `level_share` is the share of the uniform
    crops that have exactly the radius of a level.
    """
    chance = _Chance(crops, stream)
    place = chance.draw()
    family = ops.sum(ops.cast([place >= bound for bound in np.cumsum(shares[:-1]).tolist()], "float32"), axis=0)
    is_uniform, is_gradual, is_composite = (family == number for number in range(len(DEVICE_FAMILIES)))
    radius = _draw_radius(chance)
    other = ops.where(chance.toss(FOCUS_SHARE), chance.draw(*FOCUS_RADII), _draw_radius(chance))
    swap = chance.toss()
    near_radius, far_radius = ops.where(swap, other, radius), ops.where(swap, radius, other)
    level = MIN_RADIUS + RADIUS_STEP * chance.count(N_LEVELS)
    radius = ops.where(is_uniform & chance.toss(level_share), level, radius)
    ramp = ops.where(is_composite, far_radius, radius)[:, None, None] + _draw_ramp(chance, is_gradual)
    in_levels = ops.round(ramp / RADIUS_STEP) * RADIUS_STEP
    near, matte, is_inverted = _draw_layer(atlas, kinds, chance)
    exposure = ops.exp(keras.random.normal((2, crops, 1), stddev=EXPOSURE_DEVIATION, seed=stream))
    far_gain, near_gain = ops.unstack(exposure * keras.random.uniform((2, crops, 3), *COLOUR_CAST, seed=stream), 2)
    return Recipe(
        family=family,
        far=_draw_cut(atlas, kinds, "sharp", chance),
        near=near,
        matte=matte,
        far_gain=far_gain,
        near_gain=near_gain,
        is_inverted=is_inverted,
        far_step=_count_steps(ops.where((is_gradual & chance.toss())[:, None, None], in_levels, ramp)),
        near_step=_count_steps(near_radius),
        deviation=ops.where(
            chance.toss(NOISE_SHARE), ops.minimum(-MEAN_NOISE * ops.log(1 - chance.draw()), MOST_NOISE), 0.0
        ),
        quantile=chance.draw(*EDGE_QUANTILES),
    )


def _count_steps(radius: Any) -> Any:
    """Number of the tabulated kernel whose radius is nearest."""
    return ops.clip(ops.round(radius * STEPS_PER_PIXEL), 0, LARGEST_STEP)


def _draw_radius(chance: _Chance) -> Any:
    """Draw a radius as `CropSampler` does, px."""
    beyond = chance.draw(MAX_RADIUS, LARGEST_RADIUS)
    within = chance.draw(*RADII)
    return ops.where(chance.toss(BEYOND_SHARE), beyond, within)


def _draw_ramp(chance: _Chance, is_gradual: Any) -> Any:
    """(B, 96, 96) difference from the radius in the middle, px; 0 for crops without a ramp."""
    axis = ops.arange(SIDE, dtype="float32") - SIDE / 2
    angle = chance.draw(0, 2 * np.pi)
    slope = ops.where(is_gradual, chance.draw(0, STEEPEST_RAMP), 0.0)
    down, right = slope * ops.cos(angle), slope * ops.sin(angle)
    return down[:, None, None] * axis[:, None] + right[:, None, None] * axis


def _draw_layer(atlas: Atlas, kinds: Kinds, chance: _Chance) -> tuple[Cut, Cut, Any]:
    """Light and matte of the nearer layer, and whether it lies where the matte is 0.

    Half of the layers are objects; the others have the shape of a mask and the light of any picture.
    """
    objects, shapes = (kinds[kind][1] for kind in ("object", "shape"))
    light = _draw_cut(atlas, kinds, "sharp", chance)
    matte = _draw_cut(atlas, kinds, "shape", chance) if shapes else light
    is_object = chance.toss(0.5 if objects and shapes else float(objects > 0))
    if objects:
        cut = _draw_cut(atlas, kinds, "object", chance)
        light, matte = (
            Cut(*(ops.where(is_object, own, value) for own, value in zip(cut, other, strict=True)))
            for other in (light, matte)
        )
    return light, matte, chance.toss() & ops.logical_not(is_object)


def _draw_cut(atlas: Atlas, kinds: Kinds, kind: str, chance: _Chance) -> Cut:
    """A window of a picture, turned or mirrored at random; if the picture has a mask, around the mask's rim."""
    dtype = index_dtype()
    first, number = kinds[kind]
    picture = ops.take(atlas.pictures, ops.cast(first + chance.count(number), dtype), axis=0)
    reduction = picture[:, 0] + ops.cast(chance.count(picture[:, 1]), dtype)
    offset, height, width, first_rim, rims = ops.unstack(ops.take(atlas.reductions, reduction, axis=0), 5, axis=-1)
    corners = [chance.count(size - SIDE + 1) for size in (height, width)]
    if kind != "sharp":
        rim = ops.take(atlas.rims, first_rim + ops.cast(chance.count(rims), dtype), axis=0)
        for axis, size in enumerate((height, width)):
            centre = rim[:, axis] + chance.count(2 * RIM_DISTANCE + 1) - RIM_DISTANCE
            around = ops.maximum(ops.minimum(centre - SIDE // 2, ops.cast(size - SIDE, "float32")), 0)
            corners[axis] = ops.where(rims > 0, around, corners[axis])
    # The eight turns and mirrorings: rows and columns each forwards or backwards, and exchanged or not.
    row_back, col_back, exchange = chance.toss(), chance.toss(), chance.toss()
    row, col = (
        ops.cast(corner + ops.where(back, SIDE - 1.0, 0.0), dtype)
        for corner, back in zip(corners, (row_back, col_back), strict=True)
    )
    down, right = ops.where(row_back, -width, width), ops.cast(ops.where(col_back, -1.0, 1.0), dtype)
    start = offset + row * width + col
    return Cut(start, ops.where(exchange, right, down), ops.where(exchange, down, right))
