"""SG's training without masks: composites, losses, steps of the network and of its judges, and whole runs."""

import dataclasses

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.blocks import NormalizedConfig
from defocus_edge.networks.segmentation.patch_gan import DiscriminatorConfig
from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS
from training.masks.losses import feature_distance, map_shape_loss
from training.masks.self_generated import CLASSES, SelfGeneratedTrainer, build_classifier, compose
from training.masks.settings import MaskTrainingSettings
from training.masks.training import MaskTask, SelfGeneratedDrawer
from training.runs import training as run_training

SIDE = 32
SETTINGS = MaskTrainingSettings(
    "sg",
    steps=3,
    batch=2,
    side=SIDE,
    optimizer="adam",
    learning_rate=0.01,
    warmup=0,
    decay=0.0,
    adversarial_weight=0.01,
    discriminator_width=1 / 16,
    self_generated=True,
)
TINY = NormalizedConfig(width=1 / 16)


@pytest.fixture(autouse=True)
def eager(request):
    """Compiling a step takes longer than a few steps as they come; tests named so compile all the same."""
    import tensorflow as tf

    tf.config.run_functions_eagerly("compiled" not in request.node.name)
    yield
    tf.config.run_functions_eagerly(False)


class Stripes:
    """Pictures whose sharp parts are single bright columns; what is blurred is grey. `flip` exchanges the masks."""

    def __init__(self, *, flip=False):
        self.flip = flip

    def draw_batch(self, count, rng):
        masks = (rng.random((count, 2, 2)) > 0.5).repeat(SIDE // 2, axis=1).repeat(SIDE // 2, axis=2)
        images = np.where(masks[..., None], *self._draw_wholes(count, rng))
        return images.astype(np.float32), masks != self.flip

    def draw_wholes(self, count, rng, *, blurred):
        return self._draw_wholes(count, rng)[0 if blurred else 1]

    def _draw_wholes(self, count, rng):
        levels = rng.uniform(0.4, 0.6, (count, 1, 1, 3)).astype(np.float32)
        grey = np.broadcast_to(levels, (count, SIDE, SIDE, 3)).copy()
        stripes = grey.copy()
        stripes[:, :, ::2] += 0.3
        stripes[:, :, 1::2] -= 0.3
        return grey, stripes


def make_trainer(settings=SETTINGS, **values):
    keras.utils.set_random_seed(settings.seed)
    config_class = SEGMENTATION_NETWORKS[settings.network].config_class
    return SelfGeneratedTrainer(settings, config_class(width=1 / 16, normalization="batch", **values))


def draw(step=1, *, settings=SETTINGS, sampler=None):
    return SelfGeneratedDrawer(settings, sampler or Stripes(), None).draw(step, np.random.default_rng(step))


def list_values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def find_changed(variables, before):
    return [bool((now != then).any()) for now, then in zip(list_values(variables), before, strict=True)]


def test_a_composite_has_each_pixel_from_where_the_map_says(rng):
    """Pixel by pixel, for a map of shares; a map of 0 and 1 only moves pixels."""
    partly, sharp, blurred = rng.random((3, 2, 4, 5, 3))
    share = rng.random((2, 4, 5, 1))
    share[0] = share[0] > 0.5
    found = compose(share, partly, sharp, blurred)
    for place in np.ndindex(2, 4, 5):
        p = share[place][0]
        expected = (1 - p) * partly[place] + p * sharp[place], p * partly[place] + (1 - p) * blurred[place]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one[place], other)
    moved = np.where(share[0] == 1, sharp[0], partly[0]), np.where(share[0] == 1, partly[0], blurred[0])
    for one, other in zip(found, moved, strict=True):
        np.testing.assert_allclose(one[0], other)


def measure_shape_slowly(probability):
    """Picture by picture and pixel by pixel."""
    losses = []
    for one in probability.astype(np.float64):
        unsure = sum(min(p, 1 - p) for p in one.ravel()) / one.size
        losses.append(unsure + max(0, 0.1 - one.mean()) + max(0, 0.1 - (1 - one.mean())))
    return np.mean(losses)


@pytest.mark.parametrize("power", [0.02, 0.3, 1, 5, 60])
def test_map_shape_loss_is_that_of_numpy(rng, power):
    probability = (rng.random((3, 6, 5, 1)) ** power).astype(np.float32)
    assert float(map_shape_loss(probability)) == pytest.approx(measure_shape_slowly(probability), rel=1e-5)


def test_map_shape_loss_costs_what_is_unsure_or_the_same_all_over():
    half = np.zeros((2, 4, 4, 1), np.float32)
    half[:, :2] = 1
    assert float(map_shape_loss(half)) == pytest.approx(0, abs=1e-6)
    assert float(map_shape_loss(np.full_like(half, 0.5))) == pytest.approx(0.5)
    for value in (0, 1):
        assert float(map_shape_loss(np.full_like(half, value))) == pytest.approx(0.1)
    half[1] = 1  # two pictures do not make up for each other
    assert float(map_shape_loss(half)) == pytest.approx(0.05)


def test_feature_distance_is_that_of_numpy(rng):
    first, second = rng.normal(size=(2, 4, 7)).astype(np.float32)
    cosines = [one @ other / np.sqrt((one @ one) * (other @ other)) for one, other in zip(first, second, strict=True)]
    np.testing.assert_allclose(feature_distance(first, second), 1 - np.array(cosines), rtol=1e-4)
    np.testing.assert_allclose(feature_distance(first, 3 * first), 0, atol=1e-6)
    np.testing.assert_allclose(feature_distance(first, np.zeros_like(first)), 1)


def test_the_classifier_takes_any_size_and_tells_three_classes(rng):
    classifier = build_classifier(DiscriminatorConfig(width=1 / 16, with_map=False))
    for shape in ((2, 32, 48), (1, 64, 40)):
        found = classifier(rng.random((*shape, 3), dtype=np.float32))
        assert found["features"].shape == (shape[0], 32)
        assert found["logits"].shape == (shape[0], len(CLASSES))
        assert np.asarray(found["features"]).min() >= 0


def test_the_loss_of_a_step_is_that_of_its_terms():
    """In NumPy, from what network and judges say before the step."""
    trainer, (partly, sharp, blurred) = make_trainer(), draw()
    *discriminators, classifier = trainer._model.judges
    probability = 1 / (1 + np.exp(-np.asarray(trainer.network(partly, training=True)).astype(np.float64)))
    composites = compose(probability, partly, sharp, blurred)
    expected = measure_shape_slowly(probability)
    for judge, composite, whole in zip(discriminators, composites, (sharp, blurred), strict=True):
        logits = np.asarray(judge(composite.astype(np.float32), training=False)).astype(np.float64)
        expected += SETTINGS.adversarial_weight * np.log1p(np.exp(-logits)).mean()
        one, other = (np.asarray(classifier(batch)["features"]) for batch in (composite, whole[::-1]))
        expected += (1 - (one * other).sum(-1) / np.sqrt((one**2).sum(-1) * (other**2).sum(-1))).mean()
    assert trainer.take_step(partly, sharp, blurred) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("network", ["sg", "msdu"])
def test_a_step_moves_each_network_by_its_own_optimizer(network):
    trainer = make_trainer(dataclasses.replace(SETTINGS, network=network))
    judges = trainer._model.judges
    assert len(judges) == 3
    before = [list_values(one.trainable_variables) for one in (trainer.network, *judges)]
    trainer.take_step(*draw())
    for one, values in zip((trainer.network, *judges), before, strict=True):
        changed = find_changed(one.trainable_variables, values)
        assert sum(changed) > 0.9 * len(changed)


def test_the_networks_step_leaves_the_judges_alone():
    trainer = make_trainer()
    before = [list_values(judge.variables) for judge in trainer._model.judges]
    nothing = np.zeros((2, 1), dtype=np.float32)
    names = ("map", "sharp_patches", "blurred_patches", "distances")
    trainer._model.train_on_batch(
        dict(zip(("partly", "sharp", "blurred"), draw(), strict=True)), dict.fromkeys(names, nothing)
    )
    for judge, values in zip(trainer._model.judges, before, strict=True):
        assert not any(find_changed(judge.variables, values))


def test_compiled_steps_lower_the_loss_against_judges_that_stand_still():
    trainer, batch = make_trainer(), draw()
    for judge in trainer._model.judges:
        judge.optimizer.learning_rate = 0.0
    losses = [trainer.take_step(*batch) for _ in range(12)]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.9 * losses[0]


def test_compiled_judges_learn_to_tell_and_maps_that_are_wrong_then_cost_more():
    """Judges that have seen composites of a network that stands still prefer the true mask to 0, 1 and the opposite."""
    settings = dataclasses.replace(
        SETTINGS, batch=8, learning_rate=0.0, discriminator_rate=2e-3, adversarial_weight=1.0
    )
    trainer, rng = make_trainer(settings), np.random.default_rng(0)
    drawer = SelfGeneratedDrawer(settings, Stripes(), None)
    for step in range(1, 41):
        trainer.take_step(*drawer.draw(step, np.random.default_rng(step)))
    grey, stripes = Stripes()._draw_wholes(8, rng)
    mask = np.zeros((8, SIDE, SIDE, 1), np.float32)
    mask[:, : SIDE // 2] = 1
    partly = np.where(mask, grey, stripes).astype(np.float32)
    costs = {
        name: measure_map(trainer, one, partly, stripes, grey)
        for name, one in {"true": mask, "sharp": 0 * mask, "blurred": mask**0, "opposite": 1 - mask}.items()
    }
    assert costs["true"] < 0.8 * min(costs["sharp"], costs["blurred"], costs["opposite"]), costs


def measure_map(trainer, probability, partly, sharp, blurred):
    """Loss of a map, whatever network made it."""

    class Says(keras.Model):
        def call(self, _, training=None):
            return keras.ops.convert_to_tensor(np.where(probability > 0.5, 20, -20).astype(np.float32))

    network, trainer._model.network = trainer._model.network, Says()
    out = trainer._model({"partly": partly, "sharp": sharp, "blurred": blurred})
    trainer._model.network = network
    adversarial = sum(np.log1p(np.exp(-np.asarray(out[name]))).mean() for name in ("sharp_patches", "blurred_patches"))
    shape, distances = float(map_shape_loss(out["map"])), np.asarray(out["distances"]).sum(-1).mean()
    return trainer.settings.adversarial_weight * adversarial + shape + distances


def train(folder, *, settings=SETTINGS, flip=False, **options):
    trainer = make_trainer(settings)
    task = MaskTask(trainer, Stripes(flip=flip), Stripes(), scored_crops=2)
    return trainer, run_training.train(task, folder, **options)


def test_masks_are_not_read(tmp_path):
    """With the opposite masks a run ends with the same weights, and the scores are of the true masks."""
    first, scores = train(tmp_path / "first")
    second, again = train(tmp_path / "second", flip=True)
    for one, other in zip(list_values(first.variables), list_values(second.variables), strict=True):
        np.testing.assert_array_equal(one, other)
    assert scores == again
    flipped, images = (
        Stripes(flip=True).draw_batch(2, np.random.default_rng(0)),
        Stripes().draw_batch(2, np.random.default_rng(0)),
    )
    np.testing.assert_array_equal(flipped[0], images[0])
    assert (flipped[1] != images[1]).all()


def test_a_run_that_is_resumed_ends_as_one_that_was_not_interrupted(tmp_path):
    whole, scores = train(tmp_path / "whole")
    train(tmp_path / "parts", settings=dataclasses.replace(SETTINGS, steps=1))
    parts, again = train(tmp_path / "parts", resume=True)
    for one, other in zip(list_values(whole.variables), list_values(parts.variables), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert scores == pytest.approx(again, abs=2e-3)
