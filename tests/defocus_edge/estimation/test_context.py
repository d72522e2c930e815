"""Points in their context, compared with a slow program; what the answer of the network does to them."""

import cv2
import numpy as np
import pytest

from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.estimation import context
from defocus_edge.estimation.context import REACHES, describe_points, judge_points
from defocus_edge.estimation.point_blur import PointBlur
from defocus_edge.estimation.pyramid import PyramidBlur
from defocus_edge.estimation.reduction import reduce_pictures
from defocus_edge.networks.context import POINT_VALUES, ContextConfig

SHAPE = (90, 120)


@pytest.fixture
def picture(rng):
    return cv2.GaussianBlur(rng.random((*SHAPE, 3), np.float32), (0, 0), 1.5)


def make_blur(rng, count=250, scales=(1, 2)):
    places = rng.permutation(np.argwhere(np.ones(SHAPE)))[:count].astype(np.int32)
    radius = rng.uniform(0.5, 6, count).astype(np.float32)
    confidence, depth = rng.uniform(0.2, 1, (2, count)).astype(np.float32)
    scale = rng.choice(scales, count).astype(np.int32)
    return PyramidBlur(PointBlur(places, radius * scale, confidence, depth), scale)


def describe_all(blur, picture, scale):
    """Values of all points of a scale, by the number of the point."""
    return {
        int(row): value
        for rows, values in describe_points(blur, picture, scale)
        for row, value in zip(rows, values, strict=True)
    }


@pytest.mark.parametrize("scale", [1, 2])
def test_values_are_what_a_slow_program_counts(rng, picture, scale):
    blur = make_blur(rng)
    found, reduced = blur.found, reduce_pictures(picture, [1, 2])[scale - 1]
    values = describe_all(blur, reduced, scale)
    assert sorted(values) == np.flatnonzero(blur.scale == scale).tolist()
    places = found.points // scale
    logs = np.log2(found.radius / scale)
    count = blur.scale / scale
    weight = count * found.confidence**2 * (1 - found.depth_probability) + 1e-4
    sure = (found.confidence > 0.6) & (found.depth_probability < 0.5)
    for row, value in values.items():
        assert value.shape == (POINT_VALUES,)
        own = logs[row]
        expected = [own, found.confidence[row], found.depth_probability[row], scale > 1]
        smallest = []
        for reach in REACHES:
            near = (np.abs(places - places[row]) <= reach).all(axis=1)
            total, area = weight[near].sum(), 2 * np.log2(reach)
            mean = np.average(logs[near], weights=weight[near]) if total > 1e-3 else own
            spread = (weight * logs**2)[near].sum() / max(total, 1e-3) - mean**2
            depth = np.average(found.depth_probability[near], weights=count[near])
            expected += [np.clip(mean - own, -4, 4), np.sqrt(np.clip(spread, 0, 16)), np.log2(total + 1e-3) - area]
            expected += [depth, np.log2(count[near].sum() + 1) - area]
            smallest.append(np.clip(min([9.0, *logs[near & sure]]) - own, -4, 4))
        np.testing.assert_allclose(value[: len(expected)], expected, atol=2e-3)
        np.testing.assert_allclose(value[39:42], smallest[1:], atol=1e-4)


def test_values_of_light_are_those_of_the_picture(rng, picture):
    blur = make_blur(rng, scales=(1,))
    light = picture.mean(axis=-1)
    for row, value in describe_all(blur, picture, 1).items():
        y, x = blur.found.points[row]
        around = light[max(y - 20, 0) : y + 21, max(x - 20, 0) : x + 21]
        assert value[46] == pytest.approx(np.ptp(around), abs=1e-5)
        assert value[47] == pytest.approx(light[y, x], abs=1e-6)
    smooth = cv2.GaussianBlur(light, (0, 0), 3.0)
    along = np.hypot(np.gradient(smooth, axis=0), np.gradient(smooth, axis=1))
    inner = [row for row in range(len(blur.scale)) if (np.abs(blur.found.points[row] - [45, 60]) < [40, 50]).all()]
    found = np.array([describe_all(blur, picture, 1)[row][44] for row in inner])
    expected = np.log(along[tuple(blur.found.points[inner].T)] + 1e-3)
    np.testing.assert_allclose(found, expected, atol=0.25)


def test_both_sides_of_an_edge_are_seen():
    image = np.zeros((*SHAPE, 3), np.float32)
    image[:, 60:] = 1
    rows = np.arange(2, 88)
    left, edge, right = (np.stack([rows, np.full_like(rows, column)], axis=1) for column in (53, 60, 67))
    points = np.concatenate([left, edge, right]).astype(np.int32)
    radius = np.repeat(np.float32([1, 2, 4]), len(rows))
    ones = np.ones(len(points), np.float32)
    blur = PyramidBlur.at_one_scale(PointBlur(points, radius, ones, 0 * ones))
    value = describe_all(blur, image, 1)[len(rows) + 40]
    low, high, difference = value[24:27]
    assert (low, high, difference) == pytest.approx((-1, 1, 2), abs=1e-4)


def test_pieces_change_nothing(rng, picture, monkeypatch):
    blur = make_blur(rng)
    whole = describe_all(blur, picture, 1)
    monkeypatch.setattr(context, "PIECE_SIDE", 16)
    parts = describe_all(blur, picture, 1)
    assert sorted(whole) == sorted(parts)
    for row, values in whole.items():
        np.testing.assert_allclose(parts[row], values, atol=1e-3)


def test_mirrored_pictures_have_the_same_values(rng, picture):
    blur = make_blur(rng, scales=(1,))
    points = blur.found.points * [1, -1] + [0, SHAPE[1] - 1]
    mirrored = PyramidBlur.at_one_scale(
        PointBlur(points.astype(np.int32), blur.found.radius, blur.found.confidence, blur.found.depth_probability)
    )
    values, others = describe_all(blur, picture, 1), describe_all(mirrored, np.ascontiguousarray(picture[:, ::-1]), 1)
    same = [np.allclose(values[row], others[row], atol=2e-3) for row in values]
    # Across an edge a rounded place may fall half a pixel to the other side.
    assert np.mean(same) > 0.9


class Answers:
    """Gives one answer for all points and keeps what it was asked."""

    def __init__(self, answer, least_depth=0.1):
        self.config, self.answer, self.asked = ContextConfig(least_depth=least_depth), answer, []

    def predict(self, values):
        self.asked.append(values)
        return np.tile(np.float32(self.answer), (len(values), 1))


def test_answers_change_the_points(rng, picture):
    blur = make_blur(rng)
    pictures = reduce_pictures(picture, [1, 2])
    judged = judge_points(blur, pictures, Answers((1.0, np.log(0.5), 0.0)))
    np.testing.assert_allclose(judged.found.radius, 2 * blur.found.radius, rtol=1e-6)
    np.testing.assert_allclose(judged.found.confidence, 1 - np.exp(-1), rtol=1e-5)
    np.testing.assert_array_equal(judged.found.depth_probability, blur.found.depth_probability)
    np.testing.assert_array_equal(judged.found.points, blur.found.points)
    cleared = judge_points(blur, pictures, Answers((-9.0, 0.0, -3.0)))
    np.testing.assert_array_equal(cleared.found.depth_probability, 0)
    np.testing.assert_allclose(cleared.found.radius, MIN_RADIUS * blur.scale)


@pytest.mark.parametrize(
    ("least_depth", "logit", "cleared"), [(0.1, -2.1, False), (0.1, -2.3, True), (0.0, -50, False)]
)
def test_unlikely_depth_edges_are_cleared(rng, picture, least_depth, logit, cleared):
    blur = make_blur(rng, scales=(1,))
    judged = judge_points(blur, [picture], Answers((0.0, 0.0, logit), least_depth))
    assert (judged.found.depth_probability == 0).all() == cleared


def test_a_picture_without_points_has_nothing_to_judge(picture):
    empty = PointBlur(np.empty((0, 2), np.int32), *np.empty((3, 0), np.float32))
    judged = judge_points(PyramidBlur.at_one_scale(empty), [picture], Answers((0.0, 0.0, 0.0)))
    assert len(judged.found) == 0


def test_a_darker_picture_of_the_same_range_is_judged_alike(texture):
    """The range is stretched before: the context sees no exposure."""
    from defocus_edge import BlurEstimator

    estimator = BlurEstimator("edge-v2", max_radius=6)
    bright = texture.astype(np.float32) / 255
    first, second = (estimator.estimate(image) for image in (bright, bright / 8))
    assert estimator.settings.context == "context-v1"
    np.testing.assert_allclose(second.radius, first.radius, rtol=0.02)
    off = BlurEstimator("edge-v2", max_radius=6, context=False)
    assert off.settings.context is None
    assert (off.estimate(bright).radius != first.radius).any()


def test_points_of_a_square_are_judged_as_its_middle_one(rng, picture):
    """The slow way: each point alone takes the answer for the middle point of its square at its scale."""
    blur = make_blur(rng)
    pictures = reduce_pictures(picture, [1, 2])

    class Own(Answers):
        def predict(self, values):
            return np.stack([values[:, 0] / 8, values[:, 1], values[:, 4]], axis=1)

    each = judge_points(blur, pictures, Own(None)).found
    squares = judge_points(blur, pictures, Own(None), grid_step=3).found
    members = {}
    for number, (point, scale) in enumerate(zip(blur.found.points, blur.scale, strict=True)):
        members.setdefault((scale, *(point // (3 * scale))), []).append(number)
    shared = 0
    for own in members.values():
        middle = own[len(own) // 2]
        factor = each.radius[middle] / blur.found.radius[middle]
        expected = np.maximum(blur.found.radius[own] * factor, MIN_RADIUS * blur.scale[own])
        np.testing.assert_allclose(squares.radius[own], expected, rtol=1e-5)
        np.testing.assert_allclose(squares.confidence[own], each.confidence[middle], rtol=1e-5)
        shared += len(own) > 1
    assert shared > 20
