"""The training of a network that answers with a radius: losses, what each picture teaches, and whole runs."""

import dataclasses

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.blocks import NormalizedConfig
from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
from tests.training.masks.trainer_cases import check_radius_command, list_values
from training.masks.choices import UNLABELLED
from training.masks.losses import domain_loss, radius_loss
from training.masks.radius_trainer import RadiusTrainer, build_calibrator
from training.masks.scenes import BLURRED_RADII
from training.masks.settings import MaskTrainingSettings
from training.masks.training import MaskTask, RadiusDrawer

pytestmark = pytest.mark.usefixtures("eager")

SIDE = 32
SETTINGS = MaskTrainingSettings(
    "dmenet",
    steps=3,
    batch=4,
    side=SIDE,
    photo_share=0.5,
    optimizer="adam",
    learning_rate=0.01,
    warmup=0,
    decay=0.0,
    sharpness_weight=0.05,
    adversarial_weight=0.001,
    discriminator_width=1 / 16,
)
SCENES_ONLY = dataclasses.replace(SETTINGS, sharpness_weight=0.0, adversarial_weight=0.0)
TINY = NormalizedConfig(width=1 / 16)


class Halves:
    """Pictures with a striped half and a plain one, whose radius is 12 px, and which masks call blurred."""

    def draw_radii(self, count, rng):
        images, masks = self.draw_photographs(count, rng)
        return images, np.where(masks, np.float32(LARGEST_RADIUS), np.float32(0.5))

    def draw_photographs(self, count, rng):
        masks = np.zeros((count, SIDE, SIDE), dtype=bool)
        masks[:, :, : SIDE // 2] = True
        images = np.full((count, SIDE, SIDE, 3), 0.5, dtype=np.float32)
        images[:, ::2] += np.where(masks[:, ::2, :, None], 0, rng.uniform(0.2, 0.4)).astype(np.float32)
        return images, masks

    draw_batch = draw_photographs


def make_trainer(settings=SETTINGS):
    keras.utils.set_random_seed(settings.seed)
    return RadiusTrainer(settings, TINY)


def draw(step=1, settings=SETTINGS):
    halves = Halves()
    return RadiusDrawer(settings, halves, halves if settings.needs_photographs else None).draw(
        step, np.random.default_rng(step)
    )


def test_radius_loss_is_that_of_each_pixel(rng):
    shares, logits = rng.random((2, 3, 4, 1)), rng.normal(size=(2, 3, 4, 2))
    expected = 0.0
    for picture in range(2):
        for number in range(2):
            errors = [
                (1 / (1 + np.exp(-logits[picture, row, col, number])) - shares[picture, row, col, 0]) ** 2
                for row in range(3)
                for col in range(4)
            ]
            expected += np.mean(errors) / 2
    np.testing.assert_allclose(float(radius_loss(shares, keras.ops.convert_to_tensor(logits))), expected, rtol=1e-5)
    only_first = float(radius_loss(shares, keras.ops.convert_to_tensor(logits), np.array([1.0, 0.0])))
    np.testing.assert_allclose(only_first, float(radius_loss(shares[:1], logits[:1])), rtol=1e-5)


def test_domain_loss_is_the_cross_entropy_of_each_patch(rng):
    logits, is_scene = rng.normal(size=(2, 3, 3, 1)), np.array([[1.0], [0.0]])
    probability = 1 / (1 + np.exp(-logits))
    expected = (-np.log(probability[0]).mean() - np.log(1 - probability[1]).mean()) / 2
    logits = keras.ops.convert_to_tensor(logits)
    np.testing.assert_allclose(float(domain_loss(is_scene, logits)), expected, rtol=1e-5)
    weighted = float(domain_loss(is_scene, logits, np.array([[0.0], [1.0]])))
    np.testing.assert_allclose(weighted, -np.log(1 - probability[1]).mean(), rtol=1e-5)


def test_the_calibrator_sees_one_pixel(rng):
    shares = rng.random((1, 4, 5, 1), dtype=np.float32)
    calibrator = build_calibrator()
    logits = np.asarray(calibrator(shares))
    np.testing.assert_allclose(np.asarray(calibrator(shares[:, 2:3, 3:4])), logits[:, 2:3, 3:4], atol=1e-6)


def test_the_largest_radius_is_that_of_the_scenes():
    assert BLURRED_RADII[1] == LARGEST_RADIUS


def test_a_batch_is_scenes_with_radii_and_photographs_with_masks():
    images, shares, masks = draw()
    assert images.shape == (4, SIDE, SIDE, 3)
    assert shares.shape == masks.shape == (4, SIDE, SIDE, 1)
    np.testing.assert_array_equal(np.unique(shares[:2]), np.float32([0.5 / LARGEST_RADIUS, 1]))
    np.testing.assert_array_equal(shares[2:], UNLABELLED)
    np.testing.assert_array_equal(masks[:2], UNLABELLED)
    np.testing.assert_array_equal(np.unique(masks[2:]), [0, 1])
    _, shares, masks = draw(settings=SCENES_ONLY)
    assert shares.min() >= 0
    np.testing.assert_array_equal(masks, UNLABELLED)


@pytest.mark.parametrize("settings", [SETTINGS, SCENES_ONLY], ids=["domains", "scenes"])
def test_steps_lower_the_loss(settings):
    trainer, batch = make_trainer(settings), draw(settings=settings)
    losses = [trainer.take_step(*batch) for _ in range(4)]
    assert losses[-1] < 0.9 * losses[0]


def test_masks_of_photographs_move_the_network():
    images, shares, masks = draw()
    moved = []
    for target in (masks, np.where(masks < 0, masks, 1 - masks)):
        trainer = make_trainer()
        trainer.take_step(images, shares, target)
        moved.append(list_values(trainer.network.trainable_variables))
    assert any((one != other).any() for one, other in zip(*moved, strict=True))


def test_the_calibrator_learns_and_the_discriminator_tells_domains_apart():
    trainer = make_trainer()
    before = list_values(trainer.variables)
    trainer.take_step(*draw())
    names = [variable.path for variable in trainer.variables]
    changed = {
        name.split("/")[0]
        for name, one, other in zip(names, before, list_values(trainer.variables), strict=True)
        if (one != other).any()
    }
    assert {"calibrator_conv1", "domain_conv1", "map_score"} <= changed


def test_scenes_alone_need_no_photographs():
    class Scenes:
        def draw_radii(self, count, rng):
            return Halves().draw_radii(count, rng)

        def draw_batch(self, count, rng):
            return Halves().draw_batch(count, rng)

    task = MaskTask(make_trainer(SCENES_ONLY), Scenes(), Scenes(), scored_crops=2)
    assert set(task.score()) == {"error, px"}
    with pytest.raises(ValueError, match=r"sampler must draw photographs with masks for sharpness_weight.* Got: "):
        MaskTask(make_trainer(), Scenes(), Scenes())


def test_radii_are_needed():
    class MasksOnly:
        def draw_batch(self, count, rng):
            return Halves().draw_batch(count, rng)

    with pytest.raises(ValueError, match=r"sampler must draw scenes with true radii.* Got: "):
        MaskTask(make_trainer(SCENES_ONLY), MasksOnly(), Halves())


def test_a_command_trains_and_writes_a_preset_that_the_estimator_loads(run, tmp_path, monkeypatch):
    check_radius_command(run, tmp_path, monkeypatch, "dmenet")


@pytest.mark.parametrize(
    ("network", "text", "complaint"),
    [
        ("dmenet", "seen_side = 320", "seen_side must be 0 for dmenet, which answers with a radius. Got: 320."),
        ("dmenet", "iou_weight = 1.0", "iou_weight must be 0.0 for dmenet, which answers with a radius. Got: 1.0."),
        ("msdu", "sharpness_weight = 0.1", "sharpness_weight must be 0.0 for msdu, which answers with a mask."),
        (
            "dmenet",
            "sharpness_weight = 0.1\nphoto_share = 0.0",
            "photo_share must give each batch of 2 photographs and scenes for dmenet. Got: 0.0",
        ),
        ("dmenet", "sharpness_weight = 0.1", "dataset must be mixed for dmenet with these weights. Got: synthetic."),
    ],
)
def test_settings_without_use_are_refused(run, network, text, complaint):
    result = run(network, text, "mixed" if "photo_share" in text else "synthetic")
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.replace("│", " ").split())
