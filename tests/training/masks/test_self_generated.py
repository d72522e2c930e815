"""SG's training without masks: composites, losses, steps of the network and of its judges, and whole runs."""

import dataclasses

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.blocks import NormalizedConfig
from defocus_edge.networks.segmentation.patch_gan import DiscriminatorConfig
from tests.conftest import write_png
from tests.training.masks.trainer_cases import list_values
from training.data.mask_datasets import list_pairs
from training.masks.losses import feature_distance, map_shape_loss
from training.masks.samplers import PairSampler, PhotoSampler
from training.masks.self_generated import CLASSES, SelfGeneratedModel, SelfGeneratedTrainer, build_classifier, compose
from training.masks.settings import MaskTrainingSettings
from training.masks.training import MaskTask, SelfGeneratedDrawer
from training.runs import training as run_training

pytestmark = pytest.mark.usefixtures("eager")

SIDE = 32
SETTINGS = MaskTrainingSettings(
    "sg",
    steps=2,
    batch=2,
    side=SIDE,
    optimizer="sgd",
    learning_rate=0.1,
    warmup=0,
    decay=0.0,
    adversarial_weight=0.01,
    discriminator_width=1 / 16,
    self_generated=True,
)
TINY = NormalizedConfig(width=1 / 16)


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


def make_trainer(settings=SETTINGS):
    keras.utils.set_random_seed(settings.seed)
    return SelfGeneratedTrainer(settings, TINY)


def draw(settings=SETTINGS):
    return SelfGeneratedDrawer(settings, Stripes(), None).draw(1, np.random.default_rng(1))


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


def test_the_loss_of_a_step_is_that_of_its_terms_and_all_networks_learn():
    """In NumPy, from what network and judges say before the step."""
    trainer, (partly, sharp, blurred) = make_trainer(), draw()
    *discriminators, classifier = trainer._model.judges
    before = [list_values(one.trainable_variables) for one in (trainer.network, *trainer._model.judges)]
    probability = 1 / (1 + np.exp(-np.asarray(trainer.network(partly, training=True)).astype(np.float64)))
    composites = compose(probability, partly, sharp, blurred)
    expected = measure_shape_slowly(probability)
    for judge, composite, whole in zip(discriminators, composites, (sharp, blurred), strict=True):
        logits = np.asarray(judge(composite.astype(np.float32), training=False)).astype(np.float64)
        expected += SETTINGS.adversarial_weight * np.log1p(np.exp(-logits)).mean()
        one, other = (np.asarray(classifier(batch)["features"]) for batch in (composite, whole[::-1]))
        expected += (1 - (one * other).sum(-1) / np.sqrt((one**2).sum(-1) * (other**2).sum(-1))).mean()
    assert trainer.take_step(partly, sharp, blurred) == pytest.approx(expected, rel=1e-3)
    for one, values in zip((trainer.network, *trainer._model.judges), before, strict=True):
        changed = find_changed(one.trainable_variables, values)
        assert sum(changed) > 0.9 * len(changed)


def test_compiled_steps_lower_the_loss_and_leave_the_judges_alone():
    trainer = make_trainer(dataclasses.replace(SETTINGS, optimizer="adam", learning_rate=0.01))
    before = [list_values(judge.variables) for judge in trainer._model.judges]
    pictures = dict(zip(("partly", "sharp", "blurred"), draw(), strict=True))
    nothing = np.zeros((2, 1), dtype=np.float32)
    targets = dict.fromkeys(("map", "sharp_patches", "blurred_patches", "distances"), nothing)
    losses = [trainer._model.train_on_batch(pictures, targets, return_dict=True)["loss"] for _ in range(10)]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.9 * losses[0]
    for judge, values in zip(trainer._model.judges, before, strict=True):
        assert not any(find_changed(judge.variables, values))


def test_judges_first_learn_alone_also_in_half_precision():
    trainer, batch = make_trainer(dataclasses.replace(SETTINGS, judges_first=1, precision="mixed_bfloat16")), draw()
    assert trainer._model.compute_dtype == "float32"
    assert {judge.layers[2].compute_dtype for judge in trainer._model.judges} == {"bfloat16"}
    network, *judges = (list_values(one.trainable_variables) for one in (trainer.network, *trainer._model.judges))
    first = trainer.take_step(*batch)
    assert not any(find_changed(trainer.network.trainable_variables, network))
    for judge, values in zip(trainer._model.judges, judges, strict=True):
        assert any(find_changed(judge.trainable_variables, values))
    assert np.isfinite([first, trainer.take_step(*batch)]).all()
    assert any(find_changed(trainer.network.trainable_variables, network))
    assert int(trainer.optimizer.iterations) == 1


class Says(keras.Model):
    """A network that gives the same logits for any picture."""

    def __init__(self, probability):
        super().__init__()
        self.logits = np.where(probability > 0.5, 20, -20).astype(np.float32)

    def call(self, _):
        return keras.ops.convert_to_tensor(self.logits)


class Looks(keras.Model):
    """A judge that knows stripes from grey: `sign` 1 wants stripes and -1 wants grey; 0 gives shares as features."""

    def __init__(self, sign):
        super().__init__()
        self.sign = sign

    def call(self, images):
        contrast = keras.ops.mean(keras.ops.abs(images[:, :, ::2] - images[:, :, 1::2]) / 0.6, axis=-1, keepdims=True)
        if self.sign:
            return self.sign * (20 * contrast - 10)
        share = keras.ops.mean(contrast, axis=(1, 2))
        return {"features": keras.ops.concatenate([share, 1 - share], axis=-1)}


def measure_map(probability):
    """Terms of the loss of a map, for pictures that are striped on the left and judges that know what stripes are."""
    grey, stripes = Stripes()._draw_wholes(2, np.random.default_rng(0))
    partly = np.where(TRUTH, grey, stripes).astype(np.float32)
    model = SelfGeneratedModel(Says(probability), [Looks(1), Looks(-1), Looks(0)])
    found = {
        name: np.asarray(one) for name, one in model({"partly": partly, "sharp": stripes, "blurred": grey}).items()
    }
    sharp, blurred = (np.log1p(np.exp(-found[name])).mean() for name in ("sharp_patches", "blurred_patches"))
    return {"sharp": sharp, "blurred": blurred, "distances": found["distances"].mean(axis=0)}


TRUTH = np.zeros((2, SIDE, SIDE, 1), dtype=bool)
TRUTH[:, :, SIDE // 2 :] = True


def test_each_judge_makes_another_wrong_map_cost():
    """All sharp spoils the sharp composite, all blurred the blurred one; only the true map spoils neither."""
    true, sharp, blurred = measure_map(TRUTH), measure_map(0 * TRUTH), measure_map(1 + 0 * TRUTH)
    assert max(true["sharp"], true["blurred"], *true["distances"]) < 0.01
    assert sharp["sharp"] > 1 > 0.01 > sharp["blurred"]
    assert sharp["distances"][0] > 0.2 > 0.01 > sharp["distances"][1]
    assert blurred["blurred"] > 1 > 0.01 > blurred["sharp"]
    assert blurred["distances"][1] > 0.2 > 0.01 > blurred["distances"][0]
    opposite = measure_map(~TRUTH)
    assert min(opposite["sharp"], opposite["blurred"], *opposite["distances"]) > 0.2


def train(folder, *, settings=SETTINGS, flip=False, **options):
    trainer = make_trainer(settings)
    task = MaskTask(trainer, Stripes(flip=flip), Stripes(), scored_crops=2)
    scores = run_training.train(task, folder, **options)
    return list_values(trainer.variables), scores


def test_masks_are_not_read_and_a_resumed_run_ends_as_a_whole_one(tmp_path):
    """A run with the opposite masks that is stopped and resumed ends with the same weights, and true masks score it."""
    whole, scores = train(tmp_path / "whole")
    train(tmp_path / "parts", settings=dataclasses.replace(SETTINGS, steps=1), flip=True)
    parts, again = train(tmp_path / "parts", flip=True, resume=True)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert scores == pytest.approx(again, abs=2e-3)


def test_batches_do_not_depend_on_the_masks():
    drawers = [SelfGeneratedDrawer(SETTINGS, Stripes(flip=flip), None) for flip in (False, True)]
    for one, other in zip(*(drawer.draw(1, np.random.default_rng(1)) for drawer in drawers), strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_the_masks_of_the_stripes_are_flipped():
    (pictures, masks), (same, opposite) = (
        Stripes(flip=flip).draw_batch(2, np.random.default_rng(0)) for flip in (False, True)
    )
    np.testing.assert_array_equal(pictures, same)
    np.testing.assert_array_equal(masks, ~opposite)


def test_batches_are_partly_blurred_sharp_and_blurred_pictures(tmp_path, rng):
    partly, sharp, blurred = draw()
    contrast = [np.abs(np.diff(one, axis=2)).mean() for one in (partly, sharp, blurred)]
    assert contrast[1] == pytest.approx(0.6, abs=1e-5)
    assert contrast[2] == 0
    assert 0 < contrast[0] < 0.6
    write_png(tmp_path / "photos" / "a.png", np.full((40, 40, 3), 255, dtype=np.uint8))
    photos = PhotoSampler(tmp_path / "photos", side=SIDE)
    partly, sharp, _ = SelfGeneratedDrawer(SETTINGS, Stripes(), photos).draw(1, rng)
    assert partly.shape == sharp.shape
    assert (partly == 1).all()
    assert sharp.max() < 1


def test_a_sampler_without_whole_pictures_is_refused(tmp_path, rng):
    write_png(tmp_path / "image" / "a.png", rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    write_png(tmp_path / "gt" / "a.png", np.zeros((40, 40), dtype=np.uint8))
    sampler = PairSampler(list_pairs(tmp_path / "image", tmp_path / "gt"), side=SIDE)
    with pytest.raises(ValueError, match=r"sampler must draw wholly sharp and wholly blurred pictures .*PairSampler"):
        MaskTask(make_trainer(), sampler, Stripes(), scored_crops=1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"adversarial_weight": 0.0}, "self_generated must go with an adversarial_weight above 0 and a batch of at"),
        ({"batch": 1}, r"batch of at least 2\. Got: 0\.01 and 1\."),
        ({"judges_first": 2}, r"judges_first must be less than steps\. Got: 2 and 2\."),
        ({"iou_weight": 1.0}, r"iou_weight must be 0 with self_generated, which reads no masks\. Got: 1\.0\."),
        ({"diversity_weight": 1.0}, "diversity_weight must be 0"),
        ({"unlabelled_from": 1}, "unlabelled_from must be 0"),
    ],
)
def test_wrong_settings_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(SETTINGS, **change)
