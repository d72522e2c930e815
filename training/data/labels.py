"""Radii as shares of the blur levels, and which of the labelled points of a crop are learnt from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MIN_RADIUS, N_LEVELS, RADIUS_STEP

#: E-NET's label of points too close to a depth edge to say, yet not on it.
UNDECIDED = -1


def share_levels(radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """(P,) radii within the levels to (P, 23) shares of the two levels around each: their mean is the radius."""
    position = (radius - MIN_RADIUS) / RADIUS_STEP
    return np.maximum(1 - np.abs(position[:, None] - np.arange(N_LEVELS)), 0).astype(np.float32)


def choose_balanced(strata: NDArray[np.integer], count: int, *, rng: np.random.Generator) -> NDArray[np.intp]:
    """At most `count` random indices, as many of each stratum as there are; negative strata only fill up.

    Parameters
    ----------
    strata : (P,) ndarray of int
    count : int
    rng : numpy.random.Generator

    Returns
    -------
    (min(P, count),) ndarray of int
    """
    order = rng.permutation(len(strata))
    rank = np.empty(len(strata), dtype=np.intp)
    for stratum in np.unique(strata):
        members = order[strata[order] == stratum]
        rank[members] = np.arange(len(members)) + (len(strata) if stratum < 0 else 0)
    return order[np.argsort(rank[order], kind="stable")][:count]
