"""Counts of right radii by confidence, on maps made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from defocus_edge.propagation.propagate import NoEdgesError
from training.data.development import DevelopmentScene
from training.evaluation.reliability import score_reliability, summarize_reliability


class Fixed:
    def __init__(self, estimate):
        self._estimate = estimate

    def estimate(self, _):
        if self._estimate is None:
            raise NoEdgesError("none")
        return self._estimate


def make_scene():
    radius = np.full((2, 10), 3, np.float32)
    radius[1] = 12
    label = np.zeros((2, 10), np.int8)
    label[0, 9] = 1
    return DevelopmentScene("scene", "family", np.zeros((2, 10, 3), np.float32), radius, label)


def make_estimate(scene):
    """Errors of 0.1 to 1 px along each row; confidences of 0.05 to 1 along each row."""
    error = np.linspace(0.1, 1, 10, dtype=np.float32)
    return SimpleNamespace(
        radius=scene.radius + error,
        confidence=np.tile(np.array([*np.arange(9) / 10 + 0.05, 1.0], np.float32), (2, 1)),
        points=np.array([[0, 0], [0, 5], [0, 9], [1, 7]]),
        point_radius=np.float32([3.4, 3.6, 3.0, 12.9]),
        point_confidence=np.float32([0.95, 0.95, 0.95, 0.15]),
        point_scale=np.array([1, 1, 1, 2]),
    )


def test_points_and_pixels_are_counted_by_hand():
    scene = make_scene()
    says = []
    rows = summarize_reliability(
        score_reliability([scene], {"own": Fixed(make_estimate(scene)), "blind": Fixed(None)}, say=says.append)
    )
    assert len(says) == 1
    assert [row["weights"] for row in rows] == ["own"] * 10
    assert rows[9]["confidence"] == "0.9 to 1.0"
    # Of four points one lies on a depth edge; one of the two of high confidence is 0.6 px off; a reduced one may be.
    assert (rows[9]["points"], rows[9]["right points"]) == (pytest.approx(2 / 3), 0.5)
    assert (rows[1]["points"], rows[1]["right points"]) == (pytest.approx(1 / 3), 1)
    assert np.isnan(rows[0]["right points"])
    # Errors up to 0.5 px are right at 3 px, and up to 1 px at 12 px.
    assert [row["right pixels"] for row in rows] == [1] * 5 + [0.5] * 5
    assert all(row["pixels"] == pytest.approx(0.1) for row in rows)
