"""`python -m training` from the outside, small."""

import itertools
import json
import os
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from defocus_edge.networks.presets import load_edge_networks
from defocus_edge.pipeline import BlurEstimator
from tests.training.training_cases import compile_eagerly, find_changed, get_weights, read_rows
from training.__main__ import app
from training.data import development
from training.data.development import render_development_set
from training.edges import stages
from training.edges import training as edge_training

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
[enet]
crops = 1
points = 40
steps = 1
optimizer = "adam"
"""


def run(command, root, out, *options):
    """A command that trains tiny networks, traces no graphs and calibrates on one scene."""
    config = out.parent / "tiny.toml"
    config.write_text(CONFIG, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge_training, "compile_model", compile_eagerly)
        patch.setattr(stages, "render_development_set", lambda root: itertools.islice(render_development_set(root), 1))
        given = ["--root", str(root), "--out", str(out), "--config", str(config), *options]
        tf.config.run_functions_eagerly(True)
        try:
            return CliRunner(env={"COLUMNS": "500"}).invoke(app, [command, *given])
        finally:
            tf.config.run_functions_eagerly(False)


def read_words(result):
    """Output without the frame and the line breaks of an error."""
    assert "Traceback" not in result.output
    return " ".join(result.output.replace("│", "").split())


@pytest.fixture(scope="module")
def trained(training_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tiny"
    result = run("edges", training_root, out)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == str(out / "preset")
    return out


@pytest.fixture
def run_folder(trained, tmp_path):
    """A copy of the folder of a whole run that a test may change."""
    return shutil.copytree(trained, tmp_path / "tiny")


def test_edges_writes_a_preset_that_the_estimator_loads(trained, texture):
    estimate = BlurEstimator(trained / "preset").estimate(texture, progress=None)
    assert estimate.radius.shape == texture.shape[:2]
    assert np.isfinite(estimate.radius).all()


def test_edges_writes_checkpoints_logs_and_scores(trained):
    written = {path.name for path in trained.iterdir()} - {"tensorboard"}  # that comes with the extra `train`
    stages_files = {"blur.npz", "blur.csv", "edge.npz", "edge.csv"}
    assert written == {*stages_files, "bnet_levels.csv", "bnet_confusion.png", "enet_scores.csv", "preset"}
    assert len(read_rows(trained / "bnet_levels.csv")) == 23
    assert read_rows(trained / "enet_scores.csv")[0]["family"] == "all"


def test_metadata_says_how_the_weights_came_about(trained):
    metadata = json.loads((trained / "preset" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["name"] == "tiny"
    assert metadata["command"] == "python -m training edges --config tiny.toml --root DATA --out tiny"
    assert metadata["config"]["name"] == "tiny"
    assert metadata["config"]["bnet"] == {"crops": 1, "points": 40, "steps": 2, "optimizer": "adam"}
    assert [stage["head"] for stage in metadata["stages"]] == ["blur", "edge"]
    assert {"mae_px", "p95_px"} == set(metadata["stages"][0]["development_crops"])
    assert "every 10th file" in metadata["development_split"]
    assert len(metadata["sha256"]) == 64


def test_resume_of_a_finished_run_gives_the_same_weights(run_folder, training_root):
    before = json.loads((run_folder / "preset" / "metadata.json").read_text(encoding="utf-8"))
    result = run("edges", training_root, run_folder, "--resume")
    assert result.exit_code == 0, result.output
    after = json.loads((run_folder / "preset" / "metadata.json").read_text(encoding="utf-8"))
    assert after["stages"] == before["stages"]
    assert after["sha256"] == before["sha256"]


def test_stages_one_by_one_make_the_networks_of_edges(trained, training_root, tmp_path):
    out = tmp_path / "tiny"
    for command in ("bnet", "enet"):
        result = run(command, training_root, out)
        assert result.exit_code == 0, result.output
    whole, parts = (load_edge_networks(folder / "preset") for folder in (trained, out))
    for name, values in get_weights(whole).items():
        for one, other in zip(values, get_weights(parts)[name], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6, err_msg=name)
    metadata = json.loads((out / "preset" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["command"] == "python -m training enet --config tiny.toml --root DATA --out tiny"
    assert [(stage["head"], stage["steps"]) for stage in metadata["stages"]] == [("blur", 2), ("edge", 1)]


@pytest.mark.parametrize("source", ["run", "preset"])
def test_e_net_over_the_b_net_of_another(source, trained, training_root, tmp_path):
    given = trained if source == "run" else trained / "preset"
    out = tmp_path / "other"
    result = run("enet", training_root, out, "--bnet", str(given), "--steps", "2", "--seed", "5")
    assert result.exit_code == 0, result.output
    theirs, ours = (get_weights(load_edge_networks(folder / "preset")) for folder in (trained, out))
    changed = find_changed(theirs, ours)
    assert changed
    assert all(name.startswith(("f2", "edge_head")) for name in changed)
    metadata = json.loads((out / "preset" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["command"].endswith(f"--out other --bnet {given.name} --steps 2 --seed 5")
    assert metadata["stages"][1]["steps"] == 2
    assert str(tmp_path) not in json.dumps(metadata)


@pytest.mark.parametrize("source", ["run", "preset"])
@pytest.mark.parametrize("command", ["edges", "enet"])
def test_start_from_trained_weights(command, source, trained, training_root, tmp_path):
    """Another seed's weights would lie far off; one or two steps at the beginning of the warm-up change hardly any."""
    given = trained if source == "run" else trained / "preset"
    out = tmp_path / "other"
    options = ["--start", str(given), "--seed", "5", *(["--bnet", str(trained)] if command == "enet" else [])]
    result = run(command, training_root, out, *options)
    assert result.exit_code == 0, result.output
    theirs, ours = (get_weights(load_edge_networks(folder / "preset")) for folder in (trained, out))
    for name, values in theirs.items():
        for one, other in zip(values, ours[name], strict=True):
            np.testing.assert_allclose(other, one, atol=5e-4, err_msg=name)
    metadata = json.loads((out / "preset" / "metadata.json").read_text(encoding="utf-8"))
    assert f"--start {given.name}" in metadata["command"]
    assert metadata["stages"][1]["start"] == given.name
    assert str(tmp_path) not in json.dumps(metadata)


def test_resume_from_another_start_is_refused(trained, training_root):
    result = run("edges", training_root, trained, "--resume", "--start", "edge-v1")
    assert result.exit_code == 2
    assert "start is 'edge-v1', was None" in read_words(result)


def test_e_net_needs_a_b_net(training_root, tmp_path):
    result = run("enet", training_root, tmp_path / "new")
    assert result.exit_code == 2
    assert "must hold blur.npz, a trained B-NET. Got: none." in read_words(result)


@pytest.mark.parametrize(
    ("bnet", "complaint"),
    [("nobody", "preset must be one of"), ("edge-v1", "edge-v1 must have the networks of the configuration")],
)
@pytest.mark.parametrize("option", ["--bnet", "--start"])
def test_weights_of_nobody_or_of_larger_networks(option, bnet, complaint, training_root, tmp_path):
    result = run("enet", training_root, tmp_path / "new", option, bnet)
    assert result.exit_code == 2
    assert complaint in read_words(result)


@pytest.mark.parametrize(("command", "file"), [("bnet", "blur.npz"), ("enet", "edge.npz"), ("edges", "blur.npz")])
def test_a_run_is_not_overwritten(command, file, trained, training_root):
    result = run(command, training_root, trained)
    assert result.exit_code == 2
    assert f"{file} must not exist for a new run. Got: a checkpoint." in read_words(result)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 cut"])
def test_resume_from_a_damaged_checkpoint_is_refused(content, training_root, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "blur.npz").write_bytes(content)
    result = run("bnet", training_root, out, "--resume")
    assert result.exit_code == 2
    assert f"{out / 'blur.npz'} must be a whole checkpoint. Got: File is not a zip file." in read_words(result)


def test_resume_with_other_settings_is_refused(trained, training_root):
    result = run("edges", training_root, trained, "--resume", "--seed", "1")
    assert result.exit_code == 2
    assert "seed is 1, was 0" in read_words(result)


def test_e_net_of_an_older_b_net_is_refused(run_folder, training_root):
    longer = run("bnet", training_root, run_folder, "--resume", "--steps", "3")
    assert longer.exit_code == 0, longer.output
    assert [int(row["step"]) for row in read_rows(run_folder / "blur.csv")] == [2, 3]
    result = run("enet", training_root, run_folder, "--resume")
    assert result.exit_code == 2
    assert "must be of an E-NET over the B-NET at hand" in read_words(result)


def test_ctrl_c_says_how_to_go_on(training_root, tmp_path, monkeypatch):
    take_step = edge_training.EdgeTask.take_step

    def press_ctrl_c(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return take_step(*arguments)

    monkeypatch.setattr(edge_training.EdgeTask, "take_step", press_ctrl_c)
    out = tmp_path / "tiny run"
    result = run("bnet", training_root, out, "--steps", "9")
    assert result.exit_code == 130
    options = f"--config {tmp_path}/tiny.toml --root {training_root} --out '{out}' --steps 9 --resume"
    assert f"Interrupted. To go on: python -m training bnet {options}" in read_words(result)
    with np.load(out / "blur.npz") as checkpoint:
        assert checkpoint["step"] == 1


@pytest.mark.parametrize("command", ["bnet", "enet", "edges"])
def test_missing_data_is_one_line_and_no_traceback(command, tmp_path):
    result = run(command, tmp_path, tmp_path / "out")
    assert result.exit_code == 2
    assert "bsds500" in read_words(result)


def test_a_family_without_pictures_is_one_line(training_root, tmp_path):
    """With every second view kept out, each scene with depth has one of them, and none is left to learn from."""
    config = tmp_path / "half.toml"
    config.write_text(f"validation_stride = 2\n{CONFIG}", encoding="utf-8")
    result = run("bnet", training_root, tmp_path / "out", "--config", str(config))
    assert result.exit_code == 2
    assert "families must not name 'depth' where no picture with disparity is left" in read_words(result)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ["--config", "huge"],
            "config must be one of ['default', 'gpu', 'paper', 'single-scale', 'small'] or a TOML file. Got: 'huge'",
        ),
        (["--steps", "0"], "'--steps'"),
        (["--out", "README.md"], "out must be a folder that can be written. Got: [Errno 17] File exists: 'README.md'"),
    ],
)
def test_wrong_options_are_one_line(options, complaint, tmp_path, repository, monkeypatch):
    monkeypatch.chdir(repository)
    result = run("bnet", tmp_path, tmp_path / "out", *options)
    assert result.exit_code == 2
    assert complaint in read_words(result)


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
