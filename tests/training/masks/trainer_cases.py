"""What tests of the trainers share: values of variables, and a command that makes a preset with radii."""

import json

import keras
import numpy as np
import pytest

from defocus_edge import RadiusEstimator
from training.data.development import DevelopmentScene
from training.masks import stages


def list_values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def check_radius_command(run, folder, monkeypatch, network, text=""):
    """Train a network for one step; the estimator must load it and have the error that its metadata, returned, tell."""
    scene = DevelopmentScene("one", "uniform", np.full((64, 64, 3), 0.5, np.float32), np.full((64, 64), 2.0), None)
    monkeypatch.setattr(stages, "render_development_set", lambda _: [scene])
    result = run(network, text)
    assert result.exit_code == 0, result.output
    preset = folder / "run" / "preset"
    error = np.abs(np.maximum(RadiusEstimator(preset).estimate(scene.image), 0.5) - 2).mean()
    metadata = json.loads((preset / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["development_set"] == {"error, px": pytest.approx(float(error), abs=1e-3)}
    assert "error, px" in metadata["development_crops"]
    return metadata
