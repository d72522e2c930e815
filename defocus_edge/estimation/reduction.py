"""Reduced pictures: a radius of r px in a picture reduced by s is a radius of r · s px in the picture itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from defocus_edge.arrays import MIN_SIDE
from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.choices import MaxRadius
from defocus_edge.psf import decode_srgb, encode_srgb

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

#: Largest reduction with ``max_radius="auto"``: radii up to 16 · 6 = 96 px are found.
LARGEST_SCALE = 16
#: Least shorter side in px of a reduced picture with ``max_radius="auto"``: smaller ones have few edges.
LEAST_REDUCED_SIDE = 96
# Number of rows that are reduced at once; bounds the memory. Even, so that no block is cut.
_STRIP_ROWS = 512


class TooSmallError(ValueError):
    """A picture that is too small for the radii that are looked for."""


def choose_scales(shape: tuple[int, ...], max_radius: MaxRadius) -> list[int]:
    """Choose the reductions (1, 2, 4, …) of a picture of (H, W) `shape` that cover radii up to `max_radius`, in px.

    The networks know radii up to 6 px: for these the picture itself is enough. TooSmallError if it is too small.
    """
    scales = [1]
    if max_radius == "auto":
        while scales[-1] < LARGEST_SCALE and min(shape[:2]) / (2 * scales[-1]) >= LEAST_REDUCED_SIDE:
            scales.append(2 * scales[-1])
        return scales
    while scales[-1] * MAX_RADIUS < max_radius:
        scales.append(2 * scales[-1])
        if min(shape[:2]) < MIN_SIDE * scales[-1]:
            largest = scales[-2] * MAX_RADIUS
            rule = f"max_radius of a picture of {shape[0]}×{shape[1]} px can be at most {largest:g} px"
            raise TooSmallError(f"{rule}. Got: {max_radius}.")
    return scales


def reduce_pictures(image: FloatArray, scales: Sequence[int]) -> list[FloatArray]:
    """Reduce a picture by 1, 2, 4, …: the picture itself, then each the half of the one before."""
    pictures = [image]
    for _ in scales[1:]:
        pictures.append(reduce_image(pictures[-1]))
    return pictures


def reduce_image(image: FloatArray) -> FloatArray:
    """Halve an (H, W, 3) sRGB-encoded picture as a camera with pixels of twice the side would have taken it.

    The linear light is averaged: pixel (i, j) is the mean of rows 2i and 2i + 1 and columns 2j and 2j + 1. A last odd
    row or column is repeated.
    """
    height, width = image.shape[:2]
    reduced = np.empty(((height + 1) // 2, (width + 1) // 2, image.shape[2]), dtype=np.float32)
    for top in range(0, height, _STRIP_ROWS):
        strip = image[top : top + _STRIP_ROWS]
        even = np.pad(strip, ((0, len(strip) % 2), (0, width % 2), (0, 0)), mode="edge")
        light = decode_srgb(even)
        mean = (light[::2, ::2] + light[1::2, ::2] + light[::2, 1::2] + light[1::2, 1::2]) / 4
        reduced[top // 2 : top // 2 + len(mean)] = encode_srgb(mean)
    return reduced


def reduce_any(marked: BoolArray, scale: int) -> BoolArray:
    """Reduce a mask by a power of 2, rounding sides up: True where any pixel of the block is."""
    if scale == 1:
        return marked
    even = np.pad(marked, [(0, side % 2) for side in marked.shape])
    halved = even[::2, ::2] | even[1::2, ::2] | even[::2, 1::2] | even[1::2, 1::2]
    return reduce_any(halved, scale // 2)
