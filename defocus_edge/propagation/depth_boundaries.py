"""Closed boundaries between depth layers, from the broken lines of depth-edge points."""

import numpy as np
import numpy.typing as npt

CONTOUR_SIGMA = 1.5
"""Gaussian smoothing, in pixels, of the picture whose contours are followed."""
CONTOUR_STEP = 0.004
"""Contours that rise by less than this above their surroundings (RGB in [0, 1], per px) are not followed."""
REACH = 2
"""An edge point speaks for the contour within this many pixels, along rows and columns."""
LEAST_COVER = 0.3
"""A piece of contour counts if at least this share of it has an edge point within reach."""
DEPTH_SHARE = 0.5
"""A piece of contour is closed if depth edges are more than this share of the edge points within its reach."""


def close_depth_edges(
    image: npt.NDArray[np.floating], depth_edges: npt.NDArray[np.bool_], pattern_edges: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Link depth edges along the contours of the picture.

    Parameters
    ----------
    image : (H, W, 3) float array
        RGB in [0, 1].
    depth_edges, pattern_edges : (H, W) bool array
        The edge points of either kind.

    Returns
    -------
    (H, W) bool array
        True where a closed contour runs between a pixel and its left or upper neighbour.

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
    shape = depth_edges.shape
    closed = np.zeros(shape, bool)
    if not depth_edges.any():
        return closed
    rows, columns, pieces = _find_pieces(_find_regions(image))
    depth, pattern = (_count_within_reach(edges)[rows, columns] for edges in (depth_edges, pattern_edges))
    length = np.bincount(pieces)
    covered = np.bincount(pieces, weights=(depth + pattern) > 0)
    # Each place of a piece has one vote, however many points are within its reach.
    votes = np.bincount(pieces, weights=depth / np.maximum(depth + pattern, 1))
    chosen = (covered >= LEAST_COVER * length) & (votes > DEPTH_SHARE * covered)
    kept = chosen[pieces]
    closed[rows[kept], columns[kept]] = True
    return closed


def _find_regions(image: npt.NDArray[np.floating]) -> npt.NDArray[np.int32]:
    """Number of the watershed region of each pixel."""
    import cv2
    from skimage.segmentation import watershed  # here, since importing it takes a third of a second

    squares = np.zeros(image.shape[:2], np.float32)
    smooth = cv2.GaussianBlur(image.astype(np.float32, copy=False), (0, 0), CONTOUR_SIGMA)
    for along in ((1, 0), (0, 1)):
        # Scharr's derivative sums 32 steps: scale it to the change per px.
        gradient = cv2.Scharr(smooth, cv2.CV_32F, *along, scale=1 / 32)
        squares += np.einsum("ijk,ijk->ij", gradient, gradient)
    # Whole steps make one basin of what differs by less.
    return np.asarray(watershed((np.sqrt(squares) / CONTOUR_STEP).astype(np.int32)), dtype=np.int32)


def _find_pieces(
    regions: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows, columns and piece number of all pixels that differ in region from their left or upper neighbour."""
    row_parts, column_parts, key_parts = [], [], []
    for down, right in ((0, 1), (1, 0)):
        here = regions[down:, right:]
        there = regions[: regions.shape[0] - down, : regions.shape[1] - right]
        rows, columns = np.nonzero(here != there)
        one, other = here[rows, columns].astype(np.int64), there[rows, columns].astype(np.int64)
        row_parts.append(rows + down)
        column_parts.append(columns + right)
        key_parts.append(np.minimum(one, other) * (int(regions.max()) + 1) + np.maximum(one, other))
    _, pieces = np.unique(np.concatenate(key_parts), return_inverse=True)
    return np.concatenate(row_parts), np.concatenate(column_parts), pieces


def _count_within_reach(edges: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Number of edge points in the square around each pixel."""
    import cv2

    side = 2 * REACH + 1
    counts = cv2.boxFilter(edges.astype(np.float32), -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(np.rint(counts), dtype=np.float32)
