"""LBP (Yi and Eramian 2016): sharpness from how often certain local binary patterns occur."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from training.baselines.matting_propagation import propagate_by_matting
from training.baselines.pictures import check_picture, convert_to_grey, stretch
from training.baselines.scale_inference import infer_across_scales

#: Sides in px of the windows in which patterns are counted: the three scales of the paper.
WINDOW_SIDES = (11, 15, 21)
#: T_LBP: a neighbour counts as brighter if it is by more than this, in grey values 0 to 1.
LEAST_DIFFERENCE = 0.016
#: Patterns 6, 7, 8 (that many brighter neighbours in a row) and 9 (not in a row) are rare where it is blurred.
FIRST_SHARP_PATTERN = 6
NON_UNIFORM = 9
#: T_m1 and T_m2: above the first a pixel is surely sharp, below the second surely not; matting decides the others.
SURELY_SHARP = 0.3
SURELY_BLURRED = 0.01
#: λ of Levin et al. 2008: weight of the sure pixels against the matting Laplacian.
MATTING_FIDELITY = 100.0
# The eight neighbours (row, col) on a circle of 1 px, in order.
_HALF = 0.5**0.5
_OFFSETS = ((0, 1), (-_HALF, _HALF), (-1, 0), (-_HALF, -_HALF), (0, -1), (_HALF, -_HALF), (1, 0), (_HALF, _HALF))
# Weights that should sum to one may sum to less by a rounding, which must not round a whole number down.
_ROUNDING = 1e-6


def measure_lbp(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Relative blurriness: 1 − `measure_lbp_sharpness`, so that larger is more blurred."""
    return np.float32(1) - measure_lbp_sharpness(image)


def measure_lbp_sharpness(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure the sharpness map of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded, as Yi and Eramian do.

    Grey values are rounded to 8 bits, for which the method was made. Returns a map, (H, W) float32: 0 to 1, larger =
    sharper, relative to the rest of the picture. It is 0 everywhere if there is no sharp pattern. Raises NoEdgesError
    for a plain picture. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    At each of three scales: the share of the rotation-invariant patterns LBP(8, 1) numbered 6 to 9 in a window,
    stretched to 0 to 1; sure pixels by two thresholds; closed-form matting for the others. The three maps become one
    by `infer_across_scales`.

    Differences from the paper and the program its authors published: matting is solved once at full size where they
    go from coarse to fine; the belief propagation takes the maps as the paper's energy has them, where the program
    standardizes them first, and stops after a fixed number of rounds.

    References
    ----------
    X. Yi and M. Eramian, "LBP-based segmentation of defocus blur", IEEE Transactions on Image Processing 25(4), 2016,
    doi:10.1109/TIP.2016.2528042.

    A. Levin, D. Lischinski and Y. Weiss, "A closed-form solution to natural image matting", TPAMI 30(2), 2008,
    doi:10.1109/TPAMI.2007.1177.
    """
    picture = check_picture(image)
    sharp = find_patterns(np.rint(convert_to_grey(picture) * 255)) >= FIRST_SHARP_PATTERN
    return combine_windows([measure_share(sharp, side) for side in WINDOW_SIDES], picture)


def combine_windows(shares: Sequence[NDArray[np.floating]], picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make one sharpness map (H, W), 0 to 1, from shares (H, W) of sharp patterns in windows, the smallest first.

    Matting along `picture`, (H, W, 3), decides where the thresholds leave a share open.
    """
    return infer_across_scales(np.stack([_refine(stretch(share), picture) for share in shares]))


def find_patterns(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Find the uniform rotation-invariant local binary pattern of each pixel of grey values (H, W), 0 to 255.

    Returns (H, W) uint8. 0 to 8 is the number of brighter neighbours, all in a row; 9 stands for brighter ones in
    several places.

    Notes
    -----
    The neighbours are those of `sample_ring`. Differences have a sign: a darker neighbour is no brighter one, however
    much. Both as in the authors' program.
    """
    ring = sample_ring(grey, 1)
    return classify_patterns(ring - grey > LEAST_DIFFERENCE * 255)


def sample_ring(grey: NDArray[np.float32], radius: int) -> NDArray[np.float64]:
    """Values (8, H, W) of the eight neighbours of each pixel (H, W) on a circle of `radius` px, in order.

    Diagonal neighbours lie between pixels: interpolated linearly and rounded down. Borders are repeated.
    """
    height, width = grey.shape
    padded = np.pad(grey.astype(np.float64), radius, mode="edge")
    result = np.zeros((8, height, width))
    for values, (down, right) in zip(result, _OFFSETS, strict=True):
        for row in range(-radius, radius + 1):
            for column in range(-radius, radius + 1):
                weight = max(1 - abs(row - radius * down), 0) * max(1 - abs(column - radius * right), 0)
                if weight > 0:
                    values += (
                        weight * padded[radius + row : radius + row + height, radius + column : radius + column + width]
                    )
    return np.floor(result + _ROUNDING)


def classify_patterns(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Number of neighbours that are set, (H, W), where all are in a row, and 9 elsewhere; `bits` are (8, H, W)."""
    set_ = bits.astype(np.int8)
    changes = (set_ != np.roll(set_, 1, axis=0)).sum(axis=0)
    return np.where(changes <= 2, set_.sum(axis=0), NON_UNIFORM).astype(np.uint8)


def measure_share(marked: NDArray[np.bool_], side: int) -> NDArray[np.float32]:
    """Share (H, W), 0 to 1, of marked pixels (H, W) in a window of `side` px; borders are repeated."""
    values = marked.astype(np.float32)
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE), dtype=np.float32)


def _refine(share: NDArray[np.float64], picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Let matting decide where the stretched share does not say surely."""
    sharp, blurred = share > SURELY_SHARP, share < SURELY_BLURRED
    if not sharp.any():
        return np.zeros(share.shape, dtype=np.float32)
    return propagate_by_matting(
        sharp.astype(np.float32), (sharp | blurred).astype(np.float32), picture, fidelity=MATTING_FIDELITY
    )
