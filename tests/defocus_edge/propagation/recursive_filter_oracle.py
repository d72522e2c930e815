"""The domain-transform recursive filter as one would write it in NumPy: slow, obvious, the oracle of our kernels."""

import math

import numpy as np


def numpy_recursive_filter(image, guide, *, sigma_s, sigma_r, iterations=3, penalty=None, dtype=np.float64):
    """Loop over columns, then rows, each step vectorised across the other axis."""
    result = np.array(image, dtype=dtype, copy=True)
    result = result.reshape(*image.shape[:2], -1)
    edges = np.asarray(guide, dtype=dtype).reshape(*guide.shape[:2], -1)
    distance_right = np.ones(edges.shape[:2], dtype)
    distance_down = np.ones(edges.shape[:2], dtype)
    distance_right[:, 1:] += sigma_s / sigma_r * np.abs(np.diff(edges, axis=1)).sum(axis=2)
    distance_down[1:] += sigma_s / sigma_r * np.abs(np.diff(edges, axis=0)).sum(axis=2)
    if penalty is not None:
        distance_right += penalty
        distance_down += penalty
    height, width = edges.shape[:2]
    for iteration in range(1, iterations + 1):
        sigma = sigma_s * math.sqrt(3) * 2 ** (iterations - iteration) / math.sqrt(4**iterations - 1)
        feedback = math.exp(-math.sqrt(2) / sigma)
        v = (feedback**distance_right)[..., np.newaxis]
        for x in range(1, width):
            result[:, x] += v[:, x] * (result[:, x - 1] - result[:, x])
        for x in range(width - 2, -1, -1):
            result[:, x] += v[:, x + 1] * (result[:, x + 1] - result[:, x])
        v = (feedback**distance_down)[..., np.newaxis]
        for y in range(1, height):
            result[y] += v[y] * (result[y - 1] - result[y])
        for y in range(height - 2, -1, -1):
            result[y] += v[y + 1] * (result[y + 1] - result[y])
    return result.reshape(image.shape)
