"""The network that corrects points."""

import numpy as np
import pytest

from defocus_edge.networks import context
from defocus_edge.networks.context import POINT_VALUES, ContextConfig, ContextEvaluator
from defocus_edge.networks.context_network import build_context_network
from defocus_edge.networks.preset_files import PresetError
from defocus_edge.networks.presets import load_context_network, load_edge_networks, save_context_preset

SMALL = ContextConfig(units=(6, 5), least_depth=0.3)


@pytest.fixture
def network(rng):
    network = build_context_network(SMALL)
    network.model.set_weights([rng.normal(0, 0.3, weight.shape) ** 2 for weight in network.model.get_weights()])
    return network


def test_answers_are_those_of_a_perceptron(network, rng, monkeypatch):
    values = rng.normal(size=(1000, POINT_VALUES)).astype(np.float32)
    weights = {weight.path.split("/")[-2:][0] + "/" + weight.name: np.array(weight) for weight in network.model.weights}
    tensor = (values - weights["standardize/moving_mean"]) / np.sqrt(weights["standardize/moving_variance"] + 1e-3)
    for name in ("dense_0", "dense_1"):
        tensor = np.maximum(tensor @ weights[f"{name}/kernel"] + weights[f"{name}/bias"], 0)
    expected = tensor @ weights["answer/kernel"] + weights["answer/bias"]
    np.testing.assert_allclose(ContextEvaluator(network.weights).predict(values), expected, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(context, "POINT_CHUNK", 300)
    np.testing.assert_allclose(ContextEvaluator(network.weights).predict(values), expected, rtol=1e-4, atol=1e-4)


def test_values_are_standardized(network, rng):
    values = rng.normal(5, 3, (4000, POINT_VALUES)).astype(np.float32)
    network.standardize(values)
    layer = network.model.get_layer("standardize")
    standard = np.asarray(layer(values))
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(standard.std(axis=0), 1, atol=1e-3)


def test_an_untrained_network_changes_no_radius(rng):
    answer = ContextEvaluator(build_context_network(SMALL).weights).predict(rng.random((3, POINT_VALUES), np.float32))
    np.testing.assert_array_equal(answer, 0)


def test_a_preset_is_read_as_it_was_written(network, tmp_path):
    loaded = load_context_network(save_context_preset(network, tmp_path / "preset", {"name": "small"}))
    assert loaded.config == SMALL
    for ours, theirs in zip(network.model.get_weights(), loaded.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "config",
    [
        '{"network": "edge"}',
        '{"network": "context", "units": [0]}',
        '{"network": "context", "units": [6, 5], "depth": 1}',
    ],
)
def test_a_preset_of_something_else_is_refused(network, tmp_path, config):
    folder = save_context_preset(network, tmp_path / "preset", {})
    (folder / "config.json").write_text(config)
    with pytest.raises(PresetError, match="context"):
        load_context_network(folder)


def test_the_networks_of_the_package_name_one_that_is_there():
    config = load_edge_networks("edge-v2").config
    assert load_context_network(config.context).config.units
    assert load_edge_networks("edge-v1").config.context is None
