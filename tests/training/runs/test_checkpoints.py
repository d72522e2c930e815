"""Checkpoints: whole, of the right model, of the right run."""

import dataclasses
import json

import numpy as np
import pytest

from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.networks.segmentation.architectures.msdu import MsduNetConfig
from tests.training.training_cases import BLUR, copy_networks, find_changed, get_weights, list_values, make_model
from training.data.sources import load_sources
from training.edges.crops import CropSampler
from training.edges.model import PointModel
from training.edges.settings import TrainingSettings
from training.edges.training import take_step
from training.masks.settings import MaskTrainingSettings
from training.runs.checkpoints import (
    CheckpointError,
    check_new,
    check_resumable,
    describe_run,
    list_variables,
    load_checkpoint,
    load_network,
    read_settings,
    save_checkpoint,
)

#: What earlier versions wrote into checkpoints, for the smallest configurations.
OLD_BLUR = (
    '{"head": "blur", "steps": 3, "crops": 20, "points": 96, "learning_rate": 0.002, "warmup": 50, "decay": 0.5, '
    '"precision": "float32", "seed": 0, "sampler": "dense", "optimizer": "muon", "schedule": "stable-decay", '
    '"drop_steps": 0, "loss": "levels", "families": {"uniform": 0.62, "gradual": 0.06, "composite": 0.22, '
    '"depth": 0.1}, "level_share": 0.85, "validation_stride": 10, "start": null, "networks": {"filters": 64, '
    '"dense_units": [300, 150], "crop_shift": 0, "input_mean": 0.5, "input_gain": 4.0, "branch_sides": [41, 27, 15]}}'
)
OLD_MSDU = (
    '{"network": "msdu", "steps": 3, "batch": 8, "side": 256, "resized": 0, "rotation": 0.0, "scaling": 1.0, '
    '"optimizer": "muon", "learning_rate": 0.002, "momentum": 0.9, "weight_decay": 0.0, "schedule": "stable-decay", '
    '"warmup": 50, "decay": 0.4, "drop_steps": 0, "precision": "float32", "seed": 0, "iou_weight": 0.0, '
    '"adversarial_weight": 0.0, "discriminator_rate": 0.0001, "discriminator_width": 1.0, "unlabelled_from": 0, '
    '"init": "random", "validation_stride": 10, "start": null, "networks": {"width": 1.0, "normalization": "none"}}'
)


def save(path, model, step, settings):
    save_checkpoint(path, list_variables(model), step, describe_run(settings, model.features.config))


@pytest.fixture
def networks(small_networks):
    """Networks that a test may train."""
    return copy_networks(small_networks)


@pytest.fixture
def checkpoint(networks, tmp_path):
    """One of a B-NET at step 3."""
    save(tmp_path / "blur.npz", make_model(networks), 3, BLUR)
    return tmp_path / "blur.npz"


def test_no_checkpoint_starts_at_the_first_step(networks, tmp_path):
    assert load_checkpoint(tmp_path / "none.npz", list_variables(make_model(networks))) == 0
    check_resumable(tmp_path / "none.npz", describe_run(BLUR, networks.config))
    check_new(tmp_path / "none.npz")


def test_checkpoint_brings_back_weights_and_optimizer(networks, training_root, tmp_path):
    sampler = CropSampler(load_sources(training_root, development=False))
    batches = [sampler.draw_batch(1, 20, rng=np.random.default_rng(seed)) for seed in (1, 2)]
    model = make_model(networks)
    take_step(model, BLUR, batches[0])
    save(tmp_path / "blur.npz", model, 7, BLUR)
    expected = list_values(model)
    take_step(model, BLUR, batches[1])
    assert load_checkpoint(tmp_path / "blur.npz", list_variables(model)) == 7
    for value, before in zip(list_values(model), expected, strict=True):
        np.testing.assert_array_equal(value, before)


def test_checkpoint_of_another_optimizer_is_refused(networks, checkpoint):
    with pytest.raises(CheckpointError, match=r"blur\.npz must hold \d+ arrays of this model\. Got: \d+"):
        load_checkpoint(checkpoint, list_variables(make_model(networks, dataclasses.replace(BLUR, optimizer="muon"))))


def test_checkpoint_of_other_networks_is_refused_before_anything_changes(checkpoint):
    other = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(8, 5)))
    model = make_model(other)
    before = list_values(model)
    with pytest.raises(CheckpointError, match=r"v\d+ must have \(8, 5\)\. Got: \(8, 6\)"):
        load_checkpoint(checkpoint, list_variables(model))
    assert all((now == then).all() for now, then in zip(list_values(model), before, strict=True))


@pytest.mark.parametrize("sampler", ["dense", "patches"])
def test_b_net_of_any_run_can_be_taken(sampler, networks, tmp_path):
    settings = dataclasses.replace(BLUR, sampler=sampler, optimizer="adam" if sampler == "patches" else "muon")
    save(tmp_path / "blur.npz", make_model(networks, settings), 5, settings)
    fresh = build_edge_networks(networks.config)
    assert load_network(tmp_path / "blur.npz", PointModel(fresh, "blur").variables) == 5
    changed = find_changed(get_weights(networks), get_weights(fresh))
    assert changed
    assert all(name.startswith(("f2", "edge_head")) for name in changed)


def test_b_net_of_other_networks_is_not_taken(checkpoint):
    other = build_edge_networks(EdgeNetworksConfig(filters=5, dense_units=(8, 6)))
    with pytest.raises(CheckpointError, match=r"blur\.npz must hold arrays of this model"):
        load_network(checkpoint, PointModel(other, "blur").variables)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seed": 1}, "seed is 1, was 0"),
        ({"steps": 3}, "steps is 3, was 4"),
        ({"families": {"uniform": 1.0}}, "families is {'uniform': 1.0}, was "),
        ({"crops": 1, "points": 80}, "crops is 1, was 2; points is 80, was 40"),
    ],
)
def test_other_settings_are_named(change, complaint, networks, checkpoint):
    with pytest.raises(CheckpointError, match="must be resumed with the settings that it was written with") as caught:
        check_resumable(checkpoint, describe_run(dataclasses.replace(BLUR, **change), networks.config))
    assert complaint in str(caught.value)


def test_other_networks_are_named(networks, checkpoint):
    with pytest.raises(CheckpointError, match=r"networks is .*'input_gain': 1"):
        check_resumable(checkpoint, describe_run(BLUR, dataclasses.replace(networks.config, input_gain=1.0)))


def test_more_steps_may_follow(networks, checkpoint):
    check_resumable(checkpoint, describe_run(dataclasses.replace(BLUR, steps=40), networks.config))


def test_a_checkpoint_that_knows_fewer_settings_is_resumed(networks, checkpoint):
    """Runs that were begun before a setting was there go on."""
    with np.load(checkpoint) as arrays:
        values = dict(arrays)
    old = ("head", "steps", "crops", "points", "learning_rate", "warmup", "decay", "precision", "seed")
    values["settings"] = np.array(json.dumps({name: getattr(BLUR, name) for name in old}))
    np.savez(checkpoint, **values)
    check_resumable(checkpoint, describe_run(BLUR, networks.config))
    with pytest.raises(CheckpointError, match="warmup is 2, was 1"):
        check_resumable(checkpoint, describe_run(dataclasses.replace(BLUR, warmup=2), networks.config))


@pytest.mark.parametrize(
    ("settings", "architecture", "old"),
    [
        (TrainingSettings("blur", 3), EdgeNetworksConfig(), OLD_BLUR),
        (MaskTrainingSettings("msdu", 3), MsduNetConfig(), OLD_MSDU),
    ],
    ids=["blur", "msdu"],
)
def test_old_checkpoints_are_resumed(settings, architecture, old, tmp_path):
    description = describe_run(settings, architecture)
    assert json.dumps(description) == old
    np.savez(tmp_path / "old.npz", step=1, settings=old)
    check_resumable(tmp_path / "old.npz", description)


def test_a_checkpoint_is_not_overwritten(checkpoint):
    with pytest.raises(CheckpointError, match="must not exist for a new run"):
        check_new(checkpoint)


READERS = [
    lambda path, variables: load_checkpoint(path, variables),
    lambda path, variables: load_network(path, variables),
    lambda path, _: read_settings(path),
    lambda path, _: check_resumable(path, {}),
]


class Variable:
    """A variable of Keras, as far as checkpoints use it."""

    def __init__(self, shape):
        self.shape = shape
        self.value = None

    def assign(self, value):
        self.value = value


@pytest.fixture
def variables():
    return [Variable((3, 4)), Variable((5,))]


@pytest.mark.parametrize("read", READERS, ids=["checkpoint", "network", "settings", "resumable"])
@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "File is not a zip file"),
        (b"no archive " * 50, "File is not a zip file"),
        (b"\x80\x04K\x01.", "File is not a zip file"),  # a pickle
        (b"PK\x03\x04 and nothing else", "File is not a zip file"),
    ],
    ids=["empty", "text", "pickle", "head"],
)
def test_what_is_no_checkpoint_is_named(read, content, got, variables, tmp_path):
    (tmp_path / "blur.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"blur\.npz must be a whole checkpoint\. Got: {got}\. Put back"):
        read(tmp_path / "blur.npz", variables)


@pytest.mark.parametrize(
    "changes", [{"settings": "[["}, {"settings": "[" * 100000}, {"settings": "3"}, {"step": "x"}, {"step": {}}], ids=str
)
def test_other_contents_are_refused(changes, variables, tmp_path):
    values = {"step": 3, "settings": "{}", **changes}
    np.savez(tmp_path / "blur.npz", v0=np.zeros((3, 4)), v1=np.zeros(5), **values)
    with pytest.raises(CheckpointError, match=r"blur\.npz must be a whole checkpoint\. Got: "):
        (READERS[2] if "settings" in changes else READERS[0])(tmp_path / "blur.npz", variables)
    assert variables[0].value is None


def test_damaged_checkpoints_are_read_whole_or_refused_in_one_line(variables, rng, tmp_path):
    path = tmp_path / "blur.npz"
    np.savez(path, step=3, settings="{}", v0=np.zeros((3, 4)), v1=np.zeros(5))
    whole, messages = path.read_bytes(), []
    cuts = [whole[:kept] for kept in range(0, len(whole), 40)]
    changed = [bytearray(whole) for _ in range(200)]
    for data in changed:
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(256)
    for data in [*cuts, *changed]:
        path.write_bytes(data)
        for read in READERS:
            try:
                read(path, variables)
            except CheckpointError as error:
                messages.append(str(error))
    assert len(messages) > 2 * len(cuts)
    assert all(message.startswith(str(path)) and len(message.splitlines()) == 1 for message in messages)
