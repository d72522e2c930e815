"""IS2CNet: sizes of the chain, integrated levels, what is delivered to input and tail, residuals, weights of VGG16."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.is2cnet import build_is2cnet
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, NormalizedConfig
from tests.defocus_edge.networks.segmentation.network_cases import evaluate, get_inputs
from tests.defocus_edge.networks.segmentation.test_blocks import upsample_slowly

REDUCTIONS = {"fall1": 1, "fall2": 2, "turn4": 4, "rise2": 2, "rise1": 1}
PAIRS = [*pairwise(REDUCTIONS)]
LASTS = {1: "vgg_conv1_2", 2: "vgg_conv2_2", 3: "vgg_conv3_3", 4: "vgg_conv4_3"}


@pytest.fixture(scope="module")
def small_net():
    keras.utils.set_random_seed(0)
    return build_is2cnet(NormalizedConfig(width=0.05))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 64, 3), dtype=np.float32)


def reduce_slowly(maps, size):
    """Mean of each square of `size` px."""
    _, height, width, _ = maps.shape
    rows, columns = range(0, height, size), range(0, width, size)
    cells = [[maps[:, row : row + size, column : column + size] for column in columns] for row in rows]
    return np.stack([np.stack([cell.mean(axis=(1, 2)) for cell in line], axis=1) for line in cells], axis=1)


def resize_slowly(maps, before, after):
    """Bring maps of one reduction to another one."""
    return reduce_slowly(maps, after // before) if after > before else upsample_slowly(maps, before // after)


def get_map(name):
    """The layer that gives the map of a network at the network's size."""
    return "fall1_residual" if name == "fall1" else f"{name}_map"


def test_networks_see_the_picture_shrink_and_grow(small_net, image):
    sources = ["scaling", "picture2", "picture4", "picture2", "scaling"]
    assert [get_inputs(small_net, f"{name}_vgg_conv1_1") for name in REDUCTIONS] == [[source] for source in sources]
    scaled, *pictures = evaluate(small_net, image, "scaling", "picture2", "picture4")
    for reduction, picture in zip((2, 4), pictures, strict=True):
        np.testing.assert_allclose(picture, reduce_slowly(scaled, reduction), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["fall2", "rise1"])
def test_levels_are_integrated_from_deep_to_shallow(small_net, image, name):
    deeper = [f"{name}_level4_relu", f"{name}_join3_relu", f"{name}_join2_relu"]
    levels = [f"{name}_level{number}_relu" for number in (3, 2, 1)]
    sums = [f"{name}_join{number}_add" for number in (3, 2, 1)]
    for number, last in LASTS.items():
        assert get_inputs(small_net, f"{name}_level{number}") == [f"{name}_{last}_relu"]
    parts = evaluate(small_net, image, *deeper, *levels, *sums)
    for below, level, joined in zip(parts[:3], parts[3:6], parts[6:], strict=True):
        assert np.ptp(level) > 0
        np.testing.assert_allclose(joined, level + upsample_slowly(below, 2), rtol=1e-4, atol=1e-5)
    assert [get_inputs(small_net, f"{name}_join{number}") for number in (3, 2, 1)] == [[one] for one in sums]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_features_of_a_network_go_to_the_input_and_to_the_tail_of_the_next(small_net, image, before, after):
    names = (f"{before}_join1_relu", f"{after}_features_before")
    features, delivered = evaluate(small_net, image, *names)
    assert np.ptp(features) > 0
    expected = resize_slowly(features, REDUCTIONS[before], REDUCTIONS[after])
    np.testing.assert_allclose(delivered, expected, rtol=1e-4, atol=1e-5)
    assert get_inputs(small_net, f"{after}_input") == [names[1]]
    assert get_inputs(small_net, f"{after}_input_add") == [f"{after}_vgg_conv1_1_relu", f"{after}_input_relu"]
    assert get_inputs(small_net, f"{after}_vgg_conv1_2") == [f"{after}_input_add"]
    assert get_inputs(small_net, f"{after}_tail") == [f"{after}_join1_relu", names[1]]
    assert get_inputs(small_net, f"{after}_tail_conv1") == [f"{after}_tail"]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_each_network_corrects_the_map_of_the_one_before(small_net, image, before, after):
    first, residual, second = evaluate(small_net, image, get_map(before), f"{after}_residual", get_map(after))
    assert residual.min() < residual.max()
    expected = resize_slowly(first, REDUCTIONS[before], REDUCTIONS[after]) + residual
    np.testing.assert_allclose(second, expected, rtol=1e-4, atol=1e-5)


def test_maps_are_those_of_the_chain_at_the_size_of_the_picture(small_net, image):
    *parts, maps = evaluate(small_net, image, *map(get_map, REDUCTIONS), "maps_concat")
    assert maps.shape == (1, 32, 64, 5)
    for number, (part, reduction) in enumerate(zip(parts, REDUCTIONS.values(), strict=True)):
        assert part.shape == (1, 32 // reduction, 64 // reduction, 1)
        np.testing.assert_allclose(maps[..., number : number + 1], upsample_slowly(part, reduction), atol=1e-5)
    assert [np.asarray(weight).ravel().tolist() for weight in small_net.get_layer("score").weights] == [[1.0], [0.0]]


def test_a_network_changes_its_own_map_and_all_later_ones(small_net, image):
    before = np.asarray(small_net(image))
    layer = small_net.get_layer("turn4_join1")
    weights = layer.get_weights()
    layer.set_weights([-values for values in weights])
    changed = np.abs(np.asarray(small_net(image)) - before).max(axis=(0, 1, 2)) > 0
    layer.set_weights(weights)
    assert changed.tolist() == [False, False, True, True, True]


def test_each_network_has_four_blocks_of_vgg16_that_imagenet_fits(small_net):
    names = [name for name in VGG16_NAMES if not name.startswith("vgg_conv5")]
    convs = [layer for layer in small_net.layers if layer.name.endswith(tuple(VGG16_NAMES))]
    assert [layer.name for layer in convs] == [f"{one}_{name}" for one in REDUCTIONS for name in names]
    for number, name in enumerate(names):
        kernels = [np.asarray(layer.kernel) for layer in convs[number :: len(names)]]
        assert {kernel.shape for kernel in kernels} == {kernels[0].shape}
        assert not any(np.array_equal(*pair) for pair in pairwise(kernels)), name
    assert small_net.get_layer("rise1_vgg_conv1_1").kernel.shape[2] == 3


def test_batch_normalization_is_the_default_and_on_all_that_is_delivered(small_net):
    assert NormalizedConfig().normalization == "batch"
    normalized = {layer.name for layer in small_net.layers if isinstance(layer, keras.layers.BatchNormalization)}
    convs = [layer.name for layer in small_net.layers if isinstance(layer, keras.layers.Conv2D)]
    plain = {name for name in convs if name.endswith(("residual", "score"))}
    assert normalized == {f"{name}_norm" for name in convs if name not in plain}
    assert len(plain) == 6
