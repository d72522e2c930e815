"""One step of a blur-detection network, alone and against a discriminator."""

import dataclasses

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.maganet import MaGanetConfig
from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS
from tests.training.masks.trainer_cases import list_values
from training.masks.choices import UNLABELLED
from training.masks.losses import diversity_loss
from training.masks.model import MaskTrainer, find_labelled, use_precision
from training.masks.settings import MaskTrainingSettings

pytestmark = pytest.mark.usefixtures("eager")

SIDE = 32
ALONE = MaskTrainingSettings("msdu", steps=100, batch=2, side=SIDE, optimizer="adam", learning_rate=0.01, warmup=0)
# The shortest graph of a step.
SGD = dataclasses.replace(ALONE, optimizer="sgd", learning_rate=0.1)
AGAINST = dataclasses.replace(
    ALONE, network="maganet", adversarial_weight=0.001, discriminator_width=1 / 16, iou_weight=1.0
)


def make_trainer(settings=ALONE, **config):
    keras.utils.set_random_seed(0)
    architecture = SEGMENTATION_NETWORKS[settings.network].config_class(width=1 / 16, **config)
    return MaskTrainer(settings, architecture)


@pytest.fixture
def batch(rng):
    """Two pictures with masks: bright where they are blurred."""
    masks = (rng.random((2, 4, 4)) > 0.5).astype(np.float32).repeat(8, axis=1).repeat(8, axis=2)[..., None]
    noise = rng.random((2, SIDE, SIDE, 3), dtype=np.float32)
    return (0.5 * noise + 0.5 * masks).astype(np.float32), masks


@pytest.mark.parametrize("settings", [SGD, AGAINST], ids=["alone", "against"])
def test_compiled_steps_lower_the_loss(settings, batch):
    trainer = make_trainer(settings, normalization="batch")
    losses = [trainer.take_step(*batch) for _ in range(12)]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.9 * losses[0]


def test_probabilities_are_the_sigmoid_of_the_last_map(batch):
    trainer = make_trainer()
    logits = keras.ops.convert_to_numpy(trainer.network(batch[0], training=False))
    np.testing.assert_allclose(trainer.predict(batch[0]), 1 / (1 + np.exp(-logits[..., -1])), atol=1e-5)


def test_both_sides_of_an_adversarial_step_learn(batch):
    trainer = make_trainer(AGAINST)
    network, discriminator = trainer.network, trainer._discriminator
    before = list_values(network.trainable_variables), list_values(discriminator.trainable_variables)
    trainer.take_step(*batch)
    after = list_values(network.trainable_variables), list_values(discriminator.trainable_variables)
    assert any((now != then).any() for now, then in zip(after[0], before[0], strict=True))
    assert all((now != then).any() for now, then in zip(after[1], before[1], strict=True))


def test_the_networks_step_leaves_the_discriminator_alone(batch):
    trainer = make_trainer(AGAINST)
    before = list_values(trainer._discriminator.variables)
    targets = {"maps": batch[1], "patches": np.zeros((2, 1), dtype=np.float32)}
    trainer._model.train_on_batch(batch[0], targets)
    for now, then in zip(list_values(trainer._discriminator.variables), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_adversarial_gradient_reaches_the_network(batch):
    """Without masks nothing but the discriminator teaches."""
    trainer = make_trainer(AGAINST)
    trainer._discriminator.optimizer.learning_rate = 0.0
    before = list_values(trainer.network.trainable_variables)
    unlabelled = np.full_like(batch[1], UNLABELLED)
    trainer._model.train_on_batch(batch[0], {"maps": unlabelled, "patches": np.zeros((2, 1), dtype=np.float32)})
    assert any((now != then).any() for now, then in zip(list_values(trainer.network.variables), before, strict=False))


def test_pictures_without_masks_do_not_count_in_the_loss_of_the_maps(batch):
    """With dropout off and no batch statistics, half of a batch without masks is a batch of the other half."""
    trainer = make_trainer(dataclasses.replace(AGAINST, adversarial_weight=1e-9), dropout=0.0)
    images, masks = batch
    mixed = masks.copy()
    mixed[1] = UNLABELLED
    logits = trainer.network(images, training=False)
    loss = trainer._model._compile_loss._user_loss["maps"]
    both = float(keras.ops.convert_to_numpy(loss(mixed, logits)))
    alone = float(keras.ops.convert_to_numpy(loss(masks[:1], logits[:1])))
    assert both == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_diversity_is_added_with_its_weight_for_pictures_with_masks(batch, rng, groups):
    diversity = {"diversity_weight": 0.25, "diversity_groups": groups}
    plain, diverse = (make_trainer(dataclasses.replace(ALONE, **values)) for values in ({}, diversity))
    masks = batch[1].copy()
    masks[1] = UNLABELLED
    logits = rng.normal(size=(*masks.shape[:3], 5)).astype(np.float32)
    losses = [trainer._model._compile_loss._user_loss(masks, logits) for trainer in (plain, diverse)]
    expected = 0.25 * float(keras.ops.convert_to_numpy(diversity_loss(logits[:1], groups=groups)))
    assert float(losses[1] - losses[0]) == pytest.approx(expected, rel=1e-3)
    assert expected < -0.01


def test_labelled_pictures_are_found():
    masks = np.zeros((3, 4, 4, 1), dtype=np.float32)
    masks[1] = UNLABELLED
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(find_labelled(masks)), [1, 0, 1])


@pytest.mark.parametrize("settings", [ALONE, AGAINST], ids=["alone", "against"])
def test_the_variables_are_all_that_a_run_needs(settings, batch):
    """Copied into another trainer, they make its next steps the same."""
    settings = dataclasses.replace(settings, batch=2)
    first, second = make_trainer(settings), make_trainer(dataclasses.replace(settings, seed=1))
    first.take_step(*batch)
    for target, source in zip(second.variables, first.variables, strict=True):
        target.assign(source)
    assert first.take_step(*batch) == pytest.approx(second.take_step(*batch), rel=1e-6)
    for one, other in zip(list_values(first.variables), list_values(second.variables), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "muon"])
def test_each_optimizer_takes_a_step(optimizer, batch):
    trainer = make_trainer(dataclasses.replace(ALONE, optimizer=optimizer, weight_decay=1e-4))
    before = list_values(trainer.network.trainable_variables)
    trainer.take_step(*batch)
    assert any((now != then).any() for now, then in zip(list_values(trainer.network.variables), before, strict=False))


def test_precision_is_set_back():
    with use_precision("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_half_precision_computes_half_and_keeps_full_weights(batch):
    trainer = make_trainer(dataclasses.replace(ALONE, precision="mixed_bfloat16"))
    assert trainer.network.layers[3].compute_dtype == "bfloat16"
    assert {variable.dtype for variable in trainer.network.trainable_variables} == {"float32"}
    assert np.isfinite(trainer.take_step(*batch))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"network": "unet"}, r"network must be one of .*maganet, msdu"),
        ({"side": 100}, r"side\s+Input should be a multiple of 32"),
        ({"batch": 0}, r"batch\s+Input should be greater than or equal to 1"),
        ({"optimizer": "lion"}, "'sgd', 'adam' or 'muon'"),
        ({"schedule": "steps"}, "drop_steps must be positive with the schedule 'steps'. Got: 0"),
        ({"diversity_weight": -0.1}, r"diversity_weight\s+Input should be greater than or equal to 0"),
        ({"unlabelled_from": 5}, "unlabelled_from must go with an adversarial_weight above 0 and an even batch"),
        ({"init": "imagenet"}, "init must be 'random' for msdu"),
        ({"init": "imagenet", "network": "pmnet"}, "init must be 'random' for pmnet"),
        ({"rotation": 7.0}, r"rotation\s+Input should be less than or equal to 3.15"),
    ],
)
def test_wrong_settings_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(ALONE, **change)


def test_dropout_is_part_of_the_configuration():
    assert MaGanetConfig(dropout=0.1).dropout == 0.1
