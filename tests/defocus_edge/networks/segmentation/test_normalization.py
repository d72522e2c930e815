import keras
import numpy as np
import pytest
import tensorflow as tf

from defocus_edge.networks.segmentation.normalization import BatchNormalization

OPTIONS = {"momentum": 0.9, "epsilon": 1e-3}


def build_model(kind, policy="float32"):
    image = keras.Input((None, None, 3))
    return keras.Model(image, kind(**OPTIONS, dtype=policy, name="norm")(image))


@pytest.fixture
def models(rng):
    """The layer of Keras and ours, with the same weights."""
    both = [build_model(kind) for kind in (keras.layers.BatchNormalization, BatchNormalization)]
    values = [rng.uniform(0.5, 2, 3).astype(np.float32) for _ in range(4)]
    for model in both:
        model.set_weights(values)
    return both


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 1, 1, 3)])
def test_a_step_is_that_of_keras(models, rng, shape):
    images = rng.normal(2, 3, shape).astype(np.float32)
    wanted = rng.normal(size=shape).astype(np.float32)
    results = []
    for model in models:
        inputs = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = model(inputs, training=True)
            loss = tf.reduce_mean((outputs - wanted) ** 2)
        sources = [inputs, *(variable.value for variable in model.trainable_variables)]
        results.append([outputs, *tape.gradient(loss, sources), *model.get_weights()])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert np.abs(models[1].get_weights()[2] - images.mean((0, 1, 2))).max() > 0  # the running mean is no mean


def test_inference_is_that_of_keras(models, rng):
    images = rng.normal(2, 3, (2, 5, 7, 3)).astype(np.float32)
    before = models[1].get_weights()
    theirs, ours = (model(images, training=False) for model in models)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    for old, new in zip(before, models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_is_frozen_learns_nothing(models, rng):
    images = rng.normal(2, 3, (2, 5, 7, 3)).astype(np.float32)
    for model in models:
        model.get_layer("norm").trainable = False
    theirs, ours = (model(images, training=True) for model in models)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_bfloat16_is_normalized_in_float32(models, rng):
    mixed = build_model(BatchNormalization, "mixed_bfloat16")
    mixed.set_weights(models[1].get_weights())
    images = rng.normal(2, 3, (2, 5, 7, 3)).astype(np.float32)
    outputs = mixed(images, training=True)
    assert outputs.dtype == tf.bfloat16
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), models[1](images, training=True), rtol=0.02, atol=0.02)


def test_weights_of_keras_fit(models, tmp_path):
    theirs, ours = models
    ours.set_weights([values + 1 for values in ours.get_weights()])
    theirs.save_weights(tmp_path / "model.weights.h5")
    ours.load_weights(tmp_path / "model.weights.h5")
    for one, other in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_copy_from_its_configuration_is_of_the_same_kind(models):
    copy = keras.Model.from_config(models[1].get_config())
    assert isinstance(copy.get_layer("norm"), BatchNormalization)
