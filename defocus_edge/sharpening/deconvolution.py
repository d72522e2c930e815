"""Deconvolution with one point spread function and a hyper-Laplacian prior, in linear light.

The prior says that gradients of photographs are mostly near zero and sometimes large, p(g) ∝ exp(-κ |g|^α) with
α = 2/3; the data term says that the picture, blurred again, is the one that was taken, more so where it has less noise.
Splitting minimizes their sum by turns: gradients one by one from a table [1]_, the blurred picture pixel by pixel [2]_,
the picture itself in the Fourier domain.

Transforms run in one thread unless the caller says otherwise: ``with scipy.fft.set_workers(4): …``.

References
----------
.. [1] D. Krishnan, R. Fergus, "Fast image deconvolution using hyper-Laplacian priors", NIPS 22, 2009.
.. [2] M. S. C. Almeida, M. A. T. Figueiredo, "Deconvolving images with unknown boundaries using the alternating
   direction method of multipliers", IEEE Transactions on Image Processing 22(8), 2013.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from defocus_edge.sharpening.noise import STEPS_OF_8_BITS, measure_noise

FloatArray = NDArray[np.float32]

#: Exponent α of the prior; 0.5 to 0.8 fit photographs (Krishnan & Fergus 2009, section 1).
PRIOR_EXPONENT = 2 / 3
#: Weight κ of the prior, hence λ = 1 / (κ σ²) in eq. 2. Measured over λ in powers of two on six pictures (BSDS500,
#: McMaster, Urban100) at half size, radii 1 to 5 px, noise of 1 and 2.55 steps of 255: best PSNR for κ from 7 to 15.
#: On four pictures of scikit-image 7 was better than 5 and 10 on average.
PRIOR_WEIGHT = 7.0
#: Weights β of the gradients' splitting, one per turn: by equal factors up to 724 as in section 3 of the paper, but
#: from 4 instead of 1: +0.1 dB at 2 and 5 px in the measurement above.
SPLIT_WEIGHTS = tuple(4 * 2 ** (7.5 * turn / 7) for turn in range(8))
#: Weights of the blurred picture's splitting, one per turn, in units of the typical weight of the data. Measured on
#: three pictures of scikit-image, radii 2, 3 and 5 px, noise of 1 % in light and in encoded values: from 1 the same
#: within 0.1 dB, but parts much noisier than the typical one ring; from 0.1 and with 12 turns up to 0.2 dB less.
COUPLINGS = tuple(0.3 * 20 ** (turn / 7) for turn in range(8))
#: Standard deviation of the noise that is assumed at least when it is measured: one 8-bit step.
LEAST_NOISE = 1 / 255
#: How far the sum of a PSF may be from one; rounding to float32 stays far below.
SUM_TOLERANCE = 1e-3
# Shrinkage is tabulated for gradients up to 64 at β = 1, in steps of 1/512; the nearest entry is taken. The largest
# gradient, 1, is 135 at β = 724: there the last entry is off by 0.04, that is 0.0003 of the gradient.
_TABLE_STEP = 1 / 512
_TABLE_REACH = 64.0
# Newton's iteration on a convex equation from above: 12 turns reach float64 rounding (seen), these are enough.
_NEWTON_TURNS = 30
# Beyond its frame the picture goes on for so many px, plus so many times the PSF's half width, before it repeats.
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
        Standard deviation of the noise in linear light, > 0, of all pixels or of each. More noise, smoother result.
        Unless given, it is measured as in `estimate_noise` and is at least 1/255.
    valid : array_like of bool, shape (H, W) or that of `image`, optional
        False where `image` says nothing about the light behind the PSF, such as saturated pixels. There the picture is
        filled in by what surrounds it and by the prior; what `image` holds there is where the filling starts.

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
    λ = 1 / (7 · noise²), or 0 where `valid` is False. The blurred picture z = k * x is split off as in [2]_, since the
    Fourier domain knows no pixels. The frame is mirrored and fades into the mirror of the opposite side, so that the
    transform sees no jump.

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
    """Solve the sub-problem for each gradient: w that minimizes |w|^α + β/2 (w - v)² (eq. 5 of the paper).

    Parameters
    ----------
    gradients : ndarray of float32
        v, any shape.
    split_weight : float
        β > 0.

    Returns
    -------
    ndarray of float32
        w, same shape; within 0.001 β^(-3/4) of the minimizer.

    Notes
    -----
    With c = β^(-1 / (2 - α)) the minimizer of (c v, β) is c times that of (v, 1), so one table serves all β.
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
    # Where w = 0 and the other minimum are equally good: |w|^α + (w - v)²/2 = v²/2 and its derivative give w and v.
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
    transfer = _find_transfer(kernel, shape)
    power = (transfer.real**2 + transfer.imag**2).astype(np.float32)
    roughness = _find_roughness(shape)
    known = data_weight[data_weight > 0]
    typical = float(np.exp(np.log(known).mean())) if known.size else 1.0
    picture, blurred = observed, observed.copy()
    # Of the blurred solution over z, summed: the multiplier. Rescaled with the coupling it gave the same or less.
    excess = np.zeros_like(observed)
    for split_weight, coupling in zip(SPLIT_WEIGHTS, COUPLINGS, strict=True):
        ratio = np.float32(typical * coupling / split_weight)
        spectrum = fft.rfft2(blurred - excess) * transfer.conj()
        spectrum *= ratio
        spectrum += fft.rfft2(_pull_gradients(picture, split_weight))
        spectrum /= roughness + ratio * power  # eq. 4; both are 0 nowhere at once, since the PSF passes the mean
        picture = fft.irfft2(spectrum, s=shape)
        spectrum *= transfer
        excess += fft.irfft2(spectrum, s=shape)
        # z: between what was observed and what the solution gives, by their weights.
        binding = np.float32(typical * coupling)
        blurred = (data_weight * observed + binding * excess) / (data_weight + binding)
        excess -= blurred
    return picture


def _pull_gradients(picture: FloatArray, split_weight: float) -> FloatArray:
    """Shrunk gradients along both axes under the adjoint of the differences, summed: ∂ᵀw in eq. 4."""
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


def _find_transfer(kernel: FloatArray, shape: tuple[int, ...]) -> NDArray[np.complex64]:
    """Transform of the PSF, its centre at the first pixel."""
    whole = np.zeros(shape, dtype=np.float32)
    whole[: kernel.shape[0], : kernel.shape[1]] = kernel
    centred = np.roll(whole, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), axis=(0, 1))
    return np.asarray(fft.rfft2(centred), dtype=np.complex64)


def _continue_periodically(planes: FloatArray, margin: int) -> FloatArray:
    """Continue (C, H, W) planes at their ends by two margins or more, so that they can be repeated without a jump."""
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
        msg = f"image must have shape (H, W) or (H, W, C), not empty. Got: {array.shape}."
        raise ValueError(msg)
    if not np.isfinite(array).all():
        msg = "image must be finite. Got: NaN or infinity."
        raise ValueError(msg)
    return array[..., np.newaxis] if array.ndim == 2 else array


def _check_psf(psf: ArrayLike) -> FloatArray:
    """The PSF as float32; raise unless it is one."""
    kernel = np.asarray(psf, dtype=np.float32)
    if kernel.ndim != 2 or not all(side % 2 for side in kernel.shape):
        msg = f"psf must have two axes with odd sides. Got: {kernel.shape}."
        raise ValueError(msg)
    if not np.isfinite(kernel).all() or kernel.min() < 0:
        msg = f"psf must be finite and >= 0. Got: values from {kernel.min()} to {kernel.max()}."
        raise ValueError(msg)
    if abs(float(kernel.sum()) - 1) > SUM_TOLERANCE:
        msg = f"psf must sum to one. Got: {kernel.sum():g}; divide it by its sum."
        raise ValueError(msg)
    return kernel


def _check_noise(noise: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """The noise of each pixel; raise unless it is positive and fits."""
    values = np.asarray(noise, dtype=np.float32)
    if values.shape not in ((), shape[:2], shape):
        msg = f"noise must be a number or have shape {shape[:2]} or {shape}. Got: {values.shape}."
        raise ValueError(msg)
    if not (values.size and np.isfinite(values).all() and values.min() > 0):
        msg = f"noise must be finite and > 0, in linear light. Got: {values.min()}."
        raise ValueError(msg)
    return np.broadcast_to(values[..., np.newaxis] if values.shape == shape[:2] else values, shape)


def _check_valid(valid: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """1 where valid, 0 elsewhere, shaped as the picture."""
    array = np.asarray(valid)
    if array.dtype != bool or array.shape not in (shape[:2], shape):
        msg = f"valid must be bool with shape {shape[:2]} or {shape}. Got: {array.dtype} with shape {array.shape}."
        raise ValueError(msg)
    whole = array if array.ndim == 3 else array[..., np.newaxis]
    return np.broadcast_to(whole, shape).astype(np.float32)
