"""From photo to map: one estimator with small random networks, every kind of picture, every option."""

import contextlib
import dataclasses
import weakref

import cv2
import numpy as np
import pytest

from defocus_edge import pipeline
from defocus_edge.arrays import ImageWarning, as_image
from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS, MIN_RADIUS
from defocus_edge.estimation.edges import EdgeSettings, edge_points, find_edges
from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.estimation.stages import measure, spread
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.pipeline import OWN_NETWORKS, BlurEstimator, estimate_blur
from defocus_edge.propagation import propagate
from defocus_edge.propagation.domain_transform import filter_in_place
from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.propagation.settings import PropagationSettings
from defocus_edge.thresholds import threshold_blur_map

HEIGHT, WIDTH = 64, 80  # of `texture`


def assert_equal(estimate, other):
    for field in dataclasses.fields(BlurEstimate):
        if field.name not in ("settings", "bit_depth"):
            np.testing.assert_array_equal(getattr(estimate, field.name), getattr(other, field.name))


def test_a_preset_folder_gives_a_map(small_preset, texture):
    estimate = BlurEstimator(small_preset).estimate(texture)
    assert estimate.radius.shape == (HEIGHT, WIDTH)
    assert estimate.settings.preset == str(small_preset)


def test_shapes_and_dtypes(estimator, texture):
    estimate = estimator.estimate(texture)
    count = len(estimate.points)
    assert count > 100
    for values, shape, dtype in (
        (estimate.radius, (HEIGHT, WIDTH), np.float32),
        (estimate.confidence, (HEIGHT, WIDTH), np.float32),
        (estimate.points, (count, 2), np.int32),
        (estimate.point_radius, (count,), np.float32),
        (estimate.point_confidence, (count,), np.float32),
        (estimate.is_depth_edge, (count,), bool),
    ):
        assert values.shape == shape
        assert values.dtype == dtype
        assert np.isfinite(values).all()


@pytest.mark.parametrize(("height", "width"), [(20, 20), (21, 97), (65, 33)])
def test_pictures_of_any_size_from_20_pixels(estimator, height, width, rng):
    picture = rng.random((height, width, 3)).repeat(5, axis=0).repeat(5, axis=1)[:height, :width]
    estimate = estimator.estimate(picture)
    assert estimate.radius.shape == (height, width)


def test_values_lie_in_their_ranges(estimator, texture):
    estimate = estimator.estimate(texture)
    for radius in (estimate.radius, estimate.point_radius):
        assert radius.min() >= MIN_RADIUS
        assert radius.max() <= MAX_RADIUS
    for confidence in (estimate.confidence, estimate.point_confidence):
        assert confidence.min() >= 0
        assert confidence.max() <= 1


def test_estimate_cannot_be_changed(estimator, texture):
    estimate = estimator.estimate(texture)
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate.radius = None


def test_input_is_not_modified(estimator, rng):
    image = rng.random((50, 60, 3), dtype=np.float32)
    edges = np.zeros((50, 60), dtype=bool)
    edges[10:40, 30] = True
    before = image.copy(), edges.copy()
    estimator.estimate(image, edges)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(edges, before[1])


def test_result_does_not_share_memory_with_the_next(estimator, texture):
    first = estimator.estimate(texture)
    kept = first.radius.copy()
    estimator.estimate(255 - texture)
    np.testing.assert_array_equal(first.radius, kept)


def test_array_of_the_estimate_is_the_radius(estimator, texture):
    estimate = estimator.estimate(texture)
    np.testing.assert_array_equal(np.asarray(estimate), estimate.radius)
    assert np.asarray(estimate, dtype=np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(estimate), estimate.radius)


def test_masks_are_thresholds_of_the_map(estimator, texture):
    estimate = estimator.estimate(texture)
    for options in ({}, {"alpha": 0.5}, {"radius": 1.0}):
        mask = estimate.mask(**options)
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, threshold_blur_map(estimate.radius, **options))
    with pytest.raises(ValueError, match="Give alpha or radius, not both"):
        estimate.mask(alpha=0.5, radius=1)


def test_the_same_content_gives_the_same_estimate(estimator, texture):
    expected = estimator.estimate(texture)
    alpha = np.dstack([texture, np.full((HEIGHT, WIDTH), 7, dtype=np.uint8)])
    for same in (
        texture.astype(np.uint16) * 257,
        (texture / 255).astype(np.float32),
        texture / 255,
        alpha,
        np.asfortranarray(texture),
    ):
        assert_equal(estimator.estimate(same), expected)


def test_grey_equals_three_equal_channels(estimator, texture):
    grey = texture[..., 0]
    expected = estimator.estimate(np.dstack([grey, grey, grey]))
    for same in (grey, grey[..., None], np.dstack([grey, grey])):
        assert_equal(estimator.estimate(same), expected)


def test_a_file_equals_its_array(estimator, texture, tmp_path):
    path = tmp_path / "ä b.png"
    path.write_bytes(cv2.imencode(".png", texture[..., ::-1])[1].tobytes())
    expected = estimator.estimate(texture)
    assert_equal(estimator.estimate(path), expected)
    assert_equal(estimator.estimate(str(path)), expected)


def test_edges_of_another_detector_are_used(estimator, texture):
    edges = np.zeros((HEIGHT, WIDTH), dtype=bool)
    edges[[3, 20, 41], [7, 0, 79]] = True
    estimate = estimator.estimate(texture, edges=edges)
    assert estimate.points.tolist() == [[3, 7], [20, 0], [41, 79]]


def test_own_edges_given_back_change_nothing(estimator, texture):
    expected = estimator.estimate(texture)
    edges = np.zeros((HEIGHT, WIDTH), dtype=bool)
    edges[tuple(expected.points.T)] = True
    assert_equal(estimator.estimate(texture, edges), expected)


def test_edge_settings_are_used(pattern_networks, texture):
    few, many = (
        BlurEstimator(pattern_networks, edge_settings=EdgeSettings(high_quantile=quantile)).estimate(texture)
        for quantile in (0.95, 0.6)
    )
    assert 0 < len(few.points) < len(many.points)


def test_the_map_is_the_radius_of_a_lone_point(estimator, texture):
    edges = np.zeros((HEIGHT, WIDTH), dtype=bool)
    edges[30, 40] = True
    estimate = estimator.estimate(texture, edges)
    np.testing.assert_allclose(estimate.radius, estimate.point_radius[0], atol=1e-5)


def test_tile_side_changes_nothing(pattern_networks, texture):
    small, large = (BlurEstimator(pattern_networks, tile_side=side).estimate(texture) for side in (24, 384))
    np.testing.assert_allclose(small.radius, large.radius, atol=1e-4)


@pytest.mark.parametrize(("read_out", "is_level"), [("argmax", True), ("median", True), ("expectation", False)])
def test_argmax_and_median_read_levels_and_the_expectation_lies_between(pattern_networks, texture, read_out, is_level):
    estimate = BlurEstimator(pattern_networks, read_out=read_out).estimate(texture)
    assert np.isin(estimate.point_radius, BLUR_LEVELS).all() == is_level


def test_weighting_changes_the_map_and_not_the_points(pattern_networks, estimator, texture):
    equal, weighted = (
        BlurEstimator(pattern_networks, propagation=PropagationSettings(confidence_power=0.0)).estimate(texture),
        estimator.estimate(texture),
    )
    np.testing.assert_allclose(equal.point_radius, weighted.point_radius, atol=1e-5)
    assert np.abs(equal.radius - weighted.radius).max() > 1e-4


def test_depth_edges_stop_blur(mixed_networks, texture):
    stopped, free = (BlurEstimator(mixed_networks, depth_penalty=penalty).estimate(texture) for penalty in (100, 0))
    assert 0.2 < stopped.is_depth_edge.mean() < 0.8
    np.testing.assert_array_equal(stopped.is_depth_edge, free.is_depth_edge)
    assert np.abs(stopped.radius - free.radius).max() > 1e-3


def test_radius_of_depth_edges_is_not_used(mixed_networks, texture):
    estimate = BlurEstimator(mixed_networks, depth_penalty=0).estimate(texture)
    pattern = estimate.point_radius[~estimate.is_depth_edge]
    assert estimate.radius.min() >= pattern.min()
    assert estimate.radius.max() <= pattern.max()
    only_pattern = np.zeros((HEIGHT, WIDTH), dtype=bool)
    only_pattern[tuple(estimate.points[~estimate.is_depth_edge].T)] = True
    again = BlurEstimator(mixed_networks, depth_penalty=0).estimate(texture, only_pattern)
    np.testing.assert_allclose(again.radius, estimate.radius, atol=1e-5)


def test_settings_say_what_was_done(pattern_networks, texture):
    propagation = PropagationSettings(sigma_s=5.0, depth_penalty=3)
    estimator = BlurEstimator(pattern_networks, depth_penalty=20, propagation=propagation)
    settings = estimator.estimate(texture).settings
    assert settings is estimator.settings
    assert settings.preset == OWN_NETWORKS
    assert settings.propagation == dataclasses.replace(propagation, depth_penalty=20)
    assert settings == EstimatorSettings(OWN_NETWORKS, propagation=settings.propagation)


def test_progress_is_told(estimator, texture):
    calls = []
    estimate = estimator.estimate(texture, progress=lambda *call: calls.append(call))
    assert calls[-1] == (len(estimate.points), len(estimate.points))


def test_estimate_blur_is_estimator_and_estimate_in_one(pattern_networks, texture):
    edges = find_edges(as_image(texture), settings=EdgeSettings(high_quantile=0.9))
    one_line = estimate_blur(texture, preset=pattern_networks, read_out="argmax", edges=edges)
    assert_equal(one_line, BlurEstimator(pattern_networks, read_out="argmax").estimate(texture, edges))


def test_estimate_blur_takes_a_preset_folder(small_preset, texture):
    assert estimate_blur(texture, preset=small_preset).settings.preset == str(small_preset)


def test_the_same_names_come_from_the_package():
    import defocus_edge

    assert defocus_edge.BlurEstimator is BlurEstimator
    assert defocus_edge.estimate_blur is estimate_blur
    assert set(defocus_edge.__all__) <= set(dir(defocus_edge))
    assert all(getattr(defocus_edge, name) is not None for name in defocus_edge.__all__)
    with pytest.raises(AttributeError, match="module 'defocus_edge' has no attribute 'nothing'"):
        _ = defocus_edge.nothing


def test_depth_threshold_is_that_of_the_networks_unless_given(mixed_networks, texture):
    calibrated = dataclasses.replace(
        mixed_networks, config=dataclasses.replace(mixed_networks.config, depth_threshold=0.3)
    )
    assert BlurEstimator(calibrated).settings.depth_threshold == 0.3
    image = as_image(texture)
    probability = DenseEvaluator(KerasEngine(calibrated)).predict(image, edge_points(find_edges(image))).edge[:, 1]
    for share in np.quantile(probability, [0.3, 0.7]):
        estimate = BlurEstimator(calibrated, depth_threshold=float(share)).estimate(texture)
        np.testing.assert_array_equal(estimate.is_depth_edge, probability > share)


@pytest.mark.parametrize("share", [0, 1, -0.5, np.nan])
def test_depth_threshold_must_be_a_probability(pattern_networks, share):
    with pytest.raises(ValueError, match=r"depth_threshold must be between 0 and 1\. Got: "):
        BlurEstimator(pattern_networks, depth_threshold=share)


def test_the_stages_make_the_estimate(pattern_networks, estimator, texture):
    image = as_image(texture)
    blur = measure(image, DenseEvaluator(KerasEngine(pattern_networks)))
    radius, confidence = spread(image, blur)
    estimate = estimator.estimate(texture)
    np.testing.assert_array_equal(blur.found.points, estimate.points)
    np.testing.assert_allclose(radius, estimate.radius, atol=1e-4)
    np.testing.assert_allclose(confidence, estimate.confidence, atol=1e-4)
    np.testing.assert_array_equal(image, as_image(texture))


def test_points_can_be_read_again_if_the_softmax_was_kept(mixed_networks, texture):
    image, evaluator = as_image(texture), DenseEvaluator(KerasEngine(mixed_networks))
    kept = measure(image, evaluator, keep_softmax=True).found
    for options in ({"read_out": "argmax"}, {"depth_threshold": 0.4}, {"read_out": "argmax", "depth_threshold": 0.6}):
        expected = measure(image, evaluator, **options).found
        found = kept.reread(**options)
        for name in ("points", "radius", "confidence", "is_depth_edge"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    with pytest.raises(ValueError, match=r"softmax of these points was not kept\. Measure one scale with keep_softmax"):
        measure(image, evaluator).found.reread(read_out="argmax")


@pytest.mark.parametrize(("factor", "offset"), [(0.5, 0.5), (1 / 4, 0.1), (1 / 16, 0.5), (1 / 50, 0.0)])
def test_neither_exposure_nor_contrast_moves_a_radius(estimator, texture, factor, offset):
    image = as_image(texture)
    expected = estimator.estimate(image)
    dim = (factor * image + offset).astype(np.float32)
    before = dim.copy()
    warns = pytest.warns(ImageWarning, match="uses .* of its range") if factor < 1 / 8 else contextlib.nullcontext()
    with warns:
        estimate = estimator.estimate(dim)
    np.testing.assert_array_equal(dim, before)
    found, wanted = (set(map(tuple, one.points)) for one in (estimate, expected))
    assert len(found ^ wanted) < 0.005 * len(wanted)  # rounding may move a point
    assert np.median(np.abs(estimate.radius / expected.radius - 1)) < 1e-3


def test_the_range_is_stretched_by_default_only(estimator, pattern_networks, texture):
    image, edges = as_image(texture) / 4, find_edges(as_image(texture))
    plain = BlurEstimator(pattern_networks, stretch_range=False)
    assert estimator.settings.stretch_range
    assert np.abs(plain.estimate(image, edges).radius - estimator.estimate(image, edges).radius).max() > 0.05


def test_bit_depth_reaches_the_result(estimator, texture, tmp_path):
    deep = np.rint(as_image(texture) * 4095).astype(np.uint16)
    expected = estimator.estimate(deep / np.float32(4095))
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    for source in (deep, tmp_path / "deep.png"):
        found = estimator.estimate(source)
        assert found.bit_depth == 12
        np.testing.assert_allclose(found.radius, expected.radius, atol=1e-3)
        with pytest.warns(ImageWarning, match="uses .* of its range"):
            assert estimator.estimate(source, bit_depth=16).bit_depth == 16
    assert expected.bit_depth is None
    assert estimator.estimate(np.rint(as_image(texture) * 255).astype(np.uint8)).bit_depth == 8


def test_the_picture_is_freed_before_the_map_is_filtered(estimator, texture, monkeypatch):
    """At 24 megapixels its 288 MB would add to the peak of the memory."""
    pictures, alive = [], []

    def load(image, **_):
        loaded = as_image(image)
        pictures.append(weakref.ref(loaded))
        return loaded, 8

    def filter_map(values, feedback):
        alive.append(pictures[0]() is not None)
        filter_in_place(values, feedback)

    monkeypatch.setattr(pipeline, "load_with_depth", load)
    monkeypatch.setattr(propagate, "filter_in_place", filter_map)
    estimator.estimate(texture)
    assert alive == [False]


def test_many_pictures_give_what_each_gives_alone(estimator, texture, tmp_path):
    cv2.imwrite(str(tmp_path / "texture.png"), np.rint(texture[..., ::-1] * 255))
    pictures = [texture, tmp_path / "texture.png", texture[::-1]]
    results = list(estimator.estimate_many(iter(pictures), max_radius=6))
    assert len(results) == 3
    for result, picture in zip(results, pictures, strict=True):
        assert_equal(result, estimator.estimate(picture, max_radius=6))


def test_an_array_of_frames_is_many_pictures(estimator, texture):
    results = list(estimator.estimate_many(np.stack([texture, texture[:, ::-1]])))
    assert_equal(results[1], estimator.estimate(texture[:, ::-1]))


def test_errors_of_many_pictures_come_in_their_place(estimator, texture, tmp_path):
    pictures = [texture, tmp_path / "none.png", np.zeros((32, 32, 3)), texture]
    first, missing, flat, last = estimator.estimate_many(pictures, errors="return")
    assert isinstance(missing, FileNotFoundError)
    assert isinstance(flat, NoEdgesError)
    assert_equal(first, last)
    results = estimator.estimate_many(pictures)
    assert_equal(next(results), first)
    with pytest.raises(FileNotFoundError):
        next(results)


def test_wrong_requests_for_many_pictures_are_refused_at_once(estimator):
    with pytest.raises(ValueError, match=r"errors must be 'raise' or 'return'\. Got: 'ignore'"):
        estimator.estimate_many([], errors="ignore")
    with pytest.raises(TypeError, match=r"images must be several pictures or paths\. Got: one path, 'photo.jpg'"):
        estimator.estimate_many("photo.jpg")


def test_many_pictures_are_read_one_ahead_and_freed(estimator, texture):
    made = []

    def frames():
        for _ in range(6):
            made.append(len(made))
            yield texture

    for done, _ in enumerate(estimator.estimate_many(frames()), start=1):
        assert len(made) <= done + 1
    assert len(made) == 6
