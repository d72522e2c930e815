"""Lists the source pictures of a folder, laid out as common data sets unpack, as `Source` records.

Only names are read here; `synth.loading` opens the files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from defocus_edge.files.folders import index_by_stem, list_files
from defocus_edge.files.kinds import PICTURE_SUFFIXES
from synth import coco

#: Layouts of folders, described in `LAYOUTS`.
Layout = Literal["coco", "hku-is", "depth", "objects", "ilsvrc", "pictures"]
_DEPTH_SUFFIXES = (*PICTURE_SUFFIXES, ".npy")
_ILSVRC_NAME = re.compile(r"(n\d{8}_\d+|ILSVRC\d{4}_.+)\.jpe?g", re.IGNORECASE)
_WORDNET_FOLDER = re.compile(r"n\d{8}")
_DEPTH_KINDS = ("disparity", "depth")


class LayoutError(ValueError):
    """A folder that does not have the layout that it should have."""


@dataclass(frozen=True)
class Source:
    """Names of one source picture and of the files that belong to it, relative to `folder`, with slashes.

    Attributes
    ----------
    folder : Path
        The folder that the user named.
    picture : str
    mask : str, optional
        Picture of the same size, >= 128 = the object.
    outline : CocoObject, optional
        The object as MS-COCO describes it.
    depth : str, optional
        Disparity or depth of each pixel, 0 = unknown.
    depth_kind : {'disparity', 'depth'}
        Disparity is larger where the scene is nearer, depth where it is farther.
    """

    folder: Path
    picture: str
    mask: str | None = None
    outline: coco.CocoObject | None = None
    depth: str | None = None
    depth_kind: str = "disparity"

    @property
    def has_object(self) -> bool:
        """Whether the picture comes with an object to cut out."""
        return self.mask is not None or self.outline is not None


def read_layout(folder: str | Path, *, layout: Layout | None = None) -> tuple[Layout, list[Source]]:
    """List the source pictures of a folder in a fixed order; return its layout and its sources, at least one.

    `layout` is the layout that the folder must have; it is found out unless given.

    Raises
    ------
    NotADirectoryError
        If there is no such folder.
    ValueError
        If `layout` is unknown, the folder has another one (`LayoutError`) or an instance file is damaged (`CocoError`).
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"sources must name an existing folder. Got: '{folder}'. Check the name.")
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}. Got: {layout!r}.")
    for name, (_, find) in LAYOUTS.items():
        if layout in (None, name) and (sources := find(root)):
            return name, sources
    expected = LAYOUTS["pictures" if layout is None else layout][0]
    raise LayoutError(
        f"sources of layout {layout or 'pictures'} must hold {expected}. Got: '{folder}', which does not."
    )


def find_coco(root: Path) -> list[Source]:
    """Objects of MS-COCO's instance files that have a picture."""
    return [
        Source(root, picture, outline=outline)
        for instances, pictures in coco.find_splits(root)
        for picture, outline in coco.read_objects(root, instances, pictures)
    ]


def find_hku_is(root: Path) -> list[Source]:
    """Pictures in ``imgs`` with the salient object of the same name in ``gt``."""
    base = next((base for base in (root, root / "HKU-IS") if (base / "imgs").is_dir() and (base / "gt").is_dir()), None)
    if base is None:
        return []
    masks = _index(base / "gt")
    pairs = [(path, masks[path.stem]) for path in _list_pictures(base / "imgs") if path.stem in masks]
    return [Source(root, _relative(path, root), mask=_relative(mask, root)) for path, mask in pairs]


def find_depth(root: Path) -> list[Source]:
    """Pictures with disparity or depth: NAME_rgb beside NAME_disparity or NAME_depth, or folders of these names."""
    sources = []
    files = _index(root, _DEPTH_SUFFIXES)
    for stem, path in files.items():
        for kind in _DEPTH_KINDS:
            partner = files.get(f"{stem.removesuffix('_rgb')}_{kind}")
            if stem.endswith("_rgb") and partner is not None:
                sources.append(Source(root, _relative(path, root), depth=_relative(partner, root), depth_kind=kind))
                break
    for kind in _DEPTH_KINDS:
        partners = _index(root / kind, _DEPTH_SUFFIXES)
        sources += [
            Source(root, _relative(path, root), depth=_relative(partners[path.stem], root), depth_kind=kind)
            for path in _list_pictures(root / "rgb")
            if path.stem in partners
        ]
    return sources


def find_objects(root: Path) -> list[Source]:
    """Pictures NAME of one object with its mask NAME_mask beside them."""
    files = _index(root)
    return [
        Source(root, _relative(path, root), mask=_relative(files[f"{stem}_mask"], root))
        for stem, path in files.items()
        if f"{stem}_mask" in files
    ]


def find_ilsvrc(root: Path) -> list[Source]:
    """Pictures of ImageNet's challenge: its ``Data`` folder, folders of classes, or the flat validation set."""
    for base in (root / "ILSVRC" / "Data", root / "Data"):
        if base.is_dir():
            return _keep_ilsvrc(root, base)
    folders = [path for part in (root, root / "train") for path in _list_folders(part)]
    files = [path for part in (root, root / "val") for path in _list_pictures(part)]
    found = any(_WORDNET_FOLDER.fullmatch(path.name) for path in folders)
    found = found or any(_ILSVRC_NAME.fullmatch(path.name) for path in files)
    return _keep_ilsvrc(root, root) if found else []


def find_pictures(root: Path) -> list[Source]:
    """All pictures below a folder."""
    return [Source(root, _relative(path, root)) for path in _walk(root) if path.suffix.lower() in PICTURE_SUFFIXES]


def unique_pictures(sources: Iterable[Source]) -> list[Source]:
    """One record for each picture, without mask, object and depth."""
    found = {(source.folder, source.picture): Source(source.folder, source.picture) for source in sources}
    return list(found.values())


#: Each layout has a description for messages and a function that lists its sources. They are tried in this order.
LAYOUTS: dict[Layout, tuple[str, Callable[[Path], list[Source]]]] = {
    "coco": (
        "annotations/instances_SPLIT.json beside a folder SPLIT (or images/SPLIT) with its pictures, such as "
        "annotations/instances_train2017.json and train2017/*.jpg (MS-COCO)",
        find_coco,
    ),
    "hku-is": ("imgs/NAME.png and gt/NAME.png, the mask of the salient object (HKU-IS)", find_hku_is),
    "depth": (
        "NAME_rgb.png with NAME_disparity.png or NAME_depth.png (also .tif, .npy) beside it, or rgb/NAME.png with "
        "disparity/NAME.png or depth/NAME.png; 0 = unknown",
        find_depth,
    ),
    "objects": ("NAME.jpg with NAME_mask.png beside it, white = object", find_objects),
    "ilsvrc": (
        "ILSVRC/Data/CLS-LOC/... as ImageNet's challenge unpacks, folders of classes (n01440764/*.JPEG), or the "
        "flat validation set (ILSVRC2012_val_*.JPEG)",
        find_ilsvrc,
    ),
    "pictures": (f"pictures ({', '.join(PICTURE_SUFFIXES)}), also in folders below it", find_pictures),
}


def _keep_ilsvrc(root: Path, base: Path) -> list[Source]:
    return [Source(root, _relative(path, root)) for path in _walk(base) if _ILSVRC_NAME.fullmatch(path.name)]


def _walk(root: Path) -> Iterable[Path]:
    """All files below a folder in a fixed order; hidden ones are left out. OSError if a folder cannot be read."""
    for folder, below, files in os.walk(root, onerror=_refuse):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


def _refuse(error: OSError) -> NoReturn:
    """Raise the error of a folder that cannot be read, which `os.walk` would pass over."""
    raise error


def _list_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _list_pictures(folder: Path) -> list[Path]:
    return list_files(folder, PICTURE_SUFFIXES)


def _index(folder: Path, suffixes: tuple[str, ...] = PICTURE_SUFFIXES) -> dict[str, Path]:
    return index_by_stem(list_files(folder, suffixes))


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
