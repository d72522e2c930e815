"""Objects beyond those of `load_sources`: salient ones with hard masks, and ones with true soft mattes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.data.sources import DEVELOPMENT_STRIDE, Cutout, list_pictures, read_8_bit, shrink, split_paths

#: Factor by which pictures with soft mattes are reduced first, since they are larger than the others; ours.
MATTE_REDUCTION = 0.8


def load_mattes(
    root: str | Path, *, development: bool, stride: int = DEVELOPMENT_STRIDE
) -> tuple[list[Cutout], list[Cutout]]:
    """Read salient objects, and objects with soft mattes; see `load_sources` for `development` and `stride`.

    `root` has the folders ``salient`` (NNNN.jpg with NNNN_mask.png) and ``alpha`` (NN.png with NN_alpha.png). Where one
    is missing, the list is empty. Where an object with a soft matte is transparent, its picture has the object's own
    colours as PyMatting estimates them.
    """
    salient, soft = (
        [Cutout(read_8_bit(path), read_8_bit(path.with_name(f"{path.stem}{end}.png"))[..., 0]) for path in paths]
        for end, paths in (
            (end, split_paths(_list_pictures(Path(root) / folder, end), development=development, stride=stride))
            for folder, end in (("salient", "_mask"), ("alpha", "_alpha"))
        )
    )
    return salient, [_estimate_colours(cutout) for cutout in soft]


def _list_pictures(folder: Path, end: str) -> list[Path]:
    """Paths of the pictures of a folder, none if it is missing; the names of their masks have another end."""
    return [path for path in list_pictures(folder) if not path.stem.endswith(end)] if folder.is_dir() else []


def _estimate_colours(cutout: Cutout) -> Cutout:
    """Reduce an object with a soft matte; show the object alone."""
    from pymatting import estimate_foreground_ml

    picture, matte = (shrink(each, MATTE_REDUCTION) for each in (cutout.picture, cutout.mask))
    colours = estimate_foreground_ml(picture / 255, matte / 255)
    return Cutout(np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8), matte)
