"""Losses of blur detection: against NumPy in double precision, at their bounds, and with gradients."""

import numpy as np
import pytest
import tensorflow as tf

from training.masks.losses import discriminator_loss, generator_loss, iou_loss, score_map_loss


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
