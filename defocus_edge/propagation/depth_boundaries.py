"""Closed boundaries between depth layers, from the broken lines of depth-edge points."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

CONTOUR_SIGMA = 1.5
"""Gaussian smoothing, in pixels, of the picture whose contours are followed."""
CONTOUR_STEP = 0.004
"""Contours whose gradient (RGB in [0, 1], per px) rises by less than this above its surroundings are not followed."""
SCHARR_SUM = 32
"""Scharr's derivative of a slope of 1 per px."""
REACH = 2
"""Distance in pixels, along rows and columns, within which an edge point belongs to a contour."""
LEAST_COVER = 0.3
"""A piece of contour counts if at least this share of it has an edge point within reach."""
DEPTH_SHARE = 0.5
"""A piece of contour is closed if depth edges are more than this share of the edge points within its reach."""
STRIP_ROWS = 128
"""Number of rows whose pieces of contour are listed at once; bounds the memory, and changes nothing."""


def close_depth_edges(
    image: npt.NDArray[np.floating], depth_edges: npt.NDArray[np.bool_], pattern_edges: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Link depth edges along the contours of the picture.

    `image` is (H, W, 3) RGB in [0, 1]; `depth_edges` and `pattern_edges` are (H, W) masks of the edge points of either
    kind. The result is (H, W), True where a closed contour runs between a pixel and its left or upper neighbour.

    Notes
    -----
    The watershed of the smoothed gradient magnitude [1]_ cuts the picture into small regions whose borders are closed
    and follow its contours. The border between two regions is one piece of contour: where edge points cover enough of
    it and most of them are depth edges, all of it is a depth boundary, gaps included.

    References
    ----------
    .. [1] L. Vincent and P. Soille, "Watersheds in digital spaces: an efficient algorithm based on immersion
       simulations", IEEE TPAMI 13(6), 1991. https://doi.org/10.1109/34.87344
    """
    closed = np.zeros(depth_edges.shape, bool)
    if not depth_edges.any():
        return closed
    regions = _find_regions(image)
    depth, pattern = _count_within_reach(depth_edges), _count_within_reach(pattern_edges)
    # Only pieces with a depth edge within reach can be closed: the others need not be listed.
    candidates = np.unique(
        np.concatenate([np.unique(pieces[depth[places] > 0]) for places, pieces in _iterate_pieces(regions)])
    )
    length, covered, votes = np.zeros((3, len(candidates)))
    for places, pieces in _iterate_pieces(regions):
        numbers, known = _look_up(pieces, candidates)
        here = places[0][known], places[1][known]
        near_depth = depth[here].astype(np.float32)
        near_any = near_depth + pattern[here]
        length += np.bincount(numbers, minlength=len(candidates))
        covered += np.bincount(numbers, weights=near_any > 0, minlength=len(candidates))
        # Each place of a piece has one vote, however many points are within its reach.
        votes += np.bincount(numbers, weights=near_depth / np.maximum(near_any, 1), minlength=len(candidates))
    chosen = candidates[(covered >= LEAST_COVER * length) & (votes > DEPTH_SHARE * covered)]
    for places, pieces in _iterate_pieces(regions):
        _, known = _look_up(pieces, chosen)
        closed[places[0][known], places[1][known]] = True
    return closed


def _find_regions(image: npt.NDArray[np.floating]) -> npt.NDArray[np.int32]:
    """Number the watershed regions of the smoothed gradient."""
    import cv2

    from defocus_edge.propagation.watershed import find_basins  # here, since importing Numba takes half a second

    squares = np.zeros(image.shape[:2], np.float32)
    for channel in range(3):
        smooth = np.ascontiguousarray(image[..., channel], np.float32)
        cv2.GaussianBlur(smooth, (0, 0), CONTOUR_SIGMA, dst=smooth)
        for along in ((1, 0), (0, 1)):
            gradient = cv2.Scharr(smooth, cv2.CV_32F, *along, scale=1 / SCHARR_SUM)
            squares += np.square(gradient, out=gradient)
            del gradient
    del smooth
    # Rounding to whole steps joins basins that differ by less than a step.
    np.sqrt(squares, out=squares)
    squares /= np.float32(CONTOUR_STEP)
    levels = squares.astype(np.uint16)
    del squares
    return find_basins(levels)


def _iterate_pieces(
    regions: npt.NDArray[np.int32],
) -> Iterator[tuple[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], npt.NDArray[np.int64]]]:
    """List pixels whose left or upper neighbour is of another region, with a number for each pair of regions."""
    pairs = int(regions.max()) + 1
    for top in range(0, len(regions), STRIP_ROWS):
        strip = regions[top : top + STRIP_ROWS]
        above = regions[max(top - 1, 0) : top + len(strip) - 1]
        lower = strip[len(strip) - len(above) :]
        for here, there, down, right in (
            (strip[:, 1:], strip[:, :-1], 0, 1),
            (lower, above, len(strip) - len(lower), 0),
        ):
            rows, columns = np.nonzero(here != there)
            one, other = here[rows, columns].astype(np.int64), there[rows, columns].astype(np.int64)
            yield (rows + (top + down), columns + right), np.minimum(one, other) * pairs + np.maximum(one, other)


def _look_up(
    pieces: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Find wanted pieces: their places in the sorted list `wanted`, and a mask of the pieces that are in it."""
    if not len(wanted):
        return np.empty(0, np.intp), np.zeros(len(pieces), bool)
    numbers = np.minimum(np.searchsorted(wanted, pieces), len(wanted) - 1)
    known = wanted[numbers] == pieces
    return numbers[known], known


def _count_within_reach(edges: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Count the edge points in the square around each pixel."""
    import cv2

    side = 2 * REACH + 1
    counts = cv2.boxFilter(edges.view(np.uint8), -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(counts, dtype=np.uint8)
