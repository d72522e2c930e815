"""Samples, parts of them, the loss, and a whole training from the command line."""

import json

import cv2
import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge import BlurEstimator
from defocus_edge.networks.presets import load_refinement_network
from defocus_edge.networks.refinement import RefinementConfig, build_refinement_network
from training.__main__ import app
from training.data import broad_scenes
from training.data.apertures import APERTURES
from training.refinement import dataset, measuring, stages
from training.refinement.dataset import draw_batch, open_sample
from training.refinement.samples import Sample, list_samples, read_sample, store_sample
from training.refinement.settings import RefinementSettings, read_refinement_config
from training.refinement.training import RefinementTask, measure_errors, measure_loss

CONFIG = """
[network]
filters = [4, 4, 4, 4]
[training]
steps = 2
batch = 2
"""


def make_sample(rng, height=64, width=96, *, truth=2.0):
    points = np.stack([rng.integers(0, height, 200), rng.integers(0, width, 200)], axis=1)
    shape = (height, width)
    return Sample(
        rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
        np.full(shape, truth, np.float16),
        points.astype(np.int16),
        rng.uniform(1, 4, 200).astype(np.float16),
        rng.uniform(0.5, 1, 200).astype(np.float16),
        rng.random(200).astype(np.float16),
        np.ones(200, np.uint8),
        np.full(shape, 3, np.float16),
        np.ones(shape, np.float16),
    )


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return build_refinement_network(RefinementConfig(filters=(4, 4, 4, 4)))


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


def test_unknown_truth_has_no_weight(rng, network):
    sample = make_sample(rng)
    sample.truth[:32] = np.nan
    sample.truth[32:, :48] = 5
    cells = open_sample(sample, network, depth_threshold=0.5)
    assert cells.cells.shape[:2] == cells.truth.shape == (16, 24)
    assert [feature.shape[0] for feature in cells.features] == [16, 8, 4, 2]
    np.testing.assert_array_equal(cells.weight, np.repeat([0, 1], 8)[:, None] * np.ones(24))
    np.testing.assert_allclose(cells.truth[8:], np.where(np.arange(24) < 12, 5, 2) * np.ones((8, 1)))


def test_a_batch_shows_the_same_part_of_everything(rng, network, monkeypatch):
    monkeypatch.setattr(dataset, "SIZES", ((8, 8), (8, 16)))
    sample = make_sample(rng)
    cells = open_sample(sample, network, depth_threshold=0.5)
    places = np.arange(16 * 24).reshape(16, 24)
    cells.truth[...] = places
    cells.cells[..., 1] = places
    for level, feature in enumerate(cells.features):
        step = 2**level
        feature[..., 0] = places[::step, ::step] // 8 if level == 3 else 0
    inputs, truth = draw_batch([cells], 64, rng)
    rows, columns = truth.shape[1:3]
    assert (rows, columns) in dataset.SIZES
    np.testing.assert_array_equal(inputs[0][..., 1], truth[..., 0])
    np.testing.assert_allclose(truth[..., 2], 3, rtol=1e-2)
    steps = np.unique(truth[:, 0, 1, 0] - truth[:, 0, 0, 0])
    np.testing.assert_array_equal(steps, [-1, 1])  # mirrored or not
    assert [each.shape[1] for each in inputs[1:]] == [rows // step for step in (1, 2, 4, 8)]
    scales = inputs[0][:, 0, 0, 0] - np.log2(truth[:, 0, 0, 2])
    assert 0.1 < (np.abs(scales) > 1e-2).mean() < 0.6
    # The coarsest features belong to the part, too: 8 cells a value.
    first = np.minimum(truth[:, 0, 0, 0], truth[:, 0, -1, 0]) // 8
    np.testing.assert_array_equal(inputs[4][..., 0].min(axis=(1, 2)), first)


def test_the_loss_is_the_error_and_the_likelihood(rng):
    radius, spread = rng.uniform(0.5, 12, (2, 3, 4, 5)).astype(np.float32)
    weight = rng.integers(0, 2, (3, 4, 5)).astype(np.float32)
    answer = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    found = np.asarray(measure_loss(np.stack([radius, weight, spread], axis=-1), answer, 0.3))
    for each in range(3):
        total = count = 0.0
        for place in np.ndindex(4, 5):
            at = (each, *place)
            error = abs(spread[at] * 2 ** answer[at][0] - radius[at]) / max(radius[at] / 6, 1)
            width = np.exp(answer[at][1])
            # -log of exp(-error / width) / (2 width), but for the constant
            total += weight[at] * (error + 0.3 * (error / width + np.log(width)))
            count += weight[at]
        assert found[each] == pytest.approx(total / (count + 1), rel=1e-4)


def test_training_lowers_the_error(rng, network, monkeypatch):
    monkeypatch.setattr(dataset, "SIZES", ((8, 8),))
    samples = [open_sample(make_sample(rng), network, depth_threshold=0.5)]
    settings = RefinementSettings(steps=40, batch=4, learning_rate=1e-2, warmup=1)
    task = RefinementTask(network, settings, samples, [], samples)
    before = task.score()
    assert before["spread_mae"] == before["refined_mae"] == pytest.approx(1, abs=0.01)
    frozen = network.encoder.get_weights()
    for step in range(1, 41):
        task.take_step(task.draw(step, np.random.default_rng(step)))
    assert task.score()["refined_mae"] < 0.5
    assert measure_errors(network.decoder, samples[0])[1] == pytest.approx(task.score()["refined_mae"], abs=1e-3)
    for now, then in zip(network.encoder.get_weights(), frozen, strict=True):
        np.testing.assert_array_equal(now, then)


def test_photographs_are_learnt_from_in_their_share(rng, network, monkeypatch):
    monkeypatch.setattr(dataset, "SIZES", ((8, 8),))
    scenes, photos = (
        [open_sample(make_sample(rng, truth=truth), network, depth_threshold=0.5)] for truth in (2.0, 5.0)
    )
    task = RefinementTask(network, RefinementSettings(steps=1, photo_share=0.25), scenes, photos, scenes)
    drawn = [task.draw(1, np.random.default_rng(seed))[1][0, 0, 0, 0] == 5 for seed in range(200)]
    assert 0.15 < np.mean(drawn) < 0.35


@pytest.fixture
def with_apertures(training_root, tmp_path, rng):
    """The training pictures and one more scene at two apertures that may be learnt from."""
    root = tmp_path / "root"
    (root / "real" / "apertures").mkdir(parents=True)
    for path in training_root.iterdir():
        (root / path.name).symlink_to(path)
    blocks = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    for name in ("001", "002"):
        folder = root / "real" / "apertures"
        cv2.imwrite(str(folder / f"{name}_depth_mm.png"), np.full(blocks.shape[:2], 1500, np.uint16))
        for aperture in APERTURES:
            cv2.imwrite(str(folder / f"{name}_f{aperture:g}.JPG"), blocks)
    return root


def test_commands_measure_samples_and_train_a_preset(with_apertures, small_preset, tmp_path, monkeypatch):
    monkeypatch.setattr(broad_scenes, "LEAST_SIDE", 100)
    monkeypatch.setattr(dataset, "SIZES", ((8, 8),))
    monkeypatch.setattr(stages, "find_weights", lambda: None)
    monkeypatch.setattr(stages, "read_tensors", lambda _: None)
    monkeypatch.setattr(stages, "fill_efficientnet", lambda *_: None)
    store, out, config = tmp_path / "store", tmp_path / "run", tmp_path / "tiny.toml"
    config.write_text(CONFIG)
    words = ["samples", "--root", with_apertures, "--store", store, "--preset", small_preset]
    words += ["--scenes", 2, "--development", 1, "--jobs", 1]
    for _ in range(2):
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 0, result.output
    names = {folder: len(list_samples(store / folder)) for folder in ("scenes", "photos", "development")}
    assert names == {"scenes": 2, "photos": 2, "development": 1}
    words = ["refinement", "--store", store, "--out", out, "--config", config, "--preset", small_preset]
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    metadata = json.loads((out / "preset" / "metadata.json").read_text())
    assert metadata["samples"] == {"scenes": 2, "photos": 2, "edge_preset": small_preset.name}
    assert str(tmp_path) not in json.dumps(metadata)
    network = load_refinement_network(out / "preset")
    assert network.config.filters == (4, 4, 4, 4)
    again = CliRunner().invoke(app, [*map(str, words), "--resume", "--start", str(out / "preset"), "--steps", "3"])
    assert again.exit_code == 2  # a run that is resumed cannot begin with other weights
    assert "start" in again.output


def test_an_empty_store_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "find_weights", lambda: None)
    monkeypatch.setattr(stages, "read_tensors", lambda _: None)
    monkeypatch.setattr(stages, "fill_efficientnet", lambda *_: None)
    result = CliRunner().invoke(app, ["refinement", "--store", str(tmp_path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "samples" in result.output


def test_the_configuration_of_the_package_is_that_of_the_preset():
    config = read_refinement_config("default")
    assert config.architecture == load_refinement_network().config
    assert measuring.SCENES != measuring.DEVELOPMENT


def test_learned_maps_come_from_the_network_of_the_preset(texture, small_preset):
    learned, spread = (BlurEstimator(small_preset, propagation=name) for name in ("learned", "filter"))
    assert learned.settings.refinement == "refinement-v1"
    assert spread.settings.refinement is None
    first, second = (each.estimate(texture) for each in (learned, spread))
    np.testing.assert_array_equal(first.point_radius, second.point_radius)
    assert first.radius.shape == second.radius.shape
    assert (first.radius != second.radius).any()
    assert 0 <= first.confidence.min() <= first.confidence.max() <= 1
