"""`python -m training evaluate` from the outside, with an estimator that costs nothing, on one small scene.

`test_training_main` runs it with networks.
"""

import json
import sys

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge import pipeline
from defocus_edge.arrays import as_image
from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.files.images import write_picture
from defocus_edge.propagation.settings import PropagationSettings
from training.__main__ import app
from training.data import development
from training.data.development import DevelopmentScene


class ContrastEstimator:
    """Gives the whole picture one radius, the smaller the more contrast it has; 1 px more with the authors' weights."""

    seen = None

    def __init__(self, preset, *, radius=3.0):
        self.settings = EstimatorSettings(str(preset))
        self.radius = radius

    @classmethod
    def from_authors_weights(cls, folder, **options):
        cls.seen = folder, options
        return cls("authors", radius=4.0)

    def estimate(self, image, *, max_radius=None):
        if max_radius == 6:  # of `evaluate range`
            return ContrastEstimator("six", radius=6.0).estimate(image)
        points = np.array([[5, 6], [7, 8]], dtype=np.int32)
        radius = np.full(image.shape[:2], self.radius - image.std(), dtype=np.float32)
        return BlurEstimate(
            radius,
            radius,
            points,
            radius[0, :2],
            np.ones(2, np.float32),
            np.zeros(2, dtype=bool),
            self.settings,
            np.ones(2, np.int32),
        )


@pytest.fixture(autouse=True)
def estimator(monkeypatch):
    monkeypatch.setattr(pipeline, "BlurEstimator", ContrastEstimator)
    monkeypatch.setattr(ContrastEstimator, "seen", None)
    return ContrastEstimator


@pytest.fixture
def one_scene(texture, monkeypatch):
    """Makes the development set one scene."""
    label = np.zeros(texture.shape[:2], dtype=np.int8)
    label[:, 40] = 1
    truth = np.full(texture.shape[:2], 2.0, dtype=np.float32)
    scene = DevelopmentScene("split", "composite", as_image(texture), truth, label)
    monkeypatch.setattr(development, "render_development_set", lambda _: iter([scene]))


@pytest.fixture
def pairs(tmp_path, texture):
    """Folder with a pair of which one picture is blurred, and a flat pair."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    write_picture(folder / "one-A.png", texture)
    write_picture(folder / "one-B.png", cv2.GaussianBlur(texture, (0, 0), 2.0))
    for end in "AB":
        write_picture(folder / f"flat-{end}.png", np.full((40, 40, 3), 99, dtype=np.uint8))
    return folder


def run(*options):
    return CliRunner().invoke(app, ["evaluate", *map(str, options)])


def read_table(output):
    """Rows of the Markdown table, header first, without the dashes under it."""
    lines = [line.strip("|").split("|") for line in output.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for number, line in enumerate(lines) if number != 1]


@pytest.mark.usefixtures("one_scene")
@pytest.mark.parametrize(("settings", "name"), [(None, "authors"), ("code", "authors"), ("paper", "authors (paper)")])
def test_edges_divides_by_the_authors_errors(estimator, settings, name):
    options = [] if settings is None else ["--authors-settings", settings]
    result = run("edges", "--root", "any", "--preset", "own", "--authors", "theirs", *options)
    assert result.exit_code == 0, result.output
    header, own, theirs, truth = read_table(result.stdout)
    assert header[-1] == "dense_ratio"
    assert (own[1], theirs[1], truth[1]) == ("own", name, "true radii")
    dense = header.index("dense_mae")
    assert float(theirs[dense]) == pytest.approx(float(own[dense]) + 1, abs=2e-3)
    assert float(own[-1]) == pytest.approx(float(own[dense]) / float(theirs[dense]), abs=2e-3)
    assert (theirs[-1], truth[-1]) == ("1.000", "0.000")
    paper = PropagationSettings.paper()
    expected = {"propagation": paper, "depth_penalty": paper.depth_penalty} if settings == "paper" else {}
    assert (str(estimator.seen[0]), estimator.seen[1]) == ("theirs", expected)


def test_range_has_a_row_for_one_scale_and_for_all(texture, monkeypatch, tmp_path):
    truth = np.full(texture.shape[:2], 3.0, dtype=np.float32)
    scene = DevelopmentScene("wall", "bands", as_image(texture), truth, np.zeros(texture.shape[:2], dtype=np.int8))
    asked = {}

    def render(root, *, side):
        asked.update(root=str(root), side=side)
        return iter([scene])

    monkeypatch.setattr("training.data.large_scenes.render_large_scenes", render)
    out = tmp_path / "scores.json"
    result = run("range", "--root", "any", "--preset", "own", "--side", 300, "--out", out)
    assert result.exit_code == 0, result.output
    assert asked == {"root": "any", "side": 300}
    header, single, pyramid = read_table(result.stdout)
    assert header[:3] == ["family", "method", "relative error"]
    assert (single[1], pyramid[1]) == ("single scale", "pyramid")
    contrast = as_image(texture).std()
    assert float(single[2]) == pytest.approx((3 - contrast) / 3, abs=2e-3)
    assert float(pyramid[2]) == pytest.approx(contrast / 3, abs=2e-3)
    assert [score["picture"] for score in json.loads(out.read_text())] == ["wall", "wall"]


def test_range_needs_its_pictures(tmp_path):
    result = run("range", "--root", tmp_path, "--preset", "own")
    assert result.exit_code == 2
    assert "Expected a folder with pictures" in " ".join(result.stderr.split())


@pytest.mark.usefixtures("one_scene")
def test_edges_has_no_ratio_without_the_authors():
    result = run("edges", "--root", "any", "--preset", "own", "--preset", "other")
    assert result.exit_code == 0, result.output
    assert [row[1] for row in read_table(result.stdout)[1:]] == ["own", "other", "true radii"]
    assert "dense_ratio" not in result.stdout
    assert result.stderr == ""  # no bar where nobody looks


@pytest.mark.usefixtures("one_scene")
def test_robustness_prints_each_condition_and_writes_each_score(tmp_path):
    out = tmp_path / "scores.json"
    result = run("robustness", "--root", "any", "--preset", "own", "--out", out)
    assert result.exit_code == 0, result.output
    rows = read_table(result.stdout)
    conditions = ["clean", "noise-2", "noise-5", "jpeg-75", "sharpened", "half-size"]
    assert [row[2] for row in rows[1:]] == conditions
    assert rows[0][-2:] == ["sparse_mae_ratio", "dense_mae_ratio"]
    assert rows[1][-2:] == ["1.000", "1.000"]
    assert [score["condition"] for score in json.loads(out.read_text(encoding="utf-8"))] == conditions


@pytest.mark.usefixtures("one_scene")
def test_robustness_of_chosen_conditions_has_the_clean_one_too():
    result = run("robustness", "--root", "any", "--preset", "own", "--condition", "half-size")
    assert result.exit_code == 0, result.output
    assert [row[2] for row in read_table(result.stdout)[1:]] == ["clean", "half-size"]


def test_pairs_prints_pairs_and_mean_and_says_what_it_skipped(pairs, tmp_path):
    out = tmp_path / "scores.json"
    result = run("pairs", "--folder", pairs, "--preset", "own", "--out", out)
    assert result.exit_code == 0, result.output
    header, one, mean = read_table(result.stdout)
    assert header == ["weights", "pair", "compared", "ordered_near", "ordered_far", "ordered"]
    assert (one[1], mean[1], one[-1]) == ("one", "mean", "1.000")
    assert one[2:] == mean[2:]
    assert result.stderr.startswith("Skipped:")
    assert "'flat'; it has no textured pixels" in result.stderr
    assert [score["pair"] for score in json.loads(out.read_text(encoding="utf-8"))] == ["one"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["edges", "--root", "nowhere"], "which has none"),
        (["edges", "--root", "nowhere", "--authors-settings", "theirs"], "'theirs' is not one of"),
        (
            ["edges", "--root", "nowhere", "--out", "no/such/scores.json"],
            "out must name a file in a folder that exists",
        ),
        (["robustness", "--root", "nowhere"], "which has none"),
        (["robustness", "--root", "nowhere", "--condition", "fog"], "condition must be one of clean, noise-2"),
        (["robustness", "--root", "nowhere", "--out", "."], "out must name a file"),
        (["robustness"], "Missing option '--root'"),
        (["pairs", "--folder", "nowhere"], "which has none"),
        (["pairs", "--folder", "nowhere", "--out", "."], "out must name a file"),
        (["pairs"], "Missing option '--folder'"),
    ],
)
def test_wrong_usage_is_told_in_a_line_with_exit_code_2(tmp_path, monkeypatch, options, complaint):
    monkeypatch.chdir(tmp_path)
    result = run(*options, "--preset", "own")
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.replace("│", "").split())
    assert "Traceback" not in result.output


def test_damaged_and_lonely_pictures_are_wrong_usage(pairs):
    (pairs / "one-A.png").write_bytes(b"no picture")
    result = run("pairs", "--folder", pairs, "--preset", "own")
    assert result.exit_code == 2
    assert "one-A.png" in "".join(result.output.replace("│", "").split())
    (pairs / "one-A.png").unlink()
    result = run("pairs", "--folder", pairs, "--preset", "own")
    assert result.exit_code == 2
    assert "without 'one-A'" in " ".join(result.output.replace("│", "").split())


def test_nothing_but_flat_pairs_is_wrong_usage(pairs):
    for path in pairs.glob("one-*"):
        path.unlink()
    result = run("pairs", "--folder", pairs, "--preset", "own")
    assert result.exit_code == 2
    assert "must hold a pair that can be compared" in " ".join(result.output.replace("│", "").split())


def test_help_loads_no_backend(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for command in ("edges", "robustness", "pairs"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert "Markdown" in result.output
