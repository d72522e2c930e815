"""`evaluate broad`: scores of made-up estimators, intervals, and a second run that goes on."""

import csv

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge import pipeline
from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.files.images import write_picture
from training.__main__ import app
from training.data.development import DevelopmentScene
from training.evaluation import broad
from training.evaluation.broad import BroadScore, measure_auc, read_scores, summarize_broad


class FixedEstimator:
    """Says one radius, and more on bright pixels."""

    calls = 0

    def __init__(self, _, *, max_radius=1.0):
        self.radius = max_radius

    def estimate(self, image):
        FixedEstimator.calls += 1
        points = np.array([[5, 6], [7, 8]], dtype=np.int32)
        radius = (self.radius + 0.01 * image.mean(axis=-1)).astype(np.float32)
        certain, flat = np.ones(2, np.float32), np.zeros(2, bool)
        settings = EstimatorSettings("fixed")
        return BlurEstimate(radius, radius, points, radius[0, :2], certain, flat, settings, np.ones(2, np.int32))


def render(_, family, number):
    image = np.random.default_rng(number).random((40, 50, 3)).astype(np.float32)
    radius = np.full((40, 50), 2.0 + number, np.float32)
    return DevelopmentScene(f"{family}-{number:02}", family, image, radius, np.zeros((40, 50), np.int8))


@pytest.fixture(autouse=True)
def _made_up(monkeypatch):
    monkeypatch.setattr(pipeline, "BlurEstimator", FixedEstimator)
    monkeypatch.setattr(broad, "load_pictures", lambda _, **__: None)
    monkeypatch.setattr(broad, "render_broad_scene", render)
    monkeypatch.setattr(FixedEstimator, "calls", 0)


@pytest.fixture
def root(tmp_path, rng):
    """Pairs and pictures with masks; the first picture is held back."""
    cuhk, pairs = tmp_path / "data" / "real" / "cuhk", tmp_path / "data" / "real" / "lytro_pairs"
    for folder in (cuhk, pairs):
        folder.mkdir(parents=True)
    mask = np.zeros((40, 60), np.uint8)
    mask[:, 30:] = 255
    for name in ("a", "b"):
        write_picture(cuhk / f"{name}.png", np.repeat(mask[..., None], 3, axis=-1) // 2)
        write_picture(cuhk / f"{name}_mask.png", np.repeat(mask[..., None], 3, axis=-1))
    sharp = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    write_picture(pairs / "one-A.png", sharp)
    write_picture(pairs / "one-B.png", cv2.GaussianBlur(sharp, (0, 0), 2.0))
    return tmp_path / "data"


def run(root, out, *words):
    return CliRunner().invoke(app, ["evaluate", "broad", "--root", str(root), "--out", str(out), *words])


def read_table(output):
    lines = [line.strip("|").split("|") for line in output.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for number, line in enumerate(lines) if number != 1]


def test_all_families_are_in_one_table_and_a_second_run_goes_on(root, tmp_path):
    words = ["own", "own:max_radius=2", "truth", "--families", "uniform,persons,pairs,cuhk", "--limit", "3"]
    result = run(root, tmp_path / "out", *words)
    assert result.exit_code == 0, result.output
    header, *rows = read_table(result.stdout)
    assert header == ["family", "estimator", "scenes", "dense", "sparse", "order", "beyond", "ratio"]
    cells = {(row[0], row[1]): row for row in rows}
    assert set(cells) == {
        *((family, word) for family in ("uniform", "persons") for word in words[:3]),
        *((family, word) for family in ("pairs", "cuhk") for word in words[:2]),
    }
    assert cells["uniform", "own"][2] == "3"
    assert float(cells["uniform", "own"][3].split()[0]) == pytest.approx(1.995, abs=0.01)
    low, high = (float(word.strip("[],")) for word in cells["uniform", "own"][3].split()[1:])
    assert low < 1.9 < 2.1 < high
    assert float(cells["uniform", "own:max_radius=2"][7].split()[0]) == pytest.approx(0.5, abs=0.01)
    assert cells["cuhk", "own"][5].split()[0] == "1.000"
    calls = FixedEstimator.calls
    again = run(root, tmp_path / "out", *words)
    assert again.stdout == result.stdout
    assert FixedEstimator.calls == calls


def test_a_row_that_was_cut_off_is_measured_again(root, tmp_path):
    words = ["own", "--families", "uniform", "--limit", "2"]
    first = run(root, tmp_path, *words)
    path = tmp_path / "scores.csv"
    path.write_text(path.read_text().rsplit(",", 3)[0] + "\n")
    assert len(read_scores(path)) == 1
    assert run(root, tmp_path, *words).stdout == first.stdout


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--families", "macro"], "families must be of"),
        (["own:max_size=3"], "max_size"),
        (["--families", "apertures"], "folder must hold"),
    ],
)
def test_what_cannot_be_done_is_refused(root, tmp_path, words, match):
    result = run(root, tmp_path, *words)
    assert result.exit_code == 2
    assert match in " ".join(result.output.split())


def test_reliability_is_a_table_over_the_confidence(tmp_path):
    words = ["evaluate", "reliability", "--root", str(tmp_path), "--out", str(tmp_path), "--preset", "own"]
    result = CliRunner().invoke(app, [*words, "--limit", "1"])
    assert result.exit_code == 0, result.output
    header, *rows = read_table(result.stdout)
    assert header == ["weights", "confidence", "points", "right points", "pixels", "right pixels"]
    assert [row[1] for row in rows[:2]] == ["0.0 to 0.1", "0.1 to 0.2"]
    assert len(rows) == 10


def test_ratio_is_over_shared_scenes_only():
    scores = [BroadScore("a", "f", str(number), dense=1.0) for number in range(4)]
    scores += [BroadScore("b", "f", str(number), dense=0.5 + number) for number in range(2)]
    first, second = summarize_broad(scores)
    assert first["ratio"] == ""
    assert second["ratio"].startswith("1.000 [0.500, 1.500]")
    assert second["sparse"] == "–"


def test_auc_of_a_map_against_a_mask():
    mask = np.array([[False, True], [False, True]])
    assert measure_auc(np.float32([[1, 2], [3, 4]]), mask) == 0.75
    assert np.isnan(measure_auc(np.ones((2, 2), np.float32), np.ones((2, 2), bool)))


def test_scores_are_plain_rows(root, tmp_path):
    assert run(root, tmp_path, "own", "--families", "depth", "--limit", "1").exit_code == 0
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["estimator"], row["family"], row["scene"], row["beyond"]) == ("own", "depth", "depth-00", "0.0")
