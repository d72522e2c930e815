"""Pictures that tell the side of the focus: dual-pixel pairs of public sets and of `synth`, and coded pictures.

The `list_*` functions read names only, and raise `SignedSetError` if something is missing; the `read_*` functions open
the files of one sample.

References
----------
.. [1] A. Abuolaim, M. S. Brown, "Defocus deblurring using dual-pixel data", ECCV 2020, arXiv:2005.00305.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.folders import index_by_stem, list_files
from defocus_edge.files.images import read_image
from defocus_edge.files.kinds import MAP_SUFFIXES, SET_SUFFIXES
from defocus_edge.files.maps import read_map

#: Parts that public sets are divided into.
PARTS = ("train", "val", "test")
#: What is left out of the names of the views, so that both have one name.
LEFT_END, RIGHT_END = "_L", "_R"
#: Layouts of dual-pixel pairs, for messages.
LAYOUTS = (
    "left/NAME.png and right/NAME.png (synth), train_l/source/NAME_L.png and train_r/source/NAME_R.png (DPDD), or "
    "train/inputL/NAME.png and train/inputR/NAME.png (DPDD as it is handed on)"
)
# Public sets have 16 bits, of which dark pictures do not use all: both views must be scaled alike.
_BITS = 16


class SignedSetError(ValueError):
    """A folder that does not hold dual-pixel pairs or coded pictures, or files that do not fit together."""


@dataclass(frozen=True)
class PairFiles:
    """Files of one dual-pixel pair, not yet read; the last two are those of `synth`, None elsewhere."""

    name: str
    left: Path
    right: Path
    sharp: Path | None = None
    radius: Path | None = None


@dataclass(frozen=True)
class DualPair:
    """A dual-pixel pair, (H, W, 3) float32, RGB in [0, 1], sRGB-encoded; what is not known is None.

    `radius`, (H, W) float32, is the true radius in px, positive in front of the focus and negative behind it.
    """

    name: str
    left: NDArray[np.float32]
    right: NDArray[np.float32]
    sharp: NDArray[np.float32] | None = None
    radius: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class CodedFiles:
    """Files of one coded picture of `synth`, not yet read, and the cells of its mask."""

    name: str
    picture: Path
    radius: Path
    mask: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class CodedScene:
    """A coded picture, as `DualPair` has its views, with its true signed radius in px and the cells of its mask."""

    name: str
    image: NDArray[np.float32]
    radius: NDArray[np.float32]
    mask: tuple[tuple[float, ...], ...]


def list_dual_pairs(root: str | Path) -> list[PairFiles]:
    """List the dual-pixel pairs of a folder by sorted name; those of public sets begin with their part, "train/NAME".

    Parameters
    ----------
    root : str or Path
        What ``python -m synth dual`` wrote, or holds the parts ``train``, ``val`` and ``test``, or some of them, of the
        set of Abuolaim and Brown [1]_: ``train_l/source/NAME_L.png`` with ``train_r/source/NAME_R.png``, or
        ``train/inputL`` with ``train/inputR``, as later works hand it on; there the ends _L and _R may be missing.

    Raises
    ------
    SignedSetError
        If there is no pair, a view has no partner, or two files have one name.

    Notes
    -----
    A camera may call the light through the right half of the lens its left view. Then the views must be swapped, or all
    signs are wrong.

    The sharp pictures of that set have other names than the views, and no true radii: they are not listed.
    """
    root = Path(root)
    pairs: list[PairFiles] = []
    for prefix, left, right in _find_folders(root):
        lefts, rights = _index_views(left, LEFT_END), _index_views(right, RIGHT_END)
        lonely = [lefts.get(name) or rights[name] for name in sorted(set(lefts) ^ set(rights))]
        if lonely:
            msg = f"each view must have its partner. Got: {len(lonely)} without, such as '{lonely[0]}'. Add them."
            raise SignedSetError(msg)
        sharps, radii = _index(root / "sharp", SET_SUFFIXES), _index(root / "signed_radius", MAP_SUFFIXES)
        pairs += [
            PairFiles(prefix + name, lefts[name], rights[name], sharps.get(name), radii.get(name))
            for name in sorted(lefts)
        ]
    if not pairs:
        msg = f"root must hold dual-pixel pairs: {LAYOUTS}. Got: '{root}', which has none. Name the folder above them."
        raise SignedSetError(msg)
    return pairs


def read_dual_pair(files: PairFiles) -> DualPair:
    """Read one pair.

    Raises SignedSetError if the sizes differ. Raises FileNotFoundError or ImageReadError if a file is missing or
    damaged.
    """
    left, right = (read_image(path, bit_depth=_BITS) for path in (files.left, files.right))
    sharp = None if files.sharp is None else read_image(files.sharp, bit_depth=_BITS)
    radius = None if files.radius is None else read_map(files.radius)
    for path, values in ((files.right, right), (files.sharp, sharp), (files.radius, radius)):
        if path is not None and values is not None:
            _check_size(path, values.shape, left.shape)
    return DualPair(files.name, left, right, sharp, radius)


def list_coded_pictures(root: str | Path) -> list[CodedFiles]:
    """List what ``python -m synth coded`` wrote, in the order of its manifest.

    Raises SignedSetError if there is no manifest of coded pictures, or a file that it names is missing.
    """
    root = Path(root)
    manifest = root / "manifest.jsonl"
    if not manifest.is_file():
        msg = f"root must hold what `python -m synth coded` wrote, with manifest.jsonl. Got: '{root}', which has none."
        raise SignedSetError(msg)
    found = []
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            names = record["files"]["picture"], record["files"]["radius"]
            mask = tuple(tuple(float(cell) for cell in row) for row in record["aperture"]["rows"])
        except (ValueError, LookupError, TypeError) as error:
            msg = f"manifest must describe coded pictures. Got: line {number} of '{manifest}', which does not."
            raise SignedSetError(msg) from error
        picture, radius = (root / name for name in names)
        for path in (picture, radius):
            if not path.is_file():
                msg = f"all files of the manifest must be there. Got: no '{path}'. The same command makes it anew."
                raise SignedSetError(msg)
        found.append(CodedFiles(picture.stem, picture, radius, mask))
    if not found:
        msg = f"manifest must hold coded pictures. Got: '{manifest}', which is empty."
        raise SignedSetError(msg)
    return found


def read_coded_picture(files: CodedFiles) -> CodedScene:
    """Read one coded picture; raises as `read_dual_pair` does."""
    image, radius = read_image(files.picture), read_map(files.radius)
    _check_size(files.radius, radius.shape, image.shape)
    return CodedScene(files.name, image, radius, files.mask)


def _find_folders(root: Path) -> Iterator[tuple[str, Path, Path]]:
    """Start of the names, and the folders of both views, of each layout that is there."""
    layouts = [("", root / "left", root / "right")]
    for part in PARTS:
        layouts.append((f"{part}/", root / f"{part}_l" / "source", root / f"{part}_r" / "source"))
        layouts.append((f"{part}/", root / part / "inputL", root / part / "inputR"))
    yield from (layout for layout in layouts if layout[1].is_dir() or layout[2].is_dir())


def _index_views(folder: Path, end: str) -> dict[str, Path]:
    """Pictures of one view by their common name."""
    found: dict[str, Path] = {}
    for path in list_files(folder, SET_SUFFIXES):
        name = path.stem.removesuffix(end)
        if name in found:
            msg = f"names of a view must differ in more than '{end}' and the suffix. Got: '{found[name]}' and '{path}'."
            raise SignedSetError(msg)
        found[name] = path
    return found


def _index(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    return index_by_stem(list_files(folder, suffixes), repeated=SignedSetError)


def _check_size(path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Raise unless height and width are those of the first file of a sample."""
    if shape[:2] != expected[:2]:
        msg = f"all files of a sample must have one size. Got: '{path}' with {shape[:2]} instead of {expected[:2]} px."
        raise SignedSetError(msg)
