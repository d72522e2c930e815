"""Deconvolution of pictures with one known disk: ours beside Richardson-Lucy and Wiener of scikit-image at their best.

References
----------
.. [1] W. H. Richardson, "Bayesian-based iterative method of image restoration", JOSA 62(1), 1972.
.. [2] F. Orieux, J.-F. Giovannelli, T. Rodet, "Bayesian estimation of regularization and point spread function
   parameters for Wiener-Hunt deconvolution", JOSA A 27(7), 2010.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.restoration import richardson_lucy, wiener

from defocus_edge.psf import blur_with_disk, decode_srgb, disk_kernel
from defocus_edge.sharpening.deconvolution import deconvolve
from training.runs.tables import Row

FloatArray = NDArray[np.float32]
#: Takes a blurred picture (H, W, 3) in linear light and the disk, gives the sharper picture.
Deconvolution = Callable[[FloatArray, FloatArray], FloatArray]

#: Pictures of `skimage.data`: name to the first row and column of what is cut out.
PICTURES = {"astronaut": (20, 120), "coffee": (80, 200), "chelsea": (20, 100)}
#: Side in px of the pictures.
SIDE = 256
#: Radii of the disks, px.
RADII = (2.0, 3.0, 5.0)
#: Standard deviation of the noise, of a range of 1 in linear light.
NOISE = 0.01
#: So many px at the border are not compared.
BORDER = 16
#: Settings that the best is chosen from, for each radius by the mean PSNR.
ITERATIONS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 80)
BALANCES = (0.003, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2)
# What the others see beyond the frame, px of mirror: without it their borders would spoil what is compared.
_MARGIN = 32
_SEED = 1972


@dataclass(frozen=True, eq=False)
class UniformCase:
    """A picture blurred by one disk, with noise.

    Attributes
    ----------
    name : str
    radius : float
        px.
    sharp, blurred : (H, W, 3) ndarray of float32
        Linear light in [0, 1].
    """

    name: str
    radius: float
    sharp: FloatArray
    blurred: FloatArray


@dataclass(frozen=True)
class UniformScore:
    """PSNR in dB and time in s of one method with one setting on one case."""

    method: str
    setting: str
    radius: float
    picture: str
    psnr: float
    seconds: float


def make_cases(radii: Sequence[float] = RADII) -> Iterator[UniformCase]:
    """Pictures of scikit-image, blurred in linear light; what lies beyond their frame is real, not mirrored.

    Parameters
    ----------
    radii : sequence of float
        px, at most 16.

    Yields
    ------
    UniformCase
        256×256 px, noise of 1 % and clipped to [0, 1], not quantized.
    """
    import skimage.data

    rng = np.random.default_rng(_SEED)
    for radius in radii:
        for name, (top, left) in PICTURES.items():
            light = decode_srgb(getattr(skimage.data, name)() / np.float32(255))
            window = slice(top, top + SIDE), slice(left, left + SIDE)
            clean = blur_with_disk(light, radius)[window]
            noisy = clean + rng.normal(0, NOISE, clean.shape).astype(np.float32)
            yield UniformCase(name, radius, light[window], np.clip(noisy, 0, 1))


def list_methods() -> dict[tuple[str, str], Deconvolution]:
    """Method and setting to what deconvolves, all settings of a method one after the other."""
    methods: dict[tuple[str, str], Deconvolution] = {
        ("blurry input", ""): lambda blurred, _: blurred,
        ("deconvolve", "default"): deconvolve,
        ("deconvolve", "noise known"): lambda blurred, psf: deconvolve(blurred, psf, noise=NOISE),
    }
    for count in ITERATIONS:
        methods["Richardson-Lucy", f"{count} iterations"] = _make_richardson_lucy(count)
    for balance in BALANCES:
        methods["Wiener", f"balance {balance:g}"] = _make_wiener(balance)
    return methods


def score_uniform(case: UniformCase, methods: Mapping[tuple[str, str], Deconvolution]) -> list[UniformScore]:
    """Scores of all methods and settings on a case.

    Parameters
    ----------
    case : UniformCase
    methods : mapping
        As `list_methods` gives them.

    Returns
    -------
    list of UniformScore
        PSNR in linear light, with results clipped to [0, 1] and `BORDER` px cut off each side.
    """
    psf = disk_kernel(case.radius)
    scores = []
    for (method, setting), run in methods.items():
        start = time.perf_counter()
        result = run(case.blurred, psf)
        seconds = time.perf_counter() - start
        scores.append(UniformScore(method, setting, case.radius, case.name, _find_psnr(result, case.sharp), seconds))
    return scores


def summarize_uniform(scores: Sequence[UniformScore], *, keep_all: Sequence[str] = ("deconvolve",)) -> list[Row]:
    """Mean over the pictures, one row for each radius and method: with its best setting, unless all are kept.

    Parameters
    ----------
    scores : sequence of UniformScore
    keep_all : sequence of str
        Methods with a row for each setting.

    Returns
    -------
    list of dict
        ``radius (px)``, ``method``, ``setting``, ``PSNR (dB)``, ``gain (dB)`` over the first method's first setting,
        the blurry input, and ``s/MP``, the median time.
    """
    groups: dict[tuple[float, str, str], list[UniformScore]] = {}
    for score in scores:
        groups.setdefault((score.radius, score.method, score.setting), []).append(score)
    means = {key: float(np.mean([score.psnr for score in members])) for key, members in groups.items()}
    megapixels = SIDE**2 / 1e6
    rows: list[Row] = []
    for radius, method, setting in groups:
        rivals = [mean for key, mean in means.items() if key[:2] == (radius, method)]
        mean = means[radius, method, setting]
        if method not in keep_all and mean < max(rivals):
            continue
        first = next(mean for key, mean in means.items() if key[0] == radius)
        seconds = float(np.median([score.seconds for score in groups[radius, method, setting]]))
        row: Row = {"radius (px)": f"{radius:g}", "method": method, "setting": setting}
        rows.append(row | {"PSNR (dB)": mean, "gain (dB)": mean - first, "s/MP": seconds / megapixels})
    return rows


def _make_richardson_lucy(count: int) -> Deconvolution:
    """Richardson-Lucy [1]_ with so many iterations."""

    def run(plane: FloatArray, psf: FloatArray) -> FloatArray:
        return np.asarray(richardson_lucy(plane, psf, num_iter=count), dtype=np.float32)

    return lambda blurred, psf: _run_on_planes(run, blurred, psf)


def _make_wiener(balance: float) -> Deconvolution:
    """Wiener filter [2]_ with that balance of its Laplacian regularization."""

    def run(plane: FloatArray, psf: FloatArray) -> FloatArray:
        return np.asarray(wiener(plane, psf, balance), dtype=np.float32)

    return lambda blurred, psf: _run_on_planes(run, blurred, psf)


def _run_on_planes(run: Deconvolution, blurred: FloatArray, psf: FloatArray) -> FloatArray:
    """Each channel on its own, continued by its mirror."""
    inner = (slice(_MARGIN, -_MARGIN),) * 2
    planes = [np.pad(blurred[..., channel], _MARGIN, mode="symmetric") for channel in range(blurred.shape[2])]
    return np.stack([run(plane, psf)[inner] for plane in planes], axis=2)


def _find_psnr(result: FloatArray, sharp: FloatArray) -> float:
    inner = (slice(BORDER, -BORDER),) * 2
    error = np.mean((np.clip(result[inner], 0, 1).astype(np.float64) - sharp[inner]) ** 2)
    return float(-10 * np.log10(error))
