"""MSDU-net: what each stage is made of, and the difference of two logits."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.msdu import (
    EXTRACTOR_DILATIONS,
    ClassDifference,
    MsduNetConfig,
    build_msdu_net,
)


@pytest.fixture(scope="module")
def small_net():
    return build_msdu_net(MsduNetConfig(width=0.05))


def test_extractors_have_the_dilations_and_strides_of_the_paper(small_net):
    for stage, strides in enumerate((1, 2, 4, 8), start=1):
        convs = [small_net.get_layer(f"extractor{stage}_conv{number}") for number in (1, 2, 3, 4)]
        assert tuple(conv.dilation_rate for conv in convs) == ((1, 1), (2, 2), (2, 2), (2, 2))
        assert small_net.get_layer(f"extractor{stage}_strided").strides == (strides, strides)
        assert small_net.get_layer(f"extractor{stage}_smooth").strides == (1, 1)
    assert EXTRACTOR_DILATIONS == (1, 2, 2, 2)


def test_extractors_have_weights_of_their_own_and_see_the_picture(small_net):
    first = [small_net.get_layer(f"extractor{stage}_conv1") for stage in (1, 2, 3, 4)]
    assert len({id(layer) for layer in first}) == 4
    assert all(layer.input is small_net.get_layer("scaling").output for layer in first)


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_texture_joins_its_stage_before_pooling_and_crosses_over(small_net, stage):
    joined = small_net.get_layer(f"down{stage}_concat")
    assert [tensor.name for tensor in joined.input] == [
        small_net.get_layer(f"down{stage}_conv2_relu").output.name,
        small_net.get_layer(f"extractor{stage}_smooth_relu").output.name,
    ]
    assert small_net.get_layer(f"down{stage}_pool").input is joined.output
    assert small_net.get_layer(f"up{stage}_concat").input[0] is joined.output


def test_texture_has_the_size_of_its_stage(small_net):
    stages = keras.Model(small_net.input, [small_net.get_layer(f"down{stage}_concat").output for stage in (1, 2, 3, 4)])
    sizes = [shape[1:3] for shape in stages.compute_output_shape((1, 48, 32, 3))]
    assert sizes == [(48, 32), (24, 16), (12, 8), (6, 4)]


def test_each_extractor_changes_the_result(small_net, rng):
    image = rng.random((1, 32, 32, 3), dtype=np.float32)
    before = np.asarray(small_net(image))
    for stage in (1, 2, 3, 4):
        layer = small_net.get_layer(f"extractor{stage}_smooth")
        weights = layer.get_weights()
        layer.set_weights([2 * weights[0], weights[1] + 1])
        assert np.abs(np.asarray(small_net(image)) - before).max() > 1e-4
        layer.set_weights(weights)


def test_sigmoid_of_the_difference_is_the_softmax_of_the_paper(rng):
    classes = rng.normal(size=(2, 3, 4, 2)).astype(np.float32)
    difference = np.asarray(ClassDifference()(classes))
    assert difference.shape == (2, 3, 4, 1)
    softmax = np.exp(classes) / np.exp(classes).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(1 / (1 + np.exp(-difference[..., 0])), softmax[..., 1], atol=1e-6)
