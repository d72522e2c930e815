"""Errors of maps against figures worked out by hand."""

import csv

import numpy as np
import pytest

from defocus_edge.propagation.propagate import NoEdgesError
from training.data.development import DevelopmentScene
from training.evaluation.map_methods import MapMethod
from training.evaluation.maps import (
    ERRORS,
    PICTURES_FILE,
    SECONDS,
    SUMMARY_FILE,
    MapScore,
    format_spreads,
    measure_error,
    measure_own_error,
    score_maps,
    summarize_maps,
    write_map_report,
)

ERROR, OWN, COMMON = ERRORS


def make_scene(name="one", family="family", *, radius=(1.0, 2.0, 4.0)):
    """20 rows of the same radii."""
    truth = np.tile(np.float32(radius), (20, 1))
    empty = np.zeros((*truth.shape, 3), dtype=np.float32)
    return DevelopmentScene(name, family, empty, truth, np.zeros(truth.shape, dtype=np.int8))


def fail(_):
    msg = "No edges found."
    raise NoEdgesError(msg)


PLUS_ONE = MapMethod("plus one", lambda scene: scene.radius + 1)
DOUBLE = MapMethod("double", lambda scene: scene.radius * 2)
SCORE = MapMethod("score", lambda scene: scene.radius / 8, unit="score")
NOTHING = MapMethod("nothing", fail)


def test_error_is_the_mean_absolute_one():
    (score,) = score_maps([make_scene()], [PLUS_ONE])
    assert (score.method, score.family, score.picture) == ("plus one", "family", "one")
    assert score.error == pytest.approx(1)
    assert score.common_error == pytest.approx(1 / 4)
    # 2/5, 3/5, 1 against 1/4, 1/2, 1
    assert score.own_error == pytest.approx((0.15 + 0.1 + 0) / 3)
    assert score.seconds >= 0


def test_own_maximum_is_blind_to_scale_and_the_common_one_is_not():
    (score,) = score_maps([make_scene()], [DOUBLE])
    assert score.own_error == pytest.approx(0, abs=1e-7)
    assert score.error == pytest.approx(7 / 3)
    assert score.common_error == pytest.approx(7 / 12)


def test_a_score_has_no_error_in_px():
    (score,) = score_maps([make_scene()], [SCORE])
    assert score.own_error == pytest.approx(0, abs=1e-7)
    assert np.isnan([score.error, score.common_error]).all()


def test_disks_within_one_pixel_are_alike():
    estimate, truth = np.float32([[0.5, 0.25, 0.75]]), np.float32([[0, 0.5, 0.5]])
    assert measure_error(estimate, truth) == pytest.approx(0.25 / 3)
    assert measure_own_error(estimate[:, :2], truth[:, :2], in_pixels=True) == 0
    (score,) = score_maps([make_scene(radius=(0.0, 0.0))], [PLUS_ONE])
    assert score.error == pytest.approx(0.5)
    assert score.common_error == pytest.approx(1)


def test_score_of_zero_all_over_is_compared():
    truth = np.float32([[1, 2]])
    assert measure_own_error(np.zeros((1, 2), dtype=np.float32), truth, in_pixels=False) == pytest.approx(0.75)


def test_scene_without_a_map_has_no_scores_and_is_said():
    lines = []
    score, other = score_maps([make_scene()], [NOTHING, PLUS_ONE], say=lines.append)
    assert np.isnan([score.error, score.own_error, score.common_error, score.seconds]).all()
    assert other.error == pytest.approx(1)
    assert lines == ["one, nothing: No edges found."]


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.full((20, 3), np.nan)])
def test_map_that_does_not_fit_is_named(bad):
    with pytest.raises(ValueError, match=r"The map of 'odd' for 'one' must be finite with shape \(20, 3\)\. Got: "):
        score_maps([make_scene()], [MapMethod("odd", lambda _: bad)])


def test_summary_is_mean_and_spread_over_pictures():
    scores = [MapScore("m", "f", "1", 1.0, 0.1, 0.2, 3.0), MapScore("m", "f", "2", 3.0, 0.3, 0.4, 9.0)]
    (row,) = summarize_maps([*scores, MapScore("m", "f", "3")])
    assert (row["family"], row["method"], row["pictures"]) == ("f", "m", 2)
    assert row[ERROR] == pytest.approx(2)
    assert row[f"{ERROR} std"] == pytest.approx(1)
    assert row[OWN] == pytest.approx(0.2)
    assert row[COMMON] == pytest.approx(0.3)
    assert row[SECONDS] == pytest.approx(6)


def test_rows_are_ordered_by_family_then_method_then_all():
    scenes = [make_scene("1", "near"), make_scene("2", "far"), make_scene("3", "near")]
    rows = summarize_maps(score_maps(scenes, [DOUBLE, SCORE]))
    assert [(row["family"], row["method"], row["pictures"]) for row in rows] == [
        ("near", "double", 2),
        ("near", "score", 2),
        ("far", "double", 1),
        ("far", "score", 1),
        ("all", "double", 3),
        ("all", "score", 3),
    ]


def test_one_family_is_not_said_twice():
    assert len(summarize_maps(score_maps([make_scene()], [DOUBLE]))) == 1


def test_table_joins_error_and_spread():
    rows = format_spreads(summarize_maps(score_maps([make_scene(), make_scene("2")], [PLUS_ONE, SCORE])))
    assert list(rows[0]) == ["family", "method", "pictures", ERROR, OWN, COMMON, SECONDS]
    assert rows[0][ERROR] == "1.000 ± 0.000"
    assert np.isnan(rows[1][ERROR])  # a dash in the table


def test_report_has_the_summary_and_each_picture(tmp_path):
    scores = score_maps([make_scene(), make_scene("two", radius=(2.0, 2.0))], [PLUS_ONE, SCORE])
    write_map_report(tmp_path, scores)
    assert {path.name for path in tmp_path.iterdir()} == {SUMMARY_FILE, PICTURES_FILE}
    with (tmp_path / PICTURES_FILE).open(newline="", encoding="utf-8") as file:
        pictures = list(csv.DictReader(file))
    assert [(row["picture"], row["method"]) for row in pictures] == [
        ("one", "plus one"),
        ("one", "score"),
        ("two", "plus one"),
        ("two", "score"),
    ]
    assert float(pictures[2][COMMON]) == pytest.approx(0.5)
    assert pictures[1][ERROR] == "nan"
    with (tmp_path / SUMMARY_FILE).open(newline="", encoding="utf-8") as file:
        summary = list(csv.DictReader(file))
    assert float(summary[0][f"{COMMON} std"]) == pytest.approx(0.125)
