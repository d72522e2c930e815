"""The options of the pipeline that trade range, time and exactness, and its use from several threads."""

import re
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import skimage.data

from defocus_edge import BlurEstimator, estimate_blur
from defocus_edge.arrays import as_image
from defocus_edge.estimation.edges import edge_points, find_edges, thin_edges
from defocus_edge.estimation.reduction import reduce_any, reduce_image
from defocus_edge.networks.devices import DeviceError
from defocus_edge.psf import decode_srgb, disk_kernel, encode_srgb


@pytest.fixture(scope="module")
def estimator():
    """With the weights of the package: what a scale says must mean something."""
    return BlurEstimator()


@pytest.fixture(scope="module")
def half_blurred():
    """A page whose right half is blurred by 16 px, 240×480, uint8."""
    page = np.tile(cv2.resize(skimage.data.page(), (240, 120), interpolation=cv2.INTER_AREA), (2, 2))
    light = decode_srgb(page / np.float32(255))
    light[:, 240:] = cv2.filter2D(light, -1, disk_kernel(16.0), borderType=cv2.BORDER_REFLECT)[:, 240:]
    return np.rint(encode_srgb(np.clip(light, 0, 1)) * 255).astype(np.uint8)


def test_radii_beyond_the_levels_are_found(estimator, half_blurred):
    single = estimator.estimate(half_blurred, max_radius=6)
    wide = estimator.estimate(half_blurred, max_radius=24)
    assert np.median(single.radius[:, 300:]) < 6.1
    assert np.median(wide.radius[:, 300:]) == pytest.approx(16, rel=0.2)
    assert np.median(wide.radius[:, :180]) < 1.5
    assert set(single.point_scale) == {1}
    assert {1, 4} <= set(wide.point_scale)
    assert wide.settings.max_radius == 24
    blurred = wide.point_scale[wide.points[:, 1] > 300]
    assert (blurred > 1).mean() > 0.9


def test_where_all_is_within_the_levels_the_pyramid_changes_little(estimator):
    cat = skimage.data.chelsea()[:200, 100:350]
    single, wide = (estimator.estimate(cat, max_radius=max_radius).radius for max_radius in (6, 12))
    assert np.abs(wide - single).mean() < 0.05 * single.mean()


def test_reduced_pictures_have_the_given_edges(small_networks, rng):
    edges = rng.random((60, 70)) < 0.1
    image = rng.random((60, 70, 3), dtype=np.float32)
    estimate = BlurEstimator(small_networks, depth_threshold=0.99).estimate(image, edges, max_radius=12)
    blocks = reduce_any(edges, 2)
    coarse = estimate.points[estimate.point_scale == 2]
    assert blocks[tuple(coarse.T // 2)].all()


def test_a_picture_too_small_for_max_radius_is_refused(small_networks):
    with pytest.raises(ValueError, match="max_radius of a picture of 30×30 px can be at most 6 px"):
        BlurEstimator(small_networks).estimate(np.zeros((30, 30)), max_radius=10)


@pytest.mark.parametrize("value", [0, -1.0, np.inf, np.nan, "wide", None])
def test_max_radius_must_be_a_radius(small_networks, value):
    with pytest.raises(ValueError, match=r"max_radius must be 'auto' or a positive, finite number of pixels\. Got: "):
        BlurEstimator(small_networks, max_radius=value)


@pytest.mark.parametrize("value", [0, 1.5, "2"])
def test_edge_step_must_count(small_networks, value):
    with pytest.raises(ValueError, match=r"edge_step must be an integer of 1 or more\. Got: "):
        BlurEstimator(small_networks, edge_step=value)


def test_precision_is_one_of_two(small_networks):
    with pytest.raises(ValueError, match=r"precision must be one of \('float32', 'bfloat16'\)\. Got: 'half'"):
        BlurEstimator(small_networks, precision="half")


def test_devices_are_chosen_and_named(small_networks):
    assert BlurEstimator(small_networks, device="cpu").device == "cpu:0"
    assert re.fullmatch(r"[cg]pu:\d", BlurEstimator(small_networks).device)
    with pytest.raises(DeviceError, match="device 'gpu:99' is not there"):
        BlurEstimator(small_networks, device="gpu:99")


@pytest.mark.parametrize("step", [2, 3, 8])
def test_thinned_edges_are_some_of_the_edges_in_all_directions(step):
    edges = np.ones((128, 128), dtype=bool)
    kept = thin_edges(edges, step)
    assert kept.mean() == pytest.approx(1 / step, rel=0.1)
    lines = [kept[5], kept[:, 9], np.diagonal(kept), np.diagonal(kept[::-1])]
    assert all(0.4 / step < line.mean() < 2 / step for line in lines)
    np.testing.assert_array_equal(kept, thin_edges(edges, step))
    few = np.zeros((128, 128), dtype=bool)
    few[::3, ::5] = True
    np.testing.assert_array_equal(thin_edges(few, step), kept & few)


def test_a_step_of_any_size_thins_edges():
    edges = np.ones((512, 512), dtype=bool)
    np.testing.assert_array_equal(thin_edges(edges, 10**30), thin_edges(edges, 1 << 16))
    assert 0 < thin_edges(edges, 10**30).sum() < 100


def test_edge_step_measures_fewer_points_and_changes_little(estimator):
    cat = skimage.data.chelsea()[:200, 100:350]
    every = estimator.estimate(cat, max_radius=6)
    third = BlurEstimator(edge_step=3, max_radius=6).estimate(cat)
    assert len(third.points) == pytest.approx(len(every.points) / 3, rel=0.1)
    assert third.settings.edge_step == 3
    assert np.abs(third.radius - every.radius).mean() < 0.15 * every.radius.mean()  # documented: 6 %


def test_bfloat16_deviates_as_documented(estimator):
    cat = skimage.data.chelsea()[:200, 100:350]
    exact, fast = estimator.estimate(cat, max_radius=6), estimate_blur(cat, precision="bfloat16", max_radius=6)
    np.testing.assert_array_equal(exact.points, fast.points)
    difference = np.abs(exact.radius - fast.radius)
    assert 0 < difference.mean() < 0.02 * exact.radius.mean()  # documented: 0.5 %
    assert fast.settings.precision == "bfloat16"


def test_tiles_change_nothing():
    astronaut = skimage.data.astronaut()[:300, :350]
    whole, tiled = (
        BlurEstimator(tile_side=side, max_radius=6, context=False).estimate(astronaut) for side in (None, 64)
    )
    np.testing.assert_array_equal(whole.points, tiled.points)
    np.testing.assert_allclose(whole.radius, tiled.radius, atol=1e-4)


def test_tiles_hardly_change_what_the_context_network_says(estimator):
    """Points are sure or not: rounding tips one of ten thousand, which moves the points that see it."""
    astronaut = skimage.data.astronaut()[:300, :350]
    whole = estimator.estimate(astronaut, max_radius=6)
    tiled = BlurEstimator(tile_side=64, max_radius=6).estimate(astronaut)
    difference = np.abs(whole.point_radius - tiled.point_radius)
    assert np.mean(difference > 1e-4) < 0.01
    np.testing.assert_allclose(whole.radius, tiled.radius, atol=0.02)


def test_two_threads_get_what_one_gets(estimator, half_blurred):
    half_blurred = half_blurred[:, 160:320]
    pictures = [half_blurred, skimage.data.chelsea()[:120, :160], half_blurred[:, ::-1], skimage.data.page()[:, :150]]
    one_by_one = [estimator.estimate(picture) for picture in pictures]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(estimator.estimate, pictures))
    for alone, beside in zip(one_by_one, together, strict=True):
        np.testing.assert_array_equal(alone.radius, beside.radius)
        np.testing.assert_array_equal(alone.point_radius, beside.point_radius)


def test_the_input_is_not_modified(small_networks, texture):
    image = as_image(texture)
    before = image.copy()
    BlurEstimator(small_networks, depth_threshold=0.99).estimate(image, max_radius=12)
    np.testing.assert_array_equal(image, before)


def test_points_of_one_scale_are_the_edges_of_the_picture(estimator):
    cat = as_image(skimage.data.chelsea()[:200, 100:350])
    estimate = estimator.estimate(cat, max_radius=6)
    np.testing.assert_array_equal(estimate.points, edge_points(find_edges(cat)))
    assert reduce_image(cat).shape == (100, 125, 3)
