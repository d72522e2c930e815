"""`python -m training evaluate deblurring`, `uniform-deblurring` and `ablations` from the outside."""

import csv
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge.arrays import as_image
from defocus_edge.files.images import read_image
from defocus_edge.psf import blur_with_disk
from training.__main__ import app
from training.data import development
from training.data.development import DevelopmentScene
from training.evaluation import ablations, uniform_deblurring


@pytest.fixture
def scene(texture):
    sharp = as_image(texture)
    blurred = np.clip(blur_with_disk(sharp, 2.0), 0, 1)
    label = np.zeros(texture.shape[:2], dtype=np.int8)
    return DevelopmentScene("one", "uniform", blurred, np.full(texture.shape[:2], 2, dtype=np.float32), label, sharp)


@pytest.fixture(autouse=True)
def one_scene(scene, monkeypatch):
    """Makes the development set one scene."""
    monkeypatch.setattr(development, "render_development_set", lambda _: iter([scene]))


def run(*options):
    return CliRunner(env={"COLUMNS": "500"}).invoke(app, ["evaluate", *map(str, options)])


def read_words(result):
    assert "Traceback" not in result.output
    return " ".join(result.output.replace("│", "").split())


def read_table(output):
    lines = [line.strip("|").split("|") for line in output.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for number, line in enumerate(lines) if number != 1]


def test_deblurring_prints_gains_and_writes_files(small_preset, tmp_path):
    out, pictures = tmp_path / "report", tmp_path / "pictures"
    result = run(
        "deblurring", "--root", "any", "--methods", f"{small_preset},karaali-jung", "--out", out, "--pictures", pictures
    )
    assert result.exit_code == 0, result.output
    header, *rows = read_table(result.stdout)
    assert header == [
        *("family", "pixels", "method", "scenes", "PSNR (dB)", "SSIM", "gain (dB)", "gain in SSIM"),
        *("share of true map's gain", "worst gain (dB)"),
    ]
    methods = ["blurry input", "true map", "small", "karaali-jung"]
    assert [(row[1], row[2]) for row in rows] == [(kind, name) for kind in ("all", "blur ≥ 1 px") for name in methods]
    assert rows[0][6:] == ["–"] * 4
    assert rows[1][8] == "1.000"
    with (out / "pictures.csv").open(newline="", encoding="utf-8") as file:
        assert [row["method"] for row in csv.DictReader(file)] == methods * 2
    assert (out / "summary.csv").is_file()
    assert read_image(pictures / "one.png").shape == (64, 5 * 80, 3)


def test_deblurring_shows_the_figures_that_are_asked_for():
    result = run("deblurring", "--root", "any", "--methods", "karaali-jung", "--figures", "SSIM,gain (dB)")
    assert result.exit_code == 0, result.output
    assert read_table(result.stdout)[0] == ["family", "pixels", "method", "scenes", "SSIM", "gain (dB)"]


def test_deblurring_of_one_family_is_overall_as_it_is():
    plain, overall = (run("deblurring", "--root", "any", "--methods", "karaali-jung", *o) for o in ((), ("--overall",)))
    assert overall.exit_code == 0, overall.output
    assert read_table(overall.stdout) == read_table(plain.stdout)


def test_uniform_deblurring_prints_the_best_and_writes_all(monkeypatch, tmp_path):
    case = next(uniform_deblurring.make_cases([2.0]))
    monkeypatch.setattr(uniform_deblurring, "make_cases", lambda: iter([case]))
    monkeypatch.setattr(uniform_deblurring, "ITERATIONS", (2, 10))
    monkeypatch.setattr(uniform_deblurring, "BALANCES", (0.01, 1.0))
    result = run("uniform-deblurring", "--out", tmp_path / "all.csv")
    assert result.exit_code == 0, result.output
    header, *rows = read_table(result.stdout)
    assert header == ["radius (px)", "method", "setting", "PSNR (dB)", "gain (dB)", "s/MP"]
    assert [(row[1], row[2]) for row in rows] == [
        ("blurry input", ""),
        ("deconvolve", "default"),
        ("deconvolve", "noise known"),
        ("Richardson-Lucy", "10 iterations"),
        ("Wiener", "balance 0.01"),
    ]
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 7


def test_ablations_print_each_variant_and_write_each_scene(small_preset, monkeypatch, tmp_path):
    monkeypatch.setitem(ablations.VARIANTS, "matting Laplacian", ablations.make_map)
    monkeypatch.setitem(ablations.UNCORRECTED_VARIANTS, "matting Laplacian of all edge points", ablations.make_map)
    monkeypatch.setattr(ablations, "SHORT_TRAININGS", {"the same": small_preset})
    out = tmp_path / "scenes.csv"
    result = run("ablations", "--root", "any", "--preset", small_preset, "--out", out)
    assert result.exit_code == 0, result.output
    header, *rows = read_table(result.stdout)
    assert header == ["variant", "uniform"]
    assert [row[0] for row in rows] == [*ablations.VARIANTS, *ablations.UNCORRECTED_VARIANTS, "the same"]
    assert rows[0][1] == rows[-1][1]  # the same networks here
    with out.open(newline="", encoding="utf-8") as file:
        assert [row["variant"] for row in csv.DictReader(file)] == [row[0] for row in rows]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["deblurring", "--root", "any", "--methods", "hifst,lbp"], "must have maps in px to deblur with. Got: hifst"),
        (["deblurring", "--root", "any", "--methods", "magic"], "preset must be one of"),
        (["deblurring", "--root", "any", "--figures", "beauty"], "figures must be of PSNR (dB), "),
        (["deblurring", "--root", "any", "--methods", "karaali-jung", "--out", "README.md"], "out must be a folder"),
        (["deblurring"], "Missing option '--root'"),
        (["uniform-deblurring", "--out", "no/such/file.csv"], "out must name a file in a folder that exists"),
        (["ablations", "--root", "any", "--preset", "nobody"], "preset must be one of"),
        (["ablations", "--root", "any", "--out", "."], "out must name a file"),
        (["ablations"], "Missing option '--root'"),
    ],
)
def test_what_is_wrong_is_one_line(options, complaint, repository, monkeypatch):
    monkeypatch.chdir(repository)
    result = run(*options)
    assert result.exit_code == 2
    assert complaint in read_words(result)


def test_ablations_need_pymatting(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = run("ablations", "--root", "any")
    assert result.exit_code == 2
    assert "needs pymatting" in read_words(result)


def test_missing_pictures_are_wrong_usage(monkeypatch, tmp_path):
    monkeypatch.undo()
    for command in ("deblurring", "ablations"):
        result = run(command, "--root", tmp_path)
        assert result.exit_code == 2
        assert "Expected a folder with pictures" in read_words(result)


def test_help_loads_no_backend(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for command in ("deblurring", "uniform-deblurring", "ablations"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert "Markdown" in result.output
