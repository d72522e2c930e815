"""MA-GANet: both attentions, and a discriminator that sees 70×70 px through kernels of spectral norm 1."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from defocus_edge.networks.segmentation.ma_ganet import (
    ChannelAttention,
    DiscriminatorConfig,
    MaGanetConfig,
    SpectralConv2D,
    build_discriminator,
    build_ma_ganet,
)


@pytest.fixture(scope="module")
def small_net():
    return build_ma_ganet(MaGanetConfig(width=0.05))


@pytest.fixture(scope="module")
def small_discriminator():
    keras.utils.set_random_seed(0)
    return build_discriminator(DiscriminatorConfig(width=0.05))


def attend_slowly(maps, alpha):
    """Channel attention of one picture with an explicit matrix."""
    matrix = maps.reshape(-1, maps.shape[-1]).T.astype(np.float64)
    energy = matrix @ matrix.T
    shares = np.exp(energy - energy.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return maps + alpha * (shares @ matrix).T.reshape(maps.shape)


def test_channel_attention_starts_as_the_identity(rng):
    maps = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(ChannelAttention()(maps)), maps)


def test_channel_attention_is_that_of_the_oracle(rng):
    maps = rng.normal(scale=0.5, size=(2, 3, 4, 5)).astype(np.float32)
    attention = ChannelAttention()
    attention.build(maps.shape)
    attention.alpha.assign(0.7)
    expected = np.stack([attend_slowly(picture, 0.7) for picture in maps])
    np.testing.assert_allclose(np.asarray(attention(maps)), expected, atol=1e-5)


def test_alpha_is_trained_from_the_start(rng):
    attention = ChannelAttention()
    maps = tf.constant(rng.normal(size=(1, 4, 4, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(attention(maps) ** 2)
    assert abs(float(tape.gradient(loss, attention.alpha.value))) > 0


def test_each_branch_has_channel_attention(small_net):
    names = {layer.name for layer in small_net.layers if isinstance(layer, ChannelAttention)}
    assert names == {"high_channel_attention", "low_channel_attention"}


def test_spatial_attention_comes_from_atrous_convolutions_of_the_high_branch(small_net):
    assert small_net.get_layer("spatial_conv1").input is small_net.get_layer("high_conv_relu").output
    assert small_net.get_layer("spatial_conv1").dilation_rate == (2, 2)
    assert small_net.get_layer("spatial_conv2").dilation_rate == (4, 4)
    low, gate = small_net.get_layer("low_gated").input
    assert low is small_net.get_layer("low_conv_relu").output
    assert gate is small_net.get_layer("spatial_up").output


def test_spatial_attention_gates_the_low_features(small_net, rng):
    image = rng.random((1, 32, 48, 3), dtype=np.float32)
    names = ("spatial_up", "low_conv_relu", "low_gated")
    parts = keras.Model(small_net.input, [small_net.get_layer(name).output for name in names])
    gate, low, gated = (np.asarray(part) for part in parts(image))
    assert gate.shape == (1, 32, 48, 1)
    assert gate.min() >= 0
    assert gate.max() <= 1
    np.testing.assert_allclose(gated, low * gate, atol=1e-6)


def test_dropout_works_in_training_only(small_net, rng):
    image = rng.random((1, 32, 32, 3), dtype=np.float32)
    still = [np.asarray(small_net(image, training=False)) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    moving = [np.asarray(small_net(image, training=True)) for _ in range(2)]
    assert np.abs(moving[0] - moving[1]).max() > 0


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_must_be_a_share(dropout):
    with pytest.raises(ValueError, match=r"dropout must be at least 0 and less than 1\. Got: "):
        MaGanetConfig(dropout=dropout)


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
