"""LOCAL: what each branch sees of the other one and of its own last map, the signs of the maps, the fusion."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.local import build_local
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, NormalizedConfig
from tests.defocus_edge.networks.segmentation.network_cases import get_inputs
from tests.defocus_edge.networks.segmentation.test_blocks import upsample_slowly

SIDES = ("conv5_3", "conv4_3", "conv3_3", "conv2_2", "conv1_2")
STRIDES = {"conv5_3": 16, "conv4_3": 8, "conv3_3": 4, "conv2_2": 2, "conv1_2": 1}
OTHER = {"blurred": "sharp", "sharp": "blurred"}
STEPS = [(branch, deeper, side) for branch in OTHER for deeper, side in pairwise(SIDES)]


@pytest.fixture(scope="module")
def small_net():
    keras.utils.set_random_seed(0)
    return build_local(NormalizedConfig(width=0.05))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 48, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def outputs(small_net, image):
    """Outputs of all layers by name."""
    names = [layer.name for layer in small_net.layers]
    parts = keras.Model(small_net.input, [layer.output for layer in small_net.layers])(image)
    return {name: np.asarray(part) for name, part in zip(names, parts, strict=True)}


def exchange_branches(name):
    """Name of the layer that does in the other branch what a layer does in its own."""
    return "_".join(OTHER.get(part, part) for part in name.split("_"))


def find_probability(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize(("branch", "deeper", "side"), STEPS)
def test_features_count_up_to_twice_where_the_other_branch_claims_nothing(outputs, branch, deeper, side):
    claimed = upsample_slowly(find_probability(outputs[f"{deeper}_{OTHER[branch]}_score"]), 2)
    assert np.ptp(claimed) > 0
    features = outputs[f"{side}_{branch}_features_relu"]
    expected = features + features * (1 - claimed)
    np.testing.assert_allclose(outputs[f"{side}_{branch}_attend"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("branch", "deeper", "side"), STEPS)
def test_a_branch_is_guided_by_its_own_map_of_the_deeper_layer(small_net, outputs, branch, deeper, side):
    name = f"{side}_{branch}"
    assert get_inputs(small_net, f"{name}_features") == [f"vgg_{side}_relu"]
    assert get_inputs(small_net, f"{name}_concat") == [f"{name}_attend", f"{name}_guide"]
    assert get_inputs(small_net, f"{name}_refine") == [f"{name}_concat"]
    assert get_inputs(small_net, f"{name}_score") == [f"{name}_refine_relu"]
    expected = upsample_slowly(find_probability(outputs[f"{deeper}_{branch}_score"]), 2)
    assert expected.shape[1:3] == (32 // STRIDES[side], 48 // STRIDES[side])
    np.testing.assert_allclose(outputs[f"{name}_guide"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("branch", OTHER)
def test_the_deepest_layer_has_neither_attention_nor_guide(small_net, branch):
    assert get_inputs(small_net, f"conv5_3_{branch}_refine") == [f"conv5_3_{branch}_features_relu"]


def test_branches_are_symmetric(small_net, image):
    """With exchanged weights each branch finds what the other one found, with the other sign."""
    maps = np.asarray(small_net(image))
    exchanged = build_local(NormalizedConfig(width=0.05))
    for layer in exchanged.layers:
        if layer.weights:
            layer.set_weights(small_net.get_layer(exchange_branches(layer.name)).get_weights())
    again = np.asarray(exchanged(image))
    assert np.abs(maps[..., :5] + maps[..., 5:10]).max() > 0.01
    np.testing.assert_allclose(again[..., :5], -maps[..., 5:10], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again[..., 5:10], -maps[..., :5], rtol=1e-4, atol=1e-5)


def test_all_maps_tell_of_blur(outputs):
    """The logits of the sharp branch leave the network with a minus, at the size of the picture."""
    maps = outputs["logits"]
    for first, (branch, sign) in ((0, ("blurred", 1)), (5, ("sharp", -1))):
        for number, side in enumerate(SIDES, start=first):
            expected = sign * upsample_slowly(outputs[f"{side}_{branch}_score"], STRIDES[side])[..., 0]
            np.testing.assert_allclose(maps[..., number], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(maps[..., 10], outputs["fused_blurred_score"][..., 0])
    np.testing.assert_array_equal(maps[..., 11], -outputs["fused_sharp_score"][..., 0])


def test_fusion_joins_both_branches_from_deep_to_shallow(small_net, outputs):
    branches = [[f"{side}_{branch}_refine_relu" for branch in OTHER] for side in SIDES]
    assert get_inputs(small_net, "conv5_3_fuse_concat") == branches[0]
    for (deeper, side), pair in zip(pairwise(SIDES), branches[1:], strict=True):
        assert get_inputs(small_net, f"{side}_fuse_concat") == [f"{side}_deeper", *pair]
        expected = upsample_slowly(outputs[f"{deeper}_fuse_relu"], 2)
        np.testing.assert_allclose(outputs[f"{side}_deeper"], expected, rtol=1e-4, atol=1e-6)
    for branch in OTHER:
        assert get_inputs(small_net, f"fused_{branch}_score") == ["conv1_2_fuse_relu"]


def test_last_map_starts_as_the_mean_of_both_channels(outputs):
    maps = outputs["logits"]
    assert maps.shape[-1] == 13
    assert np.abs(maps[..., 10] - maps[..., 11]).max() > 0.01
    np.testing.assert_allclose(maps[..., 12], (maps[..., 10] + maps[..., 11]) / 2, rtol=1e-4, atol=1e-5)


def test_weights_of_vgg16_find_their_layers(small_net):
    assert set(VGG16_NAMES) <= {layer.name for layer in small_net.layers}


def test_batch_normalization_is_the_default(small_net):
    assert NormalizedConfig().normalization == "batch"
    assert "conv3_3_sharp_refine_norm" in {layer.name for layer in small_net.layers}
