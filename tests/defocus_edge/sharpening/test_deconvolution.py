"""Deconvolution with one PSF: against brute force, against a dense solve, and by what must hold for any picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft

from defocus_edge.psf import blur_with_disk, disk_kernel, find_transfer
from defocus_edge.sharpening import deconvolution
from defocus_edge.sharpening.deconvolution import (
    LEAST_NOISE,
    PRIOR_EXPONENT,
    PRIOR_WEIGHT,
    deconvolve,
    shrink_gradients,
)

SKEW = np.float32([[0, 1, 2], [0, 3, 1], [0, 0, 1]]) / 8


def minimize_slowly(gradient, split_weight):
    """The sub-problem on a fine grid."""
    grid = np.linspace(-abs(gradient), abs(gradient), 40_001)
    cost = np.abs(grid) ** PRIOR_EXPONENT + split_weight / 2 * (grid - gradient) ** 2
    return grid[np.argmin(cost)]


def measure_cost(value, gradient, split_weight):
    return np.abs(value) ** PRIOR_EXPONENT + split_weight / 2 * (value - gradient) ** 2


def make_picture(rng, height=40, width=36):
    """Blocks of light with three channels."""
    blocks = rng.uniform(0.1, 0.9, (-(-height // 8), -(-width // 8), 3)).astype(np.float32)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


@pytest.mark.parametrize("split_weight", [1.0, 4.0, 45.3, 724.1])
def test_the_table_solves_the_sub_problem(rng, split_weight):
    gradients = rng.uniform(-1, 1, 200).astype(np.float32)
    shrunk = shrink_gradients(gradients, split_weight)
    slow = np.array([minimize_slowly(gradient, split_weight) for gradient in gradients])
    # Next to the jump two values cost the same, so the costs are compared first.
    excess = measure_cost(shrunk, gradients, split_weight) - measure_cost(slow, gradients, split_weight)
    assert excess.max() < 0.02
    off = np.abs(shrunk - slow) > 0.002
    assert np.mean(off) < 0.02


@given(st.floats(-1, 1, width=32), st.floats(1, 1000))
def test_shrinking_is_odd_and_shrinks(gradient, split_weight):
    value, mirrored = (shrink_gradients(np.float32([sign * gradient]), split_weight)[0] for sign in (1, -1))
    assert value == -mirrored
    assert abs(value) <= abs(gradient) + 1e-3
    assert value * np.sign(gradient) >= -1e-3  # the step of the table


def test_small_gradients_vanish_and_large_ones_stay():
    small, large = shrink_gradients(np.float32([0.1, 60.0]), 1.0)
    assert abs(small) < 1e-3
    assert large == pytest.approx(60 - PRIOR_EXPONENT * 60 ** (PRIOR_EXPONENT - 1), abs=2e-3)


def test_one_turn_is_the_dense_least_squares_solution(rng, monkeypatch):
    """Eq. 4 of the paper on a periodic picture, with matrices."""
    shape, split_weight, data_weight = (6, 7), 8.0, 50.0
    observed = rng.uniform(0, 1, shape).astype(np.float32)
    monkeypatch.setattr(deconvolution, "SPLIT_WEIGHTS", (split_weight,))
    monkeypatch.setattr(deconvolution, "COUPLINGS", (1.0,))
    ours = deconvolution._split(observed[np.newaxis], SKEW, np.full((1, *shape), data_weight, np.float32))[0]

    identity = np.eye(observed.size).reshape(-1, *shape)
    blur = np.zeros_like(identity)
    for row in range(3):
        for column in range(3):
            blur += SKEW[row, column] * np.roll(identity, (row - 1, column - 1), axis=(1, 2))
    blur = blur.reshape(observed.size, -1).T
    left, right = data_weight * blur.T @ blur, data_weight * blur.T @ observed.ravel()
    for axis in (0, 1):
        difference = (np.roll(identity, -1, axis=axis + 1) - identity).reshape(observed.size, -1).T
        wanted = shrink_gradients((np.roll(observed, -1, axis) - observed), split_weight).ravel()
        left += split_weight * difference.T @ difference
        right += split_weight * difference.T @ wanted
    np.testing.assert_allclose(ours.ravel(), np.linalg.solve(left, right), atol=1e-4)


@settings(max_examples=10)
@given(st.floats(0, 1, width=32), st.sampled_from([0.75, 2.0, 4.5]), st.sampled_from([1e-3, 1e-2]))
def test_constant_light_stays(level, radius, noise):
    image = np.full((24, 31), level, dtype=np.float32)
    np.testing.assert_allclose(deconvolve(image, disk_kernel(radius), noise=noise), image, atol=1e-4)


@pytest.mark.parametrize("flip", [np.flipud, np.fliplr])
def test_flip_in_flip_out(rng, flip):
    image = blur_with_disk(make_picture(rng), 2.0)
    straight = deconvolve(image, disk_kernel(2.0))
    # Differences of rounding may cross the jump of a gradient.
    assert np.mean(np.abs(flip(deconvolve(flip(image), disk_kernel(2.0))) - straight)) < 1e-3


def test_channels_are_solved_independently(rng):
    image = blur_with_disk(make_picture(rng), 2.0)
    whole = deconvolve(image, disk_kernel(2.0))
    assert whole.dtype == np.float32
    for channel in range(3):
        alone = deconvolve(image[..., channel], disk_kernel(2.0))
        assert alone.shape == image.shape[:2]
        np.testing.assert_allclose(alone, whole[..., channel], atol=1e-4)


@pytest.mark.parametrize("radius", [1.0, 2.0, 4.0])
def test_blur_is_undone(rng, radius):
    sharp = make_picture(rng, 64, 64)
    blurred = blur_with_disk(sharp, radius) + rng.normal(0, 0.003, sharp.shape).astype(np.float32)
    solved = deconvolve(blurred, disk_kernel(radius), noise=0.003)
    assert np.mean((solved - sharp) ** 2) < np.mean((blurred - sharp) ** 2) / 4


def test_an_asymmetric_psf_is_not_mirrored(rng):
    sharp = make_picture(rng)[..., 0]
    transfer = find_transfer(SKEW, sharp.shape)
    blurred = fft.irfft2(fft.rfft2(sharp) * transfer, s=sharp.shape)
    inside = (slice(4, -4), slice(4, -4))
    right = deconvolve(blurred, SKEW)
    wrong = deconvolve(blurred, SKEW[::-1, ::-1])
    assert np.mean((right - sharp)[inside] ** 2) < np.mean((wrong - sharp)[inside] ** 2) / 10


def test_the_frame_does_not_ring():
    """A ramp is as steep at the frame as inside, and its ends differ."""
    ramp = np.tile(np.linspace(0.1, 0.9, 64, dtype=np.float32), (48, 1))
    solved = deconvolve(blur_with_disk(ramp, 4.0), disk_kernel(4.0), noise=0.002)
    assert np.abs(solved - ramp).max() < 0.06


def test_more_noise_makes_it_smoother(rng):
    image = blur_with_disk(make_picture(rng), 1.5) + rng.normal(0, 0.01, (40, 36, 3)).astype(np.float32)
    variation = [np.abs(np.diff(deconvolve(image, disk_kernel(1.5), noise=n), axis=0)).sum() for n in (1e-3, 1e-2, 0.1)]
    assert variation[0] > variation[1] > variation[2]


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_noise_is_measured_unless_told(rng, noise):
    """Without noise one 8-bit step is assumed, and so it is where the picture is too small to measure."""
    sharp = make_picture(rng, 96, 96)
    image = blur_with_disk(sharp, 3.0) + rng.normal(0, noise, sharp.shape).astype(np.float32)
    told = deconvolve(image, disk_kernel(3.0), noise=max(noise, LEAST_NOISE))
    measured = deconvolve(image, disk_kernel(3.0))
    errors = [float(np.mean((solved - sharp) ** 2)) for solved in (told, measured)]
    assert errors[1] == pytest.approx(errors[0], rel=0.2)
    part = image[:12, :12]
    few = [deconvolve(part, disk_kernel(1.0), **options) for options in ({}, {"noise": LEAST_NOISE})]
    np.testing.assert_array_equal(*few)


def test_it_helps_to_know_where_the_noise_is(rng):
    sharp = make_picture(rng, 64, 64)
    noise = np.full(sharp.shape[:2], 0.003, dtype=np.float32)
    noise[:, 32:] = 0.02
    image = blur_with_disk(sharp, 2.0) + noise[..., None] * rng.normal(0, 1, sharp.shape).astype(np.float32)
    typical = float(np.sqrt(np.mean(noise**2)))
    told, untold = (deconvolve(image, disk_kernel(2.0), noise=given) - sharp for given in (noise, typical))
    for half in (np.s_[:, :32], np.s_[:, 32:]):
        assert np.mean(told[half] ** 2) < np.mean(untold[half] ** 2)


def test_one_noise_for_all_is_the_same_as_that_of_each_pixel(rng):
    image = blur_with_disk(make_picture(rng), 2.0)
    one = deconvolve(image, disk_kernel(2.0), noise=0.01)
    for shape in (image.shape[:2], image.shape):
        np.testing.assert_array_equal(deconvolve(image, disk_kernel(2.0), noise=np.full(shape, 0.01)), one)


def test_what_is_not_valid_does_less_harm(rng):
    sharp = make_picture(rng, 48, 48)
    image = blur_with_disk(sharp, 2.0)
    valid = np.ones(image.shape[:2], dtype=bool)
    valid[20:24, 20:24] = False
    image[~valid] = 1.0
    far = np.ones_like(valid)
    far[14:30, 14:30] = False
    with_mask, without = (deconvolve(image, disk_kernel(2.0), valid=mask) - sharp for mask in (valid, None))
    assert np.mean(with_mask[far] ** 2) < np.mean(without[far] ** 2)
    np.testing.assert_array_equal(
        deconvolve(image, disk_kernel(2.0), valid=np.ones_like(valid)), deconvolve(image, disk_kernel(2.0))
    )


def test_the_picture_is_not_changed_and_the_weight_is_documented(rng):
    image = make_picture(rng)
    before = image.copy()
    deconvolve(image, disk_kernel(1.5), valid=image < 0.8)
    np.testing.assert_array_equal(image, before)
    assert f"1 / ({PRIOR_WEIGHT:g} · noise²)" in deconvolve.__doc__


@pytest.mark.parametrize(
    ("image", "psf", "options", "complaint"),
    [
        (np.zeros(9), disk_kernel(1.0), {}, r"image must have shape \(H, W\) or .*Got: \(9,\)\."),
        (np.full((9, 9), np.nan), disk_kernel(1.0), {}, "image must be finite. Got: NaN"),
        (np.zeros((9, 9)), np.ones((2, 2)) / 4, {}, r"odd sides\. Got: \(2, 2\)\."),
        (np.zeros((9, 9)), np.ones(3) / 3, {}, r"two axes with odd sides\. Got: \(3,\)\."),
        (np.zeros((9, 9)), np.ones((3, 3)), {}, r"psf must sum to one\. Got: 9; divide"),
        (np.zeros((9, 9)), [[-1.0, 1.0, 1.0]], {}, r"psf must be finite and >= 0\. Got: values from -1"),
        (np.zeros((9, 9)), [[np.nan]], {}, "psf must be finite"),
        (np.zeros((9, 9)), disk_kernel(1.0), {"noise": 0.0}, r"noise must be finite and > 0.*Got: 0\.0\."),
        (np.zeros((9, 9)), disk_kernel(1.0), {"noise": np.nan}, "noise must be finite"),
        (np.zeros((9, 9)), disk_kernel(1.0), {"noise": np.ones(9)}, r"noise must be a number or .*Got: \(9,\)"),
        (np.zeros((9, 9)), disk_kernel(1.0), {"valid": np.ones((9, 9))}, r"valid must be bool .*Got: float64"),
        (np.zeros((9, 9)), disk_kernel(1.0), {"valid": np.ones((9, 8), bool)}, r"Got: bool with shape \(9, 8\)\."),
    ],
)
def test_wrong_arguments_are_refused(image, psf, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        deconvolve(image, psf, **options)
