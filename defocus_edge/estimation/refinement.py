"""Cells of a picture, what is known of the blur in each, and how the answer of the network changes the map."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.estimation.pyramid import PyramidBlur
from defocus_edge.networks.refinement import CELL, CELL_STEP

FloatArray = NDArray[np.float32]

#: The shorter side of a picture has at most about this many cells: objects of larger pictures look as large as those of
#: training.
MOST_CELLS = 128
#: Confidence is the probability of an error of at most this many px.
REACH = np.float32(0.5)
# Points count by this power of their confidence, as in the filter.
_CONFIDENCE_POWER = 4
# Sums of weights below this are 0.
_LEAST_WEIGHT = 1e-6
# Standard deviation in px of the blur that gradients are compared with, and the least gradient: half a step of 8 bits.
_GRADIENT_SIGMA, _LEAST_GRADIENT = 1.5, 0.5 / 255


def choose_cells(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the cells of a picture of shape (H, W, …): multiples of `CELL_STEP`."""
    side = max(float(CELL), min(shape[:2]) / MOST_CELLS)
    rows, columns = (max(CELL_STEP * round(size / (side * CELL_STEP)), CELL_STEP) for size in shape[:2])
    return rows, columns


def reduce_picture(image: FloatArray) -> FloatArray:
    """An (H, W, 3) picture at the size that the encoder sees: (4 R, 4 C, 3) for R rows and C columns of cells."""
    rows, columns = choose_cells(image.shape)
    return _reduce(image, (CELL * columns, CELL * rows))


def describe_cells(picture: FloatArray, blur: PyramidBlur, radius: FloatArray, confidence: FloatArray) -> FloatArray:
    """What the network sees of the blur: (R, C, `CELL_VALUES`).

    `picture` comes from `reduce_picture`; its range must be stretched. `radius` in px and `confidence`, both (H, W),
    are the spread map. The values of a cell, with radii in px of `picture` and a number n as n / (1 + n), are:

    0 log2 of the radius, 1 confidence, 2 log2 of the radius of pattern edges less value 0, 3 number and 4 mean
    confidence of pattern edges, 5 mean probability of a depth edge, 6 number of points, 7 log2 of the radius of all
    points less value 0, 8 share of the points of reduced pictures, 9 logarithm of the gradient of light, 10 that of
    smoothed light, 11 to 13 red, green and blue.
    """
    rows, columns = (size // CELL for size in picture.shape[:2])
    size = (columns, rows)
    share = np.float32(picture.shape[0] / radius.shape[0])
    spread = _reduce(np.log2(radius), size)
    found = blur.found
    at = found.points * np.array([rows, columns]) // np.array(radius.shape)
    numbers = at[:, 0] * columns + at[:, 1]

    def add_up(values: FloatArray) -> FloatArray:
        summed = np.bincount(numbers, values, rows * columns)
        return summed.reshape(rows, columns).astype(np.float32)

    # Cells of more px have more points: numbers are per px of the picture that the encoder sees.
    number = blur.scale.astype(np.float32) * share
    weight = number * found.positive_confidence**_CONFIDENCE_POWER
    log_radius = np.log2(found.radius)
    pattern = (~found.is_depth_edge).astype(np.float32)
    points, patterns = add_up(number), add_up(number * pattern)
    values = [
        spread + np.log2(share),
        _reduce(confidence, size),
        _divide(add_up(weight * pattern * log_radius), add_up(weight * pattern), spread) - spread,
        patterns / (1 + patterns),
        _divide(add_up(number * pattern * found.confidence), patterns),
        _divide(add_up(number * found.depth_probability), points),
        points / (1 + points),
        _divide(add_up(weight * log_radius), add_up(weight), spread) - spread,
        _divide(add_up(number * (blur.scale > 1)), points),
        *_measure_gradients(picture, size),
        *np.moveaxis(_reduce(picture, size), -1, 0),
    ]
    return np.stack(values, axis=-1).astype(np.float32)


def apply_answer(radius: FloatArray, answer: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Change a map, (H, W) in px, by the answer of the network, (R, C, 2).

    Returns radius and confidence, both (H, W). The confidence is the probability that the error is at most `REACH` px,
    or `REACH` / 6 of a radius above 6 px, if errors have a Laplace distribution of the width that the network gives.
    """
    size = (radius.shape[1], radius.shape[0])
    change, width = (cv2.resize(np.ascontiguousarray(answer[..., index]), size) for index in (0, 1))
    changed = np.multiply(radius, np.exp2(change, out=change), out=change)
    np.maximum(changed, MIN_RADIUS, out=changed)
    confidence = np.exp(-width, out=width)
    confidence *= -REACH
    return changed, -np.expm1(confidence, out=confidence)


def _measure_gradients(picture: FloatArray, size: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Natural logarithms of the gradient of light in each cell, and of that of smoothed light, divided by 4."""
    grey = picture.mean(axis=-1)
    smooth = cv2.GaussianBlur(grey, (0, 0), _GRADIENT_SIGMA)
    first, second = (
        np.log(
            _reduce(np.hypot(cv2.Sobel(each, cv2.CV_32F, 1, 0), cv2.Sobel(each, cv2.CV_32F, 0, 1)), size)
            + _LEAST_GRADIENT
        )
        for each in (grey, smooth)
    )
    return first / 4, second / 4


def _divide(total: FloatArray, weight: FloatArray, otherwise: FloatArray | float = 0.0) -> FloatArray:
    """Mean of the values of a cell, and something else where there is none."""
    mean = total / np.maximum(weight, _LEAST_WEIGHT)
    return np.where(weight > _LEAST_WEIGHT, mean, np.float32(otherwise))


def _reduce(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Average values over areas: (H, W, …) to (columns, rows)."""
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))
