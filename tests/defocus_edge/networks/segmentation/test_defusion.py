"""DeFusionNET: which features refine which, weights of each step, the fused map."""

import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.defusion import DefusionNetConfig, build_defusion_net

SIDES = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3", "pool5")
STEPS = (1, 2, 3)


@pytest.fixture(scope="module")
def small_net():
    return build_defusion_net(DefusionNetConfig(width=0.05))


def get_inputs(net, name):
    """Names of the layers that feed a layer."""
    tensors = net.get_layer(name).input
    return [tensor._keras_history.operation.name for tensor in (tensors if isinstance(tensors, list) else [tensors])]


@pytest.mark.parametrize("step", STEPS)
def test_shallow_sides_are_refined_with_deep_features_and_deep_ones_with_shallow(small_net, step):
    for number, side in enumerate(SIDES):
        before = f"side_{side}_up" if step == 1 else f"step{step - 1}_{side}_refine_relu"
        other = f"step{step}_{'fsef' if number < 3 else 'fshf'}_conv_relu"
        assert get_inputs(small_net, f"step{step}_{side}_concat") == [before, other]


@pytest.mark.parametrize("step", STEPS)
def test_features_are_fused_anew_in_each_step(small_net, step):
    before = [f"side_{side}_up" if step == 1 else f"step{step - 1}_{side}_refine_relu" for side in SIDES]
    assert get_inputs(small_net, f"step{step}_fshf_concat") == before[:3]
    assert get_inputs(small_net, f"step{step}_fsef_concat") == before[3:]
    assert small_net.get_layer(f"step{step}_fshf_conv").kernel_size == (1, 1)


@pytest.mark.parametrize("names", ["{}_refine", "{}_score"])
def test_each_step_and_side_has_its_own_weights(small_net, names):
    layers = [small_net.get_layer(names.format(f"step{step}_{side}")) for step in STEPS for side in SIDES]
    kernels = {id(layer.kernel): np.asarray(layer.kernel) for layer in layers}
    assert len(kernels) == 18
    first, *others = kernels.values()
    assert not any(np.array_equal(first, other) for other in others if other.shape == first.shape)


def test_maps_are_ordered_by_step_and_side_and_end_in_the_fused_one(small_net):
    expected = [f"step{step}_{side}_score" for step in STEPS for side in SIDES]
    assert get_inputs(small_net, "maps_concat") == [*expected, "fuse_score"]
    assert get_inputs(small_net, "fuse_concat") == expected[-6:]


def test_fused_map_starts_as_the_mean_of_the_last_six(small_net, rng):
    maps = np.asarray(small_net(rng.random((1, 32, 64, 3), dtype=np.float32)))
    np.testing.assert_allclose(maps[..., -1], maps[..., -7:-1].mean(axis=-1), atol=1e-4)


def test_sides_come_at_the_size_of_the_picture(small_net):
    import keras

    sides = keras.Model(small_net.input, [small_net.get_layer(f"side_{side}_up").output for side in SIDES])
    assert {shape[1:3] for shape in sides.compute_output_shape((1, 64, 32, 3))} == {(64, 32)}


def test_refine_size_is_that_of_the_config():
    small = build_defusion_net(DefusionNetConfig(width=0.05, refine_size=1))
    assert small.get_layer("step2_pool5_refine").kernel_size == (1, 1)


@pytest.mark.parametrize("size", [0, 2, -1])
def test_refine_size_must_be_odd(size):
    with pytest.raises(ValueError, match=r"refine_size must be odd and positive\. Got: "):
        DefusionNetConfig(refine_size=size)
