"""Numba kernel of the watershed: basins of integer levels, flooded in order.

Each level has a queue of pixels, first come, first served. The time therefore grows linearly with the pixels, and the
result depends only on the levels and the order of the rows. The kernel takes 8 bytes a pixel beside the levels.
"""

import numpy as np
import numpy.typing as npt

from defocus_edge._compiling import compile_kernel

# Index that stands for no pixel.
NOTHING = -1
# Labels of pixels during the search for minima.
_UNSEEN = 0
_SEEN = -1


def find_basins(levels: npt.NDArray[np.uint16]) -> npt.NDArray[np.int32]:
    """Number each pixel's basin, from 1; `levels` is the C-contiguous relief.

    Neighbours are the pixels above, below, left and right. Regional minima are numbered in the order of the rows. A
    pixel has the number of the basin whose flood reaches it first [1]_.

    References
    ----------
    .. [1] F. Meyer, "Un algorithme optimal de ligne de partage des eaux", 8e congrès AFCET, 1991; S. Beucher and
       F. Meyer, "The morphological approach to segmentation: the watershed transformation", 1993.
    """
    height, width = levels.shape
    labels = np.zeros(levels.size, np.int32)
    if levels.size:
        following = np.empty(levels.size, np.int32)
        _label_minima(levels.ravel(), width, labels, following)
        _flood(levels.ravel(), width, labels, following, int(levels.max()))
    return labels.reshape(height, width)


@compile_kernel
def _neighbour(pixel: int, side: int, width: int, size: int) -> int:
    """Index of the neighbour above (0), left (1), right (2) or below (3), or `NOTHING`."""
    column = pixel % width
    if side == 0:
        return pixel - width if pixel >= width else NOTHING
    if side == 1:
        return pixel - 1 if column > 0 else NOTHING
    if side == 2:
        return pixel + 1 if column < width - 1 else NOTHING
    return pixel + width if pixel + width < size else NOTHING


@compile_kernel
def _grow_plateau(
    levels: npt.NDArray[np.uint16],
    width: int,
    labels: npt.NDArray[np.int32],
    start: int,
    plateau: npt.NDArray[np.int32],
) -> tuple[int, bool]:
    """List the connected pixels of one level. Return their number and whether none has a lower neighbour."""
    level, is_minimum = levels[start], True
    labels[start] = _SEEN
    plateau[0] = start
    done, found = 0, 1
    while done < found:
        pixel = plateau[done]
        done += 1
        for side in range(4):
            other = _neighbour(pixel, side, width, levels.size)
            if other == NOTHING:
                continue
            if levels[other] < level:
                is_minimum = False
            elif levels[other] == level and labels[other] == _UNSEEN:
                labels[other] = _SEEN
                plateau[found] = other
                found += 1
    return found, is_minimum


@compile_kernel
def _label_minima(
    levels: npt.NDArray[np.uint16], width: int, labels: npt.NDArray[np.int32], plateau: npt.NDArray[np.int32]
) -> None:
    """Number the plateaus that have no lower neighbour; all other labels become 0."""
    count = 0
    for start in range(levels.size):
        if labels[start] == _UNSEEN:
            found, is_minimum = _grow_plateau(levels, width, labels, start, plateau)
            if is_minimum:
                count += 1
                for index in range(found):
                    labels[plateau[index]] = count
    for pixel in range(levels.size):
        labels[pixel] = max(labels[pixel], 0)


@compile_kernel
def _flood(
    levels: npt.NDArray[np.uint16],
    width: int,
    labels: npt.NDArray[np.int32],
    following: npt.NDArray[np.int32],
    highest: int,
) -> None:
    """Spread the labels, lowest level first; `following` chains the pixels that wait at a level."""
    size = levels.size
    first = np.full(highest + 1, NOTHING, np.int32)
    last = np.full(highest + 1, NOTHING, np.int32)
    for pixel in range(size):
        if labels[pixel] > 0:
            _wait(pixel, int(levels[pixel]), first, last, following)
    for level in range(highest + 1):
        while first[level] != NOTHING:
            pixel = first[level]
            first[level] = following[pixel]
            for side in range(4):
                other = _neighbour(pixel, side, width, size)
                if other != NOTHING and labels[other] == 0:
                    labels[other] = labels[pixel]
                    _wait(other, max(int(levels[other]), level), first, last, following)


@compile_kernel
def _wait(
    pixel: int,
    level: int,
    first: npt.NDArray[np.int32],
    last: npt.NDArray[np.int32],
    following: npt.NDArray[np.int32],
) -> None:
    """Put a pixel at the end of the queue of a level."""
    following[pixel] = NOTHING
    if first[level] == NOTHING:
        first[level] = pixel
    else:
        following[last[level]] = pixel
    last[level] = pixel
