"""DMENet: the steps of its decoder, its residual blocks, and the layer whose features domains share."""

import keras
import numpy as np

from defocus_edge.networks.segmentation.architectures.dmenet import (
    DOMAIN_LAYER,
    NETWORK,
    RESIDUAL_BLOCKS,
    SCORE_LAYER,
    build_dmenet,
)
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, NormalizedConfig


def test_it_answers_with_a_radius():
    assert NETWORK.answer == "radius"
    assert NETWORK.domain_layer == DOMAIN_LAYER


def test_filters_are_those_of_the_authors():
    net = build_dmenet()
    filters = {layer.name: layer.filters for layer in net.layers if isinstance(layer, keras.layers.Conv2D)}
    steps = [filters[f"{side}_step_conv1"] for side in ("conv4_3", "conv3_3", "conv2_2", "conv1_2")]
    assert steps == [256, 128, 64, 64]
    assert "conv2_2_step_conv3" in filters
    assert "conv1_2_step_conv2" not in filters
    assert {filters[f"residual{number}_conv2"] for number in range(1, RESIDUAL_BLOCKS + 1)} == {64}
    assert (filters["map_conv1"], filters["map_conv2"], filters[SCORE_LAYER]) == (64, 32, 1)
    assert net.get_layer("residual7_shortcut").kernel_size == (1, 1)


def test_weights_of_vgg16_are_found():
    assert set(VGG16_NAMES) <= {layer.name for layer in build_dmenet(NormalizedConfig(width=0.05)).layers}


def test_auxiliary_maps_do_not_see_what_is_behind_them(rng):
    net = build_dmenet(NormalizedConfig(width=0.05))
    images = rng.random((1, 32, 32, 3), dtype=np.float32)
    before = np.asarray(net(images))
    layer = net.get_layer("conv3_3_step_conv1")
    layer.set_weights([2 * values for values in layer.get_weights()])
    last = net.get_layer(SCORE_LAYER)
    last.set_weights([values + 1 for values in last.get_weights()])
    after = np.asarray(net(images))
    np.testing.assert_array_equal(after[..., :2], before[..., :2])
    assert (after[..., 5] != before[..., 5]).all()
