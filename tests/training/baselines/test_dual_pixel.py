"""Matching of half-disks: steps whose light is computed without any kernel, photographs of known radius, and laws."""

import numpy as np
import pytest

from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.psf import convolve, decode_srgb, encode_srgb, half_disk_kernel
from tests.training.baselines.baseline_cases import load_photograph, make_colour, quantize
from training.baselines.dual_pixel import estimate_dual_pixel, match_half_disks

SHAPE = (40, 64)


def share_of_half_disk(place, signed_radius, view):
    """Share of the light of one half of a disk that falls left of places in px; the area is a formula."""
    part = np.clip(place / abs(signed_radius), -1, 1)
    whole = 0.5 + (part * np.sqrt(1 - part**2) + np.arcsin(part)) / np.pi
    is_right = (signed_radius > 0) == (view == "left")
    return np.clip(2 * whole - 1, 0, 1) if is_right else np.clip(2 * whole, 0, 1)


def draw_step(signed_radius, view, *, offset=0.0, along_rows=False):
    """View of an edge between two plain areas, averaged over each pixel by 16 samples; 8 bits."""
    samples = (np.arange(16) + 0.5) / 16 - 0.5
    places = np.arange(SHAPE[1])[:, None] + samples - SHAPE[1] / 2 - offset
    light = 0.1 + 0.6 * share_of_half_disk(places, signed_radius, view).mean(axis=1)
    grey = np.tile(encode_srgb(light), (SHAPE[0], 1))
    return quantize(make_colour(grey.T if along_rows else grey))


def blur_pair(picture, signed_radius):
    light = decode_srgb(picture)
    views = (convolve(light, half_disk_kernel(signed_radius, view)) for view in ("left", "right"))
    return [quantize(encode_srgb(np.clip(view, 0, 1))) for view in views]


@pytest.mark.parametrize(("radius", "tolerance"), [(0.8, 0.3), (1.5, 0.15), (2.2, 0.1), (3.4, 0.06), (5.1, 0.06)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_steps_are_measured_wherever_they_lie(radius, tolerance, sign):
    for offset in (0, 0.3, 0.5):
        views = [draw_step(sign * radius, view, offset=offset) for view in ("left", "right")]
        found = match_half_disks(*views)
        np.testing.assert_allclose(found.radius, sign * radius, atol=tolerance)


@pytest.mark.parametrize("radius", [-4.0, 0.0, 2.3])
def test_photographs_of_one_radius(radius):
    views = blur_pair(load_photograph("astronaut"), radius)
    found = match_half_disks(*views)
    error = np.abs(found.radius - radius)
    assert np.median(error) < 0.05
    assert error.mean() < 0.15
    dense, confidence = estimate_dual_pixel(*views)
    assert dense.shape == confidence.shape == views[0].shape[:2]
    assert np.abs(dense - radius).mean() < 0.15


def test_a_wrong_radius_costs_confidence():
    """Views that no radius explains: one of them is another picture."""
    left, right = blur_pair(load_photograph("astronaut"), 3.0)
    true = match_half_disks(left, right).confidence.mean()
    wrong = match_half_disks(left, np.ascontiguousarray(right[::-1])).confidence.mean()
    assert true > 0.8 > 0.5 > wrong


def test_swapped_views_turn_the_sign():
    left, right = blur_pair(load_photograph("coffee"), 2.5)
    one, other = match_half_disks(left, right), match_half_disks(right, left)
    np.testing.assert_array_equal(one.points, other.points)
    np.testing.assert_allclose(one.radius, -other.radius, atol=1e-3)


def test_an_edge_along_the_rows_cannot_be_measured(rng):
    view = draw_step(3.0, "left", along_rows=True)  # both views see it alike, but for noise
    views = [quantize(view + rng.normal(0, 1 / 255, view.shape)) for _ in range(2)]
    with pytest.raises(NoEdgesError, match="edges whose blur has one explanation"):
        match_half_disks(*views)


def test_views_of_two_sizes_are_refused():
    view = draw_step(2.0, "left")
    with pytest.raises(ValueError, match=r"left and right must have one size\. Got: \(40, 64, 3\) and \(40, 60, 3\)"):
        match_half_disks(view, view[:, :60])


def test_a_plain_pair_is_refused():
    plain = np.full((40, 50, 3), 0.5, np.float32)
    with pytest.raises(NoEdgesError, match="Got: a plain picture"):
        estimate_dual_pixel(plain, plain)
