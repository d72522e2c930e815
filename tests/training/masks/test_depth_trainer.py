"""The training of radius and depth: the lens of a picture, the losses, what each map learns from, and whole runs."""

import dataclasses

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.blocks import SegmentationConfig
from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
from tests.training.masks.trainer_cases import check_radius_command, list_values
from training.masks import model
from training.masks.choices import UNLABELLED
from training.masks.config import read_mask_config
from training.masks.depth_trainer import DepthDrawer, DepthTrainer, depth_losses, draw_depth_truth, fit_lens
from training.masks.settings import MaskTrainingSettings
from training.masks.training import MaskTask
from training.runs import training as run_training
from training.runs.config import CONFIGS_FOLDER

pytestmark = pytest.mark.usefixtures("eager")

SIDE = 32
SETTINGS = MaskTrainingSettings(
    "jointdepth",
    steps=2,
    batch=4,
    side=SIDE,
    optimizer="adam",
    learning_rate=0.01,
    warmup=0,
    decay=0.0,
    depth_weight=1.0,
    consistency_weight=0.5,
)
TINY = SegmentationConfig(width=0.05, normalization="batch")


class Planes:
    """Stripes that fade towards the top, whose radius grows and whose disparity falls; half have no disparity."""

    def draw_depths(self, count, rng):
        disparity = np.linspace(0, 1, SIDE, dtype=np.float32)[None, :, None].repeat(count, 0).repeat(SIDE, 2)
        signed = LARGEST_RADIUS * rng.uniform(0.7, 1.0) * (disparity - np.float32(0.9))
        images = np.full((count, SIDE, SIDE, 3), 0.3, dtype=np.float32)
        images[:, :, ::2] += 0.5 * disparity[:, :, ::2, None]
        disparity[::2] = UNLABELLED
        signed[::2] = np.abs(signed[::2])
        return images, signed.astype(np.float32), disparity

    def draw_batch(self, count, rng):
        images, signed, _ = self.draw_depths(count, rng)
        return images, np.abs(signed) > 1


def build_plain(_name, _config):
    """Two convolutions for each map: what the network is does not matter to its trainer, but to its time."""
    image = keras.Input((None, None, 3))
    maps = []
    for subnet in ("depth", "radius"):
        features = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name=f"{subnet}_conv")(image)
        maps.append(keras.layers.Conv2D(1, 1, name=f"{subnet}_score")(features))
    return keras.Model(image, keras.layers.Concatenate()(maps))


def make_trainer(settings=SETTINGS):
    keras.utils.set_random_seed(settings.seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "build_segmentation_network", build_plain)
        return DepthTrainer(settings, TINY)


def draw(settings=SETTINGS):
    return DepthDrawer(settings, Planes()).draw(1, np.random.default_rng(1))


def draw_truth(rng):
    """Random maps of three pictures: some disparities are known, all of them, and none."""
    disparity = rng.random((3, 4, 5, 1)).astype(np.float32)
    disparity[0][rng.random((4, 5, 1)) < 0.4] = UNLABELLED
    disparity[2] = UNLABELLED
    lenses = np.array([[-0.4, 0.9], [0.2, 0.5], [0.1, 0.3]])[:, :, None, None, None]
    signed = lenses[:, 0] + lenses[:, 1] * disparity + rng.normal(0, 0.01, disparity.shape)
    return signed.astype(np.float32), disparity


def test_the_lens_is_the_straight_line_through_known_pixels(rng):
    signed, disparity = draw_truth(rng)
    level, slope = (np.asarray(part) for part in fit_lens(*map(keras.ops.convert_to_tensor, (signed, disparity))))
    assert level.shape == slope.shape == (3, 1, 1, 1)
    for number in range(2):
        known = disparity[number] >= 0
        expected = np.polyfit(disparity[number][known], signed[number][known], 1)
        np.testing.assert_allclose([slope[number].item(), level[number].item()], expected, atol=1e-4)
    assert (level[2].item(), slope[2].item()) == (0, 0)


def test_a_picture_without_range_has_a_level():
    level, slope = fit_lens(*(keras.ops.full((1, 4, 4, 1), value) for value in (0.3, 0.6)))
    assert float(level[0, 0, 0, 0]) == pytest.approx(0.3)
    assert float(slope[0, 0, 0, 0]) == 0


def test_losses_are_those_of_each_pixel(rng):
    signed, disparity = draw_truth(rng)
    logits = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    expected = np.zeros(3)
    expected[0] = np.mean(
        [
            abs(1 / (1 + np.exp(-logits[number, row, col, 1])) - abs(signed[number, row, col, 0]))
            for number, row, col in np.ndindex(3, 4, 5)
        ]
    )
    for number in range(2):
        known = disparity[number] >= 0
        slope, level = np.polyfit(disparity[number][known], signed[number][known], 1)
        errors = []
        for row, col, _ in np.argwhere(known):
            depth, share = 1 / (1 + np.exp(-logits[number, row, col]))
            errors.append((abs(depth - disparity[number, row, col, 0]), abs(share - abs(level + slope * depth))))
        expected[1:] += np.mean(errors, axis=0) / 2
    truth = keras.ops.convert_to_tensor(np.concatenate([signed, disparity], axis=-1))
    found = depth_losses(truth, keras.ops.convert_to_tensor(logits))
    np.testing.assert_allclose([float(one) for one in found], expected, rtol=1e-4)
    _, *without = depth_losses(truth[2:], keras.ops.convert_to_tensor(logits[2:]))
    assert [float(one) for one in without] == [0, 0]


def test_true_maps_agree_with_their_lens():
    """Also where radii on both sides of the focus look the same; a wrong depth does not."""
    disparity = np.linspace(0.05, 0.95, 64, dtype=np.float32).reshape(1, 8, 8, 1)
    signed = 0.8 * (disparity - 0.4)
    truth = keras.ops.convert_to_tensor(np.concatenate([signed, disparity], axis=-1))

    def measure(depth):
        maps = np.concatenate([depth, np.maximum(np.abs(signed), 1e-4)], axis=-1)
        return [float(one) for one in depth_losses(truth, keras.ops.convert_to_tensor(np.log(maps / (1 - maps))))]

    assert max(measure(disparity)) < 1e-3
    of_radius, of_disparity, of_lens = measure(1 - disparity)
    assert of_radius < 1e-3
    assert of_disparity > 0.3
    assert of_lens > 0.1
    mirrored = np.clip(0.8 - disparity, 0.01, 0.99)  # on the other side of the focus, the radius is the same
    within = np.abs(disparity - 0.4) < 0.35
    _, of_disparity, of_lens = measure(np.where(within, mirrored, disparity))
    assert of_disparity > 0.1
    assert of_lens < 1e-3


def test_a_batch_is_shares_and_disparity():
    images, truth = draw()
    assert images.shape == (4, SIDE, SIDE, 3)
    assert truth.shape == (4, SIDE, SIDE, 2)
    assert truth.dtype == np.float32
    _, radii, disparity = Planes().draw_depths(4, np.random.default_rng(1))
    np.testing.assert_allclose(truth[..., 0] * LARGEST_RADIUS, radii, rtol=1e-6)
    np.testing.assert_array_equal(truth[..., 1], disparity)
    assert -1 <= truth[..., 0].min() < 0


def test_steps_lower_the_loss():
    keras.utils.set_random_seed(0)
    trainer, batch = DepthTrainer(SETTINGS, TINY), draw()
    losses = [trainer.take_step(*batch) for _ in range(3)]
    assert losses[-1] < 0.9 * losses[0]


def test_the_loss_of_a_step_is_the_sum_of_its_parts():
    trainer, (images, truth) = make_trainer(dataclasses.replace(SETTINGS, depth_weight=2.0)), draw()
    logits = np.asarray(trainer.network(images))
    of_radius, of_disparity, of_lens = map(float, depth_losses(*map(keras.ops.convert_to_tensor, (truth, logits))))
    expected = of_radius + 2 * of_disparity + 0.5 * of_lens
    assert trainer.take_step(images, truth) == pytest.approx(expected, rel=1e-4)


def find_moved(settings, truth):
    """Subnets that a step moves."""
    trainer = make_trainer(settings)
    before = list_values(trainer.network.trainable_variables)
    trainer.take_step(draw()[0], truth)
    return {
        variable.path.split("_")[0]
        for variable, one in zip(trainer.network.trainable_variables, before, strict=True)
        if (np.asarray(variable) != one).any()
    }


def test_what_each_subnet_learns_from():
    truth = draw()[1]
    unknown = truth.copy()
    unknown[..., 1] = UNLABELLED
    alone = dataclasses.replace(SETTINGS, depth_weight=0.0, consistency_weight=0.0)
    assert find_moved(SETTINGS, truth) == {"depth", "radius"}
    assert find_moved(SETTINGS, unknown) == {"radius"}
    assert find_moved(alone, truth) == {"radius"}
    assert find_moved(dataclasses.replace(alone, consistency_weight=1.0), truth) == {"depth", "radius"}


def test_consistency_carries_what_one_subnet_says_to_the_other():
    """With it, the step of the radius depends on the depth; without, it does not."""

    def step(weight, depth_bias):
        trainer = make_trainer(dataclasses.replace(SETTINGS, consistency_weight=weight))
        layer = trainer.network.get_layer("depth_score")
        layer.set_weights([layer.get_weights()[0], np.float32([depth_bias])])
        trainer.take_step(*draw())
        return trainer.network.get_layer("radius_score").get_weights()[0]

    np.testing.assert_array_equal(step(0.0, -3), step(0.0, 3))
    assert (step(1.0, -3) != step(1.0, 3)).any()


def test_scores_are_mean_errors():
    trainer = make_trainer()
    images, truth = draw_depth_truth(Planes(), 3, np.random.default_rng(0))
    scores = trainer.score(images, truth)
    depth, share = (1 / (1 + np.exp(-np.asarray(trainer.network(images))[..., number])) for number in (0, 1))
    errors = np.abs(12 * share - np.abs(truth[..., 0]))
    assert scores["error, px"] == pytest.approx(errors.mean(), abs=2e-4)
    assert scores["disparity error"] == pytest.approx(np.abs(depth - truth[..., 1])[1].mean(), abs=2e-4)
    assert set(trainer.score(images[:1], truth[:1])) == {"error, px"}


def train(folder, settings=SETTINGS, **options):
    trainer = make_trainer(settings)
    task = MaskTask(trainer, Planes(), Planes(), scored_crops=2)
    return list_values(trainer.variables), run_training.train(task, folder, **options)


def test_a_run_that_is_resumed_ends_as_a_whole_one(tmp_path):
    whole, scores = train(tmp_path / "whole")
    train(tmp_path / "parts", dataclasses.replace(SETTINGS, steps=1))
    parts, again = train(tmp_path / "parts", resume=True)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert scores == pytest.approx(again, abs=2e-3)
    assert set(scores) >= {"error, px", "disparity error"}


def test_disparity_is_needed():
    class RadiiOnly:
        def draw_batch(self, count, rng):
            return Planes().draw_batch(count, rng)

        def draw_radii(self, count, rng):
            return Planes().draw_depths(count, rng)[:2]

    with pytest.raises(ValueError, match=r"sampler must draw scenes with disparity, .* Got: "):
        MaskTask(make_trainer(), RadiiOnly(), Planes())
    with pytest.raises(ValueError, match=r"sampler must draw scenes with disparity, .* Got: "):
        MaskTask(make_trainer(), Planes(), RadiiOnly())


def test_a_command_trains_and_writes_a_preset_that_the_estimator_loads(run, tmp_path, monkeypatch):
    text = "depth_weight = 1.0\nconsistency_weight = 1.0"
    metadata = check_radius_command(run, tmp_path, monkeypatch, "jointdepth", text)
    assert "disparity error" in metadata["development_crops"]
    assert metadata["settings"]["consistency_weight"] == 1


@pytest.mark.parametrize(
    ("network", "text", "dataset", "complaint"),
    [
        ("dmenet", "depth_weight = 1.0", "synthetic", "depth_weight must be 0.0 for dmenet, which learns no depth."),
        ("msdu", "consistency_weight = 1.0", "synthetic", "consistency_weight must be 0.0 for msdu, which learns no"),
        ("jointdepth", "iou_weight = 1.0", "synthetic", "iou_weight must be 0.0 for jointdepth, which answers with a"),
        ("jointdepth", "sharpness_weight = 1.0", "mixed", "sharpness_weight must be 0.0 for jointdepth. Got: 1.0."),
        ("jointdepth", "adversarial_weight = 1.0", "mixed", "adversarial_weight must be 0.0 for jointdepth. Got: 1.0."),
        ("jointdepth", "depth_weight = -1.0", "synthetic", "training.depth_weight must be greater than or equal to 0"),
        ("jointdepth", "", "cuhk", "dataset must be synthetic or mixed for jointdepth with these weights. Got: cuhk."),
    ],
)
def test_settings_and_data_without_use_are_refused(run, network, text, dataset, complaint):
    result = run(network, text, dataset)
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.replace("│", " ").split())


def test_the_recipes_learn_depth_from_scenes():
    for name in ("compact", "paper", str(CONFIGS_FOLDER / "short" / "jointdepth.toml")):
        settings = read_mask_config("jointdepth", name).settings
        assert settings.depth_weight > 0
        assert settings.consistency_weight > 0
        assert not settings.needs_photographs
    short, masks = (
        read_mask_config("jointdepth", str(CONFIGS_FOLDER / "short" / f"{name}.toml"))
        for name in ("jointdepth", "masks")
    )
    assert short.architecture == masks.architecture
    for name in ("seconds", "side", "batch", "optimizer", "learning_rate", "warmup", "decay"):
        assert getattr(short.settings, name) == getattr(masks.settings, name)
