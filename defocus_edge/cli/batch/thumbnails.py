"""Thumbnails of a picture and of its map for the report."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from defocus_edge.arrays import ImageWarning, shrink
from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.cli.batch.records import Item, Thumbnail
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import read_image
from defocus_edge.files.maps import read_map
from defocus_edge.plots import colour_radii

ByteArray = npt.NDArray[np.uint8]

#: Longest side in px of a thumbnail in runs of up to so many pictures; longer runs than the last have none.
SIDES = {1000: 200, 4000: 96}
# Most bytes of a thumbnail for each px of its longest side, so that 500 pictures with two thumbnails stay below 15 MB.
_BYTES_PER_SIDE = {"picture": 64, "map": 32}
# Qualities of JPEG that are tried, until one is small enough; the last counts anyway.
_QUALITIES = (80, 65, 50, 35, 20, 10)
# The box of the sharpest region: a white line between two black ones, seen on any picture.
_LINES = (((0, 0, 0), 3), ((255, 255, 255), 1))


def choose_side(count: int) -> int:
    """Longest side in px of the thumbnails of a run of `count` pictures; 0 for none."""
    return next((side for most, side in SIDES.items() if count <= most), 0)


def make_thumbnails(
    item: Item, box: tuple[int, int, int, int], *, side: int, reading: Mapping[str, Any]
) -> dict[str, Thumbnail]:
    """Thumbnails of a finished picture, with its sharpest box (row, column, height, width), and of its map.

    A file that cannot be read any more has none: the picture was measured all the same. `reading` are options of
    `read_image`.
    """
    found = {}
    try:
        radii = read_map(item.outputs["map"])
        colours = colour_radii(shrink(radii, side), MAX_RADIUS)
        found["map"] = _encode(colours, _BYTES_PER_SIDE["map"] * side)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImageWarning)  # told when it was measured
            image = read_image(item.source, page=item.page, **reading)
        small = np.rint(255 * shrink(image, side)).astype(np.uint8)
        _draw_box(small, box, image.shape[:2])
        found["picture"] = _encode(small, _BYTES_PER_SIDE["picture"] * side)
    except (ImageReadError, OSError, MemoryError):
        pass
    return found


def _draw_box(thumbnail: ByteArray, box: tuple[int, int, int, int], shape: tuple[int, ...]) -> None:
    """Draw the outline of a box of the picture, which has `shape`."""
    down, across = thumbnail.shape[0] / shape[0], thumbnail.shape[1] / shape[1]
    row, column, height, width = box
    first = round(column * across), round(row * down)
    last = round((column + width) * across) - 1, round((row + height) * down) - 1
    for colour, thickness in _LINES:
        cv2.rectangle(thumbnail, first, last, colour, thickness)


def _encode(thumbnail: ByteArray, most: int) -> Thumbnail:
    """JPEG of at most so many bytes, unless the lowest quality has more."""
    for quality in _QUALITIES:
        _, encoded = cv2.imencode(".jpg", thumbnail[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if encoded.size <= most:
            break
    return Thumbnail(encoded.tobytes(), *thumbnail.shape[:2])
