"""`python -m training evaluate masks` from the outside."""

import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge.networks.segmentation.names import NETWORK_NAMES
from tests.conftest import write_png
from training.__main__ import app
from training.baselines import BASELINES


@pytest.fixture
def root(tmp_path, rng):
    for number in range(2):
        mask = (rng.random((4, 5)) > 0.5).astype(np.uint8).repeat(10, axis=0).repeat(10, axis=1) * 255
        picture = np.dstack([rng.integers(0, 256, mask.shape, dtype=np.uint8)] * 3)
        write_png(tmp_path / "image" / f"{number}.png", picture)
        write_png(tmp_path / "gt" / f"{number}.png", mask)
    return tmp_path


def run(root, *options):
    given = ["evaluate", "masks", "--root", str(root), "--dataset", "pairs", *options]
    return CliRunner(env={"COLUMNS": "500"}).invoke(app, given)


def read_words(result):
    assert "Traceback" not in result.output
    return " ".join(result.output.replace("│", "").split())


def test_the_table_has_a_row_for_each_method_and_files_are_written(root, segmentation_presets, small_preset):
    methods = f"threshold={small_preset},msdu={segmentation_presets / 'msdu'}"
    result = run(root, "--methods", methods, "--size", "64x64", "--out", str(root / "report"))
    assert result.exit_code == 0, result.output
    assert "| threshold (small) | per-image mean, 64x64 | 2 |" in result.output
    assert "| msdu (msdu) | per-image mean, 64x64 | 2 |" in result.output
    names = {path.name for path in (root / "report").iterdir()}
    assert {"summary.csv", "curves.csv", "pictures.csv", "f_beta.png", "roc.png", "precision_recall.png"} == names


def test_the_table_shows_the_figures_that_are_asked_for(root, segmentation_presets):
    methods = f"msdu={segmentation_presets / 'msdu'}"
    result = run(root, "--methods", methods, "--figures", "MAE, max-of-mean Fβ", "--out", str(root / "report"))
    assert result.exit_code == 0, result.output
    assert "| detector | protocol | pictures | max-of-mean Fβ | MAE |\n" in result.output
    assert "AUFβ" in (root / "report" / "summary.csv").read_text(encoding="utf-8")  # files have all


def test_costs_are_columns_that_can_be_chosen(root, segmentation_presets):
    methods = f"lbp,msdu={segmentation_presets / 'msdu'}"
    result = run(root, "--methods", methods, "--costs", "--figures", "MAE,parameters (10⁶),training (min)")
    assert result.exit_code == 0, result.output
    assert "| detector | protocol | pictures | MAE | parameters (10⁶) | training (min) |\n" in result.output
    lbp, msdu = (line.split(" | ") for line in result.output.splitlines() if line.startswith(("| lbp", "| msdu")))
    assert lbp[-2:] == ["–", "– |"]
    assert float(msdu[-2]) > 0
    assert msdu[-1] == "– |"  # these weights are random


def test_baselines_and_reliability(root):
    result = run(root, "--methods", "lbp", "--reliability")
    assert result.exit_code == 0, result.output
    assert "| detector | probability | pixels | blurred |\n" in result.output
    assert result.output.count("| lbp | ") == 10


def test_a_picture_without_edges_does_not_stop_the_others(root, small_preset):
    write_png(root / "image" / "9.png", np.full((40, 40, 3), 99, dtype=np.uint8))
    write_png(root / "gt" / "9.png", np.zeros((40, 40), dtype=np.uint8))
    result = run(root, "--methods", f"threshold={small_preset}")
    assert result.exit_code == 0, result.output
    assert "| 3 |" in result.output


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ["--methods", "magic"],
            f"methods must be of threshold, {', '.join([*NETWORK_NAMES, *BASELINES])}. Got: 'magic'.",
        ),
        (["--methods", "msdu=nobody"], "preset must be one of"),
        (["--size", "large"], "size must be 'native size' or WIDTHxHEIGHT"),
        (["--aggregation", "median"], "aggregation must be one of"),
        (["--methods", "threshold", "--dataset", "dut"], "DUT-DBD must hold"),
        (["--methods", "threshold", "--dataset", "cuhk"], "CUHK set must hold"),
        (["--figures", "MAE,beauty"], "figures must be of max-of-mean Fβ, "),
        (["--out", "README.md"], "out must be a folder that can be written"),
    ],
)
def test_what_is_wrong_is_one_line(root, options, complaint, repository, monkeypatch):
    monkeypatch.chdir(repository)
    result = run(root, *options)
    assert result.exit_code == 2
    assert complaint in read_words(result)
