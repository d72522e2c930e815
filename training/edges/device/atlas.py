"""Pictures that crops are cut from, each at a few sizes, in the memory of the accelerator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from defocus_edge.networks.edge.patches import PATCH_RADIUS
from defocus_edge.psf import encode_srgb
from training.data.camera import CROP_SIDE
from training.data.photographs import find_light
from training.data.sources import WHITE_FROM, Sources, erode

#: Side in px of the pictures of a batch.
IMAGE_SIDE = CROP_SIDE + 2 * PATCH_RADIUS
#: Side in px of the windows that are cut and blurred; its prime factors are small, for the Fourier transform.
SIDE = 96
#: Border of a window in px that is cut away: the transform wraps around, and a disk of the largest radius reaches 9 px.
MARGIN = (SIDE - IMAGE_SIDE) // 2
#: For each of the kinds ``sharp``, ``object`` and ``shape``: its first picture in an atlas, and its number of pictures.
Kinds = dict[str, tuple[int, int]]
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

    #: (N,) tensor of float32. Each has four bytes: red, green, blue, and the share that an object covers. All backends
    #: gather 32-bit floats on the accelerator; TensorFlow cannot do so with bytes and keeps integers on the host.
    pixels: Any
    #: (R, 5) tensor of integers: first pixel, height, width, first row in `rims`, number of rows there.
    reductions: Any
    #: (P, 2) tensor of integers: first row in `reductions`, number of rows there.
    pictures: Any
    #: (M, 2) tensor of float32: row and column of pixels at the border of a mask.
    rims: Any


def index_dtype() -> str:
    """Integers that the backend computes with on the accelerator: of 32 bits in JAX, of 64 bits in TensorFlow."""
    return "int32" if keras.backend.backend() == "jax" else "int64"


def build_atlas(sources: Sources, factors: Sequence[float]) -> tuple[Atlas, Kinds]:
    """Reduce all pictures except those with disparity, and take them to the accelerator.

    Each picture is reduced by each of the `factors`, by area averaging in linear light. A result smaller than a window
    is dropped. Raises ValueError if a factor is not in (0, 1], no sharp picture is large enough, or there are too many
    pixels to count.
    """
    if not factors or not all(0 < factor <= 1 for factor in factors):
        msg = f"factors must be one or more numbers above 0 and at most 1. Got: {tuple(factors)}."
        raise ValueError(msg)
    pairs: dict[str, Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]] = {
        "sharp": ((picture, np.full(picture.shape[:2], 255, dtype=np.uint8)) for picture in sources.sharp),
        "object": ((cutout.picture, erode(cutout.mask)) for cutout in sources.cutouts),
        "shape": ((np.zeros((*shape.shape, 3), dtype=np.uint8), shape) for shape in sources.shapes),
    }
    stacks = {kind: [_reduce(picture, mask, factors) for picture, mask in pairs[kind]] for kind in pairs}
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
        pixels=ops.convert_to_tensor(np.concatenate([each.reshape(-1, 4) for each in pictures]).view(np.float32)[:, 0]),
        reductions=ops.convert_to_tensor(
            np.column_stack([_start(areas), sizes, _start(rim_counts), rim_counts]), index_dtype()
        ),
        pictures=ops.convert_to_tensor(np.column_stack([_start(stack_sizes), stack_sizes]), index_dtype()),
        # One row more, so that there is one to look up if there is no rim.
        rims=ops.convert_to_tensor(np.concatenate([*rims, np.zeros((1, 2), dtype=np.float32)])),
    )
    starts = _start(numbers).tolist()
    return atlas, dict(zip(kept, zip(starts, numbers.tolist(), strict=True), strict=True))


def _start(counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """First index of each of consecutive ranges with the given lengths."""
    return np.cumsum(counts, dtype=np.int64) - counts


def _reduce(picture: NDArray[np.uint8], mask: NDArray[np.uint8], factors: Sequence[float]) -> list[NDArray[np.uint8]]:
    """(h, w, 4) colours and matte at each size that holds a window."""
    height, width = mask.shape
    matte = (mask >= WHITE_FROM).astype(np.float32)
    values = np.concatenate([find_light(picture), matte[..., None]], axis=-1)
    sizes = [(round(width * factor), round(height * factor)) for factor in factors]
    reduced = [cv2.resize(values, size, interpolation=cv2.INTER_AREA) for size in sizes if min(size) >= SIDE]
    for small in reduced:
        small[..., :3] = encode_srgb(small[..., :3])
    return [np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8) for small in reduced]


def _find_rim(matte: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Some pixels along the border of a matte, (N, 2)."""
    covered = (matte >= WHITE_FROM).astype(np.uint8)
    rim = np.argwhere(cv2.morphologyEx(covered, cv2.MORPH_GRADIENT, np.ones((3, 3), dtype=np.uint8)))
    return rim[::_RIM_STRIDE].astype(np.float32)


def cut_pixels(pixels: Any, cut: Cut) -> Any:
    """(B, 96, 96, 4) bytes 0 to 255 as float32: colours and matte."""
    step = ops.arange(SIDE, dtype=index_dtype())
    start, row_step, col_step = (values[:, None, None] for values in cut)
    words = ops.take(pixels, start + step[:, None] * row_step + step * col_step, axis=0)
    return ops.cast(ops.view(words[..., None], "uint8"), "float32")
