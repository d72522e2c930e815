"""Weights of the small networks: written and read again, missing and damaged ones refused; and those of the package."""

import json

import keras
import numpy as np
import pytest

from defocus_edge.networks.weight_files import WeightsError
from training.baselines.network_weights import WEIGHTS_FOLDER, list_shapes, name_files, read_weights, save_weights
from training.baselines.patch_networks import build_dhde_network, build_metric_networks


@pytest.fixture
def model():
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(2, name="dense")(inputs))


def test_weights_are_read_as_they_were_written(model, tmp_path):
    save_weights(model, "small", tmp_path / "new", {"seed": 3})
    arrays = read_weights("small", list_shapes(model), tmp_path / "new")
    for found, given in zip(arrays["dense"], model.get_layer("dense").get_weights(), strict=True):
        np.testing.assert_array_equal(found, given)
    assert json.loads((tmp_path / "new" / "small.json").read_text())["seed"] == 3
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["small.json", "small.weights.h5"]


def test_missing_changed_and_other_weights_are_refused(model, tmp_path):
    shapes = list_shapes(model)
    with pytest.raises(WeightsError, match=r"small needs whole weights in .* Got: .*No such file.* or train them: py"):
        read_weights("small", shapes, tmp_path)
    weights, about = name_files("small", tmp_path)
    save_weights(model, "small", tmp_path, {})
    with pytest.raises(WeightsError, match="must have weights of the shapes"):
        read_weights("small", {"dense": [(3, 4), (4,)]}, tmp_path)
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match=r"small needs whole weights.* its SHA-256 must be that in small\.json"):
        read_weights("small", shapes, tmp_path)
    about.write_text("[]")
    with pytest.raises(WeightsError, match="small needs whole weights"):
        read_weights("small", shapes, tmp_path)


@pytest.mark.parametrize(
    ("name", "build", "parameters"),
    [("dhde", build_dhde_network, 128_488), ("cnn-metric", build_metric_networks, 14_070)],
)
def test_weights_of_the_package_fit_and_say_where_they_come_from(name, build, parameters):
    network = build()
    assert network.count_params() == parameters
    read_weights(name, list_shapes(network))
    weights, about = name_files(name, WEIGHTS_FOLDER)
    known = json.loads(about.read_text(encoding="utf-8"))
    assert {"command", "settings", "steps_taken", "cpu_minutes", "held_back", "data", "sha256"} <= set(known)
    assert known["settings"]["validation_stride"] == 10
    assert weights.stat().st_size < 750_000
