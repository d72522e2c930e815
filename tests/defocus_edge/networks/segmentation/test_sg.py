"""The generator of SG: what its decoder joins, at which size, and weights of VGG16."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.sg import build_sg
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, NormalizedConfig
from tests.defocus_edge.networks.segmentation.network_cases import evaluate, get_inputs
from tests.defocus_edge.networks.segmentation.test_blocks import upsample_slowly

#: What each step of the decoder enlarges, the layer of the encoder that it joins, and its stride.
STEPS = {
    "decoder_conv4_3": ("vgg_conv5_3_relu", "vgg_conv4_3_relu", 8),
    "decoder_conv3_3": ("decoder_conv4_3_conv_relu", "vgg_conv3_3_relu", 4),
    "decoder_conv2_2": ("decoder_conv3_3_conv_relu", "vgg_conv2_2_relu", 2),
}


@pytest.fixture(scope="module")
def small_net():
    keras.utils.set_random_seed(0)
    return build_sg(NormalizedConfig(width=0.05))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 48, 3), dtype=np.float32)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_doubles_what_is_below_and_joins_a_layer_of_the_encoder(small_net, image, step):
    below, tap, stride = STEPS[step]
    coarse, skipped, joined = evaluate(small_net, image, below, tap, f"{step}_concat")
    assert joined.shape[1:3] == (32 // stride, 48 // stride)
    assert np.ptp(skipped) > 0
    np.testing.assert_allclose(joined, np.concatenate([upsample_slowly(coarse, 2), skipped], axis=-1), atol=1e-5)
    assert get_inputs(small_net, f"{step}_join") == [f"{step}_concat"]
    assert [small_net.get_layer(f"{step}_{part}").kernel.shape[0] for part in ("join", "conv")] == [1, 3]


def test_the_last_doubling_lies_between_three_convolutions(small_net, image):
    coarse, fine, logits = evaluate(small_net, image, "last_conv1_relu", "last_up", "score")
    assert get_inputs(small_net, "last_conv1") == ["decoder_conv2_2_conv_relu"]
    np.testing.assert_allclose(fine, upsample_slowly(coarse, 2), atol=1e-5)
    assert get_inputs(small_net, "last_conv2") == ["last_up"]
    assert get_inputs(small_net, "score") == ["last_conv3_relu"]
    np.testing.assert_array_equal(logits, np.asarray(small_net(image)))


def test_the_encoder_is_vgg16_that_imagenet_fits(small_net):
    convs = [layer.name for layer in small_net.layers if layer.name.startswith("vgg_conv")]
    assert [name for name in convs if "_" not in name.removeprefix("vgg_conv")[2:]] == [*VGG16_NAMES]


def test_batch_normalization_is_the_default_and_behind_all_convolutions_but_the_score():
    assert NormalizedConfig().normalization == "batch"
    net = build_sg(NormalizedConfig(width=0.05))
    normalized = {layer.name for layer in net.layers if isinstance(layer, keras.layers.BatchNormalization)}
    convs = {layer.name for layer in net.layers if isinstance(layer, keras.layers.Conv2D)}
    assert normalized == {f"{name}_norm" for name in convs - {"score"}}
