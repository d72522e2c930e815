"""The training of a network beside one that deblurs: losses, what each one learns from, and whole runs."""

import dataclasses

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.blocks import SegmentationConfig
from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
from tests.training.masks.trainer_cases import check_radius_command, list_values
from training.masks.deblurring_trainer import (
    DeblurringTrainer,
    InFocusDrawer,
    build_deblurrer,
    deblurring_loss,
    map_loss,
)
from training.masks.settings import MaskTrainingSettings
from training.masks.training import MaskTask
from training.runs.training import train

pytestmark = pytest.mark.usefixtures("eager")

SIDE = 32
SETTINGS = MaskTrainingSettings(
    "didanet",
    steps=2,
    batch=2,
    side=SIDE,
    optimizer="adam",
    learning_rate=0.003,
    warmup=0,
    decay=0.0,
    deblurring_weight=0.5,
    deblurring_width=1 / 32,
)
ALONE = dataclasses.replace(SETTINGS, deblurring_weight=0.0, deblurring_width=1.0)
TINY = SegmentationConfig(width=1 / 16, normalization="batch")


class Stripes:
    """Stripes that lose their contrast where the radius is 12 px, in the left half, and not where it is 0."""

    def draw_in_focus(self, count, rng):
        sharp = np.full((count, SIDE, SIDE, 3), 0.3, dtype=np.float32)
        sharp[:, ::2] += rng.uniform(0.2, 0.4, (count, 1, 1, 1)).astype(np.float32)
        radii = np.zeros((count, SIDE, SIDE), dtype=np.float32)
        radii[:, :, : SIDE // 2] = LARGEST_RADIUS
        images = np.where(radii[..., None] > 0, sharp.mean(axis=1, keepdims=True), sharp)
        return images, radii, sharp

    def draw_radii(self, count, rng):
        return self.draw_in_focus(count, rng)[:2]

    def draw_batch(self, count, rng):
        images, radii = self.draw_radii(count, rng)
        return images, radii > 1


def make_trainer(settings=SETTINGS):
    keras.utils.set_random_seed(settings.seed)
    return DeblurringTrainer(settings, TINY)


def draw(seed=1):
    return InFocusDrawer(SETTINGS, Stripes()).draw(1, np.random.default_rng(seed))


def test_map_loss_is_the_mean_absolute_error(rng):
    shares, logits = rng.random((2, 3, 4, 1)), rng.normal(size=(2, 3, 4, 1))
    expected = np.mean(
        [abs(1 / (1 + np.exp(-one)) - share) for one, share in zip(logits.ravel(), shares.ravel(), strict=True)]
    )
    np.testing.assert_allclose(float(map_loss(shares, keras.ops.convert_to_tensor(logits))), expected, rtol=1e-5)


@pytest.mark.parametrize("largest", [1.0, 0.0])
def test_deblurring_loss_is_that_of_each_pixel(rng, largest):
    sharp, deblurred = rng.random((2, 2, 3, 4, 3))
    shares = largest * rng.random((2, 3, 4, 1))
    total = 0.0
    for place in np.ndindex(2, 3, 4):
        distance = np.sqrt(sum((sharp[place][colour] - deblurred[place][colour]) ** 2 for colour in range(3)))
        emphasis = 9 * shares[place][0] / shares.mean() if largest else 0
        total += (1 + emphasis) * distance / 24
    truth = keras.ops.convert_to_tensor(np.concatenate([sharp, shares], axis=-1))
    np.testing.assert_allclose(float(deblurring_loss(truth, deblurred)), total, rtol=1e-4)


def test_equal_pictures_have_a_gradient():
    import tensorflow as tf

    picture = tf.constant(np.full((1, 4, 4, 3), 0.5, np.float32))
    with tf.GradientTape() as tape:
        tape.watch(picture)
        loss = deblurring_loss(tf.concat([tf.stop_gradient(picture), picture[..., :1]], axis=-1), picture)
    assert float(loss) < 0.02
    assert np.isfinite(tape.gradient(loss, picture).numpy()).all()


def test_the_deblurring_network_begins_with_the_picture_and_reads_the_map(rng):
    deblurrer = build_deblurrer(1 / 32)
    image, share = rng.random((1, 8, 9, 3), dtype=np.float32), rng.random((1, 8, 9, 1), dtype=np.float32)
    np.testing.assert_array_equal(np.asarray(deblurrer([image, share])), image)
    last = deblurrer.get_layer("deblur_change")
    last.set_weights([values + 0.1 for values in last.get_weights()])
    assert (np.asarray(deblurrer([image, share])) != np.asarray(deblurrer([image, 1 - share]))).all()


def test_layers_of_the_deblurring_network_are_those_of_the_authors():
    deblurrer = build_deblurrer(1.0)
    assert deblurrer.count_params() == 4_878_467
    scaled = [layer.name for layer in deblurrer.layers if layer.name.endswith("_scale")]
    assert scaled == [f"deblur_block{number}_scale" for number in range(5, 17)]


def test_a_batch_is_scenes_with_radii_and_what_they_are_in_focus():
    images, shares, sharp = draw()
    assert images.shape == sharp.shape == (2, SIDE, SIDE, 3)
    assert shares.shape == (2, SIDE, SIDE, 1)
    np.testing.assert_array_equal(np.unique(shares), [0, 1])
    assert (images != sharp).any()


@pytest.mark.parametrize("settings", [SETTINGS, ALONE], ids=["deblurring", "alone"])
def test_steps_lower_the_loss(settings):
    trainer, batch = make_trainer(dataclasses.replace(settings, steps=6)), draw()
    losses = [trainer.take_step(*batch) for _ in range(6)]
    assert losses[-1] < 0.9 * losses[0]


def test_both_networks_learn_and_the_sharp_picture_teaches_the_map():
    """After the first step: the last layer of the deblurring network begins with zeros, which nothing passes."""
    images, shares, sharp = draw()
    moved = []
    for target in (sharp, 1 - sharp):
        trainer = make_trainer()
        before = list_values(trainer.variables)
        for _ in range(2):
            trainer.take_step(images, shares, target)
        names = [variable.path for variable in trainer.variables]
        values = list_values(trainer.variables)
        changed = {name for name, one, other in zip(names, before, values, strict=True) if (one != other).any()}
        assert {"map_score/kernel", "deblur_first_conv/kernel", "deblur_change/kernel"} <= changed
        moved.append(list_values(trainer.network.trainable_variables))
    assert any((one != other).any() for one, other in zip(*moved, strict=True))


def test_without_deblurring_the_sharp_picture_is_not_read():
    images, shares, sharp = draw()
    losses = [make_trainer(ALONE).take_step(images, shares, target) for target in (sharp, 1 - sharp)]
    assert losses[0] == losses[1]


def test_a_run_that_is_resumed_ends_as_one_that_was_not_interrupted(tmp_path):
    def run(folder, settings=SETTINGS, **options):
        trainer = make_trainer(settings)
        return trainer, train(MaskTask(trainer, Stripes(), Stripes(), scored_crops=2), folder, **options)

    whole, scores = run(tmp_path / "whole")
    run(tmp_path / "parts", dataclasses.replace(SETTINGS, steps=1))
    parts, again = run(tmp_path / "parts", resume=True)
    assert len(whole.variables) == len(parts.variables)
    for one, other in zip(whole.variables, parts.variables, strict=True):
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-4, atol=1e-6)
    assert set(scores) == {"error, px"}
    assert scores == pytest.approx(again, abs=2e-3)


def test_pictures_in_focus_are_needed():
    class Radii:
        def draw_radii(self, count, rng):
            return Stripes().draw_radii(count, rng)

        def draw_batch(self, count, rng):
            return Stripes().draw_batch(count, rng)

    with pytest.raises(ValueError, match=r"sampler must draw scenes without blur for deblurring_weight.* Got: "):
        MaskTask(make_trainer(), Radii(), Radii(), scored_crops=2)
    assert set(MaskTask(make_trainer(ALONE), Radii(), Radii(), scored_crops=2).score()) == {"error, px"}


def test_a_command_trains_and_writes_a_preset_that_the_estimator_loads(run, tmp_path, monkeypatch):
    text = "deblurring_weight = 0.5\ndeblurring_width = 0.04"
    metadata = check_radius_command(run, tmp_path, monkeypatch, "didanet", text)
    assert metadata["settings"]["deblurring_weight"] == 0.5


@pytest.mark.parametrize(
    ("network", "text", "complaint"),
    [
        ("dmenet", "deblurring_weight = 0.1", "deblurring_weight must be 0.0 for dmenet, which learns with no"),
        ("msdu", "deblurring_weight = 0.1", "deblurring_weight must be 0.0 for msdu, which learns with no"),
        ("didanet", "deblurring_width = 0.5", "deblurring_width must go with a deblurring_weight above 0. Got: 0.5."),
        ("didanet", "sharpness_weight = 0.1", "sharpness_weight must be 0.0 for didanet. Got: 0.1."),
        ("didanet", 'init = "imagenet"', "init must be 'random' for didanet, which has no VGG16 in it."),
    ],
)
def test_settings_without_use_are_refused(run, network, text, complaint):
    result = run(network, text)
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.replace("│", " ").split())
