"""Narayan, Parida and Sahay 2017: the blur map and the sharp picture are improved in turns, by steepest descent."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import radius_to_sigma, sigma_to_radius
from training.baselines.karaali_jung import LARGEST_SIGMA, estimate_karaali_jung
from training.baselines.pictures import check_picture, convert_to_grey

FloatArray = NDArray[np.float32]

#: Standard deviations in px of the blurs that are computed; those in between are interpolated. Ours.
LEVELS = np.arange(0, LARGEST_SIGMA + 0.25, 0.5)
#: Number of turns, and of steps for the picture and for the map in each; ours.
TURNS, PICTURE_STEPS, MAP_STEPS = 5, 8, 10
#: Weights of the two priors, against squares of grey values (0 to 1); ours.
PICTURE_WEIGHT = 0.002
MAP_WEIGHT = 0.002
#: γ of the priors: differences far above its square root are outlines and cost no more. In squares of grey values, and
#: in px². Ours.
PICTURE_GAMMA = 0.01
MAP_GAMMA = 1.0
#: Length of the first steps, and how often one is halved until the energy falls.
_FIRST_PICTURE_STEP, _FIRST_MAP_STEP, _HALVINGS = 0.5, 1.0, 12


def estimate_narayan_parida_sahay(image: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Estimate the blur map of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, after Narayan, Parida and Sahay.

    Returns a map, (H, W) float32: blur radius in px of the disk with the second moment of the estimated Gaussian, 0 to
    10. Raises NoEdgesError if no edge can be measured. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    The grey picture y, the sharp picture x and the standard deviations :math:`\sigma` have the energy

    .. math:: \sum_p (y - H_\sigma x)_p^2 + \lambda_x \sum_{p, q} \rho(x_p - x_q; \gamma_x)
              + \lambda_\sigma \sum_{p, q} \rho(\sigma_p - \sigma_q; \gamma_\sigma), \qquad
              \rho(\eta; \gamma) = \gamma - \gamma e^{-\eta^2 / \gamma}

    over pixels p and pairs of neighbours p, q. :math:`H_\sigma` blurs each pixel with a Gaussian of its own. The prior
    ρ, the discontinuity-adaptive Markov random field, smooths small differences and leaves outlines alone. The two
    unknowns are improved in turns by `improve_picture` and `improve_map`.

    Of the paper we know the abstract: the alternating minimization, steepest descent with gradients in closed form, and
    the prior. Ours are: the first map, which is that of Karaali and Jung, since the paper's (Shi, Xu and Jia 2015)
    needs a dictionary learnt from photographs; that x begins with y; the Gaussians, interpolated between `LEVELS`; the
    gradient of the map, which is divided by an estimate of its curvature, because plain areas would stand still beside
    outlines; that a step is halved until the energy falls; all constants.

    The map moves little from the first one, and mostly to less blur: on three photographs blurred by known Gaussians, a
    first map whose σ was 0.5 px too large came 0.06 to 0.2 px nearer, and one 0.5 px too small no nearer (measured).

    Working memory is about 150 bytes a pixel.

    References
    ----------
    L. H. Narayan, K. K. Parida and R. R. Sahay, "Simultaneous blur map estimation and deblurring of a single
    space-variantly defocused image", National Conference on Communications (NCC), 2017, doi:10.1109/NCC.2017.8077133.
    """
    picture = check_picture(image)
    taken = convert_to_grey(picture)
    sigmas = radius_to_sigma(estimate_karaali_jung(picture)).astype(np.float32)
    sharp = taken.copy()
    for _ in range(TURNS):
        sharp = improve_picture(taken, sharp, sigmas)
        sigmas = improve_map(taken, sharp, sigmas)
    return sigma_to_radius(sigmas).astype(np.float32)


def improve_picture(
    taken: FloatArray, sharp: FloatArray, sigmas: FloatArray, *, steps: int = PICTURE_STEPS
) -> FloatArray:
    """Descend to a sharper picture (H, W) with the map held; the energy never rises.

    Parameters
    ----------
    taken, sharp : (H, W) ndarray of float32
        The picture that was taken and the present sharp one, grey values from 0 to 1.
    sigmas : (H, W) ndarray of float32
        Standard deviations in px, 0 to 5.
    steps : int
        Number of steps.
    """
    step = _FIRST_PICTURE_STEP
    error = blur(sharp, sigmas) - taken
    energy = _measure_energy(error, sharp, PICTURE_WEIGHT, PICTURE_GAMMA)
    for _ in range(steps):
        slope = 2 * blur_back(error, sigmas) + PICTURE_WEIGHT * find_prior_slope(sharp, PICTURE_GAMMA)
        for _ in range(_HALVINGS):
            moved = (sharp - step * slope).astype(np.float32)
            moved_error = blur(moved, sigmas) - taken
            moved_energy = _measure_energy(moved_error, moved, PICTURE_WEIGHT, PICTURE_GAMMA)
            if moved_energy < energy:
                sharp, error, energy = moved, moved_error, moved_energy
                break
            step /= 2
    return sharp


def improve_map(taken: FloatArray, sharp: FloatArray, sigmas: FloatArray, *, steps: int = MAP_STEPS) -> FloatArray:
    """Descend to a better map (H, W) with the sharp picture held; the energy never rises. As `improve_picture`."""
    step = _FIRST_MAP_STEP
    stack = _blur_to_levels(sharp)
    error = _interpolate(stack, sigmas)[0] - taken
    energy = _measure_energy(error, sigmas, MAP_WEIGHT, MAP_GAMMA)
    for _ in range(steps):
        per_sigma = _interpolate(stack, sigmas)[1]
        slope = 2 * error * per_sigma + MAP_WEIGHT * find_prior_slope(sigmas, MAP_GAMMA)
        # Curvature: that of the squared error, and 2 for each of the two ends of four pairs.
        slope /= 2 * per_sigma**2 + MAP_WEIGHT * 16
        for _ in range(_HALVINGS):
            moved = np.clip(sigmas - step * slope, 0, LARGEST_SIGMA).astype(np.float32)
            moved_error = _interpolate(stack, moved)[0] - taken
            moved_energy = _measure_energy(moved_error, moved, MAP_WEIGHT, MAP_GAMMA)
            if moved_energy < energy:
                sigmas, error, energy = moved, moved_error, moved_energy
                break
            step /= 2
    return sigmas


def blur(values: FloatArray, sigmas: FloatArray) -> FloatArray:
    """Blur each pixel (H, W) with the Gaussian of its own standard deviation (H, W) in px."""
    return _interpolate(_blur_to_levels(values), sigmas)[0]


def blur_back(values: FloatArray, sigmas: FloatArray) -> FloatArray:
    """Adjoint of `blur`: what each pixel gave to the values (H, W)."""
    result = np.zeros_like(values)
    position = sigmas / np.float32(LEVELS[1])
    for number, level in enumerate(LEVELS):
        weight = np.maximum(1 - np.abs(position - np.float32(number)), 0)
        result += _blur_evenly(weight * values, level)
    return result


def find_prior_slope(values: FloatArray, gamma: float) -> FloatArray:
    """Gradient (H, W) of the sum of ρ over all pairs of neighbours."""
    result = np.zeros_like(values)
    for axis in (0, 1):
        difference = np.diff(values, axis=axis)
        slope = 2 * difference * np.exp(-(difference**2) / np.float32(gamma))
        lead = (slice(None),) * axis
        result[(*lead, slice(1, None))] += slope
        result[(*lead, slice(None, -1))] -= slope
    return result


def _measure_energy(error: FloatArray, values: FloatArray, weight: float, gamma: float) -> float:
    """Squared error and the prior of one of the unknowns; the other one's is constant."""
    prior = sum(
        float((gamma - gamma * np.exp(-(np.diff(values, axis=axis).astype(np.float64) ** 2) / gamma)).sum())
        for axis in (0, 1)
    )
    return float((error.astype(np.float64) ** 2).sum()) + weight * prior


def _blur_to_levels(values: FloatArray) -> FloatArray:
    """The picture at all levels of blur, (levels, H, W)."""
    return np.stack([_blur_evenly(values, level) for level in LEVELS])


def _blur_evenly(values: FloatArray, sigma: float) -> FloatArray:
    """Gaussian of one standard deviation; borders are mirrored."""
    if sigma == 0:
        return values
    return np.asarray(cv2.GaussianBlur(values, (0, 0), float(sigma), borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def _interpolate(stack: FloatArray, sigmas: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Value of each pixel at its own blur, linear between the levels, and its change per px of standard deviation."""
    position = sigmas / np.float32(LEVELS[1])
    lower = np.minimum(position.astype(np.intp), len(LEVELS) - 2)
    below = np.take_along_axis(stack, lower[None], axis=0)[0]
    change = np.take_along_axis(stack, lower[None] + 1, axis=0)[0] - below
    return below + (position - lower).astype(np.float32) * change, change / np.float32(LEVELS[1])
