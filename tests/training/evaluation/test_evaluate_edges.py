"""Scores against cases whose errors are known."""

from dataclasses import replace

import numpy as np
import pytest

from defocus_edge.arrays import as_image
from defocus_edge.estimation.edges import edge_points, find_edges
from defocus_edge.estimation.result import EstimatorSettings
from defocus_edge.pipeline import BlurEstimator
from training.data.development import DevelopmentScene
from training.evaluation.edges import (
    TRUE_RADII,
    EdgeScore,
    estimate_with_truth,
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


def test_ratio_is_the_dense_error_over_that_of_the_reference_in_the_same_family():
    scores = [
        make_score(weights="own", dense_mae=1.0),
        make_score(weights="theirs", dense_mae=2.0),
        make_score(weights="theirs", dense_mae=6.0),
        make_score(weights="own", family="g", dense_mae=1.5),
        make_score(weights="theirs", family="g", dense_mae=1.0),
    ]
    rows = summarize_scores(scores, reference="theirs")
    assert [(row["family"], row["weights"], row["dense_ratio"]) for row in rows] == [
        ("f", "own", 0.25),
        ("f", "theirs", 1.0),
        ("g", "own", 1.5),
        ("g", "theirs", 1.0),
    ]
    assert list(rows[0])[-1] == "dense_ratio"
    assert "dense_ratio" not in summarize_scores(scores)[0]


def test_ratio_to_a_reference_that_has_no_error_or_no_map_is_left_open():
    (_, row) = summarize_scores([make_score(weights="theirs", dense_mae=0.0), make_score()], reference="theirs")
    assert np.isnan(row["dense_ratio"])
    (row,) = summarize_scores([make_score()], reference="theirs")
    assert np.isnan(row["dense_ratio"])


def test_scene_without_a_map_has_no_scores_and_is_not_counted(scene, small_networks):
    plain = replace(scene, name="plain", image=np.full_like(scene.image, 0.5))
    lines = []
    estimator = BlurEstimator(small_networks)
    scores = score_estimators([scene, plain], {"own": estimator}, settings=SETTINGS, say=lines.append)
    own = [score for score in scores if score.weights == "own"]
    truth = [score for score in scores if score.weights == TRUE_RADII]
    assert [np.isnan(score.dense_mae) for score in own] == [False, True]
    assert [np.isnan(score.dense_mae) for score in truth] == [False, True]
    assert summarize_scores(own)[0] == summarize_scores(own[:1])[0]
    assert [line.split(":")[0] for line in lines] == ["plain, own", "plain, true radii"]
    assert "No edges found" in lines[0]


def test_scene_of_undecided_points_has_a_dense_score_only(scene, small_networks):
    unlabelled = replace(scene, edge_label=np.full_like(scene.edge_label, -1))
    score, _ = score_estimators([unlabelled], {"own": BlurEstimator(small_networks)}, settings=SETTINGS)
    assert np.isfinite(score.dense_mae)
    assert np.isnan([score.sparse_mae, score.accuracy, score.precision, score.recall]).all()
