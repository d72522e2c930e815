"""Conv-LSTM fusion network: the cell against an oracle, its shared weights, and what it sees of three scales."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.convlstm import build_convlstm
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, NormalizedConfig
from tests.defocus_edge.networks.segmentation.network_cases import evaluate, get_inputs
from tests.defocus_edge.networks.segmentation.test_blocks import upsample_slowly

LEVELS = ("conv5_3", "conv4_3", "conv3_3", "conv2_2", "conv1_2")
STRIDES = (16, 8, 4, 2, 1)
SCALES = (10, 8, 6)
GATES = ("input", "forget", "output", "candidate")


@pytest.fixture(scope="module")
def small_net():
    keras.utils.set_random_seed(0)
    return build_convlstm(NormalizedConfig(width=0.05))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 48, 3), dtype=np.float32)


def convolve_slowly(maps, kernel):
    """3×3 convolution with zeros around the maps, one output pixel at a time."""
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    output = np.empty((*maps.shape[:3], kernel.shape[-1]))
    for row in range(maps.shape[1]):
        for col in range(maps.shape[2]):
            output[:, row, col] = np.tensordot(padded[:, row : row + 3, col : col + 3], kernel, axes=3)
    return output


def walk_slowly(net, sequence):
    """H and C after each step of Shi et al.'s Conv-LSTM without peepholes, which begins with zeros."""
    states = []
    for features in sequence:
        if states:
            hidden, memory = (upsample_slowly(part, 2) for part in states[-1])
        else:
            hidden, memory = np.zeros(features.shape), np.zeros(features.shape)
        gates = {}
        for gate in GATES:
            kernel, bias = net.get_layer(f"cell_{gate}_features").get_weights()
            (state_kernel,) = net.get_layer(f"cell_{gate}_state").get_weights()
            gates[gate] = convolve_slowly(features, kernel) + bias + convolve_slowly(hidden, state_kernel)
        i, f, o = (1 / (1 + np.exp(-gates[gate])) for gate in GATES[:3])
        memory = f * memory + i * np.tanh(gates["candidate"])
        states.append((o * np.tanh(memory), memory))
    return states


def test_the_cell_is_that_of_the_oracle(small_net, image):
    names = [*(f"{level}_fuse_relu" for level in LEVELS), *(f"{level}_h" for level in LEVELS)]
    outputs = evaluate(small_net, image, *names, "conv1_2_c")
    expected = walk_slowly(small_net, outputs[:5])
    for hidden, (expected_hidden, _) in zip(outputs[5:-1], expected, strict=True):
        assert np.ptp(hidden) > 0.05
        np.testing.assert_allclose(hidden, expected_hidden, atol=1e-5)
    np.testing.assert_allclose(outputs[-1], expected[-1][1], atol=1e-5)


def test_all_steps_share_the_cell_and_the_first_has_no_state(small_net):
    calls = {layer.name: len(layer._inbound_nodes) for layer in small_net.layers if layer.name.startswith("cell_")}
    features, states = ({f"cell_{gate}_{part}" for gate in GATES} for part in ("features", "state"))
    assert calls == dict.fromkeys(features, 5) | dict.fromkeys(states, 4)


def test_the_forget_gate_starts_open(small_net):
    biases = {gate: np.asarray(small_net.get_layer(f"cell_{gate}_features").bias) for gate in GATES}
    assert {gate: set(bias) for gate, bias in biases.items()} == {gate: {float(gate == "forget")} for gate in GATES}


@pytest.mark.parametrize(("level", "stride"), [*zip(LEVELS, STRIDES, strict=True)])
def test_features_of_all_scales_meet_at_the_size_of_the_largest(small_net, level, stride):
    names = [f"{level}_scale{tenths}_up" for tenths in SCALES[1:]]
    assert get_inputs(small_net, f"{level}_concat") == [f"vgg_{level}_relu", *names]
    assert get_inputs(small_net, f"{level}_fuse") == [f"{level}_concat"]
    outputs = [small_net.get_layer(name).output for name in (*names, f"{level}_h")]
    shapes = keras.Model(small_net.input, outputs).compute_output_shape((1, 160, 320, 3))
    assert {shape[1:3] for shape in shapes} == {(160 // stride, 320 // stride)}


def test_the_encoder_sees_three_sizes_with_the_same_weights(small_net):
    assert {weight.path for weight in small_net.weights if "vgg_conv" in weight.path and "kernel" in weight.path} == {
        f"{name}/kernel" for name in VGG16_NAMES
    }
    nodes = small_net.get_layer("vgg_conv5_3")._inbound_nodes
    outputs = [node.output_tensors[0] for node in nodes]
    shapes = keras.Model(small_net.input, outputs).compute_output_shape((1, 160, 320, 3))
    assert [shape[1:3] for shape in shapes] == [(10, 20), (8, 16), (6, 12)]


def test_each_scale_has_its_own_normalization(small_net):
    names = {layer.name for layer in small_net.layers}
    for prefix in ("", "scale8_", "scale6_"):
        assert {f"{prefix}{name}_norm" for name in VGG16_NAMES} < names


def test_the_encoder_sees_a_smaller_picture_as_it_sees_the_picture(image):
    """The smallest picture through the shared layers, one by one."""
    net = build_convlstm(NormalizedConfig(width=0.05, normalization="none"))
    tensor, reduced = evaluate(net, image, "scale6_resizing", "conv5_3_scale6_relu")
    for name in VGG16_NAMES:
        if name.endswith("_1") and name != "vgg_conv1_1":
            tensor = keras.ops.max_pool(tensor, 2)
        tensor = keras.ops.relu(net.get_layer(name)(tensor))
    expected = keras.ops.relu(net.get_layer("conv5_3_scale6")(tensor))
    assert np.ptp(reduced) > 0
    np.testing.assert_allclose(reduced, np.asarray(expected), atol=1e-5)


def test_maps_are_ordered_from_deep_to_shallow_and_end_in_the_fused_one(small_net, image):
    expected = [f"{level}_up" for level in LEVELS]
    assert get_inputs(small_net, "fuse_concat") == expected
    assert get_inputs(small_net, "maps_concat") == [*expected, "fuse_score"]
    for level in LEVELS:
        assert get_inputs(small_net, f"{level}_score") == [f"{level}_h"]
    maps = np.asarray(small_net(image))
    assert np.ptp(maps[..., :5], axis=-1).max() > 0.01
    np.testing.assert_allclose(maps[..., -1], maps[..., :5].mean(axis=-1), atol=1e-5)
