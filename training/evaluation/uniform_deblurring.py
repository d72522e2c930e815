"""Deconvolution with one known disk: ours beside Richardson-Lucy and Wiener of scikit-image with their best settings.

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
from training.runs.tables import Row, group_by

FloatArray = NDArray[np.float32]
#: Takes a blurred picture (H, W, 3) in linear light and the disk, and gives the sharper picture.
Deconvolution = Callable[[FloatArray, FloatArray], FloatArray]

#: Names of pictures of `skimage.data`, to the first row and column of the part that is used.
PICTURES = {"astronaut": (20, 120), "coffee": (80, 200), "chelsea": (20, 100)}
#: Side in px of that part.
SIDE = 256
#: Radii of the disks, px.
RADII = (2.0, 3.0, 5.0)
#: Standard deviation of the noise, for linear light in [0, 1].
NOISE = 0.01
#: Width in px of the border that is not compared.
BORDER = 16
#: Settings of Richardson-Lucy and of Wiener. The one with the best mean PSNR is chosen for each radius.
ITERATIONS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 80)
BALANCES = (0.003, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2)
# Width in px of the mirrored border that Richardson-Lucy and Wiener see: without it errors of the border reach inside.
_MARGIN = 32
_SEED = 1972


@dataclass(frozen=True, eq=False)
class UniformCase:
    """A picture, sharp and blurred by a disk of `radius` px with noise: (H, W, 3) float32, linear light in [0, 1]."""

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
    """Blur pictures of scikit-image in linear light by disks of at most 16 px, and add noise.

    Each case has 256×256 px and is clipped to [0, 1], not quantized. Light beyond its frame is real, not mirrored.
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
    """Map method and setting to a deconvolution; the settings of one method follow each other."""
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
    """Score all methods and settings of `list_methods` on a case: PSNR in linear light without the border."""
    psf = disk_kernel(case.radius)
    scores = []
    for (method, setting), run in methods.items():
        start = time.perf_counter()
        result = run(case.blurred, psf)
        seconds = time.perf_counter() - start
        scores.append(UniformScore(method, setting, case.radius, case.name, _find_psnr(result, case.sharp), seconds))
    return scores


def summarize_uniform(scores: Sequence[UniformScore], *, keep_all: Sequence[str] = ("deconvolve",)) -> list[Row]:
    """Average the PSNR over the pictures, one row for each radius and method with its best setting.

    Each row has ``radius (px)``, ``method``, ``setting``, ``PSNR (dB)``, ``gain (dB)`` over the first method, the
    blurry input, and ``s/MP``, the median time. The methods of `keep_all` have a row for each setting instead.
    """
    groups = group_by(scores, "radius", "method", "setting")
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
    """Richardson-Lucy [1]_ with a number of iterations."""

    def run(plane: FloatArray, psf: FloatArray) -> FloatArray:
        return np.asarray(richardson_lucy(plane, psf, num_iter=count), dtype=np.float32)

    return lambda blurred, psf: _run_on_planes(run, blurred, psf)


def _make_wiener(balance: float) -> Deconvolution:
    """Wiener filter [2]_ with a weight of its Laplacian regularization."""

    def run(plane: FloatArray, psf: FloatArray) -> FloatArray:
        return np.asarray(wiener(plane, psf, balance), dtype=np.float32)

    return lambda blurred, psf: _run_on_planes(run, blurred, psf)


def _run_on_planes(run: Deconvolution, blurred: FloatArray, psf: FloatArray) -> FloatArray:
    """Deconvolve each channel on its own, continued by its mirror."""
    inner = (slice(_MARGIN, -_MARGIN),) * 2
    planes = [np.pad(blurred[..., channel], _MARGIN, mode="symmetric") for channel in range(blurred.shape[2])]
    return np.stack([run(plane, psf)[inner] for plane in planes], axis=2)


def _find_psnr(result: FloatArray, sharp: FloatArray) -> float:
    """PSNR in dB of a result, clipped to [0, 1] and without its border."""
    inner = (slice(BORDER, -BORDER),) * 2
    error = np.mean((np.clip(result[inner], 0, 1).astype(np.float64) - sharp[inner]) ** 2)
    return float(-10 * np.log10(error))
