"""How much sharper pictures become with a blur map: PSNR and SSIM against the scene in focus (Table II of [1]_).

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
from training.runs.tables import Row, average_known, divide, group_by_family

if TYPE_CHECKING:
    from training.data.development import DevelopmentScene
    from training.evaluation.map_methods import MapMethod

FloatArray = NDArray[np.float32]

#: Rows that are always there: the picture as it is, and deblurred with the map that made it.
BLURRY, TRUE_MAP = "blurry input", "true map"
#: Quality is also measured apart where the true radius is at least this, px: below, there is hardly anything to gain.
#: What counts as blurred in masks is another thing, see `defocus_edge.blur_levels.BLURRED_ABOVE`.
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
#: The window leaves the picture within this many px of its border, where SSIM is not averaged.
SSIM_BORDER = 5
#: Files that `write_deblurring_report` makes.
SUMMARY_FILE, PICTURES_FILE = "summary.csv", "pictures.csv"
NAN = float("nan")


@dataclass(frozen=True)
class Quality:
    """How near a picture is to the sharp one.

    Attributes
    ----------
    psnr : float
        dB, of encoded values with a range of 1.
    ssim : float
    """

    psnr: float
    ssim: float


@dataclass(frozen=True)
class DeblurringScore:
    """What one map did for one scene, on some of its pixels.

    Attributes
    ----------
    method, family, picture : str
    pixels : str
        `EVERYWHERE` or `BLURRED`.
    before, after : Quality
        Of the blurry input and of the result.
    """

    method: str
    family: str
    picture: str
    pixels: str
    before: Quality
    after: Quality


def score_deblurring(
    scenes: Iterable[DevelopmentScene],
    methods: Sequence[MapMethod],
    *,
    pictures: str | Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[DeblurringScore]:
    """Deblur scenes with their true maps and with those of methods.

    Parameters
    ----------
    scenes : iterable of DevelopmentScene
        With the scene in focus.
    methods : sequence of MapMethod
        In px. Confidence is used where a method has it; other maps but the true one are taken to be off by 0.5 px.
        A scene without a map stays as it is.
    pictures : str or Path, optional
        Folder for a picture of each scene: blurry, with the true map, with each method's, and in focus, left to right.
    say : callable, optional
        Called with a line for each scene that a method has no map for.

    Returns
    -------
    list of DeblurringScore
        For each scene the blurry input, the true map and each method: on all pixels, then on the blurred ones if any.

    Raises
    ------
    ValueError
        If a method is not in px, or a scene is not known in focus.
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
    """PSNR and SSIM of a picture.

    Parameters
    ----------
    picture, sharp : (H, W, 3) ndarray of float32
        sRGB-encoded, in [0, 1]; at least 11 px on each side.
    choices : sequence of (H, W) ndarray of bool, optional
        Pixels that count, not none; all of them unless given.

    Returns
    -------
    list of Quality
        One for each choice. SSIM is NaN if all chosen pixels are within `SSIM_BORDER` of the border.

    Notes
    -----
    SSIM with a Gaussian window of σ = 1.5 px, population covariances, K1 = 0.01, K2 = 0.03 [2]_, mean over the
    channels and the chosen pixels; its map is computed from the whole picture.

    References
    ----------
    .. [2] Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to
       structural similarity", IEEE Transactions on Image Processing 13(4), 2004, doi:10.1109/TIP.2003.819861.
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
    """Mean over scenes, one row for each family, kind of pixels and method.

    Parameters
    ----------
    scores : sequence of DeblurringScore

    Returns
    -------
    list of dict
        ``family``, ``pixels``, ``method``, ``scenes``, ``PSNR (dB)``, ``SSIM``, the gains over the blurry input, the
        PSNR gain as a share of that with the true map, and the smallest PSNR gain of a scene. Several families are
        followed by rows over all scenes.
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
                similarity = average_known(score.after.ssim - score.before.ssim for score in members)
                figures += [gain, similarity, divide(gain, best[family]), min(_find_gain(score) for score in members)]
            rows.append(row | dict(zip(FIGURES, figures, strict=True)))
    return rows


def write_deblurring_report(folder: str | Path, scores: Sequence[DeblurringScore]) -> None:
    """Write the table and the figures of each scene as CSV files, each whole or not at all.

    Parameters
    ----------
    folder : str or Path
        Exists.
    scores : sequence of DeblurringScore
        At least one.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    write_rows(Path(folder) / SUMMARY_FILE, summarize_deblurring(scores))
    scenes: list[Row] = [
        {
            "family": score.family,
            "picture": score.picture,
            "pixels": score.pixels,
            "method": score.method,
            FIGURES[0]: score.after.psnr,
            FIGURES[1]: score.after.ssim,
            FIGURES[2]: _find_gain(score),
            FIGURES[3]: score.after.ssim - score.before.ssim,
        }
        for score in scores
    ]
    write_rows(Path(folder) / PICTURES_FILE, scenes)


def _deblur_scene(
    scene: DevelopmentScene, methods: Sequence[MapMethod], say: Callable[[str], None]
) -> dict[str, FloatArray]:
    """The picture as it is, with its true map and with each method's."""
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
    """Scores of all results, on all pixels and on the blurred ones if there are any."""
    chosen = {EVERYWHERE: np.ones(scene.radius.shape, dtype=bool), BLURRED: scene.radius >= GAIN_FROM}
    choices = {pixels: where for pixels, where in chosen.items() if where.any()}
    found = {method: measure_quality(result, sharp, list(choices.values())) for method, result in results.items()}
    return [
        DeblurringScore(method, scene.family, scene.name, pixels, found[BLURRY][number], own[number])
        for number, pixels in enumerate(choices)
        for method, own in found.items()
    ]


def _find_gain(score: DeblurringScore) -> float:
    return score.after.psnr - score.before.psnr


def _average_gain(members: Sequence[DeblurringScore]) -> float:
    return average_known(_find_gain(score) for score in members)
