"""Edge points: sharp and blurred edges alike, neither grain nor nothing."""

import cv2
import numpy as np
import pytest

from defocus_edge.estimation.edges import EdgeSettings, edge_points, find_edges


def make_step(low=0.3, high=0.7, *, sigma=0.0, height=80, width=120):
    """RGB step in the middle, blurred by a Gaussian."""
    step = np.full((height, width), low, dtype=np.float64)
    step[:, width // 2 :] = high
    if sigma:
        step = cv2.GaussianBlur(step, (0, 0), sigma)
    return step[..., None].repeat(3, axis=2).astype(np.float32)


def make_grating(angle, *, period=12, side=100):
    """RGB stripes across the direction `angle` in degrees."""
    position = np.arange(side) - side / 2
    across = np.cos(np.deg2rad(angle)) * position[None, :] + np.sin(np.deg2rad(angle)) * position[:, None]
    return (0.5 + 0.4 * np.sin(2 * np.pi * across / period))[..., None].repeat(3, axis=2).astype(np.float32)


def assert_only_the_step(edges):
    """One edge per row, within 1 px of the step, in nearly all rows."""
    rows, cols = np.nonzero(edges)
    assert len(np.unique(rows)) >= edges.shape[0] - 4  # Canny leaves out the outermost pixels
    assert np.abs(cols - (edges.shape[1] / 2 - 0.5)).max() <= 1


def test_result_is_a_bool_map_of_the_image():
    edges = find_edges(make_step())
    assert edges.shape == (80, 120)
    assert edges.dtype == bool


def test_points_come_in_reading_order():
    edges = np.zeros((4, 5), dtype=bool)
    edges[[0, 2, 2, 3], [4, 1, 3, 0]] = True
    points = edge_points(edges)
    assert points.dtype == np.int32
    assert points.tolist() == [[0, 4], [2, 1], [2, 3], [3, 0]]
    assert edge_points(np.zeros((4, 5), dtype=bool)).shape == (0, 2)


@pytest.mark.parametrize("sigma", [0, -1, np.nan, np.inf])
def test_smoothing_must_be_positive(sigma):
    with pytest.raises(ValueError, match=r"sigma must be a positive, finite number of pixels\. Got: "):
        EdgeSettings(sigma=sigma)


@pytest.mark.parametrize("name", ["high_quantile", "low_ratio"])
@pytest.mark.parametrize("value", [0, 1, -0.1, np.nan])
def test_shares_must_lie_between_zero_and_one(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be between 0 and 1\. Got: "):
        EdgeSettings(**{name: value})


@pytest.mark.parametrize("name", ["noise_factor", "floor"])
@pytest.mark.parametrize("value", [-1e-9, np.nan])
def test_thresholds_must_not_be_negative(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be finite and >= 0\. Got: "):
        EdgeSettings(**{name: value})


def test_input_is_not_modified():
    image = make_step(sigma=2)
    before = image.copy()
    find_edges(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("sigma", [0, 1, 3, 6])
def test_sharp_and_heavily_blurred_steps_are_found(sigma):
    assert_only_the_step(find_edges(make_step(sigma=sigma)))


def test_flat_picture_has_no_edges():
    assert not find_edges(np.full((50, 60, 3), 0.4, dtype=np.float32)).any()


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.08])
def test_noise_alone_has_almost_no_edges(noise, rng):
    image = np.clip(0.5 + rng.normal(0, noise, (160, 160, 1)), 0, 1).repeat(3, axis=2).astype(np.float32)
    assert find_edges(image).mean() < 0.005


def test_a_step_stands_out_from_noise(rng):
    image = make_step(sigma=1) + rng.normal(0, 0.02, (80, 120, 3)).astype(np.float32)
    rows, cols = np.nonzero(find_edges(image))
    near = np.abs(cols - 59.5) <= 2
    assert near.mean() > 0.8
    assert len(np.unique(rows[near])) > 70


def test_contrast_far_below_eight_bits_is_found_if_the_floor_allows():
    image = make_step(0.5, 0.5 + 1 / 2000)
    assert not find_edges(image).any()
    assert_only_the_step(find_edges(image, settings=EdgeSettings(floor=1e-5)))


def test_contrast_does_not_move_edges():
    faint = EdgeSettings(floor=0)
    np.testing.assert_array_equal(
        find_edges(make_grating(20) * np.float32(0.5), settings=faint), find_edges(make_grating(20), settings=faint)
    )


def test_one_step_between_values_is_rounding_and_two_are_an_edge():
    settings = EdgeSettings(floor=0)
    one, two = (make_step(high=0.3 + steps / 16) for steps in (1, 2))
    assert find_edges(one, settings=settings).any()
    assert not find_edges(one, settings=settings, step=1 / 16).any()
    assert_only_the_step(find_edges(two, settings=settings, step=1 / 16))


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 135])
def test_stripes_of_any_direction_are_found(angle):
    # Two edges a period: about 1 600 points in 100² px.
    assert find_edges(make_grating(angle)).sum() > 800


@pytest.mark.parametrize("flip", [np.s_[:, ::-1], np.s_[::-1]], ids=["left-right", "up-down"])
def test_flip_in_is_flip_out(flip, rng):
    coarse = rng.random((12, 16, 3)).astype(np.float32)
    image = np.clip(cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC), 0, 1)
    edges, flipped = find_edges(image), find_edges(np.ascontiguousarray(image[flip]))[flip]
    # Ties between neighbours go to one side, so an edge may move by a pixel.
    reach = np.ones((3, 3), dtype=np.uint8)
    assert edges.sum() > 200
    assert cv2.dilate(flipped.astype(np.uint8), reach)[edges].mean() > 0.99
    assert cv2.dilate(edges.astype(np.uint8), reach)[flipped].mean() > 0.99
