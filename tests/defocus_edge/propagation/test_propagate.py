"""From points to a blur map: properties, fall-backs and refusals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defocus_edge.propagation.propagate import NoEdgesError, prepare_spread, propagate_blur, simplify_guide
from defocus_edge.propagation.settings import PropagationSettings
from tests.defocus_edge.propagation.recursive_filter_oracle import numpy_recursive_filter


def plain_scene(height=40, width=60):
    """A grey image without a depth edge, one sharp point on the left and one blurred on the right."""
    image = np.full((height, width, 3), 0.5, dtype=np.float32)
    points = np.array([[height // 2, width // 4], [height // 2, 3 * width // 4]])
    return [image, points, np.array([1.0, 4.0]), np.array([1.0, 1.0]), np.zeros((height, width), dtype=bool)]


@st.composite
def scenes(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width, count = draw(st.integers(1, 24)), draw(st.integers(1, 24)), draw(st.integers(1, 12))
    return [
        rng.random((height, width, 3), dtype=np.float32),
        np.stack([rng.integers(0, height, count), rng.integers(0, width, count)], axis=1),
        rng.uniform(0.5, 6.0, count).astype(np.float32),
        rng.uniform(1e-3, 1.0, count).astype(np.float32),
        rng.random((height, width)) < 0.1,
    ]


@settings(max_examples=50)
@given(scenes())
def test_radius_lies_between_the_points_and_confidence_between_zero_and_one(scene):
    radius, confidence = propagate_blur(*scene)
    assert radius.shape == confidence.shape == scene[4].shape
    assert radius.dtype == confidence.dtype == np.float32
    assert scene[2].min() <= radius.min()
    assert radius.max() <= scene[2].max()
    assert confidence.min() >= 0
    assert confidence.max() <= 1


@settings(max_examples=20)
@given(scenes())
def test_equal_radii_give_a_constant_map(scene):
    scene[2] = np.full(len(scene[1]), 2.25, dtype=np.float32)
    radius, _ = propagate_blur(*scene)
    np.testing.assert_array_equal(radius, np.float32(2.25))


@settings(max_examples=20)
@given(scenes(), st.floats(0.1, 1.0))
def test_scaling_all_weights_leaves_the_radius(scene, factor):
    radius, confidence = propagate_blur(*scene)
    scene[3] = scene[3] * np.float32(factor)
    scaled, less = propagate_blur(*scene)
    np.testing.assert_allclose(scaled, radius, atol=2e-3)
    assert (less <= confidence + 1e-5).all()


@settings(max_examples=20)
@given(scenes())
def test_order_of_the_points_changes_nothing(scene):
    radius, _ = propagate_blur(*scene)
    backwards, _ = propagate_blur(scene[0], *(array[::-1] for array in scene[1:4]), scene[4])
    np.testing.assert_allclose(backwards, radius, atol=1e-5)


def test_a_spread_runs_once():
    image, points, radius, confidence, depth_edges = plain_scene()
    spread = prepare_spread(image, points, depth_edges)
    spread.run(radius, confidence)
    with pytest.raises(ValueError, match=r"can run once: its memory is used up\. Prepare it again"):
        spread.run(radius, confidence)


def test_equals_the_formula_of_the_paper():
    rng = np.random.default_rng(5)
    image = rng.random((48, 70, 3), dtype=np.float32)
    edge = rng.random((48, 70)) < 0.15
    depth_edges = rng.random((48, 70)) < 0.05
    points = np.argwhere(edge)
    point_radius, point_weight = rng.uniform(0.5, 6, len(points)), rng.uniform(0.1, 1, len(points))
    values, weights = np.zeros((48, 70)), np.zeros((48, 70))
    values[edge], weights[edge] = point_radius, point_weight

    guide = numpy_recursive_filter(image, image, sigma_s=7, sigma_r=0.5, iterations=5)
    numbers = {"sigma_s": 6, "sigma_r": 3.75, "iterations": 5, "penalty": 100 * depth_edges}
    expected = numpy_recursive_filter(weights * values, guide, **numbers)
    expected /= numpy_recursive_filter(weights, guide, **numbers)

    radius, _ = propagate_blur(
        image,
        points,
        point_radius,
        point_weight,
        depth_edges,
        settings=replace(PropagationSettings.paper(), confidence_power=1.0),
    )
    np.testing.assert_allclose(radius, expected, atol=2e-4)


def test_a_repeated_point_counts_twice():
    image, points, point_radius, point_weight, walls = plain_scene()
    settings = replace(PropagationSettings.paper(), confidence_power=1.0)
    once, _ = propagate_blur(image, points, point_radius, np.array([0.5, 1.0]), walls, settings=settings)
    again = np.array([0, 1, 1])
    twice, _ = propagate_blur(image, points[again], point_radius[again], np.full(3, 0.5), walls, settings=settings)
    np.testing.assert_allclose(twice, once, atol=1e-6)
    assert propagate_blur(image, points, point_radius, point_weight, walls, settings=settings)[0].mean() < once.mean()


def test_blur_does_not_pass_depth_edges_unless_told_to():
    scene = plain_scene()
    scene[4][:, 30] = True
    strict = PropagationSettings(sigma_s=8.0, depth_penalty=1e4)
    radius, _ = propagate_blur(*scene, settings=strict)
    np.testing.assert_allclose(radius[:, :30], 1.0, atol=1e-3)
    np.testing.assert_allclose(radius[:, 30:], 4.0, atol=1e-3)
    ignored, _ = propagate_blur(*scene, settings=PropagationSettings(sigma_s=8.0, depth_penalty=0))
    scene[4][:] = False
    np.testing.assert_array_equal(ignored, propagate_blur(*scene, settings=strict)[0])
    assert np.abs(np.diff(ignored[20])).max() < 0.5


def test_unsupported_pixels_take_the_value_of_the_nearest_supported_one_and_say_so():
    scene = plain_scene(40, 60)
    radius, confidence = propagate_blur(*scene, settings=PropagationSettings(sigma_s=0.1))
    np.testing.assert_array_equal(radius[:, :29], 1.0)
    np.testing.assert_array_equal(radius[:, 31:], 4.0)
    assert confidence[0, 0] == 0
    assert confidence[20, 15] > 0.2


@pytest.mark.parametrize("weight", [0.2, 1.0])
def test_confidence_is_one_on_an_edge_of_sure_points_and_falls_with_distance(weight):
    image = np.full((161, 161, 3), 0.5, dtype=np.float32)
    points = np.stack([np.arange(161), np.full(161, 80)], axis=1)
    no_walls = np.zeros((161, 161), dtype=bool)
    numbers = PropagationSettings(sigma_s=10.0, sigma_r=3.75)
    _, confidence = propagate_blur(image, points, np.full(161, 2.0), np.full(161, weight), no_walls, settings=numbers)
    line = confidence[80]
    assert line[80] == pytest.approx(1.0 if weight == 1 else 1.26 * weight**2, rel=0.02)  # 1.26: see Notes
    assert line[90] == pytest.approx(np.exp(-0.5) * weight**2, rel=0.2)
    assert line[110] == pytest.approx(np.exp(-4.5) * weight**2, rel=1)
    assert (np.diff(line[80:]) <= 1e-6).all()


def test_boundaries_are_closed_unless_told_otherwise():
    """A line of depth edges with a gap along an outline of the picture: blur does not leak through the gap."""
    image = np.full((60, 60, 3), 0.3, dtype=np.float32)
    image[:, 30:] = 0.6
    points = np.array([[row, col] for row in range(5, 60, 10) for col in (8, 52)])
    radius = np.where(points[:, 1] < 30, 1.0, 4.0)
    walls = np.zeros((60, 60), dtype=bool)
    walls[:, 30] = True
    walls[22:38, 30] = False
    scene = (image, points, radius, np.ones(len(points)), walls)
    truth = np.where(np.arange(60) < 30, 1.0, 4.0)[None, :]
    settings = PropagationSettings(sigma_s=20.0, sigma_r=10.0)
    closed, _ = propagate_blur(*scene, settings=settings)
    leaky, _ = propagate_blur(*scene, settings=replace(settings, close_boundaries=False))
    ignored, _ = propagate_blur(*scene, settings=replace(settings, depth_penalty=0.0))
    assert np.abs(closed - truth).max() < 0.02
    assert np.abs(leaky - truth).max() > 0.3
    assert np.abs(ignored - truth).max() > 1


def test_inputs_are_not_modified():
    scene = plain_scene()
    scene[4][3] = True
    copies = [array.copy() for array in scene]
    propagate_blur(*scene)
    for before, after in zip(copies, scene, strict=True):
        np.testing.assert_array_equal(before, after)


def test_simplified_guide_loses_texture_and_keeps_outlines():
    rng = np.random.default_rng(0)
    image = np.full((64, 64, 3), 0.2, dtype=np.float32)
    image[:, 32:] = 0.8
    noisy = np.clip(image + rng.normal(0, 0.01, image.shape).astype(np.float32), 0, 1)
    guide = simplify_guide(noisy)
    assert guide.dtype == np.float32
    assert guide[:, 8:24].std() < 0.3 * noisy[:, 8:24].std()
    assert np.abs(guide[:, 36:].mean() - guide[:, :28].mean()) > 0.5
    coarse = simplify_guide(noisy, settings=PropagationSettings(guide_sigma_r=100.0, guide_sigma_s=50.0))
    assert coarse.std() < 0.7 * guide.std()


def test_settings_of_the_paper_and_of_the_code():
    paper = PropagationSettings.paper()
    assert (paper.sigma_r, paper.iterations, paper.depth_penalty) == (3.75, 5, 100)
    assert (paper.guide_sigma_s, paper.guide_sigma_r) == (7, 0.5)
    assert paper.close_boundaries is False
    assert paper.confidence_power == 0
    assert paper.compute_sigma_s(360, 480) == 45
    assert PropagationSettings.authors_code() == replace(paper, depth_penalty=20)
    assert PropagationSettings(sigma_s=11.0).compute_sigma_s(360, 480) == 11


def test_a_weight_counts_like_so_many_points():
    image, points, radius, confidence, walls = plain_scene()
    doubled = propagate_blur(
        image, np.concatenate([points, points[1:]]), np.append(radius, 4.0), np.append(confidence, 1.0), walls
    )
    weighted = propagate_blur(image, points, radius, confidence, walls, point_weight=np.array([1.0, 2.0]))
    for one, other in zip(weighted, doubled, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_boundaries_stop_blur_as_they_are():
    image, points, radius, confidence, walls = plain_scene()
    closed = np.zeros_like(walls)
    closed[:, 30] = True
    found, _ = propagate_blur(image, points, radius, confidence, walls, boundaries=closed)
    np.testing.assert_allclose(found[:, :30], 1, atol=0.01)
    np.testing.assert_allclose(found[:, 30:], 4, atol=0.01)
    settings_ = PropagationSettings(depth_penalty=0.0)
    plain, _ = propagate_blur(image, points, radius, confidence, walls, settings=settings_)
    leaking, _ = propagate_blur(image, points, radius, confidence, walls, settings=settings_, boundaries=closed)
    np.testing.assert_array_equal(leaking, plain)


def test_the_image_is_overwritten_on_demand_only(rng):
    image = rng.random((40, 60, 3), dtype=np.float32)
    scene = plain_scene()[1:]
    before = image.copy()
    expected = propagate_blur(image, *scene)
    np.testing.assert_array_equal(image, before)
    found = propagate_blur(image, *scene, overwrite_image=True)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(image, before)


@pytest.mark.parametrize(
    ("name", "value", "error", "match"),
    [
        ("point_weight", np.array([1.0]), ValueError, r"point_weight must hold one value per point, shape \(2,\)"),
        ("point_weight", np.array([1.0, 0.0]), ValueError, "point_weight must be finite and greater than 0"),
        ("boundaries", np.zeros((40, 60)), TypeError, "boundaries must be bool. Got: dtype float64"),
        ("boundaries", np.zeros((4, 6), dtype=bool), ValueError, r"boundaries must be as large as image, \(40, 60\)"),
    ],
)
def test_wrong_options_are_refused(name, value, error, match):
    with pytest.raises(error, match=match):
        propagate_blur(*plain_scene(), **{name: value})


@pytest.mark.parametrize("points", [np.empty((0, 2), dtype=int), []])
def test_a_picture_without_edges_is_refused(points):
    image, _, _, _, walls = plain_scene()
    with pytest.raises(NoEdgesError, match=r"points must hold at least one pattern edge point.* lower the edge"):
        propagate_blur(image, points, np.empty(0), np.empty(0), walls)


@pytest.mark.parametrize(
    ("position", "value", "error", "match"),
    [
        (0, np.zeros((40, 60, 3), dtype=np.uint8), TypeError, "image must be a float array.* divide uint8 values"),
        (0, np.zeros((40, 60)), ValueError, r"image must be RGB.* Got: shape \(40, 60\)"),
        (0, np.zeros((40, 60, 4)), ValueError, "image must be RGB"),
        (0, np.full((40, 60, 3), 255.0), ValueError, r"image must lie in \[0, 1\]. Got: values from 255"),
        (0, np.full((40, 60, 3), np.nan), ValueError, r"image must lie in \[0, 1\]. Got: values from nan"),
        (1, np.array([1, 2]), ValueError, r"points must have the shape \(N, 2\).* Got: \(2,\)"),
        (1, np.array([[1.0, 2.0], [3.0, 4.0]]), TypeError, "points must be integers. Got: dtype float64"),
        (1, np.array([[1, 2], [3, 60]]), ValueError, r"points must lie inside .* Got: rows 1 to 3, columns 2 to 60"),
        (1, np.array([[-1, 2], [3, 4]]), ValueError, "points must lie inside the image"),
        (2, np.array([1.0]), ValueError, r"point_radius must hold one value per point, shape \(2,\). Got: \(1,\)"),
        (2, np.array([1.0, np.nan]), ValueError, "point_radius must be finite and greater than 0"),
        (2, np.array([1.0, np.inf]), ValueError, "point_radius must be finite and greater than 0"),
        (2, np.array(["1", "2"]), TypeError, "point_radius must be real numbers. Got: dtype <U1"),
        (
            3,
            np.array([0.0, 1.0]),
            ValueError,
            "point_confidence must be greater than 0 and at most 1. Got: values",
        ),
        (3, np.array([0.5, 1.5]), ValueError, "point_confidence must be greater than 0 and at most 1"),
        (4, np.zeros((40, 60)), TypeError, "depth_edges must be bool. Got: dtype float64"),
        (4, np.zeros((60, 40), dtype=bool), ValueError, r"depth_edges must be as large as image, \(40, 60\)"),
    ],
)
def test_wrong_arguments_are_refused(position, value, error, match):
    scene = plain_scene()
    scene[position] = value
    with pytest.raises(error, match=match):
        propagate_blur(*scene)


@pytest.mark.parametrize(
    ("name", "value", "error", "match"),
    [
        ("sigma_s", 0.0, ValueError, r"sigma_s must be finite and greater than 0. Got: 0\.0"),
        ("sigma_s_fraction", -1.0, ValueError, "sigma_s_fraction must be finite and greater than 0"),
        ("sigma_r", np.inf, ValueError, "sigma_r must be finite and greater than 0. Got: inf"),
        ("guide_sigma_s", np.nan, ValueError, "guide_sigma_s must be finite and greater than 0. Got: nan"),
        ("guide_sigma_r", 0, ValueError, "guide_sigma_r must be finite and greater than 0"),
        ("iterations", 0, ValueError, "iterations must be at least 1. Got: 0"),
        ("guide_iterations", 1.5, TypeError, r"guide_iterations must be an integer. Got: 1\.5"),
        ("depth_penalty", -1.0, ValueError, r"depth_penalty must be finite and at least 0. Got: -1\.0"),
        ("depth_penalty", 1e308, ValueError, r"depth_penalty must be at most 1e\+06 px. Got: 1e\+308"),
        ("confidence_power", -1, ValueError, "confidence_power must be finite and at least 0. Got: -1"),
    ],
)
def test_wrong_settings_are_refused(name, value, error, match):
    with pytest.raises(error, match=match):
        PropagationSettings(**{name: value})
