"""`python -m training` from the outside, small."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge.networks import edge_networks
from defocus_edge.networks.edge_networks import EdgeNetworksConfig, build_edge_networks
from defocus_edge.pipeline import BlurEstimator
from training import development
from training.__main__ import app
from training.development import render_development_set

RUN = ["--blur-steps", "2", "--edge-steps", "1", "--crops", "1", "--precision", "float32"]


def run_edges(root, out, *options):
    """The command with networks of 4 filters."""
    small = EdgeNetworksConfig(filters=4, dense_units=(8, 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge_networks, "build_edge_networks", lambda: build_edge_networks(small))
        return CliRunner().invoke(app, ["edges", "--root", str(root), "--out", str(out), *options, *RUN])


@pytest.fixture(scope="module")
def trained(training_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tiny"
    result = run_edges(training_root, out)
    assert result.exit_code == 0, result.output
    return out


def test_edges_writes_a_preset_that_the_estimator_loads(trained, texture):
    estimate = BlurEstimator(trained / "preset").estimate(texture, progress=None)
    assert estimate.radius.shape == texture.shape[:2]
    assert np.isfinite(estimate.radius).all()


def test_metadata_says_how_the_weights_came_about(trained):
    metadata = json.loads((trained / "preset" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["name"] == "tiny"
    assert "--blur-steps 2 --edge-steps 1 --crops 1" in metadata["command"]
    assert [stage["head"] for stage in metadata["stages"]] == ["blur", "edge"]
    assert {"mae_px", "p95_px"} == set(metadata["stages"][0]["development_crops"])
    assert "every 10th file" in metadata["development_split"]
    assert len(metadata["sha256"]) == 64


def test_resume_of_a_finished_run_gives_the_same_weights(trained, training_root):
    before = (trained / "preset" / "metadata.json").read_text(encoding="utf-8")
    result = run_edges(training_root, trained, "--resume")
    assert result.exit_code == 0, result.output
    after = json.loads((trained / "preset" / "metadata.json").read_text(encoding="utf-8"))
    assert after["stages"] == json.loads(before)["stages"]


def test_missing_data_is_one_line_and_no_traceback(tmp_path):
    result = run_edges(tmp_path, tmp_path / "out")
    assert result.exit_code == 2
    assert "bsds500" in result.output
    assert "Traceback" not in result.output


def test_evaluate_prints_the_table_and_writes_each_score(trained, training_root, tmp_path, monkeypatch):
    scenes = [scene for scene in render_development_set(training_root) if scene.family == "motorcycle"][:1]
    monkeypatch.setattr(development, "render_development_set", lambda _: scenes)
    out = tmp_path / "scores.json"
    options = ["--root", str(training_root), "--preset", str(trained / "preset"), "--out", str(out)]
    result = CliRunner().invoke(app, ["evaluate", "edges", *options])
    assert result.exit_code == 0, result.output
    assert "| motorcycle | true radii | 1 | 0.000 |" in result.output
    assert [score["weights"] for score in json.loads(out.read_text())] == [str(trained / "preset"), "true radii"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--root", "nowhere"], "which has none"),
        (["--root", "nowhere", "--preset", "no-such"], "preset must be one of"),
        (["--root", "nowhere", "--authors", "nobody"], "Not found"),
    ],
)
def test_evaluate_says_what_is_missing(trained, options, complaint):
    if "--preset" not in options:
        options = [*options, "--preset", str(trained / "preset")]
    result = CliRunner().invoke(app, ["evaluate", "edges", *options])
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.replace("│", "").split())
