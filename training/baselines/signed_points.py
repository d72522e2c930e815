"""Signed radii at edge points: candidates, the best of them between the steps, and the spread to a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS, RADIUS_STEP
from defocus_edge.propagation.propagate import NoEdgesError, propagate_blur

#: Largest radius in px that is looked for unless another one is asked for.
LARGEST = MAX_RADIUS
#: Another candidate contradicts the best one if it is at least this far away, px. Nearer ones are its neighbours.
APART = 1.0
#: Least confidence of a point that is kept; ours.
LEAST_CONFIDENCE = 0.05
# Bounds of the largest radius that is looked for, px.
_LARGEST_BOUNDS = (1.0, 50.0)
# Least cost that others are divided by.
_LEAST_COST = 1e-9


@dataclass(frozen=True)
class SignedPoints:
    """Edge points with signed radii.

    Attributes
    ----------
    points : (N, 2) ndarray of int
        (row, col).
    radius : (N,) ndarray of float32
        Blur radius in px, positive in front of the focus and negative behind it.
    confidence : (N,) ndarray of float32
        In (0, 1]: 1 - the least cost / the least cost of a radius that is at least `APART` away.
    """

    points: NDArray[np.intp]
    radius: NDArray[np.float32]
    confidence: NDArray[np.float32]


def list_candidates(largest: float) -> NDArray[np.float64]:
    """Candidate radii in px, from -largest to largest in steps of 0.25 px; ValueError if `largest` is not 1 to 50 px.

    Disks of up to 0.5 px lie inside one pixel and are no blur; 0 stands for them.
    """
    low, high = _LARGEST_BOUNDS
    if not low <= largest <= high:
        msg = f"largest must be between {low:g} and {high:g} px. Got: {largest}."
        raise ValueError(msg)
    sizes = np.arange(MIN_RADIUS + RADIUS_STEP, largest + RADIUS_STEP / 2, RADIUS_STEP)
    return np.concatenate([-sizes[::-1], [0.0], sizes])


def choose_radii(points: NDArray[np.intp], costs: NDArray[np.float32], candidates: NDArray[np.float64]) -> SignedPoints:
    """Choose the radius of least cost at each point, between candidates by a parabola through three costs.

    Raises NoEdgesError if no point has a confidence of at least `LEAST_CONFIDENCE`; points with less are left out.

    Parameters
    ----------
    points : (N, 2) ndarray of int
        (row, col).
    costs : (K, N) ndarray of float32
        Cost of each candidate at each point, >= 0.
    candidates : (K,) ndarray of float
        Ascending signed radii in px, K >= 3.
    """
    if not len(points):
        msg = "image must have edges that can be measured. Got: none. Its contrast may be too low."
        raise NoEdgesError(msg)
    best = costs.argmin(axis=0)
    apart = np.abs(candidates[:, None] - candidates[best][None, :]) >= APART
    rival = np.where(apart, costs, np.inf).min(axis=0)
    confidence = 1 - costs.min(axis=0) / np.maximum(rival, _LEAST_COST)
    kept = confidence >= LEAST_CONFIDENCE
    if not kept.any():
        msg = "image must have edges whose blur has one explanation. Got: none. Its contrast may be too low."
        raise NoEdgesError(msg)
    radius = _refine(costs[:, kept], best[kept], candidates)
    return SignedPoints(points[kept], radius.astype(np.float32), confidence[kept].astype(np.float32))


def spread_signed(image: NDArray[np.float32], found: SignedPoints) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Spread signed radii over a picture (H, W, 3), RGB in [0, 1], by `propagate_blur`: signed radius and confidence.

    The propagation takes weighted means. So it may be given radii that are moved above 0, and moved back afterwards.
    """
    offset = np.float32(1 + np.abs(found.radius).max())
    no_walls = np.zeros(image.shape[:2], dtype=bool)
    moved, confidence = propagate_blur(image, found.points, found.radius + offset, found.confidence, no_walls)
    return moved - offset, confidence


def _refine(costs: NDArray[np.float32], best: NDArray[np.intp], candidates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lowest point of the parabola through the best candidate and its neighbours, which may lie unevenly."""
    middle = np.clip(best, 1, len(candidates) - 2)
    here = np.arange(len(best))
    before, at, after = (costs[middle + step, here].astype(np.float64) for step in (-1, 0, 1))
    left, right = candidates[middle] - candidates[middle - 1], candidates[middle + 1] - candidates[middle]
    rise, fall = (after - at) / right, (before - at) / left  # slopes away from the middle
    curvature = (rise + fall) / (left + right)
    slope = (rise * left - fall * right) / (left + right)
    move = np.where(curvature > 0, -slope / (2 * np.where(curvature > 0, curvature, 1)), 0)
    inside = (best == middle) & (curvature > 0)  # at the ends of the range the candidate itself is taken
    return np.where(inside, candidates[middle] + np.clip(move, -left / 2, right / 2), candidates[best])
