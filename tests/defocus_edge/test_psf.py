"""Disk kernels against the geometry of a disk, and the sRGB curve against the standard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defocus_edge.psf import decode_srgb, disk_kernel, encode_srgb

RADII = [0.6, 0.75, 1.0, 1.5, 2.0, 3.3, 4.75, 6.0, 7.5]


def measure_disk_slowly(radius, *, steps=2000):
    """Area of the disk in each pixel by integrating its chords along columns of pixels."""
    half = max(int(np.ceil(radius - 0.5)), 0)
    area = np.zeros((2 * half + 1, 2 * half + 1))
    for column in range(-half, half + 1):
        x = column - 0.5 + (np.arange(steps) + 0.5) / steps
        chord = np.sqrt(np.maximum(radius**2 - x**2, 0))
        for row in range(-half, half + 1):
            covered = np.minimum(chord, row + 0.5) - np.maximum(-chord, row - 0.5)
            area[row + half, column + half] = np.maximum(covered, 0).mean()
    return area


@pytest.mark.parametrize("radius", RADII)
def test_kernel_is_just_large_enough(radius):
    kernel = disk_kernel(radius)
    assert kernel.shape == (2 * int(np.ceil(radius - 0.5)) + 1,) * 2
    assert kernel.dtype == np.float32
    assert kernel[0].max() > 0


@pytest.mark.parametrize("radius", [-0.1, np.nan, np.inf])
def test_impossible_radius_is_refused(radius):
    with pytest.raises(ValueError, match=r"radius must be a finite number of pixels >= 0\. Got: "):
        disk_kernel(radius)


def test_kernels_are_kept_and_cannot_be_overwritten():
    assert disk_kernel(2.0) is disk_kernel(2)
    with pytest.raises(ValueError, match="read-only"):
        disk_kernel(2.0)[0, 0] = 1


@pytest.mark.parametrize("radius", [0, 1e-9, 0.1, 0.3, 0.5])
def test_a_disk_within_one_pixel_is_the_identity(radius):
    np.testing.assert_array_equal(disk_kernel(radius), [[1]])


@given(st.floats(0, 12))
def test_kernel_sums_to_one_and_is_symmetric(radius):
    kernel = disk_kernel(radius)
    assert kernel.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    assert kernel.min() >= 0
    for same in (kernel.T, kernel[::-1], kernel[:, ::-1]):
        np.testing.assert_array_equal(kernel, same)


@pytest.mark.parametrize("radius", RADII)
def test_each_pixel_is_the_share_of_the_disk_in_it(radius):
    area = measure_disk_slowly(radius)
    assert area.sum() == pytest.approx(np.pi * radius**2, rel=1e-4)
    # Counting 32×32 sub-pixels errs along the rim only.
    np.testing.assert_allclose(disk_kernel(radius) * area.sum(), area, atol=0.01)


@pytest.mark.parametrize("radius", [radius for radius in RADII if radius > np.sqrt(0.5)])
def test_area_is_that_of_the_disk(radius):
    # The middle pixel is wholly covered, so its weight is one over the area.
    assert 1 / disk_kernel(radius).max() == pytest.approx(np.pi * radius**2, rel=5e-3)


@pytest.mark.parametrize("radius", [radius for radius in RADII if radius >= 0.75])
def test_second_moment_is_that_of_disk_and_pixel(radius):
    kernel = disk_kernel(radius).astype(np.float64)
    position = np.arange(len(kernel)) - len(kernel) // 2
    moment = (kernel.sum(axis=0) * position**2).sum()
    # Exact only on average over the position of the pixel grid: sampling at whole pixels adds up to 0.08 px².
    assert moment == pytest.approx(radius**2 / 4 + 1 / 12, abs=0.08)
    assert np.sqrt(moment) == pytest.approx(np.sqrt(radius**2 / 4 + 1 / 12), rel=0.09)


@given(st.floats(0, 1, width=32))
def test_encoding_and_decoding_are_inverse(value):
    assert encode_srgb(decode_srgb(value)) == pytest.approx(value, abs=2e-6)
    assert decode_srgb(encode_srgb(value)) == pytest.approx(value, abs=2e-6)


@pytest.mark.parametrize(
    ("encoded", "linear"),
    [(0, 0), (0.04, 0.04 / 12.92), (0.04045, 0.0031308), (0.5, 0.21404114), (188 / 255, 0.50288646), (1, 1)],
)
def test_known_values_of_the_srgb_curve(encoded, linear):
    assert decode_srgb(encoded) == pytest.approx(linear, abs=1e-6)
    assert encode_srgb(linear) == pytest.approx(encoded, abs=1e-5)


@pytest.mark.parametrize("convert", [decode_srgb, encode_srgb])
def test_curves_keep_shape_and_order(convert):
    values = np.linspace(0, 1, 60).reshape(3, 4, 5)
    curve = convert(values)
    assert curve.shape == values.shape
    assert curve.dtype == np.float32
    assert (np.diff(curve.ravel()) > 0).all()
