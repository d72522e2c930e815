"""Scores against cases whose errors are known."""

import numpy as np
import pytest

from defocus_edge.edges import edge_points, find_edges
from defocus_edge.images import as_image
from defocus_edge.pipeline import BlurEstimator, EstimatorSettings
from training.development import DevelopmentScene
from training.evaluate_edges import (
    TRUE_RADII,
    EdgeScore,
    estimate_with_truth,
    format_table,
    score_estimators,
    summarize_scores,
)

SETTINGS = EstimatorSettings("none")


@pytest.fixture
def scene(texture):
    image = as_image(texture)
    label = np.zeros(image.shape[:2], dtype=np.int8)
    label[:, 40] = 1
    radius = np.full(image.shape[:2], 2.0, dtype=np.float32)
    radius[:, 40:] = 4.0
    return DevelopmentScene("split", "composite", image, radius, label)


def make_score(**changes):
    values = {"weights": "w", "family": "f", "scene": "s", "sparse_mae": 1.0, "dense_mae": 2.0}
    values |= {"dense_mae_no_penalty": 3.0, "accuracy": 0.5, "precision": 0.5, "recall": 0.5}
    return EdgeScore(**(values | changes))


def test_truth_at_the_points_leaves_no_sparse_error(scene):
    estimate = estimate_with_truth(scene, SETTINGS)
    np.testing.assert_array_equal(estimate.points, edge_points(find_edges(scene.image)))
    np.testing.assert_array_equal(estimate.point_radius, scene.radius[tuple(estimate.points.T)])
    np.testing.assert_array_equal(estimate.is_depth_edge, estimate.points[:, 1] == 40)


def test_scores_are_the_errors_of_the_estimate(scene, small_networks):
    estimator = BlurEstimator(small_networks)
    own, truth = score_estimators([scene], {"own": estimator}, settings=SETTINGS)
    assert (own.weights, truth.weights) == ("own", TRUE_RADII)
    estimate = estimator.estimate(scene.image)
    assert own.dense_mae == pytest.approx(np.abs(estimate.radius - scene.radius).mean())
    free = BlurEstimator(small_networks, depth_penalty=0).estimate(scene.image)
    assert own.dense_mae_no_penalty == pytest.approx(np.abs(free.radius - scene.radius).mean())
    pattern = scene.edge_label[tuple(estimate.points.T)] == 0
    error = np.abs(estimate.point_radius - scene.radius[tuple(estimate.points.T)])
    assert own.sparse_mae == pytest.approx(error[pattern].mean())
    assert truth.sparse_mae == 0
    assert truth.accuracy == truth.precision == truth.recall == 1
    assert truth.dense_mae < truth.dense_mae_no_penalty


def test_summary_is_the_mean_over_scenes_and_passes_over_nan():
    scores = [make_score(dense_mae=1.0, recall=float("nan")), make_score(scene="t", dense_mae=2.0, recall=0.8)]
    (row,) = summarize_scores(scores)
    assert row["scenes"] == 2
    assert row["dense_mae"] == pytest.approx(1.5)
    assert row["recall"] == pytest.approx(0.8)


def test_summary_has_one_row_for_each_family_and_weights():
    scores = [make_score(), make_score(weights="v"), make_score(family="g")]
    assert [(row["family"], row["weights"]) for row in summarize_scores(scores)] == [("f", "w"), ("f", "v"), ("g", "w")]


def test_table_is_markdown_with_three_decimals_and_dashes_for_nothing():
    lines = format_table(summarize_scores([make_score(recall=float("nan"))])).splitlines()
    assert lines[0].startswith("| family | weights | scenes | sparse_mae |")
    assert lines[2] == "| f | w | 1 | 1.000 | 2.000 | 3.000 | 0.500 | 0.500 | – |"


def test_no_rows_make_no_table():
    assert format_table([]) == ""
