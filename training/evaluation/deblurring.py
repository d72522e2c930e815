"""Gains of deblurring with a blur map: PSNR and SSIM against the scene in focus (Table II of [1]_).

References
----------
.. [1] A. Karaali, N. Harte, C. R. Jung, "Deep Multi-Scale Feature Learning for Defocus Blur Estimation", IEEE
   Transactions on Image Processing 31, 2022, arXiv:2009.11939.
.. [2] Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to
   structural similarity", IEEE Transactions on Image Processing 13(4), 2004, doi:10.1109/TIP.2003.819861.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from defocus_edge.estimation.result import BlurEstimate
from defocus_edge.files.images import write_picture
from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.sharpening.deblurring import ESTIMATE_ERROR, deblur
from training.runs.log import write_rows
from training.runs.tables import NAN, PICTURES_FILE, SUMMARY_FILE, Row, average_known, divide, group_by_family

if TYPE_CHECKING:
    from training.data.development import DevelopmentScene
    from training.evaluation.map_methods import MapMethod

FloatArray = NDArray[np.float32]

#: Rows that every table has: the picture as it is, and the picture deblurred with its true map.
BLURRY, TRUE_MAP = "blurry input", "true map"
#: Quality is also measured where the true radius is at least this, px: elsewhere there is hardly anything to gain.
#: On the grid of the levels these are the pixels that count as blurred, see `blur_levels.BLURRED_ABOVE`.
GAIN_FROM = 1.0
EVERYWHERE, BLURRED = "all", f"blur ≥ {GAIN_FROM:g} px"
#: Columns of the table.
FIGURES = (
    "PSNR (dB)",
    "SSIM",
    "gain (dB)",
    "gain in SSIM",
    "share of true map's gain",
    "worst gain (dB)",
)
#: SSIM as in [2]_: Gaussian window with this standard deviation in px, cut off at 3.5 of them: 11×11 px.
SSIM_SIGMA = 1.5
#: SSIM is not averaged within this many px of the border, where the window leaves the picture.
SSIM_BORDER = 5


@dataclass(frozen=True)
class Quality:
    """Likeness of a picture and the sharp one: PSNR in dB of encoded values with a range of 1, and SSIM."""

    psnr: float
    ssim: float


@dataclass(frozen=True)
class DeblurringScore:
    """Quality of one scene before and after deblurring with one map, on some of its pixels."""

    #: Names of the map's method, the family of scenes and the scene.
    method: str
    family: str
    picture: str
    #: `EVERYWHERE` or `BLURRED`.
    pixels: str
    #: Quality of the blurry input and of the result.
    before: Quality
    after: Quality

    @property
    def gain(self) -> float:
        """Gain in PSNR, dB."""
        return self.after.psnr - self.before.psnr

    @property
    def similarity_gain(self) -> float:
        """Gain in SSIM."""
        return self.after.ssim - self.before.ssim


def score_deblurring(
    scenes: Iterable[DevelopmentScene],
    methods: Sequence[MapMethod],
    *,
    pictures: str | Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[DeblurringScore]:
    """Deblur scenes with their true maps and with those of methods.

    Returns the scores of each scene for the blurry input, the true map and each method: on all pixels, then on the
    blurred ones if any. Raises ValueError if a method is not in px, or a scene is not known in focus.

    Parameters
    ----------
    scenes : iterable of DevelopmentScene
        Scenes that are known in focus.
    methods : sequence of MapMethod
        Methods in px. A method's confidence is used if it has one; other maps but the true one are taken to be off by
        0.5 px. A scene without a map stays as it is.
    pictures : str or Path, optional
        Folder for a picture of each scene: blurry, with the true map, with each method's, and in focus, left to right.
    say : callable, optional
        Called with a line for each scene for which a method has no map.
    """
    for method in methods:
        if method.unit != "px":
            msg = f"methods must have maps in px to deblur with. Got: {method.name!r}, which has a score."
            raise ValueError(msg)
    scores: list[DeblurringScore] = []
    for scene in scenes:
        if scene.sharp is None:
            msg = f"scenes must be known in focus. Got: {scene.name!r}, which is not."
            raise ValueError(msg)
        results = _deblur_scene(scene, methods, say)
        scores += _compare(scene, results, scene.sharp)
        if pictures is not None:
            row = np.hstack([*results.values(), scene.sharp])
            write_picture(Path(pictures) / f"{scene.name}.png", np.rint(row * 255).astype(np.uint8))
    return scores


def measure_quality(
    picture: FloatArray, sharp: FloatArray, choices: Sequence[NDArray[np.bool_]] | None = None
) -> list[Quality]:
    """Measure PSNR and SSIM of a picture.

    Returns one quality for each choice. SSIM is NaN if all chosen pixels are within `SSIM_BORDER` of the border.

    Parameters
    ----------
    picture, sharp : (H, W, 3) ndarray of float32
        sRGB-encoded, in [0, 1]; at least 11 px on each side.
    choices : sequence of (H, W) ndarray of bool, optional
        Pixels that count, at least one; all of them unless given.

    Notes
    -----
    SSIM with a Gaussian window of σ = 1.5 px, population covariances, K1 = 0.01, K2 = 0.03 [2]_, mean over the
    channels and the chosen pixels; its map is computed from the whole picture.
    """
    squares = (picture.astype(np.float64) - sharp) ** 2
    _, similarity = structural_similarity(
        picture,
        sharp,
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        sigma=SSIM_SIGMA,
        use_sample_covariance=False,
        full=True,
    )
    inner = (slice(SSIM_BORDER, -SSIM_BORDER),) * 2
    found = []
    for chosen in [np.ones(picture.shape[:2], dtype=bool)] if choices is None else choices:
        error = float(squares[chosen].mean())
        counted = similarity[inner][chosen[inner]]
        ssim = float(counted.mean()) if counted.size else NAN
        found.append(Quality(-10 * float(np.log10(error)) if error else np.inf, ssim))
    return found


def summarize_deblurring(scores: Sequence[DeblurringScore]) -> list[Row]:
    """Average the figures over scenes, one row for each kind of pixels, family and method.

    Each row has ``family``, ``pixels``, ``method``, ``scenes``, ``PSNR (dB)``, ``SSIM``, the gains over the blurry
    input, the PSNR gain as a share of that with the true map, and the smallest PSNR gain of a scene. If there are
    several families, rows over all scenes follow.
    """
    rows: list[Row] = []
    for pixels in (EVERYWHERE, BLURRED):
        groups = group_by_family([score for score in scores if score.pixels == pixels])
        best = {family: _average_gain(members) for family, method, members in groups if method == TRUE_MAP}
        for family, method, members in groups:
            row: Row = {"family": family, "pixels": pixels, "method": method, "scenes": len(members)}
            figures = [average_known(getattr(score.after, name) for score in members) for name in ("psnr", "ssim")]
            if method == BLURRY:
                figures += [NAN] * 4
            else:
                gain = _average_gain(members)
                similarity = average_known(score.similarity_gain for score in members)
                figures += [gain, similarity, divide(gain, best[family]), min(score.gain for score in members)]
            rows.append(row | dict(zip(FIGURES, figures, strict=True)))
    return rows


def write_deblurring_report(folder: str | Path, scores: Sequence[DeblurringScore]) -> None:
    """Write the table and the figures of each scene as CSV files in a folder, each whole or not at all."""
    write_rows(Path(folder) / SUMMARY_FILE, summarize_deblurring(scores))
    scenes: list[Row] = [
        {
            "family": score.family,
            "picture": score.picture,
            "pixels": score.pixels,
            "method": score.method,
            FIGURES[0]: score.after.psnr,
            FIGURES[1]: score.after.ssim,
            FIGURES[2]: score.gain,
            FIGURES[3]: score.similarity_gain,
        }
        for score in scores
    ]
    write_rows(Path(folder) / PICTURES_FILE, scenes)


def _deblur_scene(
    scene: DevelopmentScene, methods: Sequence[MapMethod], say: Callable[[str], None]
) -> dict[str, FloatArray]:
    """Deblur a picture with its true map and with each method's; the picture as it is comes first."""
    results: dict[str, FloatArray] = {BLURRY: scene.image, TRUE_MAP: deblur(scene.image, scene.radius)}
    for method in methods:
        try:
            blur_map = method.measure(scene)
        except NoEdgesError as error:
            say(f"{scene.name}, {method.name}: {error}")
            results[method.name] = scene.image
            continue
        error_px = None if isinstance(blur_map, BlurEstimate) else ESTIMATE_ERROR
        results[method.name] = deblur(scene.image, blur_map, map_error=error_px)
    return results


def _compare(scene: DevelopmentScene, results: dict[str, FloatArray], sharp: FloatArray) -> list[DeblurringScore]:
    """Score all results, on all pixels and on the blurred ones if there are any."""
    chosen = {EVERYWHERE: np.ones(scene.radius.shape, dtype=bool), BLURRED: scene.radius >= GAIN_FROM}
    choices = {pixels: where for pixels, where in chosen.items() if where.any()}
    found = {method: measure_quality(result, sharp, list(choices.values())) for method, result in results.items()}
    return [
        DeblurringScore(method, scene.family, scene.name, pixels, found[BLURRY][number], own[number])
        for number, pixels in enumerate(choices)
        for method, own in found.items()
    ]


def _average_gain(members: Sequence[DeblurringScore]) -> float:
    """Mean gain in PSNR, dB."""
    return average_known(score.gain for score in members)
