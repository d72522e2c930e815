"""The discriminator of MA-GANet: what it sees, and spectral normalization."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from defocus_edge.networks.segmentation.patch_gan import DiscriminatorConfig, SpectralConv2D, build_discriminator


@pytest.fixture(scope="module")
def small_discriminator():
    keras.utils.set_random_seed(0)
    return build_discriminator(DiscriminatorConfig(width=0.05))


def test_discriminator_sees_70_by_70_pixels(small_discriminator, rng):
    pair = tf.constant(rng.random((1, 160, 160, 4), dtype=np.float32))
    with tf.GradientTape() as tape:
        tape.watch(pair)
        patch = small_discriminator(pair)[0, 10, 10, 0]
    seen = np.abs(tape.gradient(patch, pair).numpy()[0]).max(axis=-1) > 0
    rows, cols = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert (np.ptp(rows) + 1, np.ptp(cols) + 1) == (70, 70)


@pytest.mark.parametrize("shape", [(2, 32, 48), (1, 64, 40)])
def test_discriminator_gives_one_logit_for_each_8_pixels(small_discriminator, rng, shape):
    logits = np.asarray(small_discriminator(rng.random((*shape, 4), dtype=np.float32)))
    assert logits.shape == (shape[0], shape[1] // 8, shape[2] // 8, 1)
    assert np.isfinite(logits).all()


def test_discriminator_without_a_map_sees_the_picture_alone(rng):
    discriminator = build_discriminator(DiscriminatorConfig(width=0.05, with_map=False))
    image = rng.random((1, 32, 48, 3), dtype=np.float32)
    logits = np.asarray(discriminator(image))
    assert logits.shape == (1, 4, 6, 1)
    image[:, :, :8] = 1 - image[:, :, :8]
    assert np.abs(np.asarray(discriminator(image)) - logits).max() > 1e-5


def test_discriminator_sees_the_map_too(small_discriminator, rng):
    pair = rng.random((1, 72, 72, 4), dtype=np.float32)
    other = pair.copy()
    other[..., 3] = 1 - other[..., 3]
    assert np.abs(np.asarray(small_discriminator(pair)) - np.asarray(small_discriminator(other))).max() > 1e-5


def test_number_of_parameters_of_the_discriminator():
    discriminator = build_discriminator()
    assert sum(int(np.prod(weight.shape)) for weight in discriminator.trainable_weights) == 2_765_761


@pytest.mark.parametrize("width", [0, -1, float("nan")])
def test_width_of_the_discriminator_must_be_positive(width):
    with pytest.raises(ValueError, match=r"width must be positive and finite\. Got: "):
        DiscriminatorConfig(width=width)


def test_spectral_norm_of_all_kernels_becomes_one(rng):
    discriminator = build_discriminator(DiscriminatorConfig(width=0.05))
    convs = [layer for layer in discriminator.layers if isinstance(layer, SpectralConv2D)]
    assert len(convs) == 5
    pair = rng.random((1, 16, 16, 4), dtype=np.float32)
    for conv in convs:
        conv.kernel.assign(conv.kernel * 5)
    for _ in range(40):
        discriminator(pair, training=True)
    for conv in convs:
        matrix = np.asarray(conv.normalize_kernel()).reshape(-1, conv.filters)
        assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, abs=0.01)


def test_power_iteration_stands_still_outside_training(rng):
    conv = SpectralConv2D(4, 3)
    maps = rng.normal(size=(1, 8, 8, 3)).astype(np.float32)
    conv(maps)
    before = np.array(conv.singular_vector)
    conv(maps, training=False)
    np.testing.assert_array_equal(np.array(conv.singular_vector), before)
    conv(maps, training=True)
    assert np.abs(np.array(conv.singular_vector) - before).max() > 0


def test_scale_of_a_kernel_has_no_influence_and_no_gradient(rng):
    conv = SpectralConv2D(4, 3, use_bias=False)
    maps = tf.constant(rng.normal(size=(1, 8, 8, 3)).astype(np.float32))
    for _ in range(100):
        conv(maps, training=True)
    before = np.asarray(conv(maps))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(conv(maps) ** 2)
    gradient = tape.gradient(loss, conv.kernel.value).numpy()
    along = (gradient * np.asarray(conv.kernel)).sum()
    assert abs(along) < 1e-3 * np.linalg.norm(gradient) * np.linalg.norm(np.asarray(conv.kernel))
    conv.kernel.assign(conv.kernel * 3)
    np.testing.assert_allclose(np.asarray(conv(maps)), before, atol=1e-4)


def test_discriminator_works_under_mixed_precision(rng):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        discriminator = build_discriminator(DiscriminatorConfig(width=0.05))
    finally:
        keras.config.set_dtype_policy(before)
    logits = discriminator(rng.random((1, 16, 16, 4), dtype=np.float32), training=True)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert np.isfinite(np.asarray(logits)).all()
