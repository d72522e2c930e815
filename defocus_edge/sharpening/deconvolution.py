"""Deconvolution with one point spread function and a hyper-Laplacian prior, in linear light.

The prior says that gradients of photographs are mostly near zero and sometimes large: p(g) ∝ exp(-κ |g|^α), α = 2/3.
The data term says that the solution, blurred again, is the picture that was taken; it weighs more where there is less
noise. Their sum is minimized by splitting, in turns: gradients one by one from a table, the blurred picture pixel by
pixel, the picture itself in the Fourier domain. [1] and [2] in this module are the references of `deconvolve`.

Transforms run in one thread unless the caller says otherwise: ``with scipy.fft.set_workers(4): …``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from defocus_edge.psf import find_transfer
from defocus_edge.sharpening.noise import STEPS_OF_8_BITS, measure_noise

FloatArray = NDArray[np.float32]

#: Exponent α of the prior; 0.5 to 0.8 fit photographs (section 1 of [1]).
PRIOR_EXPONENT = 2 / 3
#: Weight κ of the prior, hence λ = 1 / (κ σ²) in eq. 2 of [1]. Best PSNR for κ from 7 to 15 on six pictures (BSDS500,
#: McMaster, Urban100) at half size, radii 1 to 5 px, noise of 1 and 2.55 steps of 255; on four pictures of scikit-image
#: 7 was better than 5 and 10 on average.
PRIOR_WEIGHT = 7.0
#: Turns of the splitting.
TURNS = 8
#: Weights β of the gradients' splitting, one per turn: they grow by equal factors to 724 as in section 3 of [1], but
#: begin with 4 instead of 1: +0.1 dB at 2 and 5 px on the six pictures.
SPLIT_WEIGHTS = tuple(4 * 2 ** (7.5 * turn / (TURNS - 1)) for turn in range(TURNS))
#: Weights of the blurred picture's splitting, one per turn, in units of the typical weight of the data. Measured on
#: three pictures of scikit-image, radii 2, 3 and 5 px, noise of 1 % in light and in encoded values. Beginning with 1
#: gave the same within 0.1 dB, but very noisy parts rang; beginning with 0.1, in 12 turns, up to 0.2 dB less.
COUPLINGS = tuple(0.3 * 20 ** (turn / (TURNS - 1)) for turn in range(TURNS))
#: Least standard deviation of measured noise, in linear light: one 8-bit step.
LEAST_NOISE = 1 / 255
#: How far the sum of a PSF may be from one; rounding to float32 stays far below.
SUM_TOLERANCE = 1e-3
# Shrinkage is tabulated for gradients up to 64 at β = 1, in steps of 1/512; the nearest entry is taken. The largest
# gradient, 1, is 135 at β = 724: there the last entry is off by 0.04, that is 0.0003 of the gradient.
_TABLE_STEP = 1 / 512
_TABLE_REACH = 64.0
# Turns of Newton's iteration on a convex equation, from above; 12 were seen to reach the rounding of float64.
_NEWTON_TURNS = 30
# Width of the continuation beyond the frame: px, plus half widths of the PSF. Chosen, not tuned.
_LEAST_MARGIN = 12
_MARGIN_REACHES = 3


def deconvolve(
    image: ArrayLike, psf: ArrayLike, *, noise: ArrayLike | None = None, valid: ArrayLike | None = None
) -> FloatArray:
    """Undo the blur with one known point spread function.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array_like of float
        Linear light, full scale 1. Channels share the measured noise and are solved independently otherwise.
    psf : (h, w) array_like of float
        Point spread function: odd sides, values >= 0 that sum to one; its centre is the middle pixel.
    noise : float, or (H, W) or (H, W, C) array_like of float, optional
        Standard deviation of the noise in linear light, > 0, for all pixels or each. More noise makes a smoother
        result. By default it is measured as in `estimate_noise` and is at least 1/255.
    valid : array_like of bool, shape (H, W) or that of `image`, optional
        False where `image` says nothing about the light, such as at saturated pixels. There the surroundings and the
        prior fill in the picture, starting from the values of `image`.

    Returns
    -------
    ndarray of float32, shape of `image`
        Linear light; may leave [0, 1] a little.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    Minimizes ``Σ λ/2 (k * x - y)² + Σ |∂x|^α`` over both directions (eq. 2 of [1]_) with α = 2/3 and, pixel by pixel,
    λ = 1 / (7 · noise²), or 0 where `valid` is False. The blurred picture z = k * x is a variable of its own as in
    [2]_, since weights of single pixels do not exist in the Fourier domain. Beyond its frame the picture is mirrored
    and fades into the mirror of the opposite side, so that the transform sees no jump.

    References
    ----------
    .. [1] D. Krishnan, R. Fergus, "Fast image deconvolution using hyper-Laplacian priors", NIPS 22, 2009.
    .. [2] M. S. C. Almeida, M. A. T. Figueiredo, "Deconvolving images with unknown boundaries using the alternating
       direction method of multipliers", IEEE Transactions on Image Processing 22(8), 2013.

    Examples
    --------
    >>> from defocus_edge.psf import disk_kernel
    >>> bool(np.allclose(deconvolve(np.full((24, 24), 0.5), disk_kernel(2.0)), 0.5, atol=1e-5))
    True
    """
    blurred, kernel = _check_image(image), _check_psf(psf)
    if noise is None:
        noise = max(measure_noise(blurred, None) / STEPS_OF_8_BITS, LEAST_NOISE)
    weight = np.asarray(1 / (PRIOR_WEIGHT * _check_noise(noise, blurred.shape) ** 2), dtype=np.float32)
    if valid is not None:
        weight *= _check_valid(valid, blurred.shape)
    height, width = blurred.shape[:2]
    margin = _LEAST_MARGIN + _MARGIN_REACHES * (max(kernel.shape) // 2)
    observed, data_weight = (_continue_periodically(np.moveaxis(part, 2, 0), margin) for part in (blurred, weight))
    solved = _split(observed, kernel, data_weight)
    return np.ascontiguousarray(np.moveaxis(solved[:, :height, :width], 0, 2)).reshape(np.shape(image))


def shrink_gradients(gradients: FloatArray, split_weight: float) -> FloatArray:
    """Find the w that minimizes |w|^α + β/2 (w - v)² for each gradient v (eq. 5 of [1]), within 0.001 β^(-3/4).

    β is `split_weight`. With c = β^(-1 / (2 - α)) the minimizer of (c v, β) is c times that of (v, 1), so one table
    serves all β.
    """
    scale = np.float32(split_weight ** (1 / (2 - PRIOR_EXPONENT)))
    table = _tabulate_shrinkage()
    scaled = gradients * scale
    entry = np.rint(scaled * np.float32(1 / _TABLE_STEP)).astype(np.int32)
    entry += len(table) // 2
    scaled -= table.take(entry, mode="clip")
    scaled /= scale
    return scaled


@lru_cache(maxsize=1)
def _tabulate_shrinkage() -> FloatArray:
    """Shrinkage v - w(v) for β = 1 and v from -reach to reach; it varies slowly, unlike w."""
    alpha = PRIOR_EXPONENT
    gradients = np.arange(round(_TABLE_REACH / _TABLE_STEP) + 1) * _TABLE_STEP
    # At the threshold v both minima, 0 and w, are equally good: |w|^α + (w - v)²/2 = v²/2 and its derivative give both.
    jump = (2 * (1 - alpha)) ** (1 / (2 - alpha))
    threshold = jump + alpha * jump ** (alpha - 1)
    wanted = np.maximum(gradients, jump)
    for _ in range(_NEWTON_TURNS):  # on w - v + α w^(α-1) = 0
        slope = 1 - alpha * (1 - alpha) * wanted ** (alpha - 2)
        wanted = np.maximum(wanted - (wanted - gradients + alpha * wanted ** (alpha - 1)) / slope, jump)
    shrinkage = np.where(gradients <= threshold, gradients, gradients - wanted)
    table = np.concatenate([-shrinkage[:0:-1], shrinkage]).astype(np.float32)
    table.flags.writeable = False
    return table


def _split(observed: FloatArray, kernel: FloatArray, data_weight: FloatArray) -> FloatArray:
    """Splitting of periodic (C, H, W) planes; `data_weight` has their shape and is 0 where they say nothing."""
    shape = observed.shape[1:]
    transfer = find_transfer(kernel, shape)
    power = (transfer.real**2 + transfer.imag**2).astype(np.float32)
    roughness = _find_roughness(shape)
    known = data_weight[data_weight > 0]
    typical = float(np.exp(np.log(known).mean())) if known.size else 1.0
    picture, blurred = observed, observed.copy()
    # The multiplier: summed differences of the blurred solution and z. Rescaling it with the coupling did not help.
    excess = np.zeros_like(observed)
    for split_weight, coupling in zip(SPLIT_WEIGHTS, COUPLINGS, strict=True):
        ratio = np.float32(typical * coupling / split_weight)
        spectrum = fft.rfft2(blurred - excess) * transfer.conj()
        spectrum *= ratio
        spectrum += fft.rfft2(_pull_gradients(picture, split_weight))
        spectrum /= roughness + ratio * power  # eq. 4; never 0: where there is no roughness, the PSF passes the mean
        picture = fft.irfft2(spectrum, s=shape)
        spectrum *= transfer
        excess += fft.irfft2(spectrum, s=shape)
        # z is the mean of the observed picture and the blurred solution, by their weights.
        binding = np.float32(typical * coupling)
        blurred = (data_weight * observed + binding * excess) / (data_weight + binding)
        excess -= blurred
    return picture


def _pull_gradients(picture: FloatArray, split_weight: float) -> FloatArray:
    """Adjoint of the differences, applied to the shrunk gradients of both axes and summed: ∂ᵀw in eq. 4."""
    total = np.zeros_like(picture)
    for axis in (1, 2):
        wanted = shrink_gradients(np.roll(picture, -1, axis) - picture, split_weight)
        total -= wanted
        total += np.roll(wanted, 1, axis)
    return total


def _find_roughness(shape: tuple[int, ...]) -> FloatArray:
    """Power of the differences along both axes at the frequencies of `rfft2`."""
    rows = 2 - 2 * np.cos(2 * np.pi * fft.fftfreq(shape[0]))
    columns = 2 - 2 * np.cos(2 * np.pi * fft.rfftfreq(shape[1]))
    return (rows[:, None] + columns[None, :]).astype(np.float32)


def _continue_periodically(planes: FloatArray, margin: int) -> FloatArray:
    """Continue (C, H, W) planes by two margins or more, so that they repeat without a jump."""
    for axis in (1, 2):
        side = planes.shape[axis]
        extra = fft.next_fast_len(side + 2 * margin, real=True) - side
        # The mirror of the end, and the mirror of the start as it comes before the next repetition.
        after = np.pad(planes, [(0, extra if k == axis else 0) for k in range(3)], mode="symmetric")
        before = np.pad(planes, [(extra if k == axis else 0, 0) for k in range(3)], mode="symmetric")
        fade = (1 - np.cos(np.pi * (np.arange(extra, dtype=np.float32) + np.float32(0.5)) / extra)) / 2
        fade = fade.astype(np.float32).reshape([extra if k == axis else 1 for k in range(3)])
        tail = after[:, side:] if axis == 1 else after[:, :, side:]
        head = before[:, :extra] if axis == 1 else before[:, :, :extra]
        tail += fade * (head - tail)
        planes = after
    return planes


def _check_image(image: ArrayLike) -> FloatArray:
    """(H, W, C) float32; raise unless it is a finite picture."""
    array = np.asarray(image, dtype=np.float32)
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"image must have shape (H, W) or (H, W, C), not empty. Got: {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError("image must be finite. Got: NaN or infinity.")
    return array[..., np.newaxis] if array.ndim == 2 else array


def _check_psf(psf: ArrayLike) -> FloatArray:
    """The PSF as float32; raise unless it is one."""
    kernel = np.asarray(psf, dtype=np.float32)
    if kernel.ndim != 2 or not all(side % 2 for side in kernel.shape):
        raise ValueError(f"psf must have two axes with odd sides. Got: {kernel.shape}.")
    if not np.isfinite(kernel).all() or kernel.min() < 0:
        raise ValueError(f"psf must be finite and >= 0. Got: values from {kernel.min()} to {kernel.max()}.")
    if abs(float(kernel.sum()) - 1) > SUM_TOLERANCE:
        raise ValueError(f"psf must sum to one. Got: {kernel.sum():g}; divide it by its sum.")
    return kernel


def _check_noise(noise: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """The noise of each pixel; raise unless it is positive and fits."""
    values = np.asarray(noise, dtype=np.float32)
    if values.shape not in ((), shape[:2], shape):
        raise ValueError(f"noise must be a number or have shape {shape[:2]} or {shape}. Got: {values.shape}.")
    if not (values.size and np.isfinite(values).all() and values.min() > 0):
        raise ValueError(f"noise must be finite and > 0, in linear light. Got: {values.min()}.")
    return np.broadcast_to(values[..., np.newaxis] if values.shape == shape[:2] else values, shape)


def _check_valid(valid: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """1 where valid, 0 elsewhere, shaped as the picture."""
    array = np.asarray(valid)
    if array.dtype != bool or array.shape not in (shape[:2], shape):
        raise ValueError(
            f"valid must be bool with shape {shape[:2]} or {shape}. Got: {array.dtype} with shape {array.shape}."
        )
    whole = array if array.ndim == 3 else array[..., np.newaxis]
    return np.broadcast_to(whole, shape).astype(np.float32)
