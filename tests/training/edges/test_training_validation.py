"""Scores of a stage: by level and by family, from outputs that are known."""

import dataclasses

import cv2
import numpy as np
import pytest

from defocus_edge.blur_levels import BLUR_LEVELS, N_LEVELS, radius_to_class
from tests.training.training_cases import read_rows
from training.data.labels import share_levels
from training.data.sources import load_sources
from training.edges.crops import CropSampler
from training.edges.plots import plot_confusion
from training.edges.validation import (
    PointScores,
    count_confusion,
    draw_validation,
    score_points,
    summarize,
    tabulate_families,
    tabulate_levels,
    validate_network,
)


class Oracle:
    """A model whose output is given."""

    def __init__(self, output):
        self.output = output

    def predict_on_batch(self, _):
        return self.output


@pytest.fixture(scope="module")
def development(training_root):
    return CropSampler(load_sources(training_root, development=True))


@pytest.fixture(scope="module")
def batch(development):
    return draw_validation(development, "blur", 4)[0]


def score(output, radius=0.5, is_depth=False, family="uniform"):
    """Scores of (P, classes) outputs; the truth is one value or P of them."""
    count = len(output)
    return PointScores(
        np.asarray(output, dtype=np.float32),
        np.broadcast_to(np.asarray(radius, dtype=np.float32), count),
        np.broadcast_to(is_depth, count),
        np.broadcast_to(family, count),
    )


def test_scores_of_a_model_that_knows_the_truth(batch):
    assert summarize(score_points(Oracle(batch.levels), "blur", [batch]), "blur") == {"mae_px": 0.0, "p95_px": 0.0}
    labels = dataclasses.replace(batch, is_depth=(np.arange(len(batch.valid)) % 2).astype(np.int8))
    right = np.eye(2, dtype=np.float32)[labels.is_depth.astype(int)]
    for output, expected in ((right, 1.0), (1 - right, 0.0)):
        scores = summarize(score_points(Oracle(output), "edge", [labels]), "edge")
        assert scores == {"accuracy": expected, "precision": expected, "recall": expected}


def test_padding_is_not_scored(batch):
    nothing = dataclasses.replace(batch, valid=(np.arange(len(batch.valid)) < 3).astype(np.float32))
    assert len(score_points(Oracle(batch.levels), "blur", [nothing, nothing]).radius) == 6


def test_validation_crops_are_the_same_each_time_and_a_larger_number_begins_with_them(development):
    few, many = (draw_validation(development, "edge", crops) for crops in (8, 16))
    assert [len(few), len(many)] == [1, 2]
    np.testing.assert_array_equal(few[0].images, many[0].images)
    assert (many[1].images != many[0].images).any()


def test_rows_of_levels():
    """Two points of 1 px: one guessed 0.25 too large, one 0.5 too small; one point of 6 px, right."""
    scores = score(share_levels(np.array([1.25, 0.5, 6.0], dtype=np.float32)), radius=[1.0, 1.0, 6.0])
    rows = tabulate_levels(scores)
    assert [row["level_px"] for row in rows] == BLUR_LEVELS.tolist()
    assert rows[2] == {"level_px": 1.0, "count": 2, "mae_px": 0.375, "bias_px": -0.125}
    assert rows[-1] == {"level_px": 6.0, "count": 1, "mae_px": 0.0, "bias_px": 0.0}
    assert rows[5] == {"level_px": 1.75, "count": 0, "mae_px": "", "bias_px": ""}
    counts = count_confusion(scores)
    assert counts.shape == (N_LEVELS, N_LEVELS)
    assert counts.sum() == 3
    assert counts[2, 3] == counts[2, 0] == counts[22, 22] == 1


def test_rows_of_families():
    """Composite: one hit, one miss. Depth: one hit. Uniform: a false alarm and a right answer. No gradual point."""
    depth, pattern = (0.2, 0.8), (0.8, 0.2)
    scores = score(
        [depth, pattern, depth, depth, pattern],
        is_depth=[True, True, True, False, False],
        family=["composite", "composite", "depth", "uniform", "uniform"],
    )
    keys = ("family", "count", "depth_edges", "accuracy", "precision", "recall")
    assert [tuple(row[key] for key in keys) for row in tabulate_families(scores)] == [
        ("all", 5, 3, 0.6, 0.6667, 0.6667),
        ("uniform", 2, 0, 0.5, 0.0, ""),
        ("composite", 2, 2, 0.5, 1.0, 0.5),
        ("depth", 1, 1, 1.0, 1.0, 1.0),
    ]


def test_b_net_is_written_up_by_level(small_networks, development, tmp_path):
    validate_network(small_networks, "blur", development, folder=tmp_path, crops=4)
    rows = read_rows(tmp_path / "bnet_levels.csv")
    assert list(rows[0]) == ["level_px", "count", "mae_px", "bias_px"]
    assert len(rows) == N_LEVELS
    truth = np.concatenate(
        [one.radius[(one.is_depth != 1) & (one.valid > 0)] for one in draw_validation(development, "blur", 4)]
    )
    counts = np.bincount(radius_to_class(truth), minlength=N_LEVELS)
    assert [int(row["count"]) for row in rows] == counts.tolist()
    assert cv2.imread(str(tmp_path / "bnet_confusion.png")).shape == (640, 720, 3)


def test_e_net_is_written_up_by_family(small_networks, development, tmp_path):
    validate_network(small_networks, "edge", development, folder=tmp_path, crops=16)
    rows = read_rows(tmp_path / "enet_scores.csv")
    assert rows[0]["family"] == "all"
    assert int(rows[0]["count"]) == sum(int(row["count"]) for row in rows[1:])
    assert {row["family"] for row in rows} >= {"uniform", "composite"}


def test_confusion_of_a_perfect_network_is_a_diagonal():
    """The share of a level's points does not depend on how many there are; a level without points is drawn, too."""
    counts = np.diag(np.arange(N_LEVELS))
    picture = plot_confusion(counts, BLUR_LEVELS)
    assert picture.shape == (640, 720, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, plot_confusion(3 * counts, BLUR_LEVELS))
    yellow = (picture[..., 0] > 240) & (picture[..., 1] > 220) & (picture[..., 2] < 60)
    rows, cols = np.nonzero(yellow[:, :560])  # left of the colour bar
    assert np.corrcoef(rows, cols)[0, 1] < -0.99  # upwards to the right
