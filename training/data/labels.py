"""Labels of edge points: shares of the blur levels, pattern or depth edge, and a balanced choice of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from defocus_edge.blur_levels import MIN_RADIUS, N_LEVELS, RADIUS_STEP
from synth.scenes import Scene

#: E-NET's label of points too close to a depth edge to say, yet not on it.
UNDECIDED = -1
#: A boundary blurred with radius r is r px wide on each side, and its strongest gradient stays within half of that. So
#: points up to this share of r from a depth edge are on it; points up to r + `UNDECIDED_MARGIN` px away are undecided.
DEPTH_EDGE_SHARE = 0.5
UNDECIDED_MARGIN = 1.0
#: The same two distances in px where the boundary is hardly blurred: edges are found to about one px.
LEAST_DEPTH_EDGE = 1.5
LEAST_UNDECIDED = 3.0


def share_levels(radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares (P, 23) of the two levels around each of (P,) radii within the levels; their mean is the radius."""
    position = (radius - MIN_RADIUS) / RADIUS_STEP
    return np.maximum(1 - np.abs(position[:, None] - np.arange(N_LEVELS)), 0).astype(np.float32)


def choose_balanced(strata: NDArray[np.integer], count: int, *, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose at most `count` random indices of (P,) strata, as many of each stratum; negative strata only fill up."""
    order = rng.permutation(len(strata))
    rank = np.empty(len(strata), dtype=np.intp)
    for stratum in np.unique(strata):
        members = order[strata[order] == stratum]
        rank[members] = np.arange(len(members)) + (len(strata) if stratum < 0 else 0)
    return order[np.argsort(rank[order], kind="stable")][:count]


def label_depth_edges(scene: Scene) -> NDArray[np.int8]:
    """E-NET label that each pixel (H, W) of a scene has if it is an edge point: 0 pattern, 1 depth, or `UNDECIDED`."""
    labels = np.zeros(scene.radius.shape, dtype=np.int8)
    if not scene.depth_edges.any():
        return labels
    distance, (rows, cols) = ndimage.distance_transform_edt(~scene.depth_edges, return_indices=True)
    near = scene.near_radius[rows, cols]
    labels[distance <= np.maximum(LEAST_UNDECIDED, near + UNDECIDED_MARGIN)] = UNDECIDED
    labels[distance <= np.maximum(LEAST_DEPTH_EDGE, DEPTH_EDGE_SHARE * near)] = 1
    return labels
