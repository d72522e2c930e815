"""DCINet: sweeps in four directions and their gradients, weights of the context, groups, refining levels."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from defocus_edge.networks.segmentation.architectures.dcinet import DirectionalSweep, build_dcinet
from defocus_edge.networks.segmentation.blocks import VGG16_NAMES, NormalizedConfig
from tests.defocus_edge.networks.segmentation.network_cases import evaluate, get_inputs
from tests.defocus_edge.networks.segmentation.test_blocks import upsample_slowly

STRIDES = {"conv1_2": 1, "conv2_2": 2, "conv3_3": 4, "conv4_3": 8, "conv5_3": 16}
REFINING = ("conv4_3", "conv3_3", "conv2_2", "conv1_2")
#: Steps of row and column of the sweeps to the right, to the left, down and up.
STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))
CHANNELS = 3


@pytest.fixture(scope="module")
def small_net():
    keras.utils.set_random_seed(0)
    return build_dcinet(NormalizedConfig(width=0.05))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, 32, 64, 3), dtype=np.float32)


@pytest.fixture
def sweep(rng):
    layer = DirectionalSweep()
    layer.build((None, None, None, CHANNELS))
    layer.set_weights([rng.uniform(0.3, 1.0, len(STEPS) * CHANNELS)])
    return layer


def sweep_slowly(maps, recurrence):
    """One cell, channel and direction at a time."""
    batch, height, width, channels = maps.shape
    result = np.zeros((batch, height, width, len(recurrence)))
    for direction, (down, right) in enumerate(STEPS):
        for row in range(height)[:: down or 1]:
            for column in range(width)[:: right or 1]:
                for channel in range(channels):
                    output = direction * channels + channel
                    is_inside = 0 <= row - down < height and 0 <= column - right < width
                    before = result[:, row - down, column - right, output] if is_inside else 0.0
                    total = maps[:, row, column, channel] + recurrence[output] * before
                    result[:, row, column, output] = np.maximum(total, 0)
    return result


def get_size(net, name, height, width):
    """Height and width of the maps of a layer."""
    return keras.Model(net.input, net.get_layer(name).output).compute_output_shape((1, height, width, 3))[1:3]


@pytest.mark.parametrize("shape", [(2, 4, 7), (1, 5, 1), (1, 1, 1)])
def test_sweeps_are_those_of_the_oracle(rng, sweep, shape):
    maps = rng.normal(size=(*shape, CHANNELS)).astype(np.float32)
    result = np.asarray(sweep(maps))
    assert result.shape == sweep.compute_output_shape(maps.shape)
    np.testing.assert_allclose(result, sweep_slowly(maps, sweep.get_weights()[0]), atol=1e-5)


def test_a_cell_sees_its_row_and_its_column_only(sweep):
    """A single bright cell, and what each direction carries away from it."""
    maps = np.zeros((1, 5, 6, CHANNELS), np.float32)
    maps[0, 2, 3] = 1
    seen = np.asarray(sweep(maps))[0].reshape(5, 6, len(STEPS), CHANNELS)[..., 0] > 0
    places = [(2, slice(3, None)), (2, slice(None, 4)), (slice(2, None), 3), (slice(None, 3), 3)]
    for direction, (rows, columns) in enumerate(places):
        expected = np.zeros((5, 6), bool)
        expected[rows, columns] = True
        np.testing.assert_array_equal(seen[..., direction], expected)


def test_gradients_of_sweeps_are_those_of_small_differences(rng, sweep):
    maps = rng.normal(size=(1, 4, 5, CHANNELS)).astype(np.float32)
    recurrence, shares = sweep.get_weights()[0], rng.normal(size=(1, 4, 5, len(STEPS) * CHANNELS))
    source = tf.constant(maps)
    with tf.GradientTape() as tape:
        tape.watch(source)
        loss = tf.reduce_sum(sweep(source) * shares)
    of_maps, of_recurrence = (np.asarray(part) for part in tape.gradient(loss, [source, sweep.recurrence.value]))
    step = 1e-5
    for gradient, values, measure in (
        (of_maps, maps, lambda changed: (sweep_slowly(changed, recurrence) * shares).sum()),
        (of_recurrence, recurrence, lambda changed: (sweep_slowly(maps, changed) * shares).sum()),
    ):
        for place in rng.choice(values.size, 6, replace=False):
            change = np.zeros(values.size)
            change[place] = step
            change = change.reshape(values.shape)
            expected = (measure(values + change) - measure(values - change)) / (2 * step)
            assert gradient.flat[place] == pytest.approx(expected, rel=1e-3, abs=1e-3)
        assert (gradient != 0).mean() > 0.5


@pytest.mark.slow
def test_sweeps_run_in_a_compiled_step_of_jax(rng, sweep, tmp_path):
    maps = rng.normal(size=(1, 3, 4, CHANNELS)).astype(np.float32)
    np.savez(tmp_path / "in.npz", maps=maps, recurrence=sweep.get_weights()[0])
    code = """
import sys
import jax, numpy as np
from defocus_edge.networks.segmentation.architectures.dcinet import DirectionalSweep
with np.load(sys.argv[1]) as arrays:
    maps, recurrence = arrays["maps"], arrays["recurrence"]
layer = DirectionalSweep()
layer.build(maps.shape)
run = lambda weights, maps: layer.stateless_call([weights], [], maps)[0]
swept = jax.jit(run)(recurrence, maps)
slopes = jax.jit(jax.grad(lambda weights: run(weights, maps).sum()))(recurrence)
np.savez(sys.argv[2], swept=swept, slopes=slopes)
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    files = [str(tmp_path / name) for name in ("in.npz", "out.npz")]
    subprocess.run([sys.executable, "-c", code, *files], env=environment, check=True)
    with tf.GradientTape() as tape:
        swept = sweep(maps)
        loss = tf.reduce_sum(swept)
    with np.load(files[1]) as found:
        np.testing.assert_allclose(found["swept"], swept, atol=1e-5)
        np.testing.assert_allclose(found["slopes"], tape.gradient(loss, sweep.recurrence.value), rtol=1e-4)


def test_sweeps_begin_with_the_identity_and_cannot_explode(small_net):
    assert all((np.asarray(small_net.get_layer(f"{name}_sweep").recurrence) == 1).all() for name in STRIDES)
    layer = DirectionalSweep()
    layer.build((None, None, None, 1))
    keras.optimizers.SGD(1.0).apply([np.array([-3.0, 0.25, 3.0, 0.0])], [layer.recurrence])
    np.testing.assert_array_equal(layer.recurrence, [1, 0.75, 0, 1])


@pytest.mark.parametrize("name", STRIDES)
def test_levels_are_swept_at_a_small_size(small_net, name):
    height, width = (length // max(8, STRIDES[name]) for length in (64, 96))
    assert get_size(small_net, f"{name}_sweep", 64, 96) == (height, width)
    assert get_inputs(small_net, f"{name}_sweep") == [f"{name}_input"]
    assert get_inputs(small_net, f"{name}_features") == [f"vgg_{name}_relu"]


@pytest.mark.parametrize("name", ["conv2_2", "conv5_3"])
def test_context_weighs_the_features_of_a_level(small_net, image, name):
    names = (f"{name}_features_relu", f"{name}_weights", f"{name}_weighed")
    features, weights, weighed = evaluate(small_net, image, *names)
    assert 0 < weights.min() < weights.max() < 1
    large = upsample_slowly(weights, max(1, 8 // STRIDES[name]))
    np.testing.assert_allclose(weighed, features * large, atol=1e-5)


def test_context_of_a_patch_reaches_the_ends_of_its_row_and_its_column():
    keras.utils.set_random_seed(0)
    net = build_dcinet(NormalizedConfig(width=0.05, normalization="none"))
    images = np.full((2, 64, 64, 3), 0.5, np.float32)
    images[1, 27:29, 3:5] = np.random.default_rng(0).random((2, 2, 3))  # three convolutions keep it in its cell
    swept, weights = evaluate(net, images, "conv1_2_sweep", "conv1_2_weights")
    expected = np.zeros((8, 8), bool)
    expected[3] = expected[:, 0] = True
    for maps in (swept, weights):
        np.testing.assert_array_equal((maps[1] != maps[0]).any(axis=-1), expected)


def test_groups_join_deep_and_shallow_levels(small_net):
    for group, names in {"deep": ("conv4_3", "conv5_3"), "shallow": ("conv1_2", "conv2_2", "conv3_3")}.items():
        assert get_inputs(small_net, f"{group}_concat") == [f"{group}_{name}_up" for name in names]
        sizes = [get_size(small_net, f"{group}_{name}_up", 64, 96) for name in names]
        assert set(sizes) == {(64 // STRIDES[names[0]], 96 // STRIDES[names[0]])}
        for name in names:
            assert get_inputs(small_net, f"{group}_{name}_up") == [f"{name}_weighed"]


def test_each_level_corrects_the_map_before_with_the_picture(small_net):
    before = "deep_score"
    for name in REFINING:
        assert get_inputs(small_net, f"{name}_before") == [before]
        assert get_inputs(small_net, f"{name}_concat") == [f"{name}_before", f"{name}_weighed", f"{name}_guide"]
        assert get_inputs(small_net, f"{name}_add") == [f"{name}_before", f"{name}_residual"]
        assert get_size(small_net, f"{name}_guide", 64, 96) == (64 // STRIDES[name], 96 // STRIDES[name])
        before = f"{name}_add"
    assert get_inputs(small_net, "guide") == ["shallow_score", "scaling"]


def test_maps_are_coarse_ones_and_then_finer_and_finer(small_net):
    refined = [f"{name}_up" for name in REFINING[:-1]]
    assert get_inputs(small_net, "maps_concat") == ["deep_up", "shallow_score", *refined, "score"]
    assert [np.asarray(weight).ravel().tolist() for weight in small_net.get_layer("score").weights] == [[1.0], [0.0]]


def test_without_residuals_the_coarse_map_stays(image):
    net = build_dcinet(NormalizedConfig(width=0.05))
    for name in REFINING:
        layer = net.get_layer(f"{name}_residual")
        layer.set_weights([np.zeros_like(weights) for weights in layer.get_weights()])
    maps = np.asarray(net(image))
    assert np.ptp(maps[..., 0]) > 0
    np.testing.assert_allclose(maps[..., 2], maps[..., 0], atol=1e-5)
    assert np.abs(maps[..., 1] - maps[..., 0]).max() > 0.01


def test_weights_of_vgg16_find_their_layers(small_net):
    assert set(VGG16_NAMES) <= {layer.name for layer in small_net.layers}
