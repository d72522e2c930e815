"""From a blur map to a mask: which pixels are out of focus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Share of the map's range above which a pixel counts as blurred, if no threshold is given …
DEFAULT_ALPHA = 0.15
#: … but the threshold stays within these radii in px: a disk of less is as good as sharp, and a picture that is blurred
#: all over has no sharp part to compare with. Cross entropy on the scenes of `training.masks.scenes`: 0.200;
#: of α = 0.3 alone 0.313, of 1 px alone 0.199, which takes all of a large photograph for blurred.
DEFAULT_RADII = (1.0, 2.0)


def threshold_blur_map(
    blur_map: NDArray[np.float32], *, alpha: float | None = None, radius: float | None = None
) -> NDArray[np.bool_]:
    """Pixels that are blurred more than a threshold.

    Parameters
    ----------
    blur_map : (H, W) ndarray of float
        Blur radius in px.
    alpha : float, optional
        Adaptive threshold, 0 to 1.
    radius : float, optional
        Threshold in px. If neither is given, the adaptive threshold with α = 0.15, but at least 1 and at most 2 px.

    Returns
    -------
    (H, W) ndarray of bool
        True = blurred.

    Raises
    ------
    ValueError
        If both thresholds are given or one is out of range.

    Notes
    -----
    The adaptive threshold is τ = α · v_max + (1 - α) · v_min over the map's largest and smallest value (Karaali et
    al. 2022, section IV). A map without contrast has no pixel above it.

    Examples
    --------
    >>> threshold_blur_map(np.array([[1.0, 2.0, 5.0]]), alpha=0.5)
    array([[False, False,  True]])
    >>> threshold_blur_map(np.array([[1.0, 2.0, 5.0]]), radius=1.5)
    array([[False,  True,  True]])
    """
    return np.asarray(blur_map > find_threshold(blur_map, alpha=alpha, radius=radius))


def find_threshold(blur_map: NDArray[np.float32], *, alpha: float | None = None, radius: float | None = None) -> float:
    """The threshold in px of `threshold_blur_map`, whose parameters and errors it shares."""
    if alpha is not None and radius is not None:
        msg = f"Give alpha or radius, not both. Got: alpha={alpha}, radius={radius}."
        raise ValueError(msg)
    if radius is not None:
        if not radius >= 0:
            msg = f"radius must be a number of pixels >= 0. Got: {radius}."
            raise ValueError(msg)
        return radius
    if alpha is None:
        return min(max(_adapt(blur_map, DEFAULT_ALPHA), DEFAULT_RADII[0]), DEFAULT_RADII[1])
    if not 0 <= alpha <= 1:
        msg = f"alpha must be between 0 and 1. Got: {alpha}."
        raise ValueError(msg)
    return _adapt(blur_map, alpha)


def _adapt(blur_map: NDArray[np.float32], alpha: float) -> float:
    """The adaptive threshold."""
    low, high = float(blur_map.min()), float(blur_map.max())
    # In this form, in double precision, rounding neither lifts a plain map above its threshold nor breaks the order of
    # two alphas.
    return min(low + alpha * (high - low), high)
