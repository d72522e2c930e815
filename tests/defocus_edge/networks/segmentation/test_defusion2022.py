"""Extended DeFusionNET: adaptation of the fused features, selection for each side, what it shares with DeFusionNET."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.defusion import DefusionNetConfig, build_defusion_net
from defocus_edge.networks.segmentation.architectures.defusion2022 import build_defusion2022
from tests.defocus_edge.networks.segmentation.network_cases import evaluate, get_inputs

SIDES = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3", "pool5")
STEPS = (1, 2, 3)
SMALL = DefusionNetConfig(width=0.05, refine_size=1)


@pytest.fixture(scope="module")
def small_net():
    """Tests must not change it."""
    keras.utils.set_random_seed(0)
    return build_defusion2022(SMALL)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 64, 3), dtype=np.float32)


def squash(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize(("own", "other"), [("fshf", "fsef"), ("fsef", "fshf")])
def test_adaptation_weighs_features_by_those_of_both_depths(small_net, image, own, other):
    names = (f"step2_{own}_conv_relu", f"step2_{other}_conv_relu", f"step2_{own}_adapt_conv_relu")
    fused, opposite, found = evaluate(small_net, image, *names)
    (weights, shift), (kernel, bias) = (
        small_net.get_layer(f"step2_{own}_adapt_{part}").get_weights() for part in ("weights", "conv")
    )
    gated = fused * squash(np.concatenate([fused, opposite], axis=-1) @ weights[0, 0] + shift)
    np.testing.assert_allclose(found, np.maximum(gated @ kernel[0, 0] + bias, 0), atol=1e-4)
    assert found.max() > 0


def test_a_side_selects_channels_of_what_it_gets(small_net, image):
    names = ("step1_fsef_adapt_conv_relu", "step1_conv2_2_attention_gate", "step1_conv3_3_attention_gate")
    adapted, found, of_another = evaluate(small_net, image, *names)
    kernel, bias = small_net.get_layer("step1_conv2_2_attention_weights").get_weights()
    weights = squash(adapted.mean((1, 2)) @ kernel[0, 0] + bias)
    np.testing.assert_allclose(found, adapted * weights, atol=1e-5)
    assert np.abs(found - of_another).max() > 1e-4


@pytest.mark.parametrize("step", STEPS)
def test_shallow_sides_get_adapted_deep_features_and_deep_ones_shallow(small_net, step):
    for number, side in enumerate(SIDES):
        before = f"side_{side}_up" if step == 1 else f"step{step - 1}_{side}_refine_relu"
        assert get_inputs(small_net, f"step{step}_{side}_concat") == [before, f"step{step}_{side}_attention_gate"]
        adapted = f"step{step}_{'fsef' if number < 3 else 'fshf'}_adapt_conv_relu"
        assert adapted in get_inputs(small_net, f"step{step}_{side}_attention_gate")


def test_all_layers_of_the_first_network_are_there_and_the_new_ones_adapt_or_select(small_net):
    names, first = ({layer.name for layer in net.layers} for net in (small_net, build_defusion_net(SMALL)))
    assert first <= names
    assert all("_adapt_" in name or "_attention_" in name for name in names - first)


def test_fused_map_starts_as_the_mean_of_the_last_six(small_net, image):
    maps = np.asarray(small_net(image))
    np.testing.assert_allclose(maps[..., -1], maps[..., -7:-1].mean(axis=-1), atol=1e-4)
