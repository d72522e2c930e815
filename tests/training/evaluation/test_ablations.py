"""Variants of the pipeline from one run of the networks: the default is the pipeline, the others differ as they say."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from defocus_edge.arrays import as_image
from defocus_edge.estimation.stages import measure
from defocus_edge.networks.edge.dense import DenseEvaluator, EdgePrediction
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.presets import load_edge_networks
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.propagation.settings import PropagationSettings
from training.data.development import DevelopmentScene
from training.evaluation import ablations
from training.evaluation.ablations import (
    SHORT_TRAININGS,
    UNCORRECTED_VARIANTS,
    VARIANTS,
    AblationScore,
    make_map,
    score_ablations,
    smooth_edges,
    spread_by_matting,
    summarize_ablations,
    write_ablations,
)

ALL_VARIANTS = VARIANTS | UNCORRECTED_VARIANTS


@pytest.fixture
def image(texture, rng):
    """Grain in the blocks of the texture: the matting Laplacian knows none that are plain."""
    return np.clip(as_image(texture) + rng.normal(0, 0.02, texture.shape), 0, 1).astype(np.float32)


@pytest.fixture
def scene(image):
    label = np.zeros(image.shape[:2], dtype=np.int8)
    return DevelopmentScene("one", "uniform", image, np.full(image.shape[:2], 2.0, dtype=np.float32), label)


def measure_one_scale(image, networks):
    return measure(image, DenseEvaluator(KerasEngine(networks)), max_radius=6, keep_softmax=True).found


@pytest.fixture
def found(image, small_networks):
    """Points of which the networks are rather sure, and a random third are depth edges, so that walls matter."""
    points = measure_one_scale(image, small_networks)
    blur = points.softmax.blur**8
    sure = EdgePrediction(blur / blur.sum(axis=1, keepdims=True), points.softmax.edge)
    is_depth_edge = np.random.default_rng(3).random(len(points)) < 1 / 3
    labelled = replace(points, softmax=sure, depth_probability=is_depth_edge.astype(np.float32))
    return labelled.reread(read_out="median")


@pytest.fixture
def no_matting(monkeypatch):
    """Matting takes a second; here it gives the default."""
    monkeypatch.setitem(ablations.VARIANTS, "matting Laplacian", make_map)
    monkeypatch.setitem(ablations.UNCORRECTED_VARIANTS, "matting Laplacian of all edge points", make_map)


@pytest.mark.parametrize(
    ("variant", "options"),
    [
        ("default", {}),
        ("no depth penalty", {"depth_penalty": 0.0}),
        ("no context network, argmax", {"read_out": "argmax"}),
        ("no context network, expectation", {"read_out": "expectation"}),
        ("paper's propagation", {"propagation": "paper"}),
    ],
)
def test_variants_with_a_switch_are_what_the_switch_does(image, small_networks, variant, options):
    estimate = BlurEstimator(small_networks, **options).estimate(image)
    points = measure_one_scale(image, small_networks)
    np.testing.assert_array_equal(points.points, estimate.points)
    np.testing.assert_array_equal(points.is_depth_edge, estimate.is_depth_edge)
    np.testing.assert_allclose(ALL_VARIANTS[variant](image, points), estimate.radius, rtol=1e-5)


def test_each_variant_differs_from_the_default(image, found):
    default = VARIANTS["default"](image, found)
    for name, make in ALL_VARIANTS.items():
        blur_map = make(image, found)
        assert blur_map.shape == default.shape
        assert np.isfinite(blur_map).all()
        assert (name in {"default", "no context network"}) == bool((blur_map == default).all()), name


def test_filters_see_pattern_edges_only(found):
    changed = smooth_edges(found).radius != found.radius
    assert not changed[found.is_depth_edge].any()
    assert changed[~found.is_depth_edge].any()


def test_matting_takes_the_weights_of_the_pipeline(image, found, monkeypatch):
    taken = {}

    def propagate(values, weight, guide):
        taken.update(values=values, weight=weight, guide=guide)
        return values

    monkeypatch.setattr(ablations, "propagate_by_matting", propagate)
    spread_by_matting(image, found)
    pattern = found.select(~found.is_depth_edge)
    at = tuple(pattern.points.T)
    assert (taken["weight"] > 0).sum() == len(pattern)
    np.testing.assert_array_equal(taken["values"][at], pattern.radius)
    power = PropagationSettings().confidence_power
    np.testing.assert_allclose(taken["weight"][at], pattern.positive_confidence**power, rtol=1e-6)
    assert taken["guide"] is image


@pytest.mark.usefixtures("no_matting")
def test_networks_run_once_for_each_scene(scene, small_networks, monkeypatch):
    runs = []
    predict = DenseEvaluator.predict
    monkeypatch.setattr(
        DenseEvaluator, "predict", lambda self, *points, **options: runs.append(1) or predict(self, *points, **options)
    )
    scores = score_ablations([scene, scene], small_networks)
    assert len(runs) == 2
    assert [score.method for score in scores] == [*ALL_VARIANTS] * 2
    expected = np.abs(BlurEstimator(small_networks).estimate(scene.image).radius - 2).mean()
    assert scores[0].error == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("no_matting")
def test_context_network_corrects_the_points_of_the_default(scene, small_networks):
    networks = replace(small_networks, config=replace(small_networks.config, context="context-v1"))
    errors = {score.method: score.error for score in score_ablations([scene], networks)}
    for variant, context in (("default", True), ("no context network", False)):
        estimate = BlurEstimator(networks, context=context, engine="keras").estimate(scene.image)
        assert errors[variant] == pytest.approx(np.abs(estimate.radius - 2).mean(), rel=1e-5)
    assert errors["default"] != errors["no context network"]


@pytest.mark.usefixtures("no_matting")
def test_other_networks_are_the_last_rows(scene, small_networks):
    scores = score_ablations([scene], small_networks, others={"one": small_networks, "two": small_networks})
    assert [score.method for score in scores] == [*ALL_VARIANTS, "one", "two"]
    assert scores[-1].error == scores[0].error  # the same networks here


def test_scene_without_edges_has_no_scores_and_is_said(scene, small_networks):
    plain = DevelopmentScene("plain", "f", np.full_like(scene.image, 0.5), scene.radius, scene.edge_label)
    lines = []
    scores = score_ablations([plain], small_networks, say=lines.append)
    assert len(scores) == len(ALL_VARIANTS)
    assert np.isnan([score.error for score in scores]).all()
    assert lines == ["plain: No edges found in the image of 64×80 px: nothing shows how blurred it is."]


def test_a_variant_that_cannot_be_solved_is_left_open_and_said(scene, small_networks, monkeypatch):
    def fail(*_):
        msg = "Conjugate gradient descent did not converge."
        raise ValueError(msg)

    monkeypatch.setitem(ablations.VARIANTS, "matting Laplacian", fail)
    lines = []
    scores = {score.method: score.error for score in score_ablations([scene], small_networks, say=lines.append)}
    assert [name for name, error in scores.items() if np.isnan(error)] == ["matting Laplacian"]
    assert lines == ["one, matting Laplacian: Conjugate gradient descent did not converge."]


def test_scene_of_depth_edges_alone_has_no_scores_and_is_said(scene, small_networks, monkeypatch):
    def predict(_, __, points, **___):
        return EdgePrediction(np.full((len(points), 23), 1 / 23), np.tile([0.0, 1.0], (len(points), 1)))

    monkeypatch.setattr(DenseEvaluator, "predict", predict)
    lines = []
    scores = score_ablations([scene], small_networks, say=lines.append)
    assert np.isnan([score.error for score in scores]).all()
    (line,) = lines
    assert re.match(r"one: All \d+ edge points of the image are depth edges", line)


def test_summary_has_families_side_by_side():
    scores = [
        AblationScore(variant, family, picture, error)
        for variant, family, picture, error in (
            ("default", "f", "1", 1.0),
            ("worse", "f", "1", 2.0),
            ("default", "f", "2", 3.0),
            ("worse", "f", "2", float("nan")),
            ("default", "g", "3", 5.0),
            ("worse", "g", "3", 6.0),
        )
    ]
    assert summarize_ablations(scores) == [
        {"variant": "default", "f": 2.0, "g": 5.0, "all": 3.0},
        {"variant": "worse", "f": 2.0, "g": 6.0, "all": 4.0},
    ]


def test_each_scene_is_written(tmp_path):
    write_ablations(tmp_path / "a.csv", [AblationScore("default", "f", "1", 1.5), AblationScore("worse", "f", "1")])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [list(row.values()) for row in rows] == [["f", "1", "default", "1.5"], ["f", "1", "worse", "nan"]]


def test_short_trainings_differ_in_the_patches_only():
    multi, single = (json.loads((folder / "metadata.json").read_text()) for folder in SHORT_TRAININGS.values())
    assert single["config"]["networks"].pop("branch_sides") == [41]
    for metadata in (multi, single):
        metadata["config"].pop("name")
    assert multi["config"] == single["config"]
    counts = [load_edge_networks(folder).b_net.count_params() for folder in SHORT_TRAININGS.values()]
    assert counts[0] == 560_731
    assert counts[1] < 0.6 * counts[0]
