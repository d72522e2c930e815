"""The 23 blur levels of the networks: the only place where they are written down.

Radii are radii of a disk (circle of confusion) in pixels of the input image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.choices import READ_OUTS, ReadOut

#: Smallest level in px. A disk of this radius covers 0.79 of a pixel: the picture is sharp.
MIN_RADIUS = 0.5
#: Largest level in px (Karaali et al. 2022, section III).
MAX_RADIUS = 6.0
#: Distance of two levels in px.
RADIUS_STEP = 0.25
#: All levels in px, ascending, float32.
BLUR_LEVELS: NDArray[np.float32] = np.arange(MIN_RADIUS, MAX_RADIUS + RADIUS_STEP / 2, RADIUS_STEP, dtype=np.float32)
BLUR_LEVELS.flags.writeable = False
N_LEVELS = len(BLUR_LEVELS)
#: A pixel counts as blurred where its true radius exceeds this, px: the two smallest levels are sharp, since a lens in
#: focus gives as much, and 1 px is the smallest blurred level. All masks follow it: those that networks learn from,
#: those that score them, and those of `synth`.
BLURRED_ABOVE = MIN_RADIUS + RADIUS_STEP


def radius_to_class(radius: ArrayLike) -> NDArray[np.int64]:
    """Class number, 0 to 22, of the level nearest to a radius in px; radii outside the levels go to an end.

    Examples
    --------
    >>> radius_to_class([0.5, 0.7, 9.0])
    array([ 0,  1, 22])
    """
    steps = (np.asarray(radius, dtype=np.float64) - MIN_RADIUS) / RADIUS_STEP
    return np.clip(np.rint(steps), 0, N_LEVELS - 1).astype(np.int64)


def class_to_radius(label: ArrayLike) -> NDArray[np.float32]:
    """Radius in px of class numbers 0 to 22, same shape; IndexError for a number outside the classes."""
    labels = np.asarray(label)
    if labels.size and (labels.min() < 0 or labels.max() >= N_LEVELS):
        msg = f"label must be between 0 and {N_LEVELS - 1}. Got: {labels.min()} to {labels.max()}."
        raise IndexError(msg)
    return BLUR_LEVELS[labels]


def radius_to_sigma(radius: ArrayLike) -> NDArray[np.float64]:
    """Standard deviation in px of the Gaussian with the second moment of a disk.

    Notes
    -----
    A uniform disk of radius r has variance r²/4 along each axis, so σ = r/2. The whole package converts by equal second
    moments.
    """
    return np.asarray(radius, dtype=np.float64) / 2.0


def sigma_to_radius(sigma: ArrayLike) -> NDArray[np.float64]:
    """Radius in px of the disk with the second moment of a Gaussian, the inverse of `radius_to_sigma`."""
    return np.asarray(sigma, dtype=np.float64) * 2.0


def read_radius(probabilities: ArrayLike, *, read_out: ReadOut = "median") -> NDArray[np.float32]:
    """Read one blur radius in px from each distribution over the levels.

    Parameters
    ----------
    probabilities : (..., 23) array_like of float
        Softmax output, last axis sums to one.
    read_out : {'median', 'expectation', 'argmax'}
        The median level of the distribution, which has the smallest expected absolute error; the mean of the levels,
        which has the smallest expected squared error; or the most probable level as in the paper.

    Returns
    -------
    (...) ndarray of float32

    Raises
    ------
    ValueError
        If the last axis does not hold one value for each level or `read_out` is unknown.
    """
    values = np.asarray(probabilities, dtype=np.float32)
    if values.ndim == 0 or values.shape[-1] != N_LEVELS:
        msg = f"probabilities must have {N_LEVELS} values on the last axis. Got: shape {values.shape}."
        raise ValueError(msg)
    if read_out == "median":
        reached = np.cumsum(values, axis=-1) >= values.sum(axis=-1, keepdims=True) / 2
        return BLUR_LEVELS[np.argmax(reached, axis=-1)]
    if read_out == "expectation":
        return np.clip(values @ BLUR_LEVELS, MIN_RADIUS, MAX_RADIUS)
    if read_out == "argmax":
        return BLUR_LEVELS[np.argmax(values, axis=-1)]
    msg = f"read_out must be one of {READ_OUTS}. Got: {read_out!r}."
    raise ValueError(msg)
