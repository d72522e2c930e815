"""The two networks as built: sizes, shared layers, names, and what the crops see."""

import numpy as np
import pytest

from defocus_edge.networks.edge.architecture import EDGE_CLASSES, EdgeNetworksConfig
from defocus_edge.networks.edge.networks import build_edge_networks

SMALL = EdgeNetworksConfig(filters=4, dense_units=(8, 6))
F1_CONVS = [f"{branch}_conv{number}" for branch in ("b1", "b2", "b3") for number in (1, 2, 3, 4)]
# The weights file numbers the layers of each class in this order: another order fills layers with weights of others.
LAYERS_WITH_WEIGHTS = [
    *("b1_conv1", "b2_conv1", "f2_conv1", "b2_conv2", "b3_conv1", "b1_conv2", "b2_conv3", "b3_conv2", "f2_conv2"),
    *("b1_conv3", "b3_conv3", "f2_conv3", "b1_conv4", "b2_conv4", "b3_conv4", "f2_conv4"),
    *("blur_head_conv1", "edge_head_conv1", "blur_head_conv2", "edge_head_conv2"),
    *("blur_head_conv3", "edge_head_conv3", "blur_head_conv4", "edge_head_conv4"),
    *("blur_head_dense1", "edge_head_dense1", "blur_head_dense2", "edge_head_dense2"),
    *("blur_head_dense3", "edge_head_dense3"),
]
LAYERS_WITHOUT_WEIGHTS = [
    *("patch", "scaling", "crop27", "crop15", "b1_pool", "b2_pool", "f2_pool", "f1", "f1_f2"),
    *("blur_head_flatten", "edge_head_flatten"),
]


@pytest.fixture(scope="module")
def full_networks():
    return build_edge_networks()


@pytest.fixture
def patches(rng):
    return rng.random((5, 41, 41, 3), dtype=np.float32)


def count_values(model):
    return sum(int(np.prod(weight.shape)) for weight in model.weights)


def copy_weights(source, target):
    target.joint.set_weights(source.joint.get_weights())


def test_outputs_are_distributions(small_networks, patches):
    blur, edge = small_networks.b_net(patches), small_networks.e_net(patches)
    assert blur.shape == (5, 23)
    assert edge.shape == (5, len(EDGE_CLASSES)) == (5, 2)
    for output in (blur, edge):
        np.testing.assert_allclose(np.asarray(output).sum(axis=1), 1, atol=1e-6)
        assert np.asarray(output).min() >= 0


@pytest.mark.parametrize("sides", [(), (27,), (27, 41), (41, 41), (41, 20), [41]])
def test_unknown_branch_sides_are_refused(sides):
    with pytest.raises(ValueError, match=r"branch_sides must be 41, then 27 or 15 px or both or none\. Got: "):
        EdgeNetworksConfig(branch_sides=sides)


def test_networks_of_one_scale_have_no_layers_of_the_others():
    networks = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(8, 6), branch_sides=(41,)))
    names = {layer.name for layer in networks.joint.layers}
    assert {"b1_conv4", "f2_conv4"} <= names
    assert not {name for name in names if name.startswith(("b2", "b3", "crop"))}


@pytest.mark.parametrize("values", [{"filters": 0}, {"dense_units": ()}, {"dense_units": (300, 0)}])
def test_sizes_must_be_positive(values):
    with pytest.raises(ValueError, match=r"filters and dense_units must be positive\. Got: "):
        EdgeNetworksConfig(**values)


@pytest.mark.parametrize("shift", [-1, 2])
def test_unknown_crop_shift_is_refused(shift):
    with pytest.raises(ValueError, match=r"crop_shift must be 0 \(centred\) or 1 \(the authors' networks\)\. Got: "):
        EdgeNetworksConfig(crop_shift=shift)


def test_number_of_parameters_is_that_of_the_paper(full_networks):
    assert count_values(full_networks.b_net) == 560_731
    assert count_values(full_networks.e_net) == 706_744


def test_joint_holds_each_weight_once(full_networks):
    f1 = sum(count_values(full_networks.joint.get_layer(name)) for name in F1_CONVS)
    assert count_values(full_networks.joint) == 560_731 + 706_744 - f1


def test_convolutions_have_no_bias(full_networks):
    convs = [layer for layer in full_networks.joint.layers if "conv" in layer.name]
    assert all(len(layer.weights) == 1 for layer in convs)


def test_branches_end_in_7_by_7_maps_and_heads_in_1_by_1(full_networks):
    for name in ("b1_conv4", "b2_conv4", "b3_conv4", "f2_conv4"):
        assert full_networks.joint.get_layer(name).output.shape == (None, 7, 7, 64)
    assert full_networks.joint.get_layer("f1").output.shape == (None, 7, 7, 192)
    assert full_networks.joint.get_layer("f1_f2").output.shape == (None, 7, 7, 256)
    assert full_networks.joint.get_layer("blur_head_flatten").output.shape == (None, 64)
    assert full_networks.joint.get_layer("edge_head_flatten").output.shape == (None, 64)


def test_f1_layers_are_the_same_objects(small_networks):
    for name in F1_CONVS:
        layer = small_networks.b_net.get_layer(name)
        assert small_networks.e_net.get_layer(name) is layer
        assert small_networks.joint.get_layer(name) is layer


def test_layer_names_and_their_order_are_a_file_format(small_networks):
    layers = small_networks.joint.layers
    assert [layer.name for layer in layers if layer.weights] == LAYERS_WITH_WEIGHTS
    assert sorted(layer.name for layer in layers if not layer.weights) == sorted(LAYERS_WITHOUT_WEIGHTS)


def test_joint_gives_what_the_single_networks_give(small_networks, patches):
    joint = small_networks.joint(patches)
    np.testing.assert_allclose(joint["blur"], small_networks.b_net(patches), atol=1e-6)
    np.testing.assert_allclose(joint["edge"], small_networks.e_net(patches), atol=1e-6)


def test_crop_shift_changes_the_result(small_networks, patches):
    shifted = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(8, 6), crop_shift=1))
    copy_weights(small_networks, shifted)
    assert np.abs(np.asarray(shifted.b_net(patches)) - np.asarray(small_networks.b_net(patches))).max() > 1e-3


@pytest.mark.parametrize(("shift", "rows27", "rows15"), [(0, (7, 34), (13, 28)), (1, (8, 35), (14, 29))])
def test_crops_are_cut_where_the_paper_and_the_authors_cut_them(shift, rows27, rows15, patches):
    import keras

    networks = build_edge_networks(EdgeNetworksConfig(filters=1, dense_units=(1,), crop_shift=shift))
    crops = keras.Model(
        networks.joint.input, [networks.joint.get_layer(name).output for name in ("scaling", "crop27", "crop15")]
    )
    scaled, *cut = (np.asarray(output) for output in crops(patches))
    for crop, (start, stop) in zip(cut, (rows27, rows15), strict=True):
        np.testing.assert_array_equal(crop, scaled[:, start:stop, start:stop])


def test_input_is_centred_and_scaled(small_networks, patches):
    plain = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(8, 6), input_mean=0, input_gain=1))
    copy_weights(small_networks, plain)
    np.testing.assert_allclose(plain.b_net((patches - np.float32(0.5)) * 4), small_networks.b_net(patches), atol=1e-5)


def test_any_number_of_dense_layers_builds():
    networks = build_edge_networks(EdgeNetworksConfig(filters=2, dense_units=(5,)))
    assert networks.joint.get_layer("blur_head_dense2").output.shape == (None, 23)
    assert networks.config.dense_units == (5,)


def test_config_of_the_networks_is_kept():
    assert build_edge_networks(SMALL).config is SMALL
    assert EdgeNetworksConfig() == EdgeNetworksConfig(64, (300, 150), 0, 0.5, 4.0)


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_depth_threshold_must_be_a_probability(share):
    with pytest.raises(ValueError, match=r"depth_threshold must be between 0 and 1\. Got: "):
        EdgeNetworksConfig(depth_threshold=share)
