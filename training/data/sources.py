"""Source pictures for training and evaluation, and the split that keeps a tenth of them out of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.images import read_image
from defocus_edge.files.kinds import PICTURE_SUFFIXES
from synth.depth import fill_holes
from synth.sharpness import measure_sharpness

#: Every tenth file of a folder, by sorted name, is kept for development and never trained on.
DEVELOPMENT_STRIDE = 10
#: Folders of sharp pictures below the root.
SHARP_FOLDERS = ("sharp/bsds500", "sharp/urban100", "sharp/sunhays80", "sharp/mcmaster")
#: Sharp pictures are reduced until `measure_sharpness` reads at most this radius in px: some photographs have a soft
#: background, and the lowest blur levels would be mislabelled. Sharp pictures read 0.9 to 1.2 at any size; blurred with
#: a disk of 0.75 px they read 1.3 to 1.5 (measured).
SHARP_RADIUS = 1.3
#: Pictures that would then have fewer px than this on a side are left out. Ours: crops with their margins fit.
LEAST_SIDE = 112
#: Values of 8-bit masks from this one on are white.
WHITE_FROM = 128


@dataclass(frozen=True)
class Cutout:
    """A picture (H, W, 3) of one object with the object's mask (H, W), 255 = object; both uint8."""

    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]


@dataclass(frozen=True)
class DepthPicture:
    """A picture (H, W, 3) uint8 with its disparity (H, W) float32: larger is nearer, without holes."""

    picture: NDArray[np.uint8]
    disparity: NDArray[np.float32]


@dataclass
class Sources:
    """All 8-bit pictures of one side of the split, in memory.

    `shapes` are masks (H, W) without a picture. `mattes` are cutouts whose masks are soft, see
    `training.data.mattes.load_mattes`.
    """

    sharp: list[NDArray[np.uint8]] = field(default_factory=list)
    cutouts: list[Cutout] = field(default_factory=list)
    shapes: list[NDArray[np.uint8]] = field(default_factory=list)
    depth: list[DepthPicture] = field(default_factory=list)
    mattes: list[Cutout] = field(default_factory=list)


def split_paths(paths: Sequence[Path], *, development: bool, stride: int = DEVELOPMENT_STRIDE) -> list[Path]:
    """Every `stride`-th path by sorted name, or all the others."""
    return [path for number, path in enumerate(sorted(paths)) if (number % stride == 0) == development]


def list_pictures(folder: Path) -> list[Path]:
    """List the pictures of a folder, sorted; FileNotFoundError if it is missing or holds none."""
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    if not paths:
        msg = f"Expected a folder with pictures ({', '.join(sorted(PICTURE_SUFFIXES))}). Got: {folder}, which has none."
        raise FileNotFoundError(msg)
    return paths


def load_sources(
    root: str | Path, *, development: bool, stride: int = DEVELOPMENT_STRIDE, sharpen: bool = True
) -> Sources:
    """Read one side of the split.

    Raises FileNotFoundError if a folder is missing or empty.

    Parameters
    ----------
    root : str or Path
        Folder with ``sharp/*``, ``objects`` (NNNN.jpg with NNNN_mask.png), ``focus_masks`` and ``rgbd`` (NAME_rgb.png
        with NAME_disparity.png; 0 = hole).
    development : bool
        True for the pictures that are kept out of training, False for the rest.
    stride : int
        One file in `stride` is kept out.
    sharpen : bool
        Reduce the pictures in ``sharp`` as `filter_sharp` does.
    """
    root = Path(root)
    sources = Sources()
    for folder in SHARP_FOLDERS:
        paths = split_paths(list_pictures(root / folder), development=development, stride=stride)
        pictures = [read_8_bit(path) for path in paths]
        sources.sharp += filter_sharp(pictures) if sharpen else pictures
    objects = [path for path in list_pictures(root / "objects") if not path.stem.endswith("_mask")]
    for path in split_paths(objects, development=development, stride=stride):
        mask = read_8_bit(path.with_name(f"{path.stem}_mask.png"))[..., 0]
        sources.cutouts.append(Cutout(read_8_bit(path), mask))
    for path in split_paths(list_pictures(root / "focus_masks"), development=development, stride=stride):
        sources.shapes.append(read_8_bit(path)[..., 0])
    sources.depth = _read_depth(root / "rgbd", development=development, stride=stride)
    return sources


def _read_depth(folder: Path, *, development: bool, stride: int) -> list[DepthPicture]:
    """Read pictures with disparity; all views of a scene of the development set are kept out of training."""
    paths = [path for path in list_pictures(folder) if path.stem.endswith("_rgb")]
    kept = split_paths(paths, development=True, stride=stride)
    if development:
        chosen = kept
    else:
        scenes = {path.stem.split("_")[0] for path in kept}
        chosen = [path for path in paths if path.stem.split("_")[0] not in scenes]
    pictures = []
    for path in chosen:
        disparity = read_8_bit(path.with_name(path.name.replace("_rgb", "_disparity")))[..., 0]
        pictures.append(DepthPicture(read_8_bit(path), fill_holes(disparity.astype(np.float32), disparity == 0)))
    return pictures


def shrink(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Reduce a picture by area averaging: source pictures are never perfectly sharp, reduced ones are."""
    size = (max(round(picture.shape[1] * factor), 1), max(round(picture.shape[0] * factor), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def filter_sharp(pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Reduce pictures until their edges are sharp all over (`SHARP_RADIUS`), and drop those that become too small."""
    kept = []
    for picture in pictures:
        radius = measure_sharpness(picture.astype(np.float32) / np.float32(255)).radius
        factor = SHARP_RADIUS / max(radius, SHARP_RADIUS)  # NaN where no edge tells: dropped
        if factor * min(picture.shape[:2]) >= LEAST_SIDE:
            kept.append(picture if factor == 1 else shrink(picture, factor))
    return kept


def erode(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Take one px off an object (H, W): the drawn rim still shows the old background."""
    return np.asarray(cv2.erode(mask, np.ones((3, 3), dtype=np.uint8)))


def find_inside(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels (H, W) of an object without its rim as 1, others as 0."""
    return (erode(mask) >= WHITE_FROM).astype(np.float32)


def read_8_bit(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8."""
    return np.rint(read_image(path) * 255).astype(np.uint8)
