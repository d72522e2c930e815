"""Losses of blur detection: against NumPy in double precision, at their bounds, and with gradients."""

import numpy as np
import pytest
import tensorflow as tf

from training.masks.losses import discriminator_loss, diversity_loss, generator_loss, iou_loss, score_map_loss


@pytest.fixture
def masks(rng):
    return (rng.random((2, 6, 5, 1)) < 0.4).astype(np.float32)


def cross_entropy_slowly(masks, logits):
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return -(masks * np.log(probability) + (1 - masks) * np.log(1 - probability))


def test_score_map_loss_is_a_sum_over_maps_of_means(rng, masks):
    logits = rng.normal(size=(2, 6, 5, 3)).astype(np.float32)
    expected = sum(cross_entropy_slowly(masks[..., 0], logits[..., number]).mean() for number in range(3))
    assert float(score_map_loss(masks, logits)) == pytest.approx(expected, rel=1e-5)


def test_score_map_loss_takes_boolean_masks(masks):
    logits = np.zeros((2, 6, 5, 1), np.float32)
    assert float(score_map_loss(masks > 0, logits)) == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize("size", [50, 1e4])
def test_score_map_loss_stays_finite(masks, size):
    sure = (2 * masks - 1) * np.float32(size)
    assert float(score_map_loss(masks, sure)) == pytest.approx(0, abs=1e-6)
    assert float(score_map_loss(masks, -sure)) == pytest.approx(size, rel=1e-5)


def test_iou_loss_is_zero_for_equal_masks(masks):
    assert float(iou_loss(masks, masks)) == pytest.approx(0, abs=1e-6)


def test_iou_loss_is_one_for_disjoint_masks(masks):
    assert masks.min(axis=(1, 2, 3)).tolist() == [0, 0]
    assert float(iou_loss(masks, 1 - masks)) == pytest.approx(1, abs=1e-5)


def test_iou_loss_of_two_empty_masks_is_zero():
    empty = np.zeros((2, 4, 4, 1), np.float32)
    assert float(iou_loss(empty, empty)) == 0


def test_iou_loss_of_one_empty_mask_is_one(masks):
    empty = np.zeros_like(masks)
    assert float(iou_loss(empty, masks)) == pytest.approx(1, abs=1e-5)
    assert float(iou_loss(masks, empty)) == pytest.approx(1, abs=1e-5)


def test_iou_loss_is_averaged_over_pictures():
    masks = np.zeros((2, 2, 2, 1), np.float32)
    masks[0, 0], masks[1] = 1, 1
    probability = np.ones_like(masks)
    assert float(iou_loss(masks, probability)) == pytest.approx((0.5 + 0) / 2, abs=1e-5)


def test_iou_loss_is_that_of_numpy(rng, masks):
    probability = rng.random(masks.shape).astype(np.float32)
    overlap, union = (masks * probability).sum((1, 2, 3)), np.maximum(masks, probability).sum((1, 2, 3))
    # for binary masks m + p - m p is the larger of both
    assert float(iou_loss(masks, probability)) == pytest.approx((1 - overlap / union).mean(), rel=1e-5)


def differ_slowly(logits):
    """Minus the spread of the detectors of each picture, detector by detector, in double precision."""
    detectors = 1 / (1 + np.exp(-logits[..., :-1].astype(np.float64)))
    half = detectors.shape[-1] // 2
    first, second = detectors[..., :half], detectors[..., half:]
    losses = np.zeros(len(logits))
    for own, other in ((first, second), (second, first)):
        for number in range(own.shape[-1]):
            apart = (own[..., number] - own.mean(-1)) ** 2 + 0.1 * (own[..., number] - other.mean(-1)) ** 2
            losses -= apart.mean((1, 2))
    return losses


@pytest.mark.parametrize("maps", [3, 5, 6, 9])
def test_diversity_loss_is_that_of_numpy(rng, maps):
    logits = rng.normal(scale=2, size=(3, 6, 5, maps)).astype(np.float32)
    expected = differ_slowly(logits)
    assert float(diversity_loss(logits)) == pytest.approx(expected.mean(), rel=1e-5)
    weights = np.array([0.5, 0, 1.5], np.float32)
    assert float(diversity_loss(logits, weights)) == pytest.approx((expected @ weights) / 2, rel=1e-5)


def test_diversity_loss_of_one_group_is_the_variance_of_its_detectors(rng):
    logits = rng.normal(scale=2, size=(3, 6, 5, 5)).astype(np.float32)
    detectors = 1 / (1 + np.exp(-logits[..., :4].astype(np.float64)))
    expected = -4 * detectors.var(axis=-1).mean()
    assert float(diversity_loss(logits, groups=1)) == pytest.approx(expected, rel=1e-5)


def test_diversity_loss_of_equal_detectors_is_zero(rng):
    logits = rng.normal(size=(2, 4, 4, 1)).astype(np.float32).repeat(7, axis=-1)
    logits[..., -1] += 3  # the mean is no detector
    assert float(diversity_loss(logits)) == pytest.approx(0, abs=1e-12)


def test_diversity_loss_has_its_least_value_where_sure_detectors_disagree():
    logits = np.zeros((1, 2, 2, 5), np.float32)
    logits[..., :2], logits[..., 2:4] = 1e4, -1e4  # the groups disagree, each of them agrees
    assert float(diversity_loss(logits)) == pytest.approx(-4 * 0.1, rel=1e-5)
    logits[..., 1::2] *= -1  # each group has both: half as far from both means
    assert float(diversity_loss(logits)) == pytest.approx(-4 * 1.1 / 4, rel=1e-5)


def test_the_gradient_moves_detectors_away_from_both_means_and_leaves_the_last_map():
    logits = tf.constant(np.array([0.5, -0.5, 2.0, 1.0, 9.0], np.float32).reshape(1, 1, 1, 5))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = diversity_loss(logits)
    gradient = tape.gradient(loss, logits).numpy().ravel()
    p = 1 / (1 + np.exp(-logits.numpy().ravel()[:4].astype(np.float64)))
    own, other = np.repeat([p[:2].mean(), p[2:].mean()], 2), np.repeat([p[2:].mean(), p[:2].mean()], 2)
    expected = -2 * ((p - own) + 0.1 * (p - other)) * p * (1 - p)  # the means do not move
    np.testing.assert_allclose(gradient, [*expected, 0], rtol=1e-5)


@pytest.mark.parametrize("maps", [1, 2])
def test_one_detector_cannot_differ(maps):
    with pytest.raises(ValueError, match=rf"at least 3 maps: two detectors and their mean\. Got: {maps}\."):
        diversity_loss(np.zeros((1, 2, 2, maps), np.float32))


def test_adversarial_losses_at_indecision():
    logits = np.zeros((1, 3, 3, 1), np.float32)
    assert float(generator_loss(logits)) == pytest.approx(np.log(2), rel=1e-6)
    assert float(discriminator_loss(logits, logits)) == pytest.approx(np.log(2), rel=1e-6)


def test_adversarial_losses_are_cross_entropies(rng):
    on_masks, on_maps = rng.normal(size=(2, 1, 4, 4, 1)).astype(np.float32)
    assert float(generator_loss(on_maps)) == pytest.approx(cross_entropy_slowly(1, on_maps).mean(), rel=1e-5)
    expected = (cross_entropy_slowly(1, on_masks).mean() + cross_entropy_slowly(0, on_maps).mean()) / 2
    assert float(discriminator_loss(on_masks, on_maps)) == pytest.approx(expected, rel=1e-5)


def test_generator_has_its_gradient_when_the_discriminator_wins():
    logits = tf.constant(np.full((1, 2, 2, 1), -20.0, np.float32))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = generator_loss(logits)
    np.testing.assert_allclose(tape.gradient(loss, logits), -0.25, rtol=1e-5)


@pytest.mark.parametrize("loss", [score_map_loss, iou_loss])
def test_gradients_are_finite_for_empty_masks(loss):
    masks = np.zeros((1, 4, 4, 1), np.float32)
    values = tf.constant(np.full((1, 4, 4, 1), 0.1, np.float32))
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = loss(masks, values)
    assert np.isfinite(tape.gradient(result, values).numpy()).all()


@pytest.mark.parametrize("loss", [score_map_loss, iou_loss])
def test_pictures_of_weight_0_do_not_count(loss, rng):
    masks = (rng.random((3, 8, 8, 1)) > 0.5).astype(np.float32)
    maps = rng.random((3, 8, 8, 1), dtype=np.float32)
    whole, first = (float(loss(masks[:n], maps[:n])) for n in (3, 1))
    assert float(loss(masks, maps, np.ones(3, dtype=np.float32))) == pytest.approx(whole, rel=1e-5)
    assert float(loss(masks, maps, np.array([1, 0, 0], dtype=np.float32))) == pytest.approx(first, rel=1e-5)
    assert float(loss(masks, maps, np.zeros(3, dtype=np.float32))) == 0
