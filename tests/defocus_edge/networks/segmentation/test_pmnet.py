"""PM-Net: what each subnet and stage sees, its maps, the fused map, the weights of the subnets."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.pmnet import build_pmnet
from defocus_edge.networks.segmentation.blocks import NormalizedConfig
from tests.defocus_edge.networks.segmentation.network_cases import evaluate, get_inputs
from tests.defocus_edge.networks.segmentation.test_blocks import upsample_slowly

REDUCTIONS = (1, 2, 4)
STAGES = (1, 2, 3, 4)
SUBNET_STAGES = [(reduction, stage) for reduction in REDUCTIONS for stage in STAGES]


@pytest.fixture(scope="module")
def small_net():
    keras.utils.set_random_seed(0)
    return build_pmnet(NormalizedConfig(width=0.05))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 64, 3), dtype=np.float32)


def reduce_slowly(picture, size, function):
    """Mean or maximum of each square of `size` px."""
    _, height, width, _ = picture.shape
    rows, columns = range(0, height, size), range(0, width, size)
    cells = [[picture[:, row : row + size, column : column + size] for column in columns] for row in rows]
    return np.stack([np.stack([function(cell, axis=(1, 2)) for cell in line], axis=1) for line in cells], axis=1)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_subnet_sees_the_mean_picture_and_its_stages_the_maxima_of_that(small_net, image, reduction):
    first = "scaling" if reduction == 1 else f"scale{reduction}_picture1"
    others = [f"scale{reduction}_picture{stage}" for stage in STAGES[1:]]
    scaled, *pictures = evaluate(small_net, image, "scaling", first, *others)
    expected = reduce_slowly(scaled, reduction, np.mean)
    np.testing.assert_allclose(pictures[0], expected, rtol=1e-5, atol=1e-6)
    for stage, picture in zip(STAGES, pictures, strict=True):
        np.testing.assert_array_equal(picture, reduce_slowly(pictures[0], 2 ** (stage - 1), np.max))


@pytest.mark.parametrize(("reduction", "stage"), SUBNET_STAGES)
def test_a_stage_down_joins_its_picture_with_the_pooled_stage_before(small_net, reduction, stage):
    name = f"scale{reduction}"
    if stage == 1:
        source = "scaling" if reduction == 1 else f"{name}_picture1"
        assert get_inputs(small_net, f"{name}_down1_conv1") == [source]
    else:
        assert get_inputs(small_net, f"{name}_input{stage}") == [f"{name}_picture{stage}"]
        joined = [f"{name}_input{stage}_relu", f"{name}_down{stage}_pool"]
        assert get_inputs(small_net, f"{name}_down{stage}_concat") == joined
        assert get_inputs(small_net, f"{name}_down{stage}_pool") == [f"{name}_down{stage - 1}_conv2_relu"]
        assert get_inputs(small_net, f"{name}_down{stage}_conv1") == [f"{name}_down{stage}_concat"]


@pytest.mark.parametrize(("reduction", "stage"), SUBNET_STAGES)
def test_a_stage_up_joins_its_stage_down_with_the_enlarged_stage_below_and_gives_a_map(small_net, reduction, stage):
    name = f"scale{reduction}"
    if stage == 4:
        features = f"{name}_down4_conv2_relu"
    else:
        below = f"{name}_down4_conv2_relu" if stage == 3 else f"{name}_up{stage + 1}_conv2_relu"
        features = f"{name}_up{stage}_conv2_relu"
        assert get_inputs(small_net, f"{name}_up{stage}_enlarged") == [below]
        joined = [f"{name}_down{stage}_conv2_relu", f"{name}_up{stage}_enlarged"]
        assert get_inputs(small_net, f"{name}_up{stage}_concat") == joined
    assert get_inputs(small_net, f"{name}_score{stage}") == [features]


def test_maps_are_ordered_by_subnet_and_stage_at_the_size_of_the_picture(small_net, image):
    names = [f"scale{reduction}_score{stage}" for reduction in REDUCTIONS for stage in STAGES[::-1]]
    *scores, maps = evaluate(small_net, image, *names, "maps_concat")
    assert maps.shape == (1, 32, 64, 13)
    strides = [reduction * 2 ** (stage - 1) for reduction in REDUCTIONS for stage in STAGES[::-1]]
    assert strides == [8, 4, 2, 1, 16, 8, 4, 2, 32, 16, 8, 4]
    for number, (score, stride) in enumerate(zip(scores, strides, strict=True)):
        assert score.shape == (1, 32 // stride, 64 // stride, 1)
        np.testing.assert_allclose(maps[..., number : number + 1], upsample_slowly(score, stride), atol=1e-5)


def test_fused_map_starts_as_the_mean_of_the_finest_maps(small_net, image):
    assert get_inputs(small_net, "fuse_concat") == ["scale1_map1", "scale2_map1", "scale4_map1"]
    maps = np.asarray(small_net(image))
    finest = maps[..., [3, 7, 11]]
    assert np.ptp(finest, axis=-1).max() > 0.01
    np.testing.assert_allclose(maps[..., -1], finest.mean(axis=-1), atol=1e-5)


def test_the_maps_of_a_subnet_depend_on_its_weights_alone(image):
    net = build_pmnet(NormalizedConfig(width=0.05))
    before = np.asarray(net(image))
    layer = net.get_layer("scale2_down1_conv1")
    layer.set_weights([-weights for weights in layer.get_weights()])
    changed = np.abs(np.asarray(net(image)) - before).max(axis=(0, 1, 2)) > 0
    assert np.flatnonzero(changed).tolist() == [4, 5, 6, 7, 12]


def test_each_subnet_has_its_own_weights_and_they_have_equal_shapes(small_net):
    names = [f"{part}{stage}_conv2" for part, stages in (("down", STAGES), ("up", STAGES[:3])) for stage in stages]
    for name in names:
        first, *others = [np.asarray(small_net.get_layer(f"scale{one}_{name}").kernel) for one in REDUCTIONS]
        assert [other.shape for other in others] == [first.shape] * 2
        assert not any(np.array_equal(first, other) for other in others)


def test_the_network_of_the_paper_has_batch_normalization(small_net):
    assert NormalizedConfig().normalization == "batch"
    normalized = {layer.name for layer in small_net.layers if isinstance(layer, keras.layers.BatchNormalization)}
    convs = [layer for layer in small_net.layers if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size[0] > 1]
    assert normalized == {f"{layer.name}_norm" for layer in convs}
    assert len(convs) == 3 * (4 * 2 + 3 * 2 + 3)
