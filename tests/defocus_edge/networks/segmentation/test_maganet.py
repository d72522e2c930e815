"""MA-GANet: channel and spatial attention, dropout."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from defocus_edge.networks.segmentation.architectures.maganet import ChannelAttention, MaGanetConfig, build_ma_ganet


@pytest.fixture(scope="module")
def small_net():
    return build_ma_ganet(MaGanetConfig(width=0.05))


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
