"""AENet: what its detectors share, what an adapter adds, how the detectors begin, their mean."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.aenet import DETECTORS, build_aenet
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, BilinearUpsampling, SegmentationConfig
from tests.defocus_edge.networks.segmentation.network_cases import evaluate

BACKBONE = ("vgg_conv5_1_relu", "vgg_conv5_2_relu", "vgg_conv5_3_relu", "reduce_relu")


@pytest.fixture(scope="module")
def small_net():
    """Tests leave it as it is."""
    keras.utils.set_random_seed(0)
    return build_aenet(SegmentationConfig(width=0.05))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 48, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def maps(small_net, image):
    return np.asarray(small_net(image, training=False))


def test_a_detector_is_the_backbone_and_what_its_adapters_add(small_net, image, maps):
    features, *backbone = evaluate(small_net, image, "vgg_pool4", *BACKBONE)
    for number, one in enumerate(backbone, start=1):
        kernel, bias = small_net.get_layer(f"detector3_adapter{number}").get_weights()
        features = one + np.maximum(features @ kernel[0, 0] + bias, 0)
    kernel, bias = small_net.get_layer("detector_score").get_weights()
    expected = np.asarray(BilinearUpsampling(16)(features @ kernel[0, 0] + bias))
    np.testing.assert_allclose(maps[..., 2:3], expected, atol=1e-4)


@pytest.mark.parametrize(("layer", "moved"), [("detector5_adapter1", [4]), ("vgg_conv5_1", range(DETECTORS))])
def test_detectors_share_the_backbone_and_not_their_adapters(small_net, image, maps, layer, moved):
    weights = small_net.get_layer(layer).kernel
    before = np.asarray(weights)
    weights.assign(1.5 * before)
    change = np.abs(np.asarray(small_net(image, training=False)) - maps).max(axis=(0, 1, 2))
    weights.assign(before)
    assert [*np.flatnonzero(change)] == [*moved, DETECTORS]


def test_the_answer_is_the_mean_of_the_probabilities(small_net, image, maps):
    (logits,) = evaluate(small_net, image, "detectors_concat")
    mean = (1 / (1 + np.exp(-logits))).mean(axis=-1, keepdims=True)
    expected = np.asarray(BilinearUpsampling(16)(np.log(mean / (1 - mean))))
    np.testing.assert_allclose(maps[..., -1:], expected, atol=1e-5)


def test_no_two_detectors_begin_the_same(maps):
    flat = maps[..., :-1].reshape(-1, DETECTORS)
    apart = np.abs(flat[:, :, None] - flat[:, None]).max(axis=0)
    assert apart[~np.eye(DETECTORS, dtype=bool)].min() > 1e-4


def test_weights_of_imagenet_fill_the_backbone_alone(small_net):
    found = [layer.name for layer in small_net.layers if layer.name.endswith(tuple(VGG16_NAMES))]
    assert found == [*VGG16_NAMES]
