"""The training loop: it learns, it logs, it can be killed and interrupted, and goes on as if nothing had been."""

import dataclasses
import functools
import importlib.util
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from defocus_edge.networks.edge.networks import EdgeNetworks
from tests.training.training_cases import (
    BLUR,
    SETTINGS,
    FixedSampler,
    compile_eagerly,
    copy_networks,
    find_changed,
    get_weights,
    read_rows,
)
from training.data.sources import load_sources
from training.edges import training as edge_training
from training.edges.crops import CropSampler
from training.edges.patch_sampler import PatchSampler
from training.edges.settings import TrainingSettings
from training.edges.training import EdgeTask, build_sampler
from training.runs import log as training_log
from training.runs import training as run_training
from training.runs.checkpoints import CheckpointError, describe_run


@pytest.fixture(scope="module", autouse=True)
def _short_runs():
    """Log each step, and trace no graphs: `test_training_kill.py` does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge_training, "compile_model", compile_eagerly)
        patch.setattr(training_log, "LOG_STEPS", 1)
        yield


@pytest.fixture(scope="module")
def sources(training_root):
    return load_sources(training_root, development=False)


@pytest.fixture(scope="module")
def development(training_root):
    return CropSampler(load_sources(training_root, development=True))


@pytest.fixture(scope="module")
def batches(sources):
    sampler = CropSampler(sources)
    return [sampler.draw_batch(2, 40, rng=np.random.default_rng(seed)) for seed in (1, 2)]


def train(networks, settings, sampler, development, **options):
    task = EdgeTask(networks, settings, sampler, development, scored_crops=2)
    return run_training.train(task, **options)


@dataclasses.dataclass
class Run:
    """A whole run of four steps."""

    settings: TrainingSettings
    networks: EdgeNetworks
    scores: dict[str, float]
    folder: Path


@pytest.fixture(scope="module")
def runs(small_networks, sources, development, tmp_path_factory):
    """Makes the run of a head once; tests must not change it."""

    @functools.cache
    def make_run(head):
        settings, networks = SETTINGS[head], copy_networks(small_networks)
        folder = tmp_path_factory.mktemp("runs") / "new" / head
        scores = train(networks, settings, build_sampler(sources, settings), development, folder=folder)
        return Run(settings, networks, scores, folder)

    return make_run


@pytest.fixture
def networks(small_networks):
    """Networks that a test may train."""
    return copy_networks(small_networks)


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_a_run_writes_checkpoint_and_log_and_returns_scores(head, runs):
    run = runs(head)
    assert set(run.scores) == ({"mae_px", "p95_px"} if head == "blur" else {"accuracy", "precision", "recall"})
    assert all(np.isfinite(value) for value in run.scores.values())
    board = ["tensorboard"] if importlib.util.find_spec("tensorboard") else []  # comes with the extra `train`
    assert sorted(path.name for path in run.folder.iterdir()) == [f"{head}.csv", f"{head}.npz", *board]
    with np.load(run.folder / f"{head}.npz") as checkpoint:
        assert checkpoint["step"] == run.settings.steps
        assert json.loads(str(checkpoint["settings"])) == describe_run(run.settings, run.networks.config)


def test_half_precision_trains(networks, batches, development, tmp_path):
    settings = dataclasses.replace(BLUR, steps=1, precision="mixed_bfloat16")
    train(networks, settings, FixedSampler(batches[0]), development, folder=tmp_path)
    assert float(read_rows(tmp_path / "blur.csv")[0]["loss"]) > 0
    assert {weight.dtype for weight in networks.joint.weights} == {"float32"}


def test_settings_choose_the_sampler(sources):
    settings = dataclasses.replace(BLUR, families={"uniform": 1.0}, level_share=1.0)
    dense = build_sampler(sources, settings)
    assert isinstance(dense, CropSampler)
    assert set(dense.draw_batch(3, 5, rng=np.random.default_rng(0)).family) == {"uniform"}
    assert isinstance(build_sampler(sources, dataclasses.replace(settings, sampler="patches")), PatchSampler)


def test_patches_train_and_are_scored_on_crops(networks, sources, development, tmp_path):
    settings = dataclasses.replace(BLUR, sampler="patches", optimizer="adam", loss="cross entropy", steps=1)
    scores = train(networks, settings, build_sampler(sources, settings), development, folder=tmp_path)
    assert scores["mae_px"] > 0
    assert (tmp_path / "blur.npz").is_file()


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_loss_falls_on_a_fixed_batch_and_the_log_has_a_row_for_each_interval(
    head, networks, batches, tmp_path, monkeypatch
):
    monkeypatch.setattr(training_log, "LOG_STEPS", 3)
    settings = dataclasses.replace(SETTINGS[head], steps=7, learning_rate=5e-3)
    sampler = FixedSampler(batches[0])
    train(networks, settings, sampler, sampler, folder=tmp_path)
    rows = read_rows(tmp_path / f"{head}.csv")
    assert list(rows[0]) == ["step", "loss", "steps_per_second"]
    assert [int(row["step"]) for row in rows] == [3, 6, 7]
    assert 0 < float(rows[2]["loss"]) < float(rows[0]["loss"])
    assert all(float(row["steps_per_second"]) > 0 for row in rows)


def test_logged_loss_is_that_of_its_own_steps(networks, batches, tmp_path):
    """With a learning rate of 0 a batch has the same loss whenever it comes."""
    settings = dataclasses.replace(BLUR, steps=4, learning_rate=0.0)
    sampler = FixedSampler(*batches, *batches)
    train(networks, settings, sampler, FixedSampler(batches[0]), folder=tmp_path)
    one, other, *again = (float(row["loss"]) for row in read_rows(tmp_path / "blur.csv"))
    assert one != pytest.approx(other, rel=1e-3)
    assert again == pytest.approx([one, other], rel=1e-4)


def stop_after(monkeypatch, steps, stop):
    """Call `stop` before the step that follows the first `steps` ones."""
    take_step, taken = EdgeTask.take_step, []

    def take_few_steps(*arguments):
        if len(taken) == steps:
            stop()
        taken.append(arguments)
        return take_step(*arguments)

    monkeypatch.setattr(EdgeTask, "take_step", take_few_steps)


def assert_same_run(folder, networks, scores, whole):
    """The networks, scores and log of a run that went on are those of a whole one."""
    for name, values in get_weights(whole.networks).items():
        for one, other in zip(values, get_weights(networks)[name], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6, err_msg=name)
    assert scores == pytest.approx(whole.scores, abs=2e-4)
    rows = read_rows(folder / f"{whole.settings.head}.csv")
    assert [int(row["step"]) for row in rows] == list(range(1, whole.settings.steps + 1))


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_killed_and_resumed_equals_uninterrupted(
    head, runs, small_networks, sources, development, tmp_path, monkeypatch
):
    """The checkpoint is of step 2, the log of step 3: what the log knows more is done again."""
    whole = runs(head)
    sampler = build_sampler(sources, whole.settings)

    def be_killed():
        raise MemoryError

    with monkeypatch.context() as patch:
        stop_after(patch, 3, be_killed)
        save = run_training.save_checkpoint
        patch.setattr(run_training, "save_checkpoint", lambda *args: save(*args) if args[2] <= 2 else None)
        with pytest.raises(MemoryError):
            train(
                copy_networks(small_networks),
                whole.settings,
                sampler,
                development,
                folder=tmp_path,
                checkpoint_seconds=0,
            )
    assert [int(row["step"]) for row in read_rows(tmp_path / f"{head}.csv")] == [1, 2, 3]

    resumed = copy_networks(small_networks)  # nothing but the checkpoint is left of the killed run
    scores = train(resumed, whole.settings, sampler, development, folder=tmp_path, resume=True)
    assert_same_run(tmp_path, resumed, scores, whole)


def test_ctrl_c_ends_the_step_writes_a_checkpoint_and_the_run_goes_on(
    runs, small_networks, sources, development, tmp_path, monkeypatch
):
    whole = runs("blur")
    sampler = build_sampler(sources, whole.settings)
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        stop_after(patch, 1, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            train(copy_networks(small_networks), whole.settings, sampler, development, folder=tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    with np.load(tmp_path / "blur.npz") as checkpoint:
        assert checkpoint["step"] == 2
    resumed = copy_networks(small_networks)
    scores = train(resumed, whole.settings, sampler, development, folder=tmp_path, resume=True)
    assert_same_run(tmp_path, resumed, scores, whole)


def test_a_finished_run_resumed_takes_no_step(runs, small_networks, sources, development, tmp_path):
    run = runs("blur")
    shutil.copytree(run.folder, tmp_path, dirs_exist_ok=True)
    again = copy_networks(small_networks)
    sampler = build_sampler(sources, run.settings)
    assert train(again, run.settings, sampler, development, folder=tmp_path, resume=True) == run.scores
    assert not find_changed(get_weights(run.networks), get_weights(again))
    assert len(read_rows(tmp_path / "blur.csv")) == run.settings.steps


def test_a_new_run_does_not_overwrite_a_checkpoint(runs, networks, development):
    run = runs("blur")
    with pytest.raises(CheckpointError, match=r"blur\.npz must not exist for a new run\. Got: a checkpoint"):
        train(networks, run.settings, development, development, folder=run.folder)


def test_other_settings_are_refused(runs, networks, development):
    run = runs("blur")
    other = dataclasses.replace(run.settings, learning_rate=1e-4)
    with pytest.raises(CheckpointError, match=r"learning_rate is 0\.0001, was 0\.002"):
        train(networks, other, development, development, folder=run.folder, resume=True)


def test_e_net_of_another_b_net_is_refused(runs, development):
    """Its checkpoint holds the frozen f1: loading it would spoil a B-NET that was trained on."""
    run, other = runs("edge"), copy_networks(runs("blur").networks)
    with pytest.raises(CheckpointError, match=r"edge\.npz must be of an E-NET over the B-NET at hand"):
        train(other, run.settings, development, development, folder=run.folder, resume=True)
