"""Joint depth and defocus: two subnets of the same layers that share none, and what each of them gives."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.jointdepth import (
    DECODER_FILTERS,
    NETWORK,
    SCORE_LAYER,
    SUBNETS,
    build_jointdepth,
)
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, VGG16_STRIDES, SegmentationConfig


@pytest.fixture(scope="module")
def small_net():
    return build_jointdepth(SegmentationConfig(width=0.05))


def list_layers(net, subnet):
    """Layers of a subnet by their names without its own."""
    return {layer.name.removeprefix(f"{subnet}_"): layer for layer in net.layers if layer.name.startswith(f"{subnet}_")}


def test_it_answers_with_a_radius_and_learns_depth():
    assert NETWORK.answer == "radius"
    assert NETWORK.auxiliary == "depth"
    assert SUBNETS[0] == "depth"
    assert SCORE_LAYER.startswith(SUBNETS[-1])


def test_both_subnets_have_the_same_layers(small_net):
    depth, radius = (list_layers(small_net, subnet) for subnet in SUBNETS)
    assert [*depth] == [*radius]
    for name, layer in depth.items():
        assert type(layer) is type(radius[name])
        assert [weight.shape for weight in layer.weights] == [weight.shape for weight in radius[name].weights]
    assert len(depth) + len(radius) + len(("image", "scaling", "maps_concat", "logits")) == len(small_net.layers)


def test_each_subnet_has_weights_of_vgg16_and_its_own_decoder(small_net):
    for subnet in SUBNETS:
        layers = list_layers(small_net, subnet)
        assert set(VGG16_NAMES) <= {*layers}
        for side in DECODER_FILTERS:
            features = keras.Model(small_net.input, layers[f"{side}_step_conv2_relu"].output)
            size = 64 // VGG16_STRIDES[side]
            assert features.compute_output_shape((1, 64, 64, 3))[1:3] == (size, size)
            assert {tensor.shape[-1] for tensor in layers[f"{side}_concat"].input} >= {
                layers[f"vgg_{side}_relu"].output.shape[-1]
            }


def test_subnets_do_not_see_each_other(small_net, rng):
    images = rng.random((1, 32, 32, 3), dtype=np.float32)
    for changed, subnet in enumerate(SUBNETS):
        before = np.asarray(small_net(images))
        for layer in list_layers(small_net, subnet).values():
            layer.set_weights([1.1 * values + 0.01 for values in layer.get_weights()])
        after = np.asarray(small_net(images))
        assert (after[..., changed] != before[..., changed]).all()
        np.testing.assert_array_equal(after[..., 1 - changed], before[..., 1 - changed])
