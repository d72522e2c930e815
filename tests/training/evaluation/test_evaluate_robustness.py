"""Errors under conditions and their ratios to the clean ones."""

from dataclasses import replace

import numpy as np
import pytest

from defocus_edge.arrays import as_image
from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.propagation.propagate import NoEdgesError
from training.data.development import DevelopmentScene
from training.evaluation.robustness import RobustnessScore, score_robustness, summarize_robustness

NAN = float("nan")


class Reader:
    """Takes the picture's top left red value, times 10, for its radius; black pictures have no edges."""

    calls = 0

    def estimate(self, image):
        self.calls += 1
        if image[0, 0, 0] == 0:
            msg = "No edges found in the image."
            raise NoEdgesError(msg)
        shape, points = image.shape[:2], np.array([[1, 2], [3, 4]], dtype=np.int32)
        radius = np.full(shape, 10 * image[0, 0, 0], dtype=np.float32)
        at_points = np.array([3.0, 5.0], dtype=np.float32)
        is_depth = np.zeros(2, dtype=bool)
        return BlurEstimate(
            radius,
            radius,
            points,
            at_points,
            at_points,
            is_depth,
            EstimatorSettings("stub"),
            np.ones(len(points), np.int32),
        )


@pytest.fixture
def scene():
    image = as_image(np.full((20, 24, 3), 51, dtype=np.uint8))  # 0.2: the stub reads 2 px
    label = np.zeros((20, 24), dtype=np.int8)
    label[3, 4] = 1
    return DevelopmentScene("grey", "uniform", image, np.full((20, 24), 1.5, dtype=np.float32), label)


def test_errors_of_each_condition_and_one_run_of_the_networks_each(scene):
    estimator = Reader()
    brighter = replace(scene, image=scene.image * 2)
    scores = score_robustness([("clean", scene), ("bright", brighter)], {"own": estimator})
    assert estimator.calls == 2
    assert [(score.condition, score.weights, score.scene) for score in scores] == [
        ("clean", "own", "grey"),
        ("bright", "own", "grey"),
    ]
    assert [score.dense_mae for score in scores] == pytest.approx([0.5, 2.5])
    assert [score.sparse_mae for score in scores] == pytest.approx([1.5, 1.5])  # the depth edge does not count


def test_scene_without_a_map_is_said_and_left_open(scene):
    lines = []
    black = replace(scene, image=np.zeros_like(scene.image))
    (score,) = score_robustness([("noise-5", black)], {"own": Reader()}, say=lines.append)
    assert np.isnan([score.sparse_mae, score.dense_mae]).all()
    assert lines == ["grey, noise-5, own: No edges found in the image."]


def test_ratios_are_to_the_clean_error_of_the_same_scenes():
    scores = [
        RobustnessScore("own", "uniform", "a", "clean", 0.1, 0.2),
        RobustnessScore("own", "uniform", "b", "clean", 0.3, 0.6),
        RobustnessScore("own", "uniform", "a", "noise-2", 0.2, 0.3),
        RobustnessScore("own", "uniform", "b", "noise-2"),
        RobustnessScore("own", "depth", "c", "clean", 0.0, 0.5),
        RobustnessScore("own", "depth", "c", "noise-2", 0.1, 0.4),
    ]
    rows = summarize_robustness(scores)
    assert [(row["family"], row["condition"], row["scenes"]) for row in rows] == [
        ("uniform", "clean", 2),
        ("uniform", "noise-2", 1),
        ("depth", "clean", 1),
        ("depth", "noise-2", 1),
    ]
    assert [row["dense_mae"] for row in rows] == pytest.approx([0.4, 0.3, 0.5, 0.4])
    assert [row["dense_mae_ratio"] for row in rows] == pytest.approx([1, 1.5, 1, 0.8])
    assert [row["sparse_mae_ratio"] for row in rows] == pytest.approx([1, 2, NAN, NAN], nan_ok=True)
