"""LTCoP (Khan et al. 2019): sharpness from patterns of neighbours that differ alike at two distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.baselines.lbp import (
    FIRST_SHARP_PATTERN,
    LEAST_DIFFERENCE,
    WINDOW_SIDES,
    classify_patterns,
    combine_windows,
    measure_share,
    sample_ring,
)
from training.baselines.pictures import check_picture, convert_to_grey

#: Distances in px of the two rings of eight neighbours, those of the descriptor of Murala and Wu 2013.
RING_RADII = (1, 2)


def measure_ltcop(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Relative blurriness: 1 − `measure_ltcop_sharpness`, so that larger is more blurred."""
    return np.float32(1) - measure_ltcop_sharpness(image)


def measure_ltcop_sharpness(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure sharpness by local ternary co-occurrence patterns in a picture (H, W, 3), RGB in [0, 1], sRGB-encoded.

    Grey values are rounded to 8 bits. Returns a map, (H, W) float32: 0 to 1, larger = sharper, relative to the rest of
    the picture. It is 0 everywhere if there is no sharp pattern. The working memory is about 1 KB a pixel, that of
    matting. Raises NoEdgesError for a plain picture. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    In order: in each of eight directions, the neighbours at 1 and 2 px are brighter than the pixel, darker or about the
    same; the upper pattern has the directions where both are brighter, the lower one those where both are darker; a
    pattern is sharp if LBP would call it sharp (at least six directions in a row, or several places); at each of three
    scales, the mean of the shares of sharp upper and of sharp lower patterns in a window; matting and inference as for
    LBP.

    We know the abstract of the paper, which says that a three-valued co-occurrence pattern has an upper and a lower
    part, and that both are fused. Everything else is our decision: the patterns are those of the descriptor whose
    abbreviation it uses [2]_, but for two points: the outer neighbour is compared with the pixel, as the inner one is,
    and not with the inner one, which would miss every edge sharper than 2 px (AUC on ten photographs 0.76 against
    0.72); and thresholds, windows, matting and inference are those of LBP [3]_.

    References
    ----------
    .. [1] A. Khan, S. A. Irtaza, A. Javed and M. A. Khan, "Segmentation of defocus blur using local triplicate
       co-occurrence patterns (LTCoP)", International Conference on Mathematics, Actuarial Science, Computer Science and
       Statistics (MACS), 2019, doi:10.1109/MACS48846.2019.9024808.
    .. [2] S. Murala and Q. M. J. Wu, "Local ternary co-occurrence patterns: A new feature descriptor for MRI and CT
       image retrieval", Neurocomputing 119, 2013, doi:10.1016/j.neucom.2013.03.018.
    .. [3] X. Yi and M. Eramian, "LBP-based segmentation of defocus blur", IEEE Transactions on Image Processing 25(4),
       2016, doi:10.1109/TIP.2016.2528042.
    """
    picture = check_picture(image)
    upper, lower = find_ternary_patterns(np.rint(convert_to_grey(picture) * 255))
    shares = [
        (measure_share(upper >= FIRST_SHARP_PATTERN, side) + measure_share(lower >= FIRST_SHARP_PATTERN, side)) / 2
        for side in WINDOW_SIDES
    ]
    return combine_windows(shares, picture)


def find_ternary_patterns(grey: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Find the upper and the lower pattern of each pixel of grey values (H, W), 0 to 255.

    Returns two arrays (H, W) of uint8: the number of directions in which both neighbours are brighter, or both are
    darker, by more than `LEAST_DIFFERENCE`; 9 where these directions are in several places.
    """
    least = LEAST_DIFFERENCE * 255
    inner, outer = (sample_ring(grey, radius) - grey for radius in RING_RADII)
    upper = classify_patterns((inner > least) & (outer > least))
    lower = classify_patterns((inner < -least) & (outer < -least))
    return upper, lower
