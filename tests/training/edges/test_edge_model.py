"""The trained models: the same numbers dense, on patches and in the library; losses, optimizers, rates."""

import dataclasses

import keras
import numpy as np
import pytest

from defocus_edge.blur_levels import BLUR_LEVELS, N_LEVELS, radius_to_class
from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from tests.training.training_cases import BLUR, EDGE, SETTINGS, copy_networks, find_changed, get_weights, make_model
from training.data.sources import load_sources
from training.edges.crops import CropSampler
from training.edges.model import PatchModel, PointModel, blur_level_loss, build_model, focal_loss
from training.edges.patch_sampler import PatchSampler
from training.edges.settings import TrainingSettings
from training.edges.training import take_step


@pytest.fixture(scope="module")
def crop_sampler(training_root):
    return CropSampler(load_sources(training_root, development=False))


@pytest.fixture(scope="module")
def batch(crop_sampler):
    return crop_sampler.draw_batch(2, 40, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def patch_batch(crop_sampler):
    """The points of `batch`, each with a patch of its own."""
    return PatchSampler(crop_sampler).draw_batch(2, 40, rng=np.random.default_rng(1))


@pytest.fixture
def networks(small_networks):
    """Networks that a test may train."""
    return copy_networks(small_networks)


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_dense_model_gives_what_the_library_gives(head, networks, batch):
    output = np.asarray(PointModel(networks, head)(batch.inputs))
    for number in range(2):
        here = (batch.points[:, 0] == number) & (batch.valid > 0)
        near = batch.points[here, 1:] + PATCH_RADIUS
        expected = DenseEvaluator(KerasEngine(networks), tile_side=128).predict(batch.images[number], near)
        np.testing.assert_allclose(output[here], getattr(expected, head), atol=1e-5)


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_patches_give_what_crops_give(head, networks, batch, patch_batch):
    dense = np.asarray(PointModel(networks, head)(batch.inputs))
    patches = np.asarray(PatchModel(networks, head)(patch_batch.inputs))
    np.testing.assert_allclose(patches, dense, atol=1e-5)
    assert np.ptp(dense[batch.valid > 0], axis=0).max() > 0.01  # points differ


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_both_models_hold_the_same_variables_in_the_same_order(head, networks):
    dense, patches = PointModel(networks, head), PatchModel(networks, head)
    assert [id(variable) for variable in dense.variables] == [id(variable) for variable in patches.variables]
    assert [id(v) for v in dense.trainable_variables] == [id(v) for v in patches.trainable_variables]


def test_the_sampler_chooses_the_model(networks):
    patches = dataclasses.replace(BLUR, sampler="patches")
    assert type(build_model(networks, patches)) is PatchModel
    assert type(build_model(networks, BLUR)) is PointModel


def test_loss_is_zero_for_the_truth_and_grows_with_the_error():
    shares = np.eye(N_LEVELS, dtype=np.float32)[[4, 4, 4]]
    guesses = np.eye(N_LEVELS, dtype=np.float32)[[4, 5, 12]]
    loss = np.asarray(blur_level_loss(shares, guesses))
    assert loss[0] == pytest.approx(0, abs=1e-6)
    assert loss[2] - loss[1] == pytest.approx(float(BLUR_LEVELS[12] - BLUR_LEVELS[5]), abs=1e-4)
    even = np.full((1, N_LEVELS), 1 / N_LEVELS, dtype=np.float32)
    expected = np.log(N_LEVELS) + abs(BLUR_LEVELS.mean() - BLUR_LEVELS[4])
    assert np.asarray(blur_level_loss(shares[:1], even))[0] == pytest.approx(expected, rel=1e-5)


def test_targets_of_the_losses(batch):
    entropy = dataclasses.replace(BLUR, loss="cross entropy")
    np.testing.assert_array_equal(batch.make_target(BLUR), batch.levels)
    np.testing.assert_array_equal(batch.make_target(entropy)[:, 0], radius_to_class(batch.radius))
    np.testing.assert_array_equal(batch.make_target(EDGE)[:, 0], np.where(batch.is_depth == 1, 1, 0))


def test_the_papers_loss_is_the_cross_entropy_of_the_nearest_level(networks, batch):
    settings = dataclasses.replace(BLUR, loss="cross entropy", learning_rate=0.0)
    model = make_model(networks, settings)
    kept = (batch.is_depth != 1) & (batch.valid > 0)
    classes = radius_to_class(batch.radius)
    probability = np.asarray(model(batch.inputs))[np.arange(len(classes)), classes]
    expected = -np.log(probability[kept]).sum() / len(kept)
    assert take_step(model, settings, batch) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("sampler", ["dense", "patches"])
@pytest.mark.parametrize("head", ["blur", "edge"])
def test_steps_lower_the_loss_and_leave_what_is_frozen(head, sampler, networks, batch, patch_batch):
    """B-NET's stage trains f1 and its head only; E-NET's leaves B-NET as it was."""
    settings = dataclasses.replace(SETTINGS[head], sampler=sampler, learning_rate=1e-2)
    before, model = get_weights(networks), make_model(networks, settings)
    given = batch if sampler == "dense" else patch_batch
    losses = [take_step(model, settings, given) for _ in range(4)]
    assert losses[-1] < losses[0]
    changed = find_changed(before, get_weights(networks))
    parts = ("b1", "b2", "b3", "blur_head") if head == "blur" else ("f2", "edge_head")
    assert changed == {name for name in before if name.startswith(parts)}


def test_padding_and_depth_edges_do_not_move_b_net(networks, batch):
    nothing = dataclasses.replace(batch, valid=np.zeros_like(batch.valid))
    depth = dataclasses.replace(batch, is_depth=np.ones_like(batch.is_depth))
    before, model = get_weights(networks), make_model(networks)
    for useless in (nothing, depth):
        assert take_step(model, BLUR, useless) == 0
    assert not find_changed(before, get_weights(networks))


def test_inner_kernels_turn_by_muon_and_all_other_weights_by_adam(networks, batch):
    settings = dataclasses.replace(BLUR, optimizer="muon", learning_rate=1e-3)
    before = get_weights(networks)
    take_step(make_model(networks, settings), settings, batch)
    after = get_weights(networks)
    inner = (after["b2_conv2"][0] - before["b2_conv2"][0]).reshape(-1, 4)
    stretch = np.linalg.svd(inner, compute_uv=False)
    assert stretch.max() / stretch.min() < 3  # all directions alike
    first = np.abs(after["b1_conv1"][0] - before["b1_conv1"][0])
    assert np.median(first[first > 0]) == pytest.approx(1e-3, rel=0.02)  # Adam's first step is the rate


def test_adam_moves_all_weights_alike(networks, batch):
    settings = dataclasses.replace(BLUR, learning_rate=1e-3)
    before = get_weights(networks)
    take_step(make_model(networks, settings), settings, batch)
    for name in ("b1_conv1", "b2_conv2", "blur_head_dense1"):
        moved = np.abs(get_weights(networks)[name][0] - before[name][0])
        assert np.median(moved[moved > 0]) == pytest.approx(1e-3, rel=0.02)


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        (
            TrainingSettings("blur", steps=100, learning_rate=1e-2, warmup=10, decay=0.2),
            {0: 1e-3, 4: 5e-3, 9: 1e-2, 79: 1e-2, 90: 5e-3, 99: 5e-4, 100: 1e-4},
        ),
        (
            TrainingSettings("blur", steps=100, learning_rate=1e-2, schedule="steps", drop_steps=40),
            {0: 1e-2, 39: 1e-2, 40: 1e-3, 79: 1e-3, 80: 1e-4},
        ),
    ],
)
def test_rates_of_the_schedules(settings, rates, networks):
    schedule = make_model(networks, settings).optimizer._learning_rate
    assert {step: float(schedule(step)) for step in rates} == pytest.approx(rates, rel=1e-4)


def test_focal_loss_forgets_what_is_easy():
    probabilities = np.float32([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    classes = np.int32([[0], [0], [1]])
    right = np.array([0.9, 0.2, 0.4])
    found = keras.ops.convert_to_numpy(focal_loss(classes, probabilities))
    np.testing.assert_allclose(found, -(1 - right) * np.log(right), rtol=1e-5)


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_first_kernels_of_normalized_networks_stay_without_mean(head, rng):
    networks = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(5, 4), head_normalization=True))
    f1 = networks.joint.get_layer("b1_conv1").get_weights()[0]
    settings = dataclasses.replace(SETTINGS[head], crops=2, points=20)
    model = make_model(networks, settings)
    inputs = {"images": rng.random((2, 64, 64, 3), dtype=np.float32), "points": np.zeros((20, 3), np.int32)}
    target = np.full((20, 23), 1 / 23, np.float32) if head == "blur" else np.ones((20, 1), np.int32)
    model.train_on_batch(inputs, target)
    for name, stays in (("b1_conv1", head == "edge"), ("f2_conv1", head == "blur")):
        kernel = networks.joint.get_layer(name).get_weights()[0]
        assert (np.abs(kernel.mean(axis=(0, 1))).max() < 1e-6) != stays
    assert (networks.joint.get_layer("b1_conv1").get_weights()[0] == f1).all() == (head == "edge")
