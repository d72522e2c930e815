"""`python -m training crops`, and a training on what it rendered."""

import itertools
import json
import shutil

import pytest
from typer.testing import CliRunner

from tests.training.training_cases import compile_eagerly
from training.__main__ import app
from training.data.development import render_development_set
from training.edges import crop_store, stages
from training.edges import training as edge_training
from training.edges.crop_store import PLAN_FILE

CONFIG = """
validation_crops = 2
[networks]
filters = 4
dense_units = [8, 6]
[bnet]
crops = 1
points = 40
steps = 2
optimizer = "adam"
families = { uniform = 1, composite = 1 }
[enet]
crops = 1
points = 40
steps = 1
optimizer = "adam"
families = { composite = 1 }
"""


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setattr(crop_store, "SHARD", 6)
    monkeypatch.setattr(edge_training, "compile_model", compile_eagerly)
    monkeypatch.setattr(
        stages, "render_development_set", lambda root: itertools.islice(render_development_set(root), 1)
    )


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def run(*words):
    result = CliRunner(env={"COLUMNS": "500"}).invoke(app, [str(word) for word in words])
    assert "Traceback" not in result.output
    return result


def render(root, store, config, *options):
    return run("crops", "--root", root, "--store", store, "--config", config, "--crops", 6, "--jobs", 1, *options)


def test_networks_are_trained_on_stored_crops(training_root, config, tmp_path):
    store, out = tmp_path / "store", tmp_path / "run"
    assert render(training_root, store, config).exit_code == 0
    plan = json.loads((store / PLAN_FILE).read_text(encoding="utf-8"))
    assert plan["families"] == {"uniform": 0.25, "composite": 0.75}  # half and half for B-NET, all for E-NET
    train = ("edges", "--root", training_root, "--config", config, "--store", store, "--out", out)
    assert run(*train).exit_code == 0
    metadata = json.loads((out / "preset" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["command"] == "python -m training edges --config tiny.toml --root DATA --store store --out run"
    assert [stage["store"] for stage in metadata["stages"]] == ["store, 6 crops"] * 2
    shutil.copy(store / "000000.crops", store / "000001.crops")
    grown = run(*train, "--resume")
    assert grown.exit_code == 2
    assert "store is 'store, 12 crops', was 'store, 6 crops'" in " ".join(grown.output.replace("│", "").split())


def test_crops_of_another_plan_are_refused_and_stay(training_root, config, tmp_path):
    store = tmp_path / "store"
    assert render(training_root, store, config).exit_code == 0
    before = {path.name: path.read_bytes() for path in store.iterdir()}
    config.write_text(CONFIG.replace("composite = 1 }\n[enet]", "composite = 3 }\n[enet]"), encoding="utf-8")
    result = render(training_root, store, config)
    assert result.exit_code == 2
    assert "store must be new or hold crops of the same plan" in result.output
    assert {path.name: path.read_bytes() for path in store.iterdir()} == before


@pytest.mark.parametrize("command", ["edges", "bnet"])
def test_a_folder_without_crops_is_refused_before_pictures_load(command, config, tmp_path):
    result = run(
        command, "--root", tmp_path / "nowhere", "--config", config, "--store", tmp_path, "--out", tmp_path / "o"
    )
    assert result.exit_code == 2
    assert "store must be a folder that python -m training crops has filled" in result.output
    assert not (tmp_path / "o").exists()


def test_missing_pictures_are_said(config, tmp_path):
    result = render(tmp_path / "nowhere", tmp_path / "store", config)
    assert result.exit_code == 2
    assert "nowhere" in result.output
