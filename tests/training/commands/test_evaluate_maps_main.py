"""`python -m training evaluate maps` from the outside, with small networks and small pictures."""

import csv
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge.arrays import as_image
from defocus_edge.files.maps import write_map
from tests.conftest import make_texture, write_png
from training.__main__ import app
from training.data import development
from training.data.development import DevelopmentScene


@pytest.fixture
def folder(tmp_path, rng):
    """Two pairs."""
    for name in ("b", "a"):
        write_png(tmp_path / "pairs" / f"{name}.png", make_texture(rng, 40, 50))
        write_map(tmp_path / "pairs" / f"{name}_radius.npy", np.full((40, 50), 2.0))
    return tmp_path / "pairs"


@pytest.fixture
def one_scene(texture, monkeypatch):
    """Makes the development set one scene."""
    label = np.zeros(texture.shape[:2], dtype=np.int8)
    truth = np.full(texture.shape[:2], 2.0, dtype=np.float32)
    scene = DevelopmentScene("one", "uniform", as_image(texture), truth, label)
    monkeypatch.setattr(development, "render_development_set", lambda _: iter([scene]))


def run(*options):
    return CliRunner(env={"COLUMNS": "500"}).invoke(app, ["evaluate", "maps", *map(str, options)])


def read_words(result):
    assert "Traceback" not in result.output
    return " ".join(result.output.replace("│", "").split())


def read_table(output):
    lines = [line.strip("|").split("|") for line in output.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for number, line in enumerate(lines) if number != 1]


@pytest.mark.usefixtures("one_scene")
def test_scenes_have_a_row_for_each_method_in_order(small_preset):
    result = run("--root", "any", "--methods", f"lbp, true,{small_preset}")
    assert result.exit_code == 0, result.output
    header, lbp, true, own = read_table(result.stdout)
    assert header == [
        "family",
        "method",
        "pictures",
        "MAE (px)",
        "relative MAE (own maximum)",
        "relative MAE (common maximum)",
        "s/MP",
    ]
    assert [row[1] for row in (lbp, true, own)] == ["lbp", "true", "small"]
    assert lbp[3] == lbp[5] == "–"
    assert true[3] == "0.000 ± 0.000"
    assert float(own[3].split()[0]) > 0
    assert result.stderr == ""


def test_folder_is_scored_and_files_are_written(folder, small_preset, tmp_path):
    out = tmp_path / "report"
    result = run(
        "--root", folder, "--dataset", "folder", "--methods", small_preset, "--out", out, "--figures", "MAE (px)"
    )
    assert result.exit_code == 0, result.output
    header, row = read_table(result.stdout)
    assert header == ["family", "method", "pictures", "MAE (px)"]
    assert row[:3] == ["pairs", "small", "2"]
    with (out / "pictures.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == ["a", "b"]
    mean = np.mean([float(row["MAE (px)"]) for row in rows])
    assert row[3].split()[0] == f"{mean:.3f}"


def test_costs_follow_the_errors(folder, small_preset):
    methods = f"karaali-jung,{small_preset}"
    result = run(
        "--root", folder, "--dataset", "folder", "--methods", methods, "--costs", "--figures", "parameters (10⁶)"
    )
    assert result.exit_code == 0, result.output
    header, baseline, own = read_table(result.stdout)
    assert header == ["family", "method", "pictures", "parameters (10⁶)"]
    assert baseline[3] == "–"
    assert float(own[3]) > 0


def test_unit_of_the_truth_scales_the_error(folder, small_preset):
    for name in "ab":
        write_map(folder / f"{name}_radius.npy", np.full((40, 50), 30.0))  # beyond any estimate
    arguments = ["--root", folder, "--dataset", "folder", "--methods", small_preset, "--figures", "MAE (px)"]
    errors = []
    for unit in ("px", "sigma"):
        result = run(*arguments, "--truth-unit", unit)
        assert result.exit_code == 0, result.output
        errors.append(float(read_table(result.stdout)[1][3].split()[0]))
    assert errors[1] == pytest.approx(errors[0] + 30, abs=2e-3)


def test_a_picture_without_edges_is_said_and_does_not_stop_the_others(folder, small_preset):
    write_png(folder / "flat.png", np.full((40, 40, 3), 99, dtype=np.uint8))
    write_map(folder / "flat_radius.npy", np.full((40, 40), 1.0))
    result = run("--root", folder, "--dataset", "folder", "--methods", f"{small_preset},karaali-jung")
    assert result.exit_code == 0, result.output
    assert [row[2] for row in read_table(result.stdout)[1:]] == ["2", "2"]
    assert "flat, small: No edges found" in result.stderr
    assert "flat, karaali-jung:" in result.stderr


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--methods", "magic"], "preset must be one of"),
        (["--methods", ""], "methods must be at least one, each once. Got: none."),
        (["--methods", "lbp,true"], "methods must not hold 'true' unless the dataset is scenes"),
        (["--methods", "lbp", "--authors", "nowhere"], "Not found"),
        (["--methods", "lbp", "--figures", "MAE"], "figures must be of MAE (px), "),
        (["--methods", "lbp", "--out", "README.md"], "out must be a folder that can be written"),
        (["--methods", "lbp", "--dataset", "rtf"], "must hold pairs image_NN.png and map_NN.mat. Got: no picture."),
        (["--methods", "lbp", "--dataset", "scenes"], "Expected a folder with pictures"),
        (["--methods", "lbp", "--truth-unit", "level"], "label must be between 0 and 22"),
    ],
)
def test_what_is_wrong_is_one_line(folder, options, complaint, repository, monkeypatch):
    monkeypatch.chdir(repository)
    write_map(folder / "a_radius.npy", np.full((40, 50), 23.0))
    chosen = [] if "--dataset" in options else ["--dataset", "folder"]
    result = run("--root", folder, *chosen, *options)
    assert result.exit_code == 2
    assert complaint in read_words(result)


def test_what_is_wrong_with_the_last_file_comes_first(folder, tmp_path):
    write_map(folder / "b_radius.npy", np.ones((40, 51)))
    result = run("--root", folder, "--dataset", "folder", "--methods", "lbp", "--out", tmp_path / "report")
    assert result.exit_code == 2
    assert "b_radius.npy' with (40, 51)" in read_words(result)
    assert not list((tmp_path / "report").iterdir())


def test_missing_pymatting_is_told_before_the_work(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = run("--root", folder, "--dataset", "folder", "--methods", "hifst,zhuo-sim")
    assert result.exit_code == 2
    assert "zhuo-sim needs pymatting. Got: none. Install it with: pip install" in read_words(result)


def test_help_loads_no_backend(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    result = run("--help")
    assert result.exit_code == 0
    assert "Markdown" in result.output
