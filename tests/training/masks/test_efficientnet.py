"""Weights trained on ImageNet give the answers that their own network gives."""

import builtins

import cv2
import numpy as np
import pytest
import skimage.data

from defocus_edge.networks.segmentation.architectures.lite import LiteNetConfig, build_lite_net
from training.masks.efficientnet import build_classifier, fill_encoder, load_imagenet_arrays

#: Logits of three photographs by class, the three smallest and the four largest, and the sum of all 1000: computed with
#: PyTorch by the package efficientnet-lite-pytorch 0.1.0, for which the weights were made. All 3000 logits differ from
#: those of our network by at most 7e-6 (measured).
LOGITS = {
    "chelsea": (
        {275: -4.0429, 368: -3.4828, 261: -3.1514, 287: 6.1861, 281: 8.1917, 282: 8.4509, 285: 10.5364},  # Egyptian cat
        -66.667,
    ),
    "coffee": (
        {747: -3.9899, 712: -2.7007, 798: -2.5398, 504: 6.4373, 925: 6.4709, 968: 7.4496, 967: 10.82},  # espresso
        -75.631,
    ),
    "astronaut": (
        {584: -3.9722, 415: -3.9687, 982: -3.4816, 422: 4.9737, 573: 5.3107, 560: 6.7324, 450: 6.9627},
        -120.549,
    ),
}
SIDE = 224


@pytest.fixture(scope="module")
def classifier():
    return build_classifier()


@pytest.mark.parametrize("name", LOGITS)
def test_logits_are_those_of_the_network_they_were_made_for(classifier, name):
    photo = cv2.resize(getattr(skimage.data, name)(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    logits = np.asarray(classifier(photo[None].astype(np.float32) / 255, training=False))[0]
    expected, total = LOGITS[name]
    assert list(np.argsort(logits)[[0, 1, 2, -4, -3, -2, -1]]) == list(expected)
    np.testing.assert_allclose(logits[list(expected)], list(expected.values()), atol=1e-4)
    assert logits.sum() == pytest.approx(total, abs=0.05)


def test_the_detector_begins_with_the_encoder_of_the_classifier(classifier):
    network = build_lite_net()
    before = {layer.name: layer.get_weights() for layer in network.layers}
    fill_encoder(network, LiteNetConfig())
    shared = [layer for layer in network.layers if layer.name.startswith("lite_") and layer.weights]
    assert len(shared) == 2 * 48
    for layer in shared:
        for ours, theirs in zip(layer.get_weights(), classifier.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    for layer in network.layers:
        if layer not in shared:
            assert all((a == b).all() for a, b in zip(layer.get_weights(), before[layer.name], strict=True))


def test_other_widths_are_refused():
    config = LiteNetConfig(width=0.25)
    with pytest.raises(ValueError, match=r"init = 'imagenet' must go with a network of width 1\. Got: 0\.25\."):
        fill_encoder(build_lite_net(config), config)


def test_without_the_package_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("efficientnet_lite0"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ValueError, match=r"come with the extra 'train': pip install 'defocus-edge\[train\]'"):
        load_imagenet_arrays()
