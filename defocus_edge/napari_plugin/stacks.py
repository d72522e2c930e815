"""Blur of the slices of an array of any number of dimensions, one after the other. Needs no napari."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from defocus_edge.propagation.propagate import NoEdgesError

if TYPE_CHECKING:
    from defocus_edge.masks import BlurDetector
    from defocus_edge.pipeline import BlurEstimator

FloatArray = NDArray[np.float32]


def split_slices(data: Any, *, is_rgb: bool) -> tuple[tuple[int, ...], Iterator[NDArray[Any]]]:
    """Shape of all leading dimensions, and the slices (H, W) or (H, W, C) in their order, loaded one by one.

    Raises ValueError if the array has too few dimensions.
    """
    own = 3 if is_rgb else 2
    if data.ndim < own:
        msg = f"the layer must have at least {own} dimensions. Got: {data.ndim}."
        raise ValueError(msg)
    leading = tuple(int(length) for length in data.shape[: data.ndim - own])
    return leading, (np.asarray(data[place]) for place in np.ndindex(leading))


def estimate_slices(
    data: Any, *, is_rgb: bool, estimator: BlurEstimator
) -> Generator[int, None, tuple[FloatArray, FloatArray]]:
    """Estimate all slices; yield how many are done, return radius in px and confidence, both (..., H, W).

    A slice without edges has a radius and a confidence of NaN: nothing shows how blurred it is.
    """
    leading, slices = split_slices(data, is_rgb=is_rgb)
    radii, confidences = [], []
    for result in estimator.estimate_many(slices, errors="return"):
        if isinstance(result, Exception):
            radii.append(_blame(result, data, is_rgb))
            confidences.append(radii[-1])
        else:
            radii.append(result.radius)
            confidences.append(result.confidence)
        yield len(radii)
    shape = (*leading, *radii[0].shape)
    return np.reshape(radii, shape), np.reshape(confidences, shape)


def detect_slices(data: Any, *, is_rgb: bool, detector: BlurDetector) -> Generator[int, None, NDArray[np.uint8]]:
    """Find what is blurred in all slices; yield how many are done, return (..., H, W) labels, 1 = blurred."""
    leading, slices = split_slices(data, is_rgb=is_rgb)
    labels = []
    for plane in slices:
        try:
            labels.append(detector.detect(plane).mask.astype(np.uint8))
        except NoEdgesError:  # nothing in it is in focus
            labels.append(np.ones(plane.shape[:2], dtype=np.uint8))
        yield len(labels)
    return np.reshape(labels, (*leading, *labels[0].shape))


def _blame(error: Exception, data: Any, is_rgb: bool) -> FloatArray:
    """Slice of NaN where a slice has no edges; all other errors are raised."""
    if not isinstance(error, NoEdgesError):
        raise error
    height, width = data.shape[-3:-1] if is_rgb else data.shape[-2:]
    return np.full((height, width), np.nan, dtype=np.float32)


def count_slices(data: Any, *, is_rgb: bool) -> int:
    """Number of slices."""
    return int(np.prod(split_slices(data, is_rgb=is_rgb)[0], dtype=int))
