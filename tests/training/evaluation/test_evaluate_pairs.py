"""The order of two maps against the order of the pictures, known for both."""

import cv2
import numpy as np
import pytest

from defocus_edge.arrays import as_image
from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.propagation.propagate import NoEdgesError
from training.data.focus_pairs import FocusPair
from training.evaluation.pairs import OrderScore, measure_order, score_pairs, summarize_pairs

NAN = float("nan")


@pytest.fixture
def pair(rng):
    """Left half in focus in the near picture, right half in the far one."""
    sharp = as_image(rng.integers(40, 216, (24, 32, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1))
    sharp[:, 48:80] = 0.5  # between the halves the window would see both
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2.0)
    left = (np.arange(128) < 64)[None, :, None]
    return FocusPair("halves", np.where(left, sharp, blurred), np.where(left, blurred, sharp))


class Knowing:
    """Gives each picture the map it was told."""

    def __init__(self, *known):
        self.known = known
        self.calls = 0

    def estimate(self, image):
        self.calls += 1
        radius = next(radius for picture, radius in self.known if picture is image)
        if radius is None:
            msg = "No edges found in the image."
            raise NoEdgesError(msg)
        none = np.zeros(0, dtype=np.float32)
        points = np.zeros((0, 2), dtype=np.int32)
        return BlurEstimate(
            radius, radius, points, none, none, none > 0, EstimatorSettings("stub"), none.astype(np.int32)
        )


def make_maps():
    near = np.where(np.arange(128) < 64, 0.5, 4.0)[None, :].repeat(96, axis=0).astype(np.float32)
    return near, np.ascontiguousarray(near[:, ::-1])


def score(pair, near_map, far_map):
    estimator = Knowing((pair.near, near_map), (pair.far, far_map))
    (result,) = score_pairs([pair], {"own": estimator})
    assert estimator.calls == 2
    return result


def test_perfect_maps_are_ordered_everywhere(pair):
    result = score(pair, *make_maps())
    assert (result.weights, result.pair) == ("own", "halves")
    assert result.compared > 0.7
    assert (result.ordered_near, result.ordered_far, result.ordered) == (1, 1, 1)


def test_swapped_maps_are_ordered_nowhere(pair):
    result = score(pair, *make_maps()[::-1])
    assert (result.ordered_near, result.ordered_far, result.ordered) == (0, 0, 0)


def test_equal_maps_say_nothing_and_are_wrong(pair):
    near_map, _ = make_maps()
    assert score(pair, near_map, near_map).ordered == 0


def test_shares_of_each_side_and_of_all():
    near_sharper = np.array([[True, True, False, False, False]])
    far_sharper = np.array([[False, False, True, True, False]])
    near_map = np.array([[1, 3, 3, 3, 1]], dtype=np.float32)
    far_map = np.array([[2, 2, 2, 2, 9]], dtype=np.float32)
    assert measure_order(near_map, far_map, near_sharper, far_sharper) == (0.5, 1.0, 0.75)
    nothing = np.zeros_like(far_sharper)
    assert measure_order(near_map, far_map, near_sharper, nothing) == pytest.approx((0.5, NAN, 0.5), nan_ok=True)


def test_flat_pair_is_said_and_costs_no_networks():
    flat, lines = np.full((40, 40, 3), 0.5, dtype=np.float32), []
    estimator = Knowing()
    assert score_pairs([FocusPair("flat", flat, flat)], {"own": estimator}, say=lines.append) == []
    assert estimator.calls == 0
    assert len(lines) == 1
    assert "no textured pixels" in lines[0]


def test_pair_without_a_map_is_said_and_left_out(pair):
    lines = []
    estimator = Knowing((pair.near, make_maps()[0]), (pair.far, None))
    assert score_pairs([pair], {"own": estimator}, say=lines.append) == []
    assert lines == ["halves-B, own: No edges found in the image."]


def test_summary_ends_each_weights_with_their_mean():
    scores = [
        OrderScore("own", "a", 0.5, 1.0, NAN, 1.0),
        OrderScore("theirs", "a", 0.5, 0.0, NAN, 0.0),
        OrderScore("own", "b", 0.7, 0.8, 0.9, 0.8),
    ]
    rows = summarize_pairs(scores)
    assert [(row["weights"], row["pair"]) for row in rows] == [
        ("own", "a"),
        ("own", "b"),
        ("own", "mean"),
        ("theirs", "a"),
        ("theirs", "mean"),
    ]
    assert rows[2]["ordered"] == pytest.approx(0.9)
    assert rows[2]["compared"] == pytest.approx(0.6)
    assert rows[2]["ordered_far"] == pytest.approx(0.9)
