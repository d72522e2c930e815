"""Half-disks and disks behind a mask, against an oracle that follows single rays, and against the laws of the lens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defocus_edge.psf import blur_with_disk, coded_kernel, convolve, disk_kernel, half_disk_kernel

RADII = [0.8, 1.0, 1.7, 2.5, 4.3, 6.0]
MASK = np.array([[1.0, 0.0, 0.3], [1.0, 1.0, 0.0]])


def trace_rays(signed_radius, mask, rays=1500):
    """Count where rays through a fine grid over the aperture meet the sensor, in a picture turned upright.

    A thin lens of focal length 1 with a sensor at the distance 1.5: rays of a point meet behind it or in front of it.
    """
    across = (np.arange(rays) + 0.5) / rays * 2 - 1
    x, y = np.meshgrid(across, across)
    rows, columns = ((axis + 1) / 2 * count for axis, count in zip((y, x), np.shape(mask), strict=True))
    light = np.asarray(mask)[rows.astype(int), columns.astype(int)] * (x**2 + y**2 <= 1)
    sensor = 1.5
    meeting = 1.6 if signed_radius > 0 else 1.4  # the image of a near point lies farther behind the lens
    at_sensor = 1 - sensor / meeting  # as a share of the place in the aperture, for a point on the axis
    scale = abs(signed_radius) / abs(at_sensor)
    half = max(int(np.ceil(abs(signed_radius) - 0.5)), 0)
    edges = np.arange(2 * half + 2) - half - 0.5
    hit = [(-axis * at_sensor * scale).ravel() for axis in (y, x)]  # the picture on the sensor stands upside down
    return np.histogram2d(*hit, bins=(edges, edges), weights=light.ravel())[0] / light.sum()


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("radius", RADII)
def test_kernels_are_where_the_rays_fall(radius, sign):
    kernels = {"left": [[1, 0]], "right": [[0, 1]]}
    for view, mask in kernels.items():
        kernel = half_disk_kernel(sign * radius, view)
        np.testing.assert_allclose(kernel, trace_rays(sign * radius, mask), atol=0.02 / radius**2)
    kernel = coded_kernel(sign * radius, MASK)
    np.testing.assert_allclose(kernel, trace_rays(sign * radius, MASK), atol=0.02 / radius**2)


@given(st.floats(-12, 12))
def test_the_mean_of_both_views_is_the_disk(signed_radius):
    left, right = (half_disk_kernel(signed_radius, view) for view in ("left", "right"))
    assert left.dtype == np.float32
    assert left.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal((left + right) / 2, disk_kernel(abs(signed_radius)))
    np.testing.assert_array_equal(left, right[:, ::-1])


@given(st.floats(0.6, 12))
def test_views_change_sides_at_the_focus(radius):
    near, far = half_disk_kernel(radius, "left"), half_disk_kernel(-radius, "left")
    np.testing.assert_array_equal(near, half_disk_kernel(-radius, "right"))
    middle = len(near) // 2
    assert not near[:, :middle].any()
    assert not far[:, middle + 1 :].any()


@given(st.floats(0, 12))
def test_a_mask_in_front_of_the_focus_is_turned(radius):
    near, far = coded_kernel(radius, MASK), coded_kernel(-radius, MASK)
    np.testing.assert_array_equal(near, far[::-1, ::-1])
    assert near.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)


def test_an_open_mask_is_the_disk():
    for radius in (0, 0.4, 3.3):
        np.testing.assert_array_equal(coded_kernel(radius, np.ones((3, 5))), disk_kernel(radius))


def test_in_focus_both_views_are_the_picture(rng):
    values = rng.random((20, 30, 3), dtype=np.float32)
    for view in ("left", "right"):
        np.testing.assert_array_equal(convolve(values, half_disk_kernel(0, view)), values)
    np.testing.assert_array_equal(convolve(values, coded_kernel(0, MASK)), values)


def test_both_views_together_are_the_photograph(rng):
    values = rng.random((40, 50), dtype=np.float32)
    left, right = (convolve(values, half_disk_kernel(3.3, view)) for view in ("left", "right"))
    np.testing.assert_allclose((left + right) / 2, blur_with_disk(values, 3.3), atol=1e-6)


def test_near_things_lie_farther_right_in_the_left_view():
    spot = np.zeros((21, 21), np.float32)
    spot[10, 10] = 1
    columns = np.arange(21)
    place = {view: (convolve(spot, half_disk_kernel(4, view)).sum(axis=0) @ columns) for view in ("left", "right")}
    # The centroid of a half-disk is 4 r / (3 π) from the middle.
    assert place["left"] - 10 == pytest.approx(16 / (3 * np.pi), rel=0.02)
    assert place["right"] - 10 == pytest.approx(-16 / (3 * np.pi), rel=0.02)


def test_kernels_cannot_be_overwritten():
    for radius in (-2, 2):
        assert not coded_kernel(radius, MASK).flags.writeable


@pytest.mark.parametrize("radius", [np.nan, -np.inf])
def test_impossible_radii_are_refused(radius):
    with pytest.raises(ValueError, match=r"signed_radius must be a finite number of pixels\. Got: "):
        half_disk_kernel(radius, "left")


@pytest.mark.parametrize("mask", [[1, 0], [[]], [[1, 1.1]], [[np.nan]], [[-0.1, 1]]])
def test_impossible_masks_are_refused(mask):
    with pytest.raises(ValueError, match=r"mask must be two-dimensional with values in \[0, 1\]\. Got: "):
        coded_kernel(2, mask)


def test_a_closed_mask_is_refused():
    corners = np.zeros((20, 20))
    corners[0, 0] = 1  # outside the disk
    with pytest.raises(ValueError, match=r"mask must let light through somewhere in the disk\. Got: none"):
        coded_kernel(3, corners)


def test_unknown_views_are_refused():
    with pytest.raises(ValueError, match=r"view must be 'left' or 'right'\. Got: 'top'"):
        half_disk_kernel(2, "top")
