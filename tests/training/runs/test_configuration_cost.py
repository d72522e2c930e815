"""Reading a configuration or a checkpoint loads neither the other task nor what renders pictures."""

import subprocess
import sys

import pytest

RENDERERS = {"synth.scenes", "training.edges.crops", "training.masks.scenes"}
MODELS = {"training.edges.model", "training.masks.model"}


def list_loaded(code):
    code = f"{code}\nimport sys\nprint('loaded:', *sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(output.partition("loaded:")[2].split())


@pytest.mark.parametrize("room", ["edges", "masks"])
def test_a_wrong_configuration_is_told_before_keras_is_loaded(room, tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text("seed = -1\n[training]\nsteps = 1\n[bnet]\nsteps = 1\n[enet]\nsteps = 1\n", encoding="utf-8")
    reader = {"edges": "read_config(", "masks": "read_mask_config('msdu', "}[room]
    name = reader.partition("(")[0]
    code = (
        f"from training.{room}.config import {name}\n"
        f"try:\n    {reader}{str(path)!r})\nexcept ValueError as error:\n    print(error)"
    )
    loaded = list_loaded(code)
    assert f"training.{room}.settings" in loaded
    assert not loaded & {"keras", "tensorflow", *RENDERERS, *MODELS}


def test_a_mask_configuration_does_not_load_the_edge_networks():
    loaded = list_loaded("from training.masks.config import read_mask_config\nread_mask_config('msdu', 'compact')")
    assert not loaded & RENDERERS
    assert not [name for name in loaded if name.startswith("training.edges")]


def test_checkpoints_load_no_model():
    loaded = list_loaded("import training.runs.checkpoints")
    assert not [name for name in loaded if name.startswith(("training.edges", "training.masks", "keras", "tensorflow"))]
