"""The maps that accelerators compute fast have the numbers of `DenseFeatures`; a run in JAX is read in TensorFlow."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from defocus_edge.networks.edge.networks import build_edge_networks
from training.edges.device.features import InterleavedFeatures
from training.edges.model import PointModel
from training.runs.checkpoints import load_network


@pytest.mark.parametrize("head", ["blur", "edge"])
def test_softmax_is_that_of_the_model(head, rng):
    keras.utils.set_random_seed(1)
    networks = build_edge_networks(EdgeNetworksConfig(filters=6, dense_units=(12, 8), head_normalization=True))
    points = np.stack([rng.integers(0, size, 40) for size in (3, 24, 24)], axis=1).astype(np.int32)
    inputs = {"images": rng.random((3, 64, 64, 3), dtype=np.float32), "points": points}
    models = [PointModel(networks, head), PointModel(networks, head, features=InterleavedFeatures)]
    expected, found = (keras.ops.convert_to_numpy(model(inputs)) for model in models)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert [each.path for each in models[0].variables] == [each.path for each in models[1].variables]


def test_other_networks_do_not_suit():
    assert not InterleavedFeatures.suits(EdgeNetworksConfig(branch_sides=(41, 27)))
    assert not InterleavedFeatures.suits(EdgeNetworksConfig(crop_shift=1))


@pytest.mark.slow
def test_what_jax_trained_says_the_same_here(tmp_path, repository, rng):
    """Steps of E-NET with everything of the configuration `gpu`, by the clock, in another process: it compiles long."""
    program = """
import sys
from pathlib import Path
import keras
import numpy as np
from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from defocus_edge.networks.edge.networks import build_edge_networks
from training.data.sources import Cutout, Sources
from training.edges.crops import CropSampler
from training.edges.model import PointModel
from training.edges.settings import TrainingSettings
from training.edges.training import EdgeTask, build_sampler
from training.runs import training
folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
pictures = [rng.integers(0, 256, (240, 260, 3), dtype=np.uint8) for _ in range(2)]
disk = np.zeros((240, 260), np.uint8)
disk[60:180, 70:190] = 255
sources = Sources(pictures, [Cutout(pictures[0], disk)], [disk])
config = EdgeNetworksConfig(filters=4, dense_units=(6, 5), head_normalization=True)
networks = build_edge_networks(config)
settings = TrainingSettings("edge", 10**6, crops=5, points=20, loss="focal", sampler="device", seconds=1.5,
                            families={"uniform": 0.4, "composite": 0.6}, precision="mixed_bfloat16")
held_back = CropSampler(sources, families={"uniform": 1.0})
task = EdgeTask(networks, settings, build_sampler(sources, settings), held_back, scored_crops=2)
training.train(task, folder)
assert task.progress >= 1
data = np.load(folder / "inputs.npz")
inputs = {name: data[name] for name in data.files}
output = keras.ops.convert_to_numpy(PointModel(networks, "edge")(inputs))
np.savez(folder / "outputs.npz", kernel=np.array(networks.joint.get_layer("f2_conv1").kernel), output=output)
"""
    points = np.stack([rng.integers(0, size, 30) for size in (2, 24, 24)], axis=1).astype(np.int32)
    inputs = {"images": rng.random((2, 64, 64, 3), dtype=np.float32), "points": points}
    np.savez(tmp_path / "inputs.npz", **inputs)
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    networks = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(6, 5), head_normalization=True))
    model = PointModel(networks, "edge")
    assert load_network(tmp_path / "edge.npz", model.variables) > 1
    with np.load(tmp_path / "outputs.npz") as outputs:
        np.testing.assert_allclose(keras.ops.convert_to_numpy(model(inputs)), outputs["output"], rtol=0, atol=1e-5)
        assert np.abs(outputs["kernel"].mean(axis=(0, 1))).max() < 1e-6
