"""Objects of MS-COCO's instance files and their masks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.choices import DEFAULT_MAX_PIXELS

_PREFIX = "instances_"
#: Objects that cover a smaller share of their picture are left out; chosen.
LEAST_SHARE = 0.01
# Bits after the binary point of polygon corners.
_SHIFT = 4
# Largest coordinate of a corner, px; chosen so that it fits OpenCV's integers.
_FARTHEST = 1 << 20


class CocoError(ValueError):
    """An instance file that does not have the format of MS-COCO."""


@dataclass(frozen=True)
class CocoObject:
    """One object of an instance file: its id there, and height and width in px of its picture.

    `segmentation` is JSON: polygons [[x, y, x, y, ...], ...], or run lengths {"counts": list or str, "size": [H, W]}.
    """

    number: int
    size: tuple[int, int]
    segmentation: str


def find_splits(root: Path) -> list[tuple[Path, Path]]:
    """Instance files below `root` with the folders of their pictures; those without such a folder are left out."""
    splits = []
    for instances in sorted((root / "annotations").glob(f"{_PREFIX}*.json")):
        name = instances.stem.removeprefix(_PREFIX)
        folder = next((place for place in (root / name, root / "images" / name) if place.is_dir()), None)
        if folder is not None:
            splits.append((instances, folder))
    return splits


def read_objects(root: Path, instances: Path, pictures: Path) -> Iterator[tuple[str, CocoObject]]:
    """Read the objects of an instance file that are neither crowds nor tiny and have a picture.

    Yields the name of the picture relative to `root` and the object, in the order of the ids; `CocoError` if the file
    is no instance file.
    """
    try:
        content = json.loads(instances.read_bytes())
        images = {image["id"]: image for image in content["images"]}
        objects = sorted(content["annotations"], key=lambda item: item["id"])
        found = [_describe(item, images[item["image_id"]]) for item in objects if not item.get("iscrowd", 0)]
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CocoError(
            f"'{instances}' must be an instance file of MS-COCO (images, annotations). Got: {reason}."
        ) from error
    there = {path.name for path in pictures.iterdir()}
    for name, share, described in found:
        if share >= LEAST_SHARE and name in there:
            yield (pictures / name).relative_to(root).as_posix(), described


def draw_mask(described: CocoObject) -> NDArray[np.bool_]:
    """Mask of an object, (H, W), True = object; `CocoError` if its segmentation does not fit the picture."""
    height, width = described.size
    try:
        segmentation = json.loads(described.segmentation)
        if isinstance(segmentation, list):
            return _draw_polygons(segmentation, height, width)
        return _draw_runs(segmentation["counts"], height, width)
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        rule = f"object {described.number} must have polygons or run lengths of {height}×{width} px"
        raise CocoError(f"{rule}. Got: {described.segmentation[:60]}.") from error


def _draw_polygons(polygons: list[Any], height: int, width: int) -> NDArray[np.bool_]:
    """Mask of one or more polygons; ValueError or TypeError if they are none."""
    # COCO counts from the corner of the first pixel, OpenCV from its centre.
    corners = [np.asarray(polygon, dtype=np.float64).reshape(-1, 2) - 0.5 for polygon in polygons]
    if not corners or min(len(polygon) for polygon in corners) < 1:
        raise ValueError("no corner")
    if not max(float(np.abs(polygon).max()) for polygon in corners) <= _FARTHEST:  # NaN is not, either
        raise ValueError("corners far outside the picture")
    mask = np.zeros((height, width), dtype=np.uint8)
    for polygon in corners:  # one by one: where parts overlap, fillPoly would make a hole
        cv2.fillPoly(mask, [np.rint(polygon * 2**_SHIFT).astype(np.int32)], 1, shift=_SHIFT)
    return mask.astype(bool)


def _draw_runs(counts: Any, height: int, width: int) -> NDArray[np.bool_]:
    """Mask of run lengths; ValueError or TypeError if they do not fit the picture."""
    runs = _unpack_counts(counts) if isinstance(counts, str) else list(counts)
    if not all(type(run) is int and run >= 0 for run in runs) or sum(runs) != height * width:
        raise ValueError("the runs do not fill the picture")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(values.reshape(width, height).T)  # COCO runs down the columns


def _describe(item: dict[str, Any], image: dict[str, Any]) -> tuple[str, float, CocoObject]:
    """Name of the picture, its share that the object covers, and the object."""
    size = (int(image["height"]), int(image["width"]))
    if min(size) < 1 or size[0] * size[1] > DEFAULT_MAX_PIXELS:
        raise ValueError(f"pictures must have 1 to {DEFAULT_MAX_PIXELS} px. Got: {size[0]}×{size[1]}")
    described = CocoObject(int(item["id"]), size, json.dumps(item["segmentation"], separators=(",", ":")))
    return str(image["file_name"]), float(item["area"]) / (size[0] * size[1]), described


def _unpack_counts(text: str) -> list[int]:
    """Run lengths of COCO's packed string: 5 bits per character, signed, differences from the third one on."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs
