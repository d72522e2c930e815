"""DHDE's features against their definitions, one patch and one value at a time."""

import numpy as np
import pytest

from training.baselines.dhde_features import (
    BINS,
    DCT_SIDES,
    FEATURES,
    PATCH_SIDES,
    STRONG,
    WEAK,
    count_gradients,
    describe_patches,
    measure_frequencies,
    measure_ranks,
)


def average_rings_slowly(patch, scale):
    """Each coefficient by its definition, and the mean of those between two frequencies."""
    side, bins = DCT_SIDES[scale], BINS[scale]
    padded = np.zeros((side, side))
    padded[: len(patch), : len(patch)] = patch
    position = np.arange(side) + 0.5
    waves = np.array([np.sqrt((1 if k == 0 else 2) / side) * np.cos(np.pi * position * k / side) for k in range(side)])
    coefficients = np.abs(waves @ padded @ waves.T)
    width = (side - 1) / bins
    means = []
    for ring in range(bins):
        low, high = (ring - 0.1) * width, (ring + 1.1) * width
        inside = [coefficients[u, v] for u in range(side) for v in range(side) if low <= np.hypot(u, v) <= high]
        means.append(np.mean(inside))
    return means


def count_gradients_slowly(patch, bins):
    counts = np.zeros(bins)
    end = len(patch) - 1
    for row in range(len(patch)):
        for column in range(len(patch)):
            r, c = min(row, end - 1), min(column, end - 1)  # the last difference goes on
            down, across = patch[r + 1, column] - patch[r, column], patch[row, c + 1] - patch[row, c]
            counts[min(int(np.hypot(down, across) / np.sqrt(2) * bins), bins - 1)] += 1
    return counts


def test_constants():
    assert PATCH_SIDES == (27, 15)
    assert BINS == (25, 13)
    assert DCT_SIDES == (32, 16)
    assert FEATURES == 120


@pytest.mark.parametrize("scale", [WEAK, STRONG])
def test_features_are_those_of_their_definitions(rng, scale):
    patches = rng.random((3, PATCH_SIDES[scale], PATCH_SIDES[scale])).astype(np.float32)
    frequencies = measure_frequencies(patches, scale)
    np.testing.assert_allclose(frequencies, [average_rings_slowly(one, scale) for one in patches], rtol=1e-4)
    np.testing.assert_array_equal(
        count_gradients(patches, scale), [count_gradients_slowly(one, BINS[scale]) for one in patches]
    )
    squares = [np.sort(np.linalg.eigvalsh(one @ one.T))[::-1][: BINS[scale]] for one in patches.astype(np.float64)]
    np.testing.assert_allclose(measure_ranks(patches, scale) ** 2, squares, rtol=1e-3, atol=1e-4)


def test_a_strong_edge_shows_its_inner_patch_only(rng):
    patches = rng.random((2, 27, 27, 3)).astype(np.float32)
    other = patches.copy()
    other[:, :6] = 0
    (seen, features), (seen_other, features_other) = (
        describe_patches(one, np.array([WEAK, STRONG])) for one in (patches, other)
    )
    assert (features[0] != features_other[0]).any()
    np.testing.assert_array_equal(features[1], features_other[1])
    np.testing.assert_array_equal(seen[1], seen_other[1])
    np.testing.assert_array_equal(seen[1, 6:21, 6:21], patches[1, 6:21, 6:21])
    np.testing.assert_array_equal(seen[1, :6, 10], np.broadcast_to(patches[1, 6, 10], (6, 3)))
    np.testing.assert_array_equal(seen[0], patches[0])


def test_features_have_mean_1_and_those_of_the_other_scale_are_0(rng):
    patches = rng.random((2, 27, 27, 3)).astype(np.float32)
    _, features = describe_patches(patches, np.array([WEAK, STRONG]))
    weak = 3 * (BINS[WEAK] + 1)
    np.testing.assert_array_equal(features[0, weak:], 0)
    np.testing.assert_array_equal(features[1, :weak], 0)
    np.testing.assert_allclose(features[0, :weak].reshape(3, -1).mean(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(features[1, weak:].reshape(3, -1)[:, -1], 1)
