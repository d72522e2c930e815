"""CENet: what its groups of detectors share, how the detectors begin, their mean."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.cenet import (
    DETECTORS,
    SCORE_LAYER,
    SCORE_MAPS,
    MeanProbability,
    build_cenet,
)
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, BilinearUpsampling, SegmentationConfig

FIRST, SECOND = slice(0, DETECTORS), slice(DETECTORS, 2 * DETECTORS)


def build_small():
    keras.utils.set_random_seed(0)
    return build_cenet(SegmentationConfig(width=0.05))


@pytest.fixture(scope="module")
def small_net():
    """Tests must not change it."""
    return build_small()


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 48, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def maps(small_net, image):
    return np.asarray(small_net(image, training=False))


@pytest.mark.parametrize(
    ("layer", "moved", "kept"),
    [
        ("vgg_conv2_2", [FIRST, SECOND], []),
        ("group1_vgg_conv3_1", [FIRST], [SECOND]),
        ("group2_vgg_conv3_1", [SECOND], [FIRST]),
        ("group1_reduce", [FIRST], [SECOND]),
        ("group2_detectors", [SECOND], [FIRST]),
    ],
)
def test_groups_share_two_blocks_of_vgg16_and_nothing_else(image, maps, layer, moved, kept):
    net = build_small()
    weights = net.get_layer(layer).kernel
    weights.assign(1.5 * weights)
    change = np.abs(np.asarray(net(image, training=False)) - maps).max(axis=(0, 1, 2))
    assert change[-1] > 0
    assert all(change[group].min() > 0 for group in moved)
    assert all(change[group].max() == 0 for group in kept)


def test_the_answer_is_the_mean_of_the_probabilities(small_net, image, maps):
    assert maps.shape == (1, 32, 48, 129)
    groups = [
        np.asarray(keras.Model(small_net.input, small_net.get_layer(f"{name}_detectors").output)(image))
        for name in ("group1", "group2")
    ]
    mean = (1 / (1 + np.exp(-np.concatenate(groups, axis=-1)))).mean(axis=-1, keepdims=True)
    expected = np.asarray(BilinearUpsampling(16)(np.log(mean / (1 - mean))))
    np.testing.assert_allclose(maps[..., -1:], expected, atol=1e-5)


def test_sure_detectors_give_a_finite_mean():
    logits = np.full((1, 1, 2, 3), 200, np.float32) * np.array([[-1], [1]], np.float32)
    found = np.asarray(MeanProbability()(logits))
    np.testing.assert_allclose(found.ravel(), np.log(1e6 - 1) * np.array([-1, 1]), rtol=2e-2)


def test_the_mean_is_not_learnt(small_net):
    layer = small_net.get_layer(SCORE_LAYER)
    assert np.asarray(layer.kernel).tolist() == [[[[1.0]]]]
    assert not layer.trainable_weights
    assert all(other.trainable for other in small_net.layers if other is not layer)


def test_no_two_detectors_begin_the_same(maps):
    flat = maps[..., :-1].reshape(-1, SCORE_MAPS - 1)
    apart = np.abs(flat[:, :, None] - flat[:, None]).max(axis=0)
    assert apart[~np.eye(len(apart), dtype=bool)].min() > 1e-4


def test_each_detector_is_a_linear_combination_of_its_groups_features(small_net, image, maps):
    for group, name in ((FIRST, "group1"), (SECOND, "group2")):
        features = np.asarray(keras.Model(small_net.input, small_net.get_layer(f"{name}_reduce_relu").output)(image))
        kernel, bias = small_net.get_layer(f"{name}_detectors").get_weights()
        expected = np.asarray(BilinearUpsampling(16)(features @ kernel[0, 0] + bias))
        np.testing.assert_allclose(maps[..., group], expected, atol=1e-4)


def test_layers_of_vgg16_are_found_by_the_end_of_their_names(small_net):
    counts = {name: sum(layer.name.endswith(name) for layer in small_net.layers) for name in VGG16_NAMES}
    assert counts == {name: 1 if name.startswith(("vgg_conv1", "vgg_conv2")) else 2 for name in VGG16_NAMES}
