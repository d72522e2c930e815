"""Pictures that crops are cut from, each at a few sizes, in the memory of the accelerator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.networks.edge.patches import PATCH_RADIUS
from defocus_edge.psf import encode_srgb
from training.data.camera import CROP_SIDE, RIM_DISTANCE
from training.data.photographs import find_light
from training.data.sources import WHITE_FROM, Sources, erode
from training.edges.device.chance import Chance
from training.edges.device.lazy_jax import jnp

#: Side in px of the pictures of a batch.
IMAGE_SIDE = CROP_SIDE + 2 * PATCH_RADIUS
#: Side in px of the windows that are cut and blurred; its prime factors are small, for the Fourier transform.
SIDE = 96
#: Border of a window in px that is cut away: the transform wraps around, and a disk of the largest radius reaches 9 px.
MARGIN = (SIDE - IMAGE_SIDE) // 2
#: For each of the kinds ``sharp``, ``object`` and ``shape``: its first picture in an atlas, and its number of pictures.
Kinds = dict[str, tuple[int, int]]
#: An (H, W, 3) picture and its (H, W) matte, which may be soft; 8 bit.
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
# One px in this many of a rim is kept as a place for a window, since windows are moved at random by far more.
_RIM_STRIDE = 4
# JAX counts pixels in 32 bits.
_MOST_PIXELS = 2**31 - 1


class Cut(NamedTuple):
    """Places of the pixels of square windows in an atlas: pixel (i, j) is at start + i · row_step + j · col_step."""

    start: Any
    row_step: Any
    col_step: Any


class Atlas(NamedTuple):
    """Pictures and masks, each at a few sizes, in the memory of the accelerator."""

    #: (N, 4) uint8: red, green, blue, and the share that an object covers.
    pixels: Any
    #: (R, 5) int32: first pixel, height, width, first row in `rims`, number of rows there.
    reductions: Any
    #: (P, 2) int32: first row in `reductions`, number of rows there.
    pictures: Any
    #: (M, 2) int32: row and column of pixels at the border of a mask.
    rims: Any


def build_atlas(sources: Sources, factors: Sequence[float]) -> tuple[Atlas, Kinds]:
    """Reduce all pictures except those with disparity, and take them to the accelerator.

    Each picture is reduced by each of the `factors`, by area averaging in linear light. A result smaller than a window
    is dropped. Raises ValueError if a factor is not in (0, 1], no sharp picture is large enough, or there are too many
    pixels to count.
    """
    if not factors or not all(0 < factor <= 1 for factor in factors):
        msg = f"factors must be one or more numbers above 0 and at most 1. Got: {tuple(factors)}."
        raise ValueError(msg)
    hard = ((cutout.picture, _harden(erode(cutout.mask))) for cutout in sources.cutouts)
    pairs: dict[str, Iterable[Pair]] = {
        "sharp": ((picture, np.full(picture.shape[:2], 255, dtype=np.uint8)) for picture in sources.sharp),
        "object": chain(hard, ((cutout.picture, cutout.mask) for cutout in sources.mattes)),
        "shape": ((np.zeros((*shape.shape, 3), dtype=np.uint8), _harden(shape)) for shape in sources.shapes),
    }
    with ThreadPoolExecutor() as executor:
        stacks = {kind: list(executor.map(partial(_reduce, factors=factors), found)) for kind, found in pairs.items()}
    kept = {kind: [stack for stack in stacks[kind] if stack] for kind in stacks}
    if not kept["sharp"]:
        sizes = [f"{picture.shape[1]}×{picture.shape[0]}" for picture in sources.sharp]
        msg = (
            f"sources must hold a sharp picture that has {SIDE}×{SIDE} px when reduced by one of {tuple(factors)}. "
            f"Got: {', '.join(sizes[:3]) or 'none'}{', …' if len(sizes) > 3 else ''}."
        )
        raise ValueError(msg)
    return _store(kept)


def _store(kept: dict[str, list[list[NDArray[np.uint8]]]]) -> tuple[Atlas, Kinds]:
    """Build the tables of all reductions of all pictures."""
    stacks = list(chain.from_iterable(kept.values()))
    pictures = list(chain.from_iterable(stacks))
    sizes = np.array([picture.shape[:2] for picture in pictures])
    areas = sizes.prod(axis=1)
    if areas.sum() > _MOST_PIXELS:
        msg = f"sources must have at most {_MOST_PIXELS} px in all reductions. Got: {areas.sum()}. Use fewer factors."
        raise ValueError(msg)
    rims = [_find_rim(picture[..., 3]) for picture in pictures]
    rim_counts = np.array([len(rim) for rim in rims])
    stack_sizes = np.array([len(stack) for stack in stacks])
    numbers = np.array([len(kept[kind]) for kind in kept])
    atlas = Atlas(
        pixels=jnp.asarray(np.concatenate([each.reshape(-1, 4) for each in pictures])),
        reductions=jnp.asarray(np.column_stack([_start(areas), sizes, _start(rim_counts), rim_counts]), jnp.int32),
        pictures=jnp.asarray(np.column_stack([_start(stack_sizes), stack_sizes]), jnp.int32),
        # One row more, so that there is one to look up if there is no rim.
        rims=jnp.asarray(np.concatenate([*rims, np.zeros((1, 2))]), jnp.int32),
    )
    starts = _start(numbers).tolist()
    return atlas, dict(zip(kept, zip(starts, numbers.tolist(), strict=True), strict=True))


def _start(counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """First index of each of consecutive ranges with the given lengths."""
    return np.cumsum(counts, dtype=np.int64) - counts


def _reduce(pair: Pair, factors: Sequence[float]) -> list[NDArray[np.uint8]]:
    """(h, w, 4) colours and matte at each size that holds a window."""
    picture, mask = pair
    height, width = mask.shape
    values = np.concatenate([find_light(picture), mask[..., None] / np.float32(255)], axis=-1)
    sizes = [(round(width * factor), round(height * factor)) for factor in factors]
    reduced = [cv2.resize(values, size, interpolation=cv2.INTER_AREA) for size in sizes if min(size) >= SIDE]
    for small in reduced:
        small[..., :3] = encode_srgb(small[..., :3])
    return [np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8) for small in reduced]


def _harden(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mask without grey: each pixel is covered or not."""
    return np.where(mask >= WHITE_FROM, 255, 0).astype(np.uint8)


def _find_rim(matte: NDArray[np.uint8]) -> NDArray[np.integer]:
    """Some pixels along the border of a matte, (N, 2)."""
    covered = (matte >= WHITE_FROM).astype(np.uint8)
    rim = np.argwhere(cv2.morphologyEx(covered, cv2.MORPH_GRADIENT, np.ones((3, 3), dtype=np.uint8)))
    return rim[::_RIM_STRIDE]


def cut_pixels(pixels: Any, cut: Cut) -> Any:
    """(B, 96, 96, 4) values in [0, 1], float32: colours and matte."""
    step = np.arange(SIDE, dtype=np.int32)
    start, row_step, col_step = (values[:, None, None] for values in cut)
    return pixels[start + step[:, None] * row_step + step * col_step].astype(jnp.float32) / 255


def draw_cut(atlas: Atlas, kinds: Kinds, kind: str, chance: Chance) -> Cut:
    """A window of a picture, turned or mirrored at random; if the picture has a mask, around the mask's rim."""
    first, number = kinds[kind]
    picture = atlas.pictures[first + chance.count(number)]
    reduction = atlas.reductions[picture[:, 0] + chance.count(picture[:, 1])]
    offset, height, width, first_rim, rims = reduction.T
    corners = [chance.count(size - SIDE + 1) for size in (height, width)]
    if kind != "sharp":
        rim = atlas.rims[first_rim + chance.count(rims)]
        for axis, size in enumerate((height, width)):
            centre = rim[:, axis] + chance.count(2 * RIM_DISTANCE + 1) - RIM_DISTANCE
            corners[axis] = jnp.where(rims > 0, jnp.clip(centre - SIDE // 2, 0, size - SIDE), corners[axis])
    # The eight turns and mirrorings: rows and columns each forwards or backwards, and exchanged or not.
    row_back, col_back, exchange = chance.toss(), chance.toss(), chance.toss()
    row, col = (
        corner + jnp.where(back, SIDE - 1, 0) for corner, back in zip(corners, (row_back, col_back), strict=True)
    )
    down, right = jnp.where(row_back, -width, width), jnp.where(col_back, -1, 1)
    return Cut(offset + row * width + col, jnp.where(exchange, right, down), jnp.where(exchange, down, right))


def draw_layer(atlas: Atlas, kinds: Kinds, chance: Chance) -> tuple[Cut, Cut, Any]:
    """Light and matte of a nearer layer, and whether it lies where the matte is 0.

    Half of the layers are objects; the others have the shape of a mask and the light of any picture.
    """
    objects, shapes = (kinds[kind][1] for kind in ("object", "shape"))
    light = draw_cut(atlas, kinds, "sharp", chance)
    matte = draw_cut(atlas, kinds, "shape", chance) if shapes else light
    is_object = chance.toss(0.5 if objects and shapes else float(objects > 0))
    if objects:
        cut = draw_cut(atlas, kinds, "object", chance)
        light, matte = (
            Cut(*(jnp.where(is_object, own, value) for own, value in zip(cut, other, strict=True)))
            for other in (light, matte)
        )
    return light, matte, chance.toss() & ~is_object
