"""What the small networks learn from, a few steps of their training, and the command."""

import json
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge.blur_levels import BLUR_LEVELS
from defocus_edge.networks.weight_files import WeightsError
from training.__main__ import app
from training.baselines.cnn_metric import MetricConfig
from training.baselines.network_weights import list_shapes, read_weights
from training.baselines.patch_networks import DhdeConfig, build_dhde_network
from training.data.sources import load_sources
from training.patch_networks import dhde, metric
from training.patch_networks import training as patch_training
from training.patch_networks.metric import cut_superpixels
from training.patch_networks.settings import PatchSettings

SETTINGS = PatchSettings(steps=12, pictures=4, patches=12, warmup=1, learning_rate=3e-3)
NARROW_DHDE = DhdeConfig(filters=(6, 6, 6, 4), units=(24, 12))
NARROW_METRIC = MetricConfig(sides=(5, 9), filters=4)


@pytest.fixture(scope="module")
def sources(training_root):
    return load_sources(training_root, development=False), load_sources(training_root, development=True)


@pytest.fixture(autouse=True)
def few_held_back(monkeypatch):
    monkeypatch.setattr(patch_training, "_HELD_BACK", 1)


TASKS = [partial(dhde.DhdeTask, config=NARROW_DHDE), partial(metric.MetricTask, config=NARROW_METRIC)]


@pytest.mark.parametrize("make", TASKS, ids=["dhde", "cnn-metric"])
def test_loss_falls_on_a_batch(make, sources):
    task = make(SETTINGS, *sources)
    batch = task.draw(1, np.random.default_rng(0))
    losses = [task.take_step(batch) for _ in range(SETTINGS.steps)]
    assert losses[-1] < 0.9 * losses[0], losses
    assert all(np.isfinite(value) for value in task.score().values())


def test_dhde_learns_levels_of_pattern_edges_at_both_scales(sources):
    task = dhde.DhdeTask(replace(SETTINGS, pictures=12), *sources, NARROW_DHDE)
    inputs, classes, weights = task.draw(1, np.random.default_rng(0))
    assert inputs["patch"].shape == (144, 27, 27, 3)
    assert inputs["features"].shape == (144, 120)
    is_weak = inputs["features"][:, 25] == 1
    assert 0.3 < is_weak.mean() < 0.7
    assert np.ptp(BLUR_LEVELS[classes[weights > 0]]) > 2
    # Sharp patches have the largest gradients.
    steepest = np.abs(np.diff(inputs["patch"].mean(axis=3), axis=2)).max(axis=(1, 2))
    assert np.corrcoef(steepest[weights > 0], classes[weights > 0])[0, 1] < -0.4


def test_superpixels_with_one_label_are_cut(texture):
    picture = texture.astype(np.float32) / 255
    blurred = cv2.GaussianBlur(picture, (0, 0), 4)
    mask = np.zeros(picture.shape[:2], dtype=bool)
    mask[:, 40:] = True
    patches, labels = cut_superpixels(np.where(mask[..., None], blurred, picture), mask)
    assert patches.shape == (len(labels), 21, 21)
    assert labels.any()
    assert not labels.all()
    spread = patches.std(axis=(1, 2))
    assert spread[labels].mean() < spread[~labels].mean() / 2
    assert len(cut_superpixels(picture, np.random.default_rng(0).random(mask.shape) < 0.5)[1]) == 0


def test_command_trains_and_writes_weights_that_are_read(training_root, tmp_path):
    command = ["baseline-networks", "--root", str(training_root), "--out", str(tmp_path), "--only", "dhde"]
    result = CliRunner().invoke(app, [*command, "--minutes", "0.001"])
    assert result.exit_code == 0, result.output
    shapes = list_shapes(build_dhde_network())
    assert set(read_weights("dhde", shapes, tmp_path)) == set(shapes)
    known = json.loads((tmp_path / "dhde.json").read_text(encoding="utf-8"))
    assert known["command"] == (
        "python -m training baseline-networks --root DATA --out WEIGHTS --only dhde --minutes 0.001 --seed 0"
    )
    assert known["steps_taken"] >= 1
    assert known["settings"]["validation_stride"] == 10
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 2
    assert "must not exist for a new run" in " ".join(again.output.replace("│", "").split())
    with pytest.raises(WeightsError, match="No such file"):
        read_weights("cnn-metric", {}, tmp_path)


def test_command_refuses_a_folder_without_pictures(tmp_path):
    result = CliRunner().invoke(app, ["baseline-networks", "--root", str(tmp_path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "Expected a folder with pictures" in " ".join(result.output.replace("│", "").split())
