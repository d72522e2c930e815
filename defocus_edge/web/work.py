"""What the page does with a photograph: measure, mask, sharpen. Results lie in a folder, not in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from defocus_edge._version import __version__
from defocus_edge.choices import AUTO, MAP_METHOD, Method
from defocus_edge.files.atomic import atomic_write
from defocus_edge.files.images import read_with_depth, write_picture
from defocus_edge.files.kinds import choose_suffix
from defocus_edge.files.maps import read_map, write_map
from defocus_edge.files.photos import read_photo, write_photo
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.plots import choose_scale_top, plot_blur_map
from defocus_edge.sharpening.deblurring import deblur
from defocus_edge.summary_table import SUMMARY_COLUMNS, format_csv, make_row
from defocus_edge.thresholds import find_threshold, summarize_map
from defocus_edge.web.view import pack_view, reduce_picture

if TYPE_CHECKING:
    from defocus_edge.masks import BlurDetector

FloatArray = NDArray[np.float32]
#: Called with (done, all) of a step.
Progress = Callable[[int, int], None]

#: Networks of so many presets and methods stay in memory.
KEPT_NETWORKS = 3
# Files in the folder of a result, besides those that users download.
_RADIUS, _CONFIDENCE, _PROBABILITY = "radius.npy", "confidence.npy", "probability.npy"


@dataclass(frozen=True)
class Result:
    """A measured photograph: where its files lie."""

    folder: Path
    photo: Path
    preset: str
    method: Method
    #: Threshold of the mask, in px with the method ``threshold``, else a probability.
    threshold: float

    @property
    def name(self) -> str:
        """Name of the photograph without its suffix."""
        return self.photo.stem

    def list_downloads(self) -> list[str]:
        """Paths of the files for the user, those that exist."""
        endings = ("_blur.tif", "_blur.png", "_mask.png", "_summary.csv")
        paths = [self.folder / f"{self.name}{ending}" for ending in endings]
        return [str(path) for path in [*paths, *self.folder.glob("*_deblurred.*")] if path.is_file()]

    def load(self, file: str) -> FloatArray:
        """One of the arrays in the folder."""
        return read_map(self.folder / file)


@dataclass(frozen=True, eq=False)
class _StoredEstimate:
    """Radius and confidence as `deblur` takes them of an estimate."""

    radius: FloatArray
    confidence: FloatArray

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.radius, dtype=dtype, copy=copy)


@lru_cache(KEPT_NETWORKS)
def _open_estimator(preset: str) -> BlurEstimator:
    return BlurEstimator(preset)


@lru_cache(KEPT_NETWORKS)
def _open_detector(method: Method) -> BlurDetector:
    from defocus_edge.masks import BlurDetector  # here: it loads Keras

    return BlurDetector(method)


def measure_photo(
    photo: Path,
    folder: Path,
    *,
    preset: str,
    method: Method,
    max_pixels: int,
    before: Result | None = None,
    progress: Progress | None = None,
) -> tuple[Result, dict[str, Any]]:
    """Measure a photograph and write the files of its result.

    Parameters
    ----------
    photo : Path
    folder : Path
        An existing folder, which only this result uses.
    preset : str
        Weights of the map.
    method : str
        How the mask is made.
    max_pixels : int
        Larger pictures are refused.
    before : Result, optional
        The last result in the same folder. Its map is taken if only the method differs.
    progress : callable, optional

    Returns
    -------
    Result
    dict
        See `pack_view`; ``threshold``, ``is_radius`` and ``summary`` are added.

    Raises
    ------
    ImageReadError, NoEdgesError, TooSmallError, OSError, MemoryError
        If the photograph cannot be read or measured; the sentence says why.
    """
    image, bits = read_with_depth(photo, max_pixels=max_pixels)
    if before and (before.photo, before.preset) == (photo, preset):
        radius, confidence = before.load(_RADIUS), before.load(_CONFIDENCE)
    else:
        estimate = _open_estimator(preset).estimate(image, progress=progress)
        radius, confidence = estimate.radius, estimate.confidence
        for old in folder.iterdir():
            old.unlink()
        write_map(folder / _RADIUS, radius)
        write_map(folder / _CONFIDENCE, confidence)
        origin = {"source": photo.name, "software": f"defocus_edge {__version__}", "preset": preset, "bit_depth": bits}
        write_map(folder / f"{photo.stem}_blur.tif", radius, description=origin)
        preview = plot_blur_map(radius, max_radius=choose_scale_top(radius))
        write_picture(folder / f"{photo.stem}_blur.png", preview)
    summary = summarize_map(radius)
    with atomic_write(folder / f"{photo.stem}_summary.csv") as temporary:
        temporary.write_bytes(format_csv(list(SUMMARY_COLUMNS), [make_row(photo.name, summary)]).encode("utf-8"))
    probability, threshold = None, find_threshold(radius)
    if method != MAP_METHOD:
        found = _open_detector(method).detect(image, progress=progress)
        probability, threshold = found.probability, found.threshold
        write_map(folder / _PROBABILITY, probability)
    result = Result(folder, photo, preset, method, threshold)
    write_mask(result, threshold)
    view = pack_view(image, radius, confidence, name=photo.name, probability=probability)
    more = {"threshold": threshold, "is_radius": probability is None, "summary": _describe(summary)}
    return result, view | more


def _describe(summary: Any) -> str:
    """Numbers of a map in one line."""
    median, p95 = f"{summary.median_radius:.2f} px", f"{summary.p95_radius:.2f} px"
    return f"{summary.width} × {summary.height} px · median radius {median} · 95 % of the pixels below {p95}"


def write_mask(result: Result, threshold: float) -> Result:
    """Write the mask of a result with another threshold; return the result with it."""
    values = result.load(_RADIUS if result.method == MAP_METHOD else _PROBABILITY)
    write_picture(result.folder / f"{result.name}_mask.png", values > np.float32(threshold))
    return replace(result, threshold=threshold)


def sharpen_photo(
    result: Result, *, max_pixels: int, progress: Progress | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Sharpen the photograph of a result and write it; return it before and after, as `reduce_picture` makes them."""
    photo = read_photo(result.photo, max_pixels=max_pixels)
    blur: Any = _StoredEstimate(result.load(_RADIUS), result.load(_CONFIDENCE))
    bits: Any = photo.bit_depth or AUTO
    pixels = deblur(photo.pixels, blur, bit_depth=bits, progress=progress)
    path = result.folder / f"{result.name}_deblurred{choose_suffix(result.photo)}"
    write_photo(path, replace(photo, pixels=pixels))
    after = read_with_depth(path)[0]
    return reduce_picture(read_with_depth(result.photo, max_pixels=max_pixels)[0]), reduce_picture(after)
