"""The training loop: it learns, it logs, it can be killed, and each stage trains what it should."""

import csv
import dataclasses
import functools
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from defocus_edge.blur_levels import BLUR_LEVELS, N_LEVELS
from defocus_edge.networks.dense import DenseEvaluator
from defocus_edge.networks.edge_networks import EdgeNetworks, EdgeNetworksConfig, build_edge_networks
from defocus_edge.patches import PATCH_RADIUS
from training import edge_training
from training.crops import CropSampler
from training.edge_model import PointModel, blur_level_loss, compile_point_model
from training.edge_training import (
    TrainingSettings,
    load_checkpoint,
    save_checkpoint,
    score_model,
    train_edge_network,
)
from training.sources import load_sources

F1 = [f"{branch}_conv{number}" for branch in ("b1", "b2", "b3") for number in (1, 2, 3, 4)]
SETTINGS = TrainingSettings("blur", steps=4, crops=2, points=40, warmup=1)


class FixedSampler:
    """The batches of a list, one after the other, whatever is asked for; the last one again and again."""

    def __init__(self, *batches):
        self.batches = list(batches)

    def draw_batch(self, *_, **__):
        return self.batches.pop(0) if len(self.batches) > 1 else self.batches[0]


@pytest.fixture(scope="module", autouse=True)
def _short_runs():
    """Score few crops and log each step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge_training, "_DEVELOPMENT_CROPS", 2)
        patch.setattr(edge_training, "LOG_STEPS", 1)
        yield


@pytest.fixture(scope="module")
def samplers(training_root):
    return tuple(CropSampler(load_sources(training_root, development=development)) for development in (False, True))


@pytest.fixture(scope="module")
def batches(samplers):
    return [samplers[0].draw_batch(2, 40, rng=np.random.default_rng(seed)) for seed in (1, 2)]


@dataclasses.dataclass
class Run:
    """A whole run of four steps."""

    settings: TrainingSettings
    networks: EdgeNetworks
    scores: dict[str, float]
    folder: Path


@pytest.fixture(scope="module")
def runs(small_networks, samplers, tmp_path_factory):
    """Makes the run of a head once; tests must not change it."""

    @functools.cache
    def make_run(head):
        settings, networks = dataclasses.replace(SETTINGS, head=head), copy_networks(small_networks)
        folder = tmp_path_factory.mktemp("runs") / "new" / head
        return Run(settings, networks, train_edge_network(networks, settings, *samplers, folder=folder), folder)

    return make_run


@pytest.fixture
def networks(small_networks):
    """Networks that a test may train."""
    return copy_networks(small_networks)


def copy_networks(networks):
    copied = build_edge_networks(networks.config)
    copied.joint.set_weights(networks.joint.get_weights())
    return copied


def get_weights(networks):
    return {layer.name: layer.get_weights() for layer in networks.joint.layers if layer.weights}


def find_changed(before, after):
    return {
        name
        for name in before
        if any((one != other).any() for one, other in zip(before[name], after[name], strict=True))
    }


def read_log(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def make_model(networks, head="blur", *, learning_rate=1e-3):
    model = PointModel(networks, head)
    compile_point_model(model, head, learning_rate=learning_rate)
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_a_run_writes_checkpoint_and_log_and_returns_scores(head, runs):
    run = runs(head)
    assert set(run.scores) == ({"mae_px", "p95_px"} if head == "blur" else {"accuracy", "precision", "recall"})
    assert all(np.isfinite(value) for value in run.scores.values())
    board = ["tensorboard"] if importlib.util.find_spec("tensorboard") else []  # comes with the extra `train`
    assert sorted(path.name for path in run.folder.iterdir()) == [f"{head}.csv", f"{head}.npz", *board]
    with np.load(run.folder / f"{head}.npz") as checkpoint:
        assert checkpoint["step"] == run.settings.steps
        assert json.loads(str(checkpoint["settings"])) == dataclasses.asdict(run.settings)


def test_half_precision_trains(networks, samplers, tmp_path):
    settings = dataclasses.replace(SETTINGS, steps=1, precision="mixed_bfloat16")
    train_edge_network(networks, settings, *samplers, folder=tmp_path)
    assert float(read_log(tmp_path / "blur.csv")[0]["loss"]) > 0
    assert {weight.dtype for weight in networks.joint.weights} == {"float32"}


def test_unknown_head_is_refused():
    with pytest.raises(ValueError, match=r"head must be 'blur' or 'edge'\. Got: 'depth'"):
        TrainingSettings("depth", steps=1)


@pytest.mark.parametrize("values", [{"steps": 0}, {"steps": 1, "crops": 0}, {"steps": 1, "points": -1}])
def test_counts_must_be_positive(values):
    with pytest.raises(ValueError, match=r"steps, crops and points must be positive\. Got: "):
        TrainingSettings("blur", **values)


def test_checkpoint_of_another_model_is_refused(networks, tmp_path):
    save_checkpoint(tmp_path / "blur.npz", make_model(networks), 3, SETTINGS)
    other = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(8,)))
    with pytest.raises(ValueError, match=r"blur\.npz must hold \d+ arrays of this model\. Got: \d+"):
        load_checkpoint(tmp_path / "blur.npz", make_model(other))


def test_no_checkpoint_starts_at_the_first_step(networks, tmp_path):
    assert load_checkpoint(tmp_path / "none.npz", make_model(networks)) == 0


def test_checkpoint_brings_back_weights_and_optimizer(networks, batches, tmp_path):
    model = make_model(networks)
    edge_training._take_step(model, "blur", batches[0])
    save_checkpoint(tmp_path / "blur.npz", model, 7, SETTINGS)
    expected = [np.asarray(variable) for variable in (*model.variables, *model.optimizer.variables)]
    edge_training._take_step(model, "blur", batches[1])
    assert load_checkpoint(tmp_path / "blur.npz", model) == 7
    for variable, value in zip((*model.variables, *model.optimizer.variables), expected, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value)


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_model_gives_what_the_dense_evaluator_gives(head, networks, batches):
    batch = batches[0]
    model = make_model(networks, head)
    output = np.asarray(model({"images": batch.images, "points": batch.points}))
    inner = slice(PATCH_RADIUS, -PATCH_RADIUS)
    for number in range(2):
        here = (batch.points[:, 0] == number) & (batch.valid > 0)
        near = batch.points[here, 1:] + PATCH_RADIUS
        expected = DenseEvaluator(networks, tile_side=128).predict(batch.images[number], near)
        np.testing.assert_allclose(output[here], getattr(expected, head), atol=1e-5)
        assert batch.images[number][inner, inner].shape == (64, 64, 3)


def test_loss_is_zero_for_the_truth_and_grows_with_the_error():
    shares = np.eye(N_LEVELS, dtype=np.float32)[[4, 4, 4]]
    guesses = np.eye(N_LEVELS, dtype=np.float32)[[4, 5, 12]]
    loss = np.asarray(blur_level_loss(shares, guesses))
    assert loss[0] == pytest.approx(0, abs=1e-6)
    assert loss[2] - loss[1] == pytest.approx(float(BLUR_LEVELS[12] - BLUR_LEVELS[5]), abs=1e-4)
    even = np.full((1, N_LEVELS), 1 / N_LEVELS, dtype=np.float32)
    expected = np.log(N_LEVELS) + abs(BLUR_LEVELS.mean() - BLUR_LEVELS[4])
    assert np.asarray(blur_level_loss(shares[:1], even))[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_loss_falls_on_a_fixed_batch_and_the_log_has_a_row_for_each_interval(
    head, networks, batches, tmp_path, monkeypatch
):
    monkeypatch.setattr(edge_training, "LOG_STEPS", 5)
    settings = dataclasses.replace(SETTINGS, head=head, steps=12, learning_rate=5e-3)
    sampler = FixedSampler(batches[0])
    train_edge_network(networks, settings, sampler, sampler, folder=tmp_path)
    rows = read_log(tmp_path / f"{head}.csv")
    assert list(rows[0]) == ["step", "loss", "steps_per_second"]
    assert [int(row["step"]) for row in rows] == [5, 10, 12]
    assert 0 < float(rows[2]["loss"]) < float(rows[0]["loss"])
    assert all(float(row["steps_per_second"]) > 0 for row in rows)


def test_logged_loss_is_that_of_its_own_steps(networks, batches, tmp_path):
    """With a learning rate of 0 a batch has the same loss whenever it comes."""
    settings = dataclasses.replace(SETTINGS, steps=4, learning_rate=0.0)
    sampler = FixedSampler(*batches, *batches)
    train_edge_network(networks, settings, sampler, FixedSampler(batches[0]), folder=tmp_path)
    one, other, *again = (float(row["loss"]) for row in read_log(tmp_path / "blur.csv"))
    assert one != pytest.approx(other, rel=1e-3)
    assert again == pytest.approx([one, other], rel=1e-4)


def test_b_net_stage_trains_f1_and_its_head_only(small_networks, runs):
    changed = find_changed(get_weights(small_networks), get_weights(runs("blur").networks))
    assert set(F1) <= changed
    assert all(name.startswith(("b1", "b2", "b3", "blur_head")) for name in changed)


def test_e_net_stage_leaves_b_net_untouched(small_networks, runs):
    changed = find_changed(get_weights(small_networks), get_weights(runs("edge").networks))
    assert {"f2_conv1", "f2_conv4", "edge_head_conv1", "edge_head_dense3"} <= changed
    assert all(name.startswith(("f2", "edge_head")) for name in changed)


def test_padding_and_depth_edges_do_not_move_b_net(networks, batches):
    batch = batches[0]
    nothing = dataclasses.replace(batch, valid=np.zeros_like(batch.valid))
    depth = dataclasses.replace(batch, is_depth=np.ones_like(batch.is_depth))
    before = get_weights(networks)
    model = make_model(networks)
    for useless in (nothing, depth):
        assert edge_training._take_step(model, "blur", useless) == 0
    assert not find_changed(before, get_weights(networks))


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_killed_and_resumed_equals_uninterrupted(head, runs, small_networks, samplers, tmp_path, monkeypatch):
    whole = runs(head)
    take_step, steps = edge_training._take_step, []

    def take_two_steps(*arguments):
        if len(steps) == 2:
            raise KeyboardInterrupt
        steps.append(arguments)
        return take_step(*arguments)

    killed = copy_networks(small_networks)
    with monkeypatch.context() as patch:
        patch.setattr(edge_training, "CHECKPOINT_SECONDS", -1)
        patch.setattr(edge_training, "_take_step", take_two_steps)
        with pytest.raises(KeyboardInterrupt):
            train_edge_network(killed, whole.settings, *samplers, folder=tmp_path)

    resumed = copy_networks(small_networks)  # nothing but the checkpoint is left of the killed run
    scores = train_edge_network(resumed, whole.settings, *samplers, folder=tmp_path, resume=True)
    for name, values in get_weights(whole.networks).items():
        for one, other in zip(values, get_weights(resumed)[name], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6, err_msg=name)
    assert scores == pytest.approx(whole.scores, abs=2e-4)
    assert [int(row["step"]) for row in read_log(tmp_path / f"{head}.csv")] == [1, 2, 3, 4]


def test_a_finished_run_resumed_takes_no_step(runs, small_networks, samplers, tmp_path):
    run = runs("blur")
    shutil.copytree(run.folder, tmp_path, dirs_exist_ok=True)
    again = copy_networks(small_networks)
    assert train_edge_network(again, run.settings, *samplers, folder=tmp_path, resume=True) == run.scores
    assert not find_changed(get_weights(run.networks), get_weights(again))
    assert len(read_log(tmp_path / "blur.csv")) == run.settings.steps


def test_scores_of_a_model_that_knows_the_truth(batches):
    batch = batches[0]

    class Oracle:
        def __init__(self, output):
            self.output = output

        def predict_on_batch(self, _):
            return self.output

    assert score_model(Oracle(batch.levels), "blur", [batch]) == {"mae_px": 0.0, "p95_px": 0.0}
    labels = dataclasses.replace(batch, is_depth=(np.arange(len(batch.valid)) % 2).astype(np.int8))
    right = np.eye(2, dtype=np.float32)[labels.is_depth.astype(int)]
    assert score_model(Oracle(right), "edge", [labels]) == {"accuracy": 1.0, "precision": 1.0, "recall": 1.0}
    assert score_model(Oracle(1 - right), "edge", [labels]) == {"accuracy": 0.0, "precision": 0.0, "recall": 0.0}


def test_inner_kernels_turn_by_muon_and_all_other_weights_by_adam(networks, batches):
    rate = 1e-3
    before = get_weights(networks)
    edge_training._take_step(make_model(networks, learning_rate=rate), "blur", batches[0])
    after = get_weights(networks)
    inner = (after["b2_conv2"][0] - before["b2_conv2"][0]).reshape(-1, 4)
    stretch = np.linalg.svd(inner, compute_uv=False)
    assert stretch.max() / stretch.min() < 3  # all directions alike
    first = np.abs(after["b1_conv1"][0] - before["b1_conv1"][0])
    assert np.median(first[first > 0]) == pytest.approx(rate, rel=0.02)  # Adam's first step is the rate
