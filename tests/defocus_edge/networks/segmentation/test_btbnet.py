"""BTBNet: what each stream sees, the way back down, shared weights of the recurrent steps, resizing."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.btbnet import BtbnetConfig, build_btbnet
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, BilinearResizing
from tests.defocus_edge.networks.segmentation.test_blocks import upsample_slowly
from training.evaluation.costs import count_multiply_adds

SCALES = (10, 8, 6)
CONVS = [f"recurrent_conv{number}" for number in (1, 2, 3)] + ["recurrent_score"]


@pytest.fixture(scope="module")
def small_net():
    return build_btbnet(BtbnetConfig(width=0.05))


@pytest.fixture(scope="module")
def pooled_net():
    return build_btbnet(BtbnetConfig(width=0.05, normalization="batch", pooling=True))


def get_inputs(net, name):
    """Names of the layers that feed a layer that is called once."""
    tensors = net.get_layer(name).input
    return [tensor._keras_history.operation.name for tensor in (tensors if isinstance(tensors, list) else [tensors])]


def get_size(net, name, height, width):
    """Height and width of the maps of a layer."""
    return keras.Model(net.input, net.get_layer(name).output).compute_output_shape((1, height, width, 3))[1:3]


def resize_slowly(maps, height, width):
    """Linear interpolation between pixel centres, one row or column at a time."""
    for axis, size in ((1, height), (2, width)):
        length = maps.shape[axis]
        places = [min(max((place + 0.5) * length / size - 0.5, 0), length - 1) for place in range(size)]
        slices = [
            np.take(maps, int(x), axis) * (1 - x + int(x)) + np.take(maps, min(int(x) + 1, length - 1), axis) * (x % 1)
            for x in places
        ]
        maps = np.stack(slices, axis)
    return maps


@pytest.mark.parametrize(("tenths", "multiple"), [(10, 1), (8, 1), (6, 1), (6, 4), (20, 1)])
def test_resizing_is_that_of_the_oracle(rng, tenths, multiple):
    maps = rng.normal(size=(2, 12, 20, 3)).astype(np.float32)
    height, width = (round(length * tenths / 10 / multiple) * multiple for length in maps.shape[1:3])
    resizing = BilinearResizing(tenths, multiple)
    result = np.asarray(resizing([maps, maps]))
    assert result.shape == (2, height, width, 3) == resizing.compute_output_shape([maps.shape, maps.shape])
    np.testing.assert_allclose(result, resize_slowly(maps, height, width), atol=1e-5)


def test_resizing_to_twice_the_size_is_upsampling(rng):
    maps = rng.normal(size=(1, 3, 5, 2)).astype(np.float32)
    result = BilinearResizing()([maps, np.zeros((1, 6, 10, 3), np.float32)])
    np.testing.assert_allclose(np.asarray(result), upsample_slowly(maps, 2), atol=1e-6)


def test_streams_see_the_picture_at_three_scales(small_net, pooled_net):
    for net, sizes in ((small_net, [(160, 320), (128, 256), (96, 192)]), (pooled_net, [(64, 96), (48, 80), (32, 64)])):
        height, width = sizes[0]
        names = ["vgg_conv1_1", "scale8_vgg_conv1_1", "scale6_vgg_conv1_1"]
        assert [get_size(net, name, height, width) for name in names] == sizes
        assert [get_size(net, f"scale{scale}_up", height, width) for scale in SCALES] == [sizes[0]] * 3


def test_only_pooling_shrinks_the_features(small_net, pooled_net):
    assert get_size(small_net, "vgg_conv5_3", 64, 96) == (64, 96)
    assert get_size(pooled_net, "vgg_conv5_3", 64, 96) == (4, 6)
    assert get_size(pooled_net, "scale6_vgg_conv5_3", 64, 96) == (2, 4)


@pytest.mark.parametrize(("scale", "prefix"), [(10, ""), (8, "scale8_"), (6, "scale6_")])
def test_deep_features_come_back_down_in_four_steps(small_net, scale, prefix):
    before = f"{prefix}vgg_conv5_3_relu"
    for block, last in ((4, 3), (3, 3), (2, 2), (1, 2)):
        step = f"scale{scale}_block{block}"
        assert get_inputs(small_net, f"{step}_back") == [before]
        assert get_inputs(small_net, step) == [f"{prefix}vgg_conv{block}_{last}_relu"]
        assert get_inputs(small_net, f"{step}_add") == [f"{step}_relu", f"{step}_up"]
        before = f"{step}_add"
    assert get_inputs(small_net, f"scale{scale}_score") == [before]


def test_each_stream_has_vgg16_with_its_own_weights(small_net):
    for name in VGG16_NAMES:
        layers = [small_net.get_layer(prefix + name) for prefix in ("", "scale8_", "scale6_")]
        assert len({layer.kernel.path for layer in layers}) == 3
        assert not np.array_equal(*(np.asarray(layer.kernel) for layer in layers[:2]))


def test_recurrent_steps_share_convolutions_but_not_normalizations(pooled_net):
    called = [layer.name for layer in pooled_net.layers if len(layer._inbound_nodes) == 3]
    assert called == CONVS
    norms = {f"step{step}_norm{number}" for step in (1, 2, 3) for number in (1, 2, 3)}
    assert norms < {layer.name for layer in pooled_net.layers}


def test_each_recurrent_step_refines_the_map_before_with_the_picture(pooled_net, rng):
    """One step by itself, applied to the maps that the network gives."""
    names = ["scaling", *(f"step{step}_sigmoid" for step in (1, 2, 3))]
    parts = keras.Model(pooled_net.input, [*(pooled_net.get_layer(name).output for name in names), pooled_net.output])
    scaled, *probabilities, maps = (np.asarray(part) for part in parts(rng.random((1, 32, 48, 3), dtype=np.float32)))
    for step, probability in enumerate(probabilities, start=1):
        np.testing.assert_allclose(probability, 1 / (1 + np.exp(-maps[..., 2 + step : 3 + step])), atol=1e-5)
        tensor = np.concatenate([scaled, probability], axis=-1)
        for number, conv in enumerate(CONVS, start=1):
            tensor = pooled_net.get_layer(conv)(tensor)
            if conv != CONVS[-1]:
                tensor = keras.ops.relu(pooled_net.get_layer(f"step{step}_norm{number}")(tensor))
        np.testing.assert_allclose(np.asarray(tensor), maps[..., 3 + step : 4 + step], atol=1e-4)


def test_fusion_takes_the_maps_of_all_streams(small_net):
    maps = [f"scale{scale}_up" for scale in SCALES]
    assert get_inputs(small_net, "fusion_maps") == maps
    assert get_inputs(small_net, "fusion_concat") == ["scaling", "fusion_sigmoid"]
    later = ["fusion_score", "recurrent_score", "recurrent_score", "score"]
    assert get_inputs(small_net, "maps_concat") == [*maps, *later]


def test_a_layer_that_is_called_twice_counts_twice():
    source = keras.Input((None, None, 3))
    conv = keras.layers.Conv2D(3, 3, padding="same")
    model = keras.Model(source, conv(keras.layers.MaxPooling2D(2)(conv(source))))
    assert count_multiply_adds(model, 8, 12) == (8 * 12 + 4 * 6) * 3 * 3 * 3 * 3
