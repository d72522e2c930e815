"""Weights read without Keras are those that Keras wrote."""

import h5py
import numpy as np
import pytest

from defocus_edge.networks.edge.architecture import EdgeNetworksConfig, list_shapes
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.networks.preset_files import METADATA_FILE, WEIGHTS_FILE, PresetError, list_presets
from defocus_edge.networks.presets import (
    load_context_network,
    load_context_weights,
    load_edge_networks,
    load_edge_weights,
    save_edge_preset,
)
from defocus_edge.networks.weight_files import WeightsError, read_arrays, store_kernels_in_half


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, arrays in expected.items():
        for one, other in zip(found[name], arrays, strict=True):
            assert one.dtype == np.float32
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("preset", list_presets("edge"))
def test_edge_presets(preset):
    networks = load_edge_networks(preset)
    weights = load_edge_weights(preset)
    assert weights.config == networks.config
    assert_same(dict(weights.arrays), dict(networks.weights.arrays))


@pytest.mark.parametrize("preset", list_presets("context"))
def test_context_presets(preset):
    network, weights = load_context_network(preset), load_context_weights(preset)
    assert weights.config == network.config
    assert_same(dict(weights.arrays), dict(network.weights.arrays))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"branch_sides": (41,)},
        {"branch_sides": (41, 15)},
        {"dense_units": (5,)},
        {"head_normalization": True, "grid_step": 3},
    ],
    ids=str,
)
def test_shapes_are_those_that_keras_builds(options):
    config = EdgeNetworksConfig(**{"filters": 3, "dense_units": (6, 4), **options})
    built = build_edge_networks(config).weights.arrays
    assert list_shapes(config) == {name: [array.shape for array in arrays] for name, arrays in built.items()}


def test_weights_of_other_networks_are_refused(small_networks, tmp_path):
    folder = save_edge_preset(small_networks, tmp_path, {"name": "small"})
    path = folder / "config.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"filters": 4', '"filters": 5'), encoding="utf-8")
    with pytest.raises(PresetError, match=r"cannot be loaded into the networks .*b1_conv1 must have weights of"):
        load_edge_weights(folder)


def test_a_missing_layer_is_said(tmp_path, small_networks):
    small_networks.joint.save_weights(tmp_path / WEIGHTS_FILE)
    with pytest.raises(WeightsError, match=r"the layer other must have weights .*Got: no such layer"):
        read_arrays(tmp_path / WEIGHTS_FILE, {"other": [(1,)]})


def test_a_file_without_weights_is_refused(tmp_path):
    with h5py.File(tmp_path / WEIGHTS_FILE, "w"):
        pass
    with pytest.raises(WeightsError, match="no such layer"):
        read_arrays(tmp_path / WEIGHTS_FILE, {"b1_conv1": [(1,)]})
    (tmp_path / METADATA_FILE).write_text("no HDF5", encoding="utf-8")
    with pytest.raises(OSError, match="file signature not found"):
        read_arrays(tmp_path / METADATA_FILE, {"b1_conv1": [(1,)]})


def test_halved_kernels_are_read_as_float32(tmp_path, small_networks):
    path = tmp_path / WEIGHTS_FILE
    small_networks.joint.save_weights(path)
    store_kernels_in_half(path)
    shapes = list_shapes(small_networks.config)
    halved = read_arrays(path, shapes)
    for name, (kernel, *_) in small_networks.weights.arrays.items():
        np.testing.assert_array_equal(halved[name][0], kernel.astype(np.float16).astype(np.float32))
