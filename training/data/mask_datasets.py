"""Photographs with hand-drawn blur masks, in the folders that the public sets unpack to.

The `list_*` functions read names only, and raise `MaskSetError` if a folder does not hold the set; `read_pair` opens
the files of one pair. The sets do not agree on the meaning of white: CUHK [1]_ and CTCUG [2]_ draw blur white, DUT-DBD
[3]_ draws what is in focus white.

References
----------
.. [1] J. Shi, L. Xu, J. Jia, "Discriminative blur detection features", CVPR 2014, doi:10.1109/CVPR.2014.379.
.. [2] C. Tang et al., "DeFusionNET: defocus blur detection via recurrently fusing and refining discriminative
   multi-scale deep features", TPAMI 2022, doi:10.1109/TPAMI.2020.3014629.
.. [3] W. Zhao, F. Zhao, D. Wang, H. Lu, "Defocus blur detection via multi-stream bottom-top-bottom fully convolutional
   network", CVPR 2018, doi:10.1109/CVPR.2018.00325.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.folders import index_by_stem
from defocus_edge.files.images import read_image
from training.data.sources import DEVELOPMENT_STRIDE, WHITE_FROM, list_pictures

#: Kinds of pictures of the CUHK set, with which the names of the files start, and their numbers.
CUHK_DEFOCUS, CUHK_MOTION = "out_of_focus", "motion"
CUHK_COUNTS = {CUHK_DEFOCUS: 704, CUHK_MOTION: 296}

CuhkSplit = Literal["604/100", "504/200", "800/200", "tenth"]
Part = Literal["train", "test", "all"]

#: Folders of pictures and masks below the root, in the order in which they are tried.
_CUHK_FOLDERS = (("image", "gt"), ("BlurDatasetImage/image", "BlurDatasetGT/gt"))
_DUT_FOLDERS = {
    "train": (("DUT600S_Training", "DUT600GT_Training"),),
    "test": (("DUT500S-Testing", "DUT500GT-Testing"), ("dut500-source", "dut500-gt")),
}
_DUT_ROOT = "DUT-DBD_Dataset"
_CTCUG_FOLDERS = (("CTCUG_images", "CTCUG_gt"), ("CTCUG/CTCUG_images", "CTCUG/CTCUG_gt"), ("image", "gt"))
#: The rule of 800/200: every fifth picture by sorted name is for testing.
_EVERY = 5
#: End of the stem of a mask that lies beside its picture.
_MASK_END = "_mask"


class MaskSetError(ValueError):
    """A folder that does not hold the set it should, or a pair that does not fit together."""


@dataclass(frozen=True)
class MaskPair:
    """A photograph and its mask, not yet read; its name is the stem of the picture's file."""

    name: str
    picture_path: Path
    mask_path: Path
    white_is_blurred: bool = True


def read_pair(pair: MaskPair) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Read a picture (H, W, 3), RGB, upright as its EXIF orientation says, and its mask (H, W), True = blurred.

    Raises MaskSetError if they have different sizes. Raises FileNotFoundError or ImageReadError if a file is missing or
    damaged.
    """
    picture, grey = (
        np.rint(read_image(path, bit_depth=16) * 255).astype(np.uint8) for path in (pair.picture_path, pair.mask_path)
    )
    if picture.shape != grey.shape:
        msg = (
            f"A mask must have the size of its picture. Got: '{pair.mask_path}' with {grey.shape[:2]} for "
            f"'{pair.picture_path}' with {picture.shape[:2]} (rows, columns)."
        )
        raise MaskSetError(msg)
    return picture, (grey[..., 0] >= WHITE_FROM) == pair.white_is_blurred


def list_pairs(pictures: str | Path, masks: str | Path, *, white_is_blurred: bool = True) -> list[MaskPair]:
    """Match the pictures of one folder with the masks of another by stem, sorted; masks without a picture are ignored.

    A picture without a mask, or two files with one stem, are a `MaskSetError`.
    """
    found, drawn = _index(Path(pictures)), _index(Path(masks))
    missing = sorted(set(found) - set(drawn))
    if missing:
        msg = (
            f"Each picture of '{pictures}' must have a mask of the same stem in '{masks}'. "
            f"Got: {len(missing)} without, such as '{found[missing[0]].name}'."
        )
        raise MaskSetError(msg)
    return [MaskPair(stem, path, drawn[stem], white_is_blurred) for stem, path in sorted(found.items())]


def list_cuhk(
    root: str | Path,
    *,
    split: CuhkSplit = "604/100",
    part: Part = "all",
    split_list: str | Path | None = None,
    white_is_blurred: bool = True,
) -> list[MaskPair]:
    """List pictures of the CUHK blur detection set [1]_: 704 are out of focus, 296 have motion blur.

    Raises FileNotFoundError if the list of 604/100, or one that is given, is missing. Raises MaskSetError if the folder
    holds something else, is not complete, or does not fit the list. Raises ValueError if the split or the part is
    unknown.

    Parameters
    ----------
    root : str or Path
        Holds ``image/`` (out_of_focusNNNN.jpg, motionNNNN.jpg) and ``gt/`` (the same names, .png), or pictures and
        masks side by side (out_of_focusNNNN.jpg, out_of_focusNNNN_mask.png).
    split : {'604/100', '504/200', '800/200', 'tenth'}
        800/200 has all pictures, the others only those out of focus. ``tenth`` is our development set of a part of the
        set: every tenth picture by sorted name is for testing, however many there are.
    split_list : str or Path, optional
        Text file with one test picture in a line; the last word of a line counts, as in
        ``1.bmp--out_of_focus0037.jpg``. Unless given, ``test_604-100.txt`` and so on in `root`.
    white_is_blurred : bool
        Meaning of white in the masks.

    Notes
    -----
    The authors of BTBNet [3]_ chose the 100 test pictures of 604/100 by no rule; code that uses them brings a list. For
    the other two splits no common list was found: without a file 504/200 tests on the last 200 numbers, and 800/200 on
    every fifth picture by sorted name, which keeps the ratio of the two kinds. These rules are ours, and figures on
    them are not those of a paper.
    """
    _check_choice("split", split, get_args(CuhkSplit))
    _check_choice("part", part, get_args(Part))
    expected = f"image/ ({CUHK_DEFOCUS}NNNN.jpg, {CUHK_MOTION}NNNN.jpg) and gt/ (the same names, .png)"
    every = _list_beside(Path(root), white_is_blurred) or _list_first(
        Path(root), _CUHK_FOLDERS, f"CUHK set must hold {expected}", white_is_blurred
    )
    kinds = (CUHK_DEFOCUS, CUHK_MOTION) if split == "800/200" else (CUHK_DEFOCUS,)
    pairs = [pair for pair in every if pair.name.startswith(kinds)]
    if not pairs:
        msg = f"The CUHK set must hold {expected}. Got: '{root}', whose pictures have other names."
        raise MaskSetError(msg)
    if part == "all":
        return pairs
    if split == "tenth":
        return [pair for number, pair in enumerate(pairs) if (number % DEVELOPMENT_STRIDE == 0) == (part == "test")]
    wanted = sum(CUHK_COUNTS[kind] for kind in kinds)
    if len(pairs) != wanted:
        msg = f"The split {split} needs all {wanted} pictures ({', '.join(kinds)}). Got: {len(pairs)} in '{root}'."
        raise MaskSetError(msg)
    test = _find_test_names(Path(root), pairs, split, split_list)
    return [pair for pair in pairs if (pair.name in test) == (part == "test")]


def list_dut(root: str | Path, *, part: Part = "test", white_is_blurred: bool = False) -> list[MaskPair]:
    """List pictures of DUT-DBD [3]_, all out of focus: 600 for training, 500 for testing.

    Parameters
    ----------
    root : str or Path
        Holds ``DUT600S_Training`` with ``DUT600GT_Training`` or ``DUT500S-Testing`` with ``DUT500GT-Testing``, or
        ``DUT-DBD_Dataset`` that does; also ``dut500-source`` with ``dut500-gt``.
    white_is_blurred : bool
        Meaning of white in the masks. Code that joins this set with CUHK inverts one of the two.
    """
    _check_choice("part", part, get_args(Part))
    pairs = []
    for name, folders in _DUT_FOLDERS.items():
        if part in (name, "all"):
            below = tuple((f"{_DUT_ROOT}/{picture}", f"{_DUT_ROOT}/{mask}") for picture, mask in folders)
            what = f"{name} part of DUT-DBD must hold {' and '.join(folders[0])}"
            pairs += _list_first(Path(root), (*folders, *below), what, white_is_blurred)
    return pairs


def list_ctcug(root: str | Path, *, white_is_blurred: bool = True) -> list[MaskPair]:
    """List the 150 pictures of CTCUG [2]_, all out of focus and for testing.

    `root` holds ``CTCUG_images`` and ``CTCUG_gt``, or ``image`` and ``gt``.
    """
    what = f"CTCUG set must hold {' and '.join(_CTCUG_FOLDERS[0])}"
    return _list_first(Path(root), _CTCUG_FOLDERS, what, white_is_blurred)


def _list_beside(root: Path, white_is_blurred: bool) -> list[MaskPair]:
    """List the pictures of a folder that have a mask beside them; none if there is no such folder."""
    paths = list_pictures(root) if root.is_dir() and any(root.glob(f"*{_MASK_END}.png")) else []
    stems = {path.stem for path in paths}
    return [
        MaskPair(path.stem, path, path.with_name(f"{path.stem}{_MASK_END}.png"), white_is_blurred)
        for path in paths
        if f"{path.stem}{_MASK_END}" in stems
    ]


def _list_first(
    root: Path, folders: Sequence[tuple[str, str]], expected: str, white_is_blurred: bool
) -> list[MaskPair]:
    """List the pairs of the first two folders that exist."""
    for picture, mask in folders:
        if (root / picture).is_dir() and (root / mask).is_dir():
            return list_pairs(root / picture, root / mask, white_is_blurred=white_is_blurred)
    looked = ", ".join(f"'{root / picture}' with '{root / mask}'" for picture, mask in folders)
    msg = f"The {expected}. Got: '{root}', looked for {looked}."
    raise MaskSetError(msg)


def _find_test_names(root: Path, pairs: Sequence[MaskPair], split: str, split_list: str | Path | None) -> set[str]:
    """Find the names of the test pictures of a split, from its list or by its rule."""
    count = int(split.partition("/")[2])
    path = root / f"test_{split.replace('/', '-')}.txt" if split_list is None else Path(split_list)
    if path.is_file():
        return _read_names(path, {pair.name for pair in pairs}, split, count)
    if split_list is not None or split == "604/100":
        msg = f"The split {split} needs a list of its {count} test pictures. Got: no file '{path}'. Give split_list."
        raise FileNotFoundError(msg)
    test = pairs[-count:] if split == "504/200" else pairs[::_EVERY]
    return {pair.name for pair in test}


def _read_names(path: Path, known: set[str], split: str, count: int) -> set[str]:
    """Read the stems of the last words of the lines of a list."""
    try:
        lines = path.read_text(encoding="utf-8-sig").replace("--", " ").splitlines()
    except UnicodeDecodeError as error:
        msg = f"The list of the split {split} must be text in UTF-8. Got: '{path}', {error.reason}."
        raise MaskSetError(msg) from error
    names = {Path(words[-1]).stem for line in lines if (words := line.split())}
    unknown = sorted(names - known)
    if unknown:
        msg = f"The list of the split {split} must name pictures of the set. Got: {unknown[0]!r} in '{path}'."
        raise MaskSetError(msg)
    if len(names) != count:
        msg = f"The list of the split {split} must name {count} pictures. Got: {len(names)} in '{path}'."
        raise MaskSetError(msg)
    return names


def _index(folder: Path) -> dict[str, Path]:
    """Visible pictures by stem; hidden ones are what macOS leaves in archives."""
    return index_by_stem(
        (path for path in list_pictures(folder) if not path.name.startswith(".")), repeated=MaskSetError
    )


def _check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse an unknown split or part."""
    if value not in allowed:
        msg = f"{name} must be one of {', '.join(allowed)}. Got: {value!r}."
        raise ValueError(msg)
