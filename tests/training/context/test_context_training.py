"""Samples, the truth about their points, the loss, and a whole training from the command line."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge.estimation.stages import measure
from defocus_edge.networks.context import POINT_VALUES, ContextConfig
from defocus_edge.networks.context_network import build_context_network
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.engines import start_engine
from defocus_edge.networks.presets import load_context_network
from tests.conftest import make_texture
from training.__main__ import app
from training.context import measuring
from training.context.points import PointTable, describe_sample
from training.context.samples import Sample, list_samples, read_sample, store_sample
from training.context.settings import ContextSettings, read_context_config
from training.context.training import ContextTask, measure_loss
from training.data import broad_scenes
from training.data.apertures import APERTURES

CONFIG = """
[network]
units = [5, 4]
[training]
steps = 3
batch = 8
"""


def make_sample(rng, height=64, width=96):
    """A picture whose truth jumps from 1 to 4 px in the middle."""
    points = np.stack([rng.integers(0, height, 200), rng.integers(0, width, 200)], axis=1)
    truth = np.where(np.arange(width) < width // 2, 1, 4) * np.ones((height, 1))
    return Sample(
        rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        truth.astype(np.float16),
        points.astype(np.int16),
        rng.uniform(1, 4, 200).astype(np.float16),
        rng.uniform(0.5, 1, 200).astype(np.float16),
        rng.random(200).astype(np.float16),
        np.ones(200, np.uint8),
    )


def test_a_sample_is_read_as_it_was_written_and_made_once(rng, tmp_path):
    sample, made = make_sample(rng), []

    def make():
        made.append(1)
        return sample

    assert store_sample(tmp_path / "new", "a", make)
    assert store_sample(tmp_path / "new", "a", make)
    assert not store_sample(tmp_path / "new", "b", lambda: None)
    assert len(made) == 1
    (path,) = list_samples(tmp_path / "new")
    for name, values in vars(read_sample(path)).items():
        np.testing.assert_array_equal(values, getattr(sample, name))


def test_labels_are_where_the_truth_jumps(rng):
    sample = make_sample(rng)
    sample.truth[:20] = np.nan
    table = describe_sample(sample)
    points = sample.points[sample.points[:, 0] >= 20]
    assert table.values.shape == (len(points), POINT_VALUES)
    np.testing.assert_array_equal(table.truth, np.where(points[:, 1] < 48, 1, 4))
    expected = np.where((points[:, 1] >= 45) & (points[:, 1] < 51), 1, 0)
    expected[points[:, 0] < 23] = -1
    np.testing.assert_array_equal(table.label, expected)


def test_points_of_reduced_pictures_are_in_px_of_those(rng):
    sample = make_sample(rng)
    sample.scale[::2] = 2
    table = describe_sample(sample)
    assert len(table.radius) == 200
    one, two = table.radius[:100], table.radius[100:]
    np.testing.assert_allclose(one, sample.point_radius[1::2].astype(np.float32))
    np.testing.assert_allclose(two, sample.point_radius[::2].astype(np.float32) / 2)
    assert set(table.truth[100:]) == {0.5, 2.0}


def test_the_loss_is_that_of_each_point(rng):
    radius, truth = rng.uniform(0.5, 12, (2, 6)).astype(np.float32)
    label = np.float32([0, 1, -1, 0, 1, -1])
    answer = rng.normal(size=(6, 3)).astype(np.float32)
    found = np.asarray(measure_loss(np.stack([radius, truth, label], axis=1), answer, 0.3, 0.7))
    for each in range(6):
        error = abs(radius[each] * 2 ** answer[each, 0] - truth[each]) / max(truth[each] / 6, 1)
        width = np.exp(answer[each, 1])
        probability = 1 / (1 + np.exp(-answer[each, 2]))
        entropy = {1: -np.log(probability), 0: -np.log(1 - probability), -1: 0}[int(label[each])]
        # -log of exp(-error / width) / (2 width), but for the constant
        expected = error + 0.3 * (error / width + np.log(width)) + 0.7 * entropy
        assert found[each] == pytest.approx(expected, rel=1e-4)


def test_training_lowers_the_error(rng):
    values = rng.normal(size=(3000, POINT_VALUES)).astype(np.float32)
    radius = rng.uniform(1, 3, 3000).astype(np.float32)
    points = PointTable(values, radius, radius * 2 ** (values[:, 3] > 0), (values[:, 5] > 0).astype(np.int8))
    network = build_context_network(ContextConfig(units=(32,)))
    task = ContextTask(network, ContextSettings(steps=150, batch=256, learning_rate=1e-2, warmup=1), points, points)
    before = task.score()
    assert before["measured_mae"] == pytest.approx(before["corrected_mae"], abs=1e-3)
    for step in range(1, 151):
        task.take_step(task.draw(step, np.random.default_rng(step)))
    assert task.score()["corrected_mae"] < 0.6 * before["measured_mae"]


@pytest.fixture
def with_apertures(training_root, tmp_path, rng, monkeypatch):
    """The training pictures and one more scene at two apertures that may be learnt from."""
    monkeypatch.setattr(broad_scenes, "LEAST_SIDE", 100)
    root = tmp_path / "root"
    folder = root / "real" / "apertures"
    folder.mkdir(parents=True)
    for path in training_root.iterdir():
        (root / path.name).symlink_to(path)
    blocks = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    for name in ("001", "002"):
        cv2.imwrite(str(folder / f"{name}_depth_mm.png"), np.full(blocks.shape[:2], 1500, np.uint16))
        for aperture in APERTURES:
            cv2.imwrite(str(folder / f"{name}_f{aperture:g}.JPG"), blocks)
    return root


def test_commands_measure_samples_and_train_a_preset(with_apertures, small_preset, tmp_path):
    store, out, config = tmp_path / "store", tmp_path / "run", tmp_path / "tiny.toml"
    config.write_text(CONFIG)
    words = ["samples", "--root", with_apertures, "--store", store, "--preset", small_preset]
    words += ["--scenes", 2, "--development", 1, "--jobs", 1]
    for _ in range(2):
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 0, result.output
    names = {folder: len(list_samples(store / folder)) for folder in ("scenes", "photos", "development")}
    assert names == {"scenes": 2, "photos": 2, "development": 1}
    truth = read_sample(next(iter(list_samples(store / "photos")))).truth
    assert np.ptp(truth[np.isfinite(truth)]) == 0  # one depth, one radius
    words = ["context", "--store", store, "--out", out, "--config", config, "--preset", small_preset]
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    metadata = json.loads((out / "preset" / "metadata.json").read_text())
    assert {**metadata["samples"], "points": 0} == {"scenes": 2, "photos": 2, "points": 0, "edge_preset": "small"}
    assert metadata["command"].startswith("python -m training context --config tiny.toml --store store --out run")
    assert str(tmp_path) not in json.dumps(metadata)
    assert load_context_network(out / "preset").config.units == (5, 4)
    words[4] = tmp_path / "more"
    more = CliRunner().invoke(app, [*map(str, words), "--start", str(out / "preset")])
    assert more.exit_code == 0, more.output
    config.write_text(CONFIG.replace("[5, 4]", "[5]"))
    words[4] = tmp_path / "other"
    other = CliRunner().invoke(app, [*map(str, words), "--start", str(out / "preset")])
    assert other.exit_code == 2
    assert "widths" in other.output


def test_a_photograph_with_depth_edges_only_is_left_out(with_apertures, tmp_path, rng, monkeypatch):
    sample = make_sample(rng, 96, 128)
    sample.depth_probability[:] = 1
    monkeypatch.setattr(measuring, "measure_sample", lambda *_: sample)
    monkeypatch.setattr(measuring, "_load_evaluator", lambda _: None)
    plan = measuring.Plan(with_apertures, tmp_path / "store", "any", scenes=0, development=0)
    assert list(measuring.fill_store(plan, jobs=1)) == [2]
    assert list_samples(tmp_path / "store" / "photos") == []


def test_pictures_of_a_store_are_measured_again(rng, small_preset, tmp_path):
    old = replace(make_sample(rng), image=make_texture(rng, 64, 96))
    for folder in ("scenes", "photos", "development"):
        store_sample(tmp_path / "old" / folder, "one", lambda: old)
    words = ("samples", "--root", str(tmp_path), "--store", str(tmp_path / "new"), "--preset", str(small_preset))
    again = [*words, "--jobs", "1", "--pictures"]
    measured = CliRunner().invoke(app, [*again, str(tmp_path / "old")], catch_exceptions=False)
    assert measured.exit_code == 0, measured.output
    for folder in ("scenes", "photos", "development"):
        (path,) = list_samples(tmp_path / "new" / folder)
        assert path.name == list_samples(tmp_path / "old" / folder)[0].name
        new = read_sample(path)
        np.testing.assert_array_equal(new.image, old.image)
        np.testing.assert_array_equal(new.truth, old.truth)
        evaluator = DenseEvaluator(start_engine(small_preset))
        expected = measure(old.image / np.float32(255), evaluator).found
        np.testing.assert_array_equal(new.points, expected.points)
        np.testing.assert_allclose(new.point_radius, expected.radius, atol=0.01)
    refused = CliRunner().invoke(app, [*again, str(tmp_path / "nothing")])
    assert refused.exit_code != 0
    assert "must be a store" in refused.output


def test_an_empty_store_is_refused(tmp_path):
    result = CliRunner().invoke(app, ["context", "--store", str(tmp_path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "samples" in result.output


def test_the_configuration_of_the_package_is_that_of_the_preset():
    assert read_context_config("default").architecture.units == load_context_network("context-v1").config.units
