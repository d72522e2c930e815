"""HiFST: the transform of whole rows against one pixel at a time, and the steps around it."""

import numpy as np
import pytest
from baseline_cases import load_photograph, make_colour, make_step
from scipy.fft import dctn

from training.baselines.hifst import (
    ENTROPY_SIDE,
    LAYERS,
    PATCH_SIDES,
    convert_to_8_bit_grey,
    fuse_layers,
    measure_entropy,
    measure_gradient,
    measure_hifst,
    measure_hifst_sharpness,
    sort_coefficients,
)


def sort_coefficients_slowly(gradient, row, column):
    """All high-frequency coefficients around one pixel, in ascending order."""
    found = []
    for side in PATCH_SIDES:
        patch = np.pad(gradient, side // 2)[row : row + side, column : column + side]
        coefficients = np.abs(dctn(patch, norm="ortho"))
        found += [coefficients[u, v] for u in range(side) for v in range(side) if u + v >= side - 1]
    return np.sort(found)


def test_constants_of_the_paper():
    assert PATCH_SIDES == (7, 15, 31, 63)
    assert LAYERS == 117
    assert ENTROPY_SIDE == 7


def test_layers_are_those_of_one_pixel_at_a_time(rng):
    gradient = 100 * rng.random((21, 25))
    layers = sort_coefficients(gradient)
    assert layers.shape == (21, 25, LAYERS)
    assert layers.dtype == np.float32
    for row, column in ((0, 0), (0, 24), (10, 12), (20, 3), (7, 24), (20, 24)):
        expected = sort_coefficients_slowly(gradient, row, column)
        assert len(expected) == sum(side * (side + 1) // 2 for side in PATCH_SIDES)
        np.testing.assert_allclose(layers[row, column], expected[:LAYERS], rtol=1e-5, atol=1e-9)


def test_map_is_that_of_the_slow_layers():
    picture = load_photograph("astronaut")[40:64, 60:86]
    gradient = measure_gradient(convert_to_8_bit_grey(picture))
    layers = sort_coefficients(gradient)
    slow = np.array(
        [[sort_coefficients_slowly(gradient, row, column)[:LAYERS] for column in range(26)] for row in range(0, 24, 8)]
    )
    np.testing.assert_allclose(layers[::8], slow, rtol=1e-5, atol=1e-9)


def test_fusion_is_the_largest_stretched_layer(rng):
    layers = rng.random((6, 7, 5)).astype(np.float32)
    layers[..., 3] = 0.4  # stretches to 0, not to NaN
    low, high = layers.min(axis=(0, 1)), layers.max(axis=(0, 1))
    with np.errstate(invalid="ignore"):
        largest = np.nanmax((layers - low) / (high - low), axis=2)
    expected = (largest - largest.min()) / (largest.max() - largest.min())
    np.testing.assert_allclose(fuse_layers(layers), expected, rtol=1e-5, atol=1e-6)


def test_entropy_is_that_of_the_definition(rng):
    values = rng.choice([0.0, 0.25, 0.5, 1.0], (12, 13))
    padded = np.pad(np.rint(values * 255), 3, mode="symmetric")
    expected = np.empty(values.shape)
    for row, column in np.ndindex(values.shape):
        _, counts = np.unique(padded[row : row + 7, column : column + 7], return_counts=True)
        share = counts / counts.sum()
        expected[row, column] = -(share * np.log2(share)).sum()
    np.testing.assert_allclose(measure_entropy(values), expected, atol=1e-6)


def test_grey_is_whole_numbers():
    grey = convert_to_8_bit_grey(make_colour(make_step(1.5)))
    np.testing.assert_array_equal(grey, np.rint(grey))
    np.testing.assert_allclose(grey, 255 * make_step(1.6), atol=2)


def test_gradient_is_sobels():
    ramp = np.add.outer(3.0 * np.arange(9), 4.0 * np.arange(10))
    np.testing.assert_allclose(measure_gradient(ramp)[1:-1, 1:-1], 8 * 5)


def test_sharpness_fills_0_to_1_and_blurriness_is_the_rest():
    picture = load_photograph("coffee")[:40, :50]
    sharpness = measure_hifst_sharpness(picture)
    assert (sharpness.min(), sharpness.max()) == (0, 1)
    np.testing.assert_array_equal(measure_hifst(picture), 1 - sharpness)


def test_brightness_scale_does_not_matter_but_for_8_bits():
    picture = load_photograph("coffee")[:40, :50]
    half = measure_hifst_sharpness(picture / 2)
    assert np.corrcoef(half.ravel(), measure_hifst_sharpness(picture).ravel())[0, 1] > 0.95


@pytest.mark.parametrize("shape", [(20, 70), (70, 20)])
def test_pictures_narrower_than_the_patches(shape):
    picture = load_photograph("coffee")[: shape[0], : shape[1]]
    assert measure_hifst(picture).shape == shape
