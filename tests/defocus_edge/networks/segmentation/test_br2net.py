"""BR²Net: channel attention, which features each pathway sees and at which size, residual steps, the fused map."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.br2net import build_br2net
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, NormalizedConfig
from tests.defocus_edge.networks.segmentation.network_cases import evaluate, get_inputs

SIDES = ("conv2_2", "conv3_3", "conv4_3", "conv5_3", "pool5")
PATHWAYS = {"l2h": SIDES, "h2l": SIDES[::-1]}
STRIDES = {"conv2_2": 2, "conv3_3": 4, "conv4_3": 8, "conv5_3": 16, "pool5": 32}
STEPS = [(pathway, step) for pathway in PATHWAYS for step in range(1, len(SIDES))]


@pytest.fixture(scope="module")
def small_net():
    keras.utils.set_random_seed(0)
    return build_br2net(NormalizedConfig(width=0.05))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 64, 3), dtype=np.float32)


def get_map_name(pathway, step):
    """The layer that gives the map of a step, at the size of the pathway."""
    return f"{pathway}_{PATHWAYS[pathway][step]}_{'add' if step else 'score'}"


@pytest.mark.parametrize(("pathway", "step"), STEPS)
def test_each_step_sees_the_last_map_and_the_next_layer(small_net, pathway, step):
    side = PATHWAYS[pathway][step]
    before = get_map_name(pathway, step - 1)
    assert get_inputs(small_net, f"{pathway}_{side}_concat") == [before, f"{pathway}_{side}_resize"]
    assert get_inputs(small_net, f"{pathway}_{side}_resize") == [f"attention_{side}_gate"]
    assert get_inputs(small_net, f"{pathway}_{side}_add") == [before, f"{pathway}_{side}_residual"]


@pytest.mark.parametrize("pathway", PATHWAYS)
def test_a_pathway_begins_with_its_first_layer(small_net, pathway):
    assert get_inputs(small_net, get_map_name(pathway, 0)) == [f"attention_{PATHWAYS[pathway][0]}_gate"]


@pytest.mark.parametrize(("pathway", "stride"), [("l2h", 2), ("h2l", 32)])
def test_a_pathway_works_at_the_size_of_its_first_layer(small_net, pathway, stride):
    maps = [small_net.get_layer(get_map_name(pathway, step)).output for step in range(len(SIDES))]
    shapes = keras.Model(small_net.input, maps).compute_output_shape((1, 64, 128, 3))
    assert set(shapes) == {(1, 64 // stride, 128 // stride, 1)}


def test_attention_weighs_the_channels_by_their_means(small_net, image):
    features, gated = evaluate(small_net, image, "vgg_conv3_3_relu", "attention_conv3_3_gate")
    squeeze, excite = (small_net.get_layer(f"attention_conv3_3_{name}").get_weights() for name in ("squeeze", "excite"))
    hidden = np.maximum(features.mean(axis=(1, 2)) @ squeeze[0][0, 0] + squeeze[1], 0)
    weights = 1 / (1 + np.exp(-(hidden @ excite[0][0, 0] + excite[1])))
    assert np.ptp(weights) > 0
    np.testing.assert_allclose(gated, features * weights[:, None, None], rtol=1e-4, atol=1e-6)


def test_fine_features_are_averaged_down(small_net, image):
    features, small = evaluate(small_net, image, "attention_conv4_3_gate", "h2l_conv4_3_resize")
    cell = STRIDES["pool5"] // STRIDES["conv4_3"]
    expected = [features[:, :, column : column + cell].mean(axis=(1, 2)) for column in (0, cell)]
    np.testing.assert_allclose(small[:, 0], np.stack(expected, axis=1), rtol=1e-4, atol=1e-6)


def test_maps_are_ordered_by_pathway_and_step_and_end_in_the_fused_one(small_net):
    expected = [f"{pathway}_{side}_up" for pathway, sides in PATHWAYS.items() for side in sides]
    assert get_inputs(small_net, "maps_concat") == [*expected, "fuse_score"]
    assert get_inputs(small_net, "fuse_concat") == ["l2h_pool5_up", "h2l_conv2_2_up"]
    for pathway, step in STEPS:
        assert get_inputs(small_net, f"{pathway}_{PATHWAYS[pathway][step]}_up") == [get_map_name(pathway, step)]


def test_fused_map_starts_as_the_mean_of_the_last_ones(small_net, image):
    maps = np.asarray(small_net(image))
    assert np.abs(maps[..., 4] - maps[..., 9]).max() > 0.01
    np.testing.assert_allclose(maps[..., -1], (maps[..., 4] + maps[..., 9]) / 2, atol=1e-5)


def test_without_residuals_all_maps_of_a_pathway_are_equal(image):
    net = build_br2net(NormalizedConfig(width=0.05))
    for pathway, step in STEPS:
        layer = net.get_layer(f"{pathway}_{PATHWAYS[pathway][step]}_residual")
        layer.set_weights([np.zeros_like(weights) for weights in layer.get_weights()])
    maps = np.asarray(net(image))
    for first in (0, 5):
        assert np.ptp(maps[..., first]) > 0
        np.testing.assert_array_equal(maps[..., first : first + 5], np.repeat(maps[..., first, None], 5, axis=-1))


def test_each_module_has_its_own_weights_and_the_attention_is_shared(small_net):
    names = [f"{pathway}_{PATHWAYS[pathway][step]}_conv2" for pathway, step in STEPS]
    kernels = [np.asarray(small_net.get_layer(name).kernel) for name in names]
    assert not any(np.array_equal(kernels[0], other) for other in kernels[1:])
    squeezes = [layer.name for layer in small_net.layers if layer.name.endswith("_squeeze")]
    assert sorted(squeezes) == sorted(f"attention_{side}_squeeze" for side in SIDES)


def test_bottleneck_of_the_attention_is_a_sixteenth():
    net = build_br2net(NormalizedConfig(width=0.5))
    filters = [net.get_layer(f"attention_{side}_squeeze").filters for side in SIDES]
    assert filters == [4, 8, 16, 16, 16]
    assert [net.get_layer(f"attention_{side}_excite").filters for side in SIDES] == [64, 128, 256, 256, 256]


def test_weights_of_vgg16_find_their_layers(small_net):
    assert set(VGG16_NAMES) <= {layer.name for layer in small_net.layers}


def test_the_networks_of_the_paper_have_batch_normalization(small_net):
    assert NormalizedConfig().normalization == "batch"
    assert "l2h_conv3_3_conv1_norm" in {layer.name for layer in small_net.layers}
    plain = build_br2net(NormalizedConfig(width=0.05, normalization="none"))
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in plain.layers)
