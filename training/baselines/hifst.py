"""HiFST (Golestaneh and Karam 2017): sharpness from the smallest high-frequency coefficients of the gradient."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import dct
from skimage.filters.rank import entropy

from defocus_edge.propagation.domain_transform import domain_transform_filter
from training.baselines.pictures import LUMA_601, check_picture, stretch

#: Sides in px of the patches around each pixel, 2³ − 1 to 2⁶ − 1.
PATCH_SIDES = (7, 15, 31, 63)
#: Number of the smallest coefficients that are kept: one more than the sides together.
LAYERS = sum(PATCH_SIDES) + 1
#: Standard deviation in px of the Gaussian before the gradient.
PRE_BLUR_SIGMA = 0.5
#: Side in px of the neighbourhood whose entropy weighs the fused map.
ENTROPY_SIDE = 7
#: The filter at the end: standard deviations in space, px, and in grey values (0 to 1), and its iterations.
FILTER_SIGMA_S = 15.0
FILTER_SIGMA_R = 0.25
FILTER_ITERATIONS = 3
#: Standard deviation in px of the Gaussian, 3×3 px, that smooths the guide of that filter.
GUIDE_SIGMA = 1.0


def measure_hifst(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Relative blurriness: 1 − `measure_hifst_sharpness`, so that larger is more blurred."""
    return np.float32(1) - measure_hifst_sharpness(image)


def measure_hifst_sharpness(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure the HiFST sharpness map of a picture (H, W, 3), RGB in [0, 1], sRGB-encoded.

    The picture is rounded to 8 bits, for which the method was made. Returns a map, (H, W) float32: 0 to 1, larger =
    sharper, relative to the rest of the picture. The working memory is about 0.5 KB a pixel. Raises NoEdgesError for a
    plain picture. Raises ValueError or TypeError if `image` is no picture.

    Notes
    -----
    In order: Gaussian of σ = 0.5 px; grey; gradient magnitude; around each pixel the discrete cosine transform of four
    patches of it; the absolute values of the high-frequency coefficients, those with u + v >= side − 1, of all patches
    in one ascending order; of these the first `LAYERS`, the t-th of all pixels being layer t; each layer stretched to
    0 to 1; the largest over the layers, T; T times the entropy of its 7×7 px neighbourhood, D; D smoothed along the
    picture by the domain-transform recursive filter. Layers, like the final map, are stretched within one picture:
    values of two pictures cannot be compared.

    Where the paper is silent, this follows the program that its authors published: 8 bits after the Gaussian and in
    grey; Sobel's operator with repeated borders; the gradient continued by zeros; the entropy, in bits, over 256
    levels of T with mirrored borders; the guide is the grey picture after a Gaussian of 3×3 px, continued by zeros.
    Their maps are stretched to 0 to 1, too. Nothing is approximated: the transforms of all pixels of a row are matrix
    products in double precision.

    References
    ----------
    S. A. Golestaneh and L. J. Karam, "Spatially-varying blur detection based on multiscale fused and sorted transform
    coefficients of gradient magnitudes", CVPR 2017, arXiv:1703.07478.

    E. S. L. Gastal and M. M. Oliveira, "Domain transform for edge-aware image and video processing", SIGGRAPH 2011,
    doi:10.1145/2010324.1964964.
    """
    grey = convert_to_8_bit_grey(check_picture(image))
    fused = fuse_layers(sort_coefficients(measure_gradient(grey)))
    detail = fused * measure_entropy(fused)
    guide = cv2.GaussianBlur(stretch(grey), (3, 3), GUIDE_SIGMA, borderType=cv2.BORDER_CONSTANT)
    smooth = domain_transform_filter(
        detail, guide, sigma_s=FILTER_SIGMA_S, sigma_r=FILTER_SIGMA_R, iterations=FILTER_ITERATIONS
    )
    return stretch(smooth).astype(np.float32)


def convert_to_8_bit_grey(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Grey values (H, W), whole numbers 0 to 255, of RGB in [0, 1] after the Gaussian."""
    bytes_ = np.rint(image * 255).astype(np.float64)
    smooth = cv2.GaussianBlur(bytes_, (3, 3), PRE_BLUR_SIGMA, borderType=cv2.BORDER_REPLICATE)
    return np.rint(np.rint(smooth) @ LUMA_601.astype(np.float64))


def measure_gradient(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gradient magnitude (H, W) by Sobel's operator, not divided by 8: only ratios count."""
    along_columns, along_rows = (
        cv2.Sobel(grey, cv2.CV_64F, dx, 1 - dx, ksize=3, borderType=cv2.BORDER_REPLICATE) for dx in (1, 0)
    )
    return np.hypot(along_columns, along_rows)


def sort_coefficients(gradient: NDArray[np.float64]) -> NDArray[np.float32]:
    """Find the smallest high-frequency coefficients around each pixel.

    Returns (H, W, 117) float32: their absolute values in ascending order, in the unit of `gradient`, (H, W).
    """
    height, width = gradient.shape
    result = np.empty((height, width, LAYERS), dtype=np.float32)
    scales = [(_make_dct_matrix(side), np.pad(gradient, side // 2)) for side in PATCH_SIDES]
    for row in range(height):
        of_scales = [_transform_row(matrix, padded[row : row + len(matrix)]) for matrix, padded in scales]
        coefficients = np.abs(np.concatenate(of_scales, axis=1))
        result[row] = np.sort(np.partition(coefficients, LAYERS - 1, axis=1)[:, :LAYERS], axis=1)
    return result


def fuse_layers(layers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Largest value (H, W), 0 to 1, of layers (H, W, N) that are stretched to 0 to 1 one by one."""
    low = layers.min(axis=(0, 1))
    spread = layers.max(axis=(0, 1)) - low
    scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    fused = np.empty(layers.shape[:2])
    for row, values in enumerate(layers):  # row by row: no second array of all layers
        fused[row] = ((values - low) * scale).max(axis=1)
    return stretch(fused)


def measure_entropy(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy in bits (H, W) of the 8-bit levels of values in [0, 1] within 7×7 px; borders are mirrored."""
    half = ENTROPY_SIDE // 2
    levels = np.pad(np.rint(values * 255).astype(np.uint8), half, mode="symmetric")
    whole = entropy(levels, np.ones((ENTROPY_SIDE, ENTROPY_SIDE), dtype=np.uint8))
    return np.asarray(whole[half:-half, half:-half], dtype=np.float64)


def _make_dct_matrix(side: int) -> NDArray[np.float64]:
    """Orthonormal cosine transform (side, side) of a column vector."""
    return np.asarray(dct(np.eye(side), norm="ortho", axis=0))


def _transform_row(matrix: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """High-frequency coefficients (W, side·(side + 1)/2) of the patches along one row.

    `rows` are the `side` rows of the padded gradient that these patches cover, (side, W + side − 1).
    """
    side = len(matrix)
    windows = sliding_window_view(matrix @ rows, side, axis=1)  # frequency u down, pixel, position in the patch
    return np.concatenate([windows[u] @ matrix[side - 1 - u :].T for u in range(side)], axis=1)
