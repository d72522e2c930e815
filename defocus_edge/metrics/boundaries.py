"""How well the outline of a mask follows that of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

#: Largest distance of two outlines that count as one, as a share of the picture's diagonal.
BOUNDARY_REACH = 0.01


@dataclass(frozen=True)
class BoundaryHits:
    """Numbers of pixels on the outlines of an answer and of a mask, and of those that are near the other outline."""

    found: int
    found_near: int
    true: int
    true_near: int

    def __add__(self, other: Self) -> BoundaryHits:
        """Counts of two pictures together."""
        return BoundaryHits(
            self.found + other.found,
            self.found_near + other.found_near,
            self.true + other.true,
            self.true_near + other.true_near,
        )


def compare_boundaries(found: NDArray[np.bool_], mask: NDArray[np.bool_]) -> BoundaryHits:
    """Compare the outlines of an answer and of a mask, both (H, W).

    A pixel is on the outline if a pixel above, below, to the left or to the right of it has another value. It is near
    the other outline within `BOUNDARY_REACH` of the diagonal.
    """
    reach = BOUNDARY_REACH * float(np.hypot(*mask.shape))
    outlines = _find_outline(found), _find_outline(mask)
    near = [np.count_nonzero(one & _is_near(other, reach)) for one, other in (outlines, outlines[::-1])]
    counts = [int(np.count_nonzero(outline)) for outline in outlines]
    return BoundaryHits(counts[0], int(near[0]), counts[1], int(near[1]))


def _find_outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels with a neighbour of another value."""
    outline = np.zeros_like(mask)
    rows, cols = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
    outline[1:] |= rows
    outline[:-1] |= rows
    outline[:, 1:] |= cols
    outline[:, :-1] |= cols
    return outline


def _is_near(outline: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    """Pixels within a distance in px of an outline."""
    if not outline.any():
        return outline
    away = cv2.distanceTransform((~outline).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away <= reach)
