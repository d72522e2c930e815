"""HRFRNet: what the context sees and where it goes, residual stages from deep to shallow, the guided fusion."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.hrfrnet import build_hrfrnet
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, NormalizedConfig
from tests.defocus_edge.networks.segmentation.network_cases import evaluate, get_inputs
from tests.defocus_edge.networks.segmentation.test_blocks import upsample_slowly

SIDES = ("conv5_3", "conv4_3", "conv3_3", "conv2_2", "conv1_2")
STRIDES = {"conv5_3": 16, "conv4_3": 8, "conv3_3": 4, "conv2_2": 2, "conv1_2": 1}
DILATIONS = (1, 2, 4, 8)


@pytest.fixture(scope="module")
def small_net():
    keras.utils.set_random_seed(0)
    return build_hrfrnet(NormalizedConfig(width=0.05))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 48, 3), dtype=np.float32)


def get_stage_before(side):
    """The layer whose features a stage corrects."""
    number = SIDES.index(side)
    return f"{SIDES[number - 1]}_stage" if number else "context_add"


def test_context_sees_the_deepest_layer_at_four_dilations(small_net):
    for dilation in DILATIONS:
        assert get_inputs(small_net, f"context_dilated{dilation}") == ["vgg_conv5_3_relu"]
        assert small_net.get_layer(f"context_dilated{dilation}").dilation_rate == (dilation, dilation)
    assert get_inputs(small_net, "context_concat") == [f"context_dilated{dilation}_relu" for dilation in DILATIONS]
    assert small_net.get_layer("context_conv").kernel_size == (1, 1)


def test_context_adds_the_mean_of_the_whole_picture_to_each_place(small_net, image):
    names = ("vgg_conv5_3_relu", "context_conv_relu", "context_add")
    features, local, context = evaluate(small_net, image, *names)
    kernel, bias = small_net.get_layer("context_mean_conv").get_weights()
    mean = np.maximum(features.mean(axis=(1, 2)) @ kernel[0, 0] + bias, 0)
    assert mean.max() > 0
    np.testing.assert_allclose(context, local + mean[:, None, None], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("side", SIDES)
def test_context_guides_each_stage(small_net, image, side):
    assert get_inputs(small_net, f"{side}_conv") == [f"vgg_{side}_relu"]
    assert get_inputs(small_net, f"{side}_guide") == ["context_add"]
    features, guide, guided = evaluate(small_net, image, f"{side}_conv_relu", f"{side}_guide_relu", f"{side}_guided")
    expected = features + upsample_slowly(guide, 16 // STRIDES[side])
    np.testing.assert_allclose(guided, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", SIDES)
def test_each_stage_corrects_the_enlarged_features_of_the_stage_before(small_net, image, side):
    names = (get_stage_before(side), f"{side}_residual", f"{side}_stage")
    assert get_inputs(small_net, f"{side}_concat") == [f"{side}_before", f"{side}_guided"]
    before, residual, stage = evaluate(small_net, image, *names)
    assert stage.shape[1:3] == (32 // STRIDES[side], 48 // STRIDES[side])
    assert residual.min() < 0 < residual.max()
    expected = np.maximum(upsample_slowly(before, stage.shape[1] // before.shape[1]) + residual, 0)
    np.testing.assert_allclose(stage, expected, rtol=1e-4, atol=1e-5)


def test_without_residuals_the_context_passes_through_all_stages(image):
    net = build_hrfrnet(NormalizedConfig(width=0.05))
    for side in SIDES:
        layer = net.get_layer(f"{side}_residual")
        layer.set_weights([np.zeros_like(weights) for weights in layer.get_weights()])
    context, *stages = evaluate(net, image, "context_add", *(f"{side}_stage" for side in SIDES))
    assert context.max() > 0
    np.testing.assert_allclose(stages[0], context)
    for before, after in pairwise(stages):
        np.testing.assert_allclose(after, upsample_slowly(before, 2), rtol=1e-4, atol=1e-6)


def test_maps_are_those_of_the_stages_and_the_fused_one(small_net):
    assert get_inputs(small_net, "maps_concat") == [*(f"{side}_up" for side in SIDES), "fuse_score"]
    for side in SIDES:
        assert get_inputs(small_net, f"{side}_score") == [f"{side}_stage"]
        assert get_inputs(small_net, f"{side}_up") == [f"{side}_score"]


def test_deep_features_weigh_the_map_of_each_stage_in_the_fused_one(small_net, image):
    deep, maps = evaluate(small_net, image, "conv5_3_stage", "maps_concat")
    expected = np.zeros_like(maps[..., 0])
    for number, side in enumerate(SIDES):
        kernel, bias = small_net.get_layer(f"fuse_{side}_weights").get_weights()
        weights = 1 / (1 + np.exp(-(deep @ kernel[0, 0] + bias)))
        assert np.ptp(weights) > 0
        expected += 2 / len(SIDES) * maps[..., number] * upsample_slowly(weights, 16)[..., 0]
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(maps[..., -1], expected, rtol=1e-4, atol=1e-5)


def test_fused_map_starts_as_the_mean_where_the_deep_features_say_nothing(image):
    net = build_hrfrnet(NormalizedConfig(width=0.05))
    for side in SIDES:
        layer = net.get_layer(f"fuse_{side}_weights")
        layer.set_weights([np.zeros_like(weights) for weights in layer.get_weights()])
    maps = np.asarray(net(image))
    np.testing.assert_allclose(maps[..., -1], maps[..., :-1].mean(axis=-1), rtol=1e-4, atol=1e-5)


def test_weights_of_vgg16_find_their_layers(small_net):
    assert set(VGG16_NAMES) <= {layer.name for layer in small_net.layers}


def test_batch_normalization_is_the_default_but_not_for_the_mean(small_net):
    assert NormalizedConfig().normalization == "batch"
    names = {layer.name for layer in small_net.layers}
    assert "conv3_3_guide_norm" in names
    assert "context_mean_conv_norm" not in names
    plain = build_hrfrnet(NormalizedConfig(width=0.05, normalization="none"))
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in plain.layers)
