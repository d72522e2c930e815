"""EFENet: its encoders, their mean, the layers that the decoder joins."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.efenet import ENCODERS, build_efenet
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, BilinearUpsampling, NormalizedConfig
from tests.defocus_edge.networks.segmentation.network_cases import evaluate, get_inputs

MEANS = [f"encoder{number}_mean3" for number in range(1, ENCODERS + 1)]


@pytest.fixture(scope="module")
def small_net():
    """Tests must not change it."""
    keras.utils.set_random_seed(0)
    return build_efenet(NormalizedConfig(width=0.05, normalization="none"))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 48, 3), dtype=np.float32)


def test_an_encoder_has_a_deep_path_and_a_light_one(small_net, image):
    names = ("vgg_conv5_1_relu", "encoder4_deep2_relu", "encoder4_deep3_relu", "encoder4_mean3")
    encoded, *deep, found = evaluate(small_net, image, *names)
    for step, one in zip((2, 3), deep, strict=True):
        kernel, bias = small_net.get_layer(f"encoder4_light{step}").get_weights()
        encoded = (one + np.maximum(encoded @ kernel[0, 0] + bias, 0)) / 2
    np.testing.assert_allclose(found, encoded, atol=1e-5)
    assert get_inputs(small_net, "encoder4_deep2") == ["vgg_conv5_1_relu"]
    assert get_inputs(small_net, "encoder4_deep3") == ["encoder4_deep2_relu"]


def test_the_decoder_begins_with_the_mean_of_encoders_that_begin_differently(small_net, image):
    found, *encoded = evaluate(small_net, image, "ensemble", *MEANS)
    np.testing.assert_allclose(found, np.mean(encoded, axis=0), atol=1e-5)
    assert min(np.abs(encoded[0] - other).max() for other in encoded[1:]) > 1e-3


def test_the_decoder_joins_ever_finer_layers(small_net):
    joined = [get_inputs(small_net, f"{side}_concat") for side in ("conv4_3", "conv3_3", "conv2_2")]
    assert joined == [[f"{tap}_up", f"vgg_{tap}_relu"] for tap in ("conv4_3", "conv3_3", "conv2_2")]
    before = [get_inputs(small_net, f"{side}_up") for side in ("conv4_3", "conv3_3", "conv2_2")]
    assert before == [["ensemble"], ["conv4_3_decode_relu"], ["conv3_3_decode_relu"]]


def test_the_map_is_learnt_at_half_the_size(small_net, image):
    (score,) = evaluate(small_net, image, "score")
    assert score.shape == (1, 16, 24, 1)
    np.testing.assert_allclose(small_net(image), np.asarray(BilinearUpsampling(2)(score)), atol=1e-5)


def test_weights_of_imagenet_fill_the_shared_layers_and_no_encoder(small_net):
    found = [layer.name for layer in small_net.layers if layer.name.endswith(tuple(VGG16_NAMES))]
    assert found == [name for name in VGG16_NAMES if name not in {"vgg_conv5_2", "vgg_conv5_3"}]
