"""Pictures with a map of their true blur: the RTF set, what `synth` writes, and any folder of pairs.

The `list_*` functions read names only, and raise `MapSetError` if there is no picture, a picture without truth or a
truth without picture; `read_map_pair` opens the files of one pair.

References
----------
.. [1] L. D'Andrès, J. Salvador, A. Kochale, S. Süsstrunk, "Non-parametric blur map regression for depth of field
   extension", IEEE Transactions on Image Processing 25(4), 2016, doi:10.1109/TIP.2016.2526907.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from defocus_edge.arrays import check_radius_map
from defocus_edge.blur_levels import class_to_radius, sigma_to_radius
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.folders import index_by_stem, list_files
from defocus_edge.files.images import read_image
from defocus_edge.files.kinds import MAP_SUFFIXES, SET_SUFFIXES
from defocus_edge.files.maps import read_map
from defocus_edge.networks.edge.mat_files import MatFileError, read_mat_array
from training.data.development import DevelopmentScene
from training.data.labels import UNDECIDED

#: Meaning of the numbers of a true map: radius of a disk in px, standard deviation of a Gaussian in px (r = 2 σ, see
#: `sigma_to_radius`), or the number of a blur level, 0 for 0.5 px to 22 for 6 px.
TruthUnit = Literal["px", "sigma", "level"]
#: Rows and columns of the files of the RTF set, and of what is compared: published comparisons, and the program of
#: Karaali and Jung 2018, cut off the last 20 columns first. Files may be cut already.
RTF_FULL_SHAPE = (360, 360)
RTF_SHAPE = (360, 340)
#: Name of the map in the MATLAB files of that set.
RTF_VARIABLE = "blurMap"
#: Folders of pictures and truth below the root of the RTF set, in the order in which they are tried.
_RTF_FOLDERS = (("image", "gt"), (".", "."))
_RTF_PICTURE, _RTF_TRUTH = "image_", "map_"
#: Folders of pictures and truth that `python -m synth` writes.
_SYNTH_FOLDERS = ("pictures", "radius")
#: What is added to a picture's stem for its truth, where both lie in one folder.
_TRUTH_END = "_radius"
_MATLAB_SUFFIX, _LEVELS_SUFFIX = ".mat", ".png"
# A number that is no level and fits every integer.
_BEYOND_LEVELS = 1e6


class MapSetError(ValueError):
    """A folder that does not hold pictures with true maps, or a pair that does not fit together."""


@dataclass(frozen=True)
class MapPair:
    """A picture and its true blur in a unit, not yet read; both are cut to the first `columns` columns if given."""

    name: str
    family: str
    picture_path: Path
    truth_path: Path
    unit: TruthUnit = "px"
    columns: int | None = None


def list_rtf(root: str | Path, *, unit: TruthUnit = "px") -> list[MapPair]:
    """List the RTF set [1]_: 22 pictures of a plenoptic camera, refocused, with the radius of each pixel's disk.

    Parameters
    ----------
    root : str or Path
        Holds ``image_NN.png`` and ``map_NN.mat`` as the authors hand them out, with the variable ``blurMap``, side by
        side or in ``image`` and ``gt``. The truth may be ``.npy`` or ``.tif`` as well, or ``.png`` with level numbers.
    unit : {'px', 'sigma', 'level'}
        Unit of the truth. The set's own files hold disk radii in px.

    Notes
    -----
    Published comparisons of Gaussians convert the truth by a table of the set's authors that ends at σ = 3.275 px
    (DMENet's evaluation). Here estimates are converted to disks, by second moments, and the truth stays as it is.
    """
    root = Path(root)
    pictures, truths = next(
        (root / one, root / other) for one, other in _RTF_FOLDERS if other == "." or (root / one).is_dir()
    )
    images = _index(pictures, SET_SUFFIXES, start=_RTF_PICTURE)
    maps = _index(truths, (*MAP_SUFFIXES, _MATLAB_SUFFIX, _LEVELS_SUFFIX), start=_RTF_TRUTH)
    asked = f"{_RTF_PICTURE}NN.png and {_RTF_TRUTH}NN.mat"
    _check_complete(images, maps, root, asked)
    return [MapPair(stem, "rtf", images[stem], maps[stem], unit, RTF_SHAPE[1]) for stem in sorted(images)]


def list_folder(root: str | Path, *, unit: TruthUnit = "px") -> list[MapPair]:
    """List the pairs of a folder by sorted name; its name becomes their family.

    `root` is what `python -m synth` wrote, ``pictures/NAME.png`` with ``radius/NAME.tif``, or holds NAME.png, .jpg or
    .tif with NAME_radius.npy or .tif beside it.
    """
    root = Path(root)
    if all((root / folder).is_dir() for folder in _SYNTH_FOLDERS):
        images = _index(root / _SYNTH_FOLDERS[0], SET_SUFFIXES)
        maps = _index(root / _SYNTH_FOLDERS[1], MAP_SUFFIXES)
        asked = "pictures/NAME.png and radius/NAME.tif"
    else:
        found = _index(root, SET_SUFFIXES)
        images = {stem: path for stem, path in found.items() if not stem.endswith(_TRUTH_END)}
        maps = _index(root, MAP_SUFFIXES, end=_TRUTH_END)
        asked = f"NAME.png and NAME{_TRUTH_END}.npy"
    _check_complete(images, maps, root, asked)
    return [MapPair(stem, root.resolve().name, images[stem], maps[stem], unit) for stem in sorted(images)]


def read_map_pair(pair: MapPair) -> DevelopmentScene:
    """Read one pair. Its radii in px are not clipped to the levels, and all labels of depth edges are undecided.

    Raises MapSetError if the sizes differ, or the truth has impossible values. Raises FileNotFoundError or
    ImageReadError if a file is missing or damaged.
    """
    image, truth = read_image(pair.picture_path), _read_truth(pair)
    if pair.columns is not None:
        for path, shape in ((pair.picture_path, image.shape[:2]), (pair.truth_path, truth.shape)):
            if shape not in (RTF_FULL_SHAPE, RTF_SHAPE):
                msg = f"Files of the RTF set must have {RTF_FULL_SHAPE} or {RTF_SHAPE} px. Got: '{path}' with {shape}."
                raise MapSetError(msg)
        image, truth = image[:, : pair.columns], truth[:, : pair.columns]
    if truth.shape != image.shape[:2]:
        msg = (
            f"True blur must have the size of its picture. Got: '{pair.truth_path}' with {truth.shape} for "
            f"'{pair.picture_path}' with {image.shape[:2]} (rows, columns)."
        )
        raise MapSetError(msg)
    try:
        radius = check_radius_map(truth, truth.shape)
    except ValueError as error:
        msg = f"Cannot use '{pair.truth_path}': {error}"
        raise MapSetError(msg) from error
    label = np.full(truth.shape, UNDECIDED, dtype=np.int8)
    return DevelopmentScene(pair.name, pair.family, np.ascontiguousarray(image), np.ascontiguousarray(radius), label)


def check_map_pairs(pairs: Sequence[MapPair]) -> None:
    """Read all pairs once, so that a damaged one is told before minutes of work; raises as `read_map_pair` does."""
    for pair in pairs:
        read_map_pair(pair)


def _read_truth(pair: MapPair) -> NDArray[np.float32]:
    """Read the true radius in px, (H, W)."""
    suffix = pair.truth_path.suffix.lower()
    if suffix == _LEVELS_SUFFIX:
        if pair.unit != "level":
            msg = (
                f"True blur in a {_LEVELS_SUFFIX} file must be level numbers. Got: '{pair.truth_path}' in {pair.unit}."
            )
            raise MapSetError(msg)
        values = np.rint(read_image(pair.truth_path, bit_depth=16)[..., 0] * 255)
    else:
        values = _read_matlab(pair.truth_path) if suffix == _MATLAB_SUFFIX else read_map(pair.truth_path)
    if pair.unit == "sigma":
        return sigma_to_radius(values).astype(np.float32)
    return _convert_levels(values, pair.truth_path) if pair.unit == "level" else values


def _convert_levels(values: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    """Convert level numbers to radii in px."""
    labels = np.clip(values, -_BEYOND_LEVELS, _BEYOND_LEVELS).astype(np.int64)
    try:
        if (labels != values).any():
            msg = "level numbers must be whole. Got: others."
            raise IndexError(msg)
        return class_to_radius(labels)
    except IndexError as error:
        msg = f"Cannot use '{path}': {error}"
        raise MapSetError(msg) from error


def _read_matlab(path: Path) -> NDArray[np.float32]:
    """Read the map of a MATLAB file, which is no larger than those of the set."""
    try:
        found = read_mat_array(path, RTF_VARIABLE, largest=math.prod(RTF_FULL_SHAPE), integers=True)
    except (MatFileError, OSError) as error:
        rule = f"it must be a MATLAB file of version 5 to 7.2 with a matrix {RTF_VARIABLE} of at most {RTF_FULL_SHAPE}"
        msg = f"Cannot read '{path}': {rule}. Got: {error}. Save it with the option -v7."
        raise ImageReadError(msg) from error
    if found.ndim != 2:
        msg = f"'{path}' must hold a matrix {RTF_VARIABLE}. Got: shape {found.shape}."
        raise MapSetError(msg)
    return found


def _index(folder: Path, suffixes: Collection[str], *, start: str = "", end: str = "") -> dict[str, Path]:
    return index_by_stem(list_files(folder, suffixes), start=start, end=end, repeated=MapSetError)


def _check_complete(images: dict[str, Path], maps: dict[str, Path], root: Path, asked: str) -> None:
    """Raise unless each picture has its truth and the other way round."""
    lonely = [images.get(name) or maps[name] for name in sorted(set(images) ^ set(maps))]
    if lonely or not images:
        got = f"{len(lonely)} without the other, such as '{lonely[0]}'" if lonely else "no picture"
        msg = f"'{root}' must hold pairs {asked}. Got: {got}."
        raise MapSetError(msg)
