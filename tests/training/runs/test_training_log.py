"""The log of a stage: rows in a file, lines with the time left, nothing twice."""

import importlib.util

import pytest

from tests.training.training_cases import read_rows
from training.runs import log as training_log
from training.runs.log import TrainingLog, append_row, drop_rows


@pytest.fixture
def log_file(tmp_path):
    for step in (50, 100, 150):
        append_row(tmp_path / "blur.csv", {"step": step, "loss": step / 100, "steps_per_second": 2.0})
    return tmp_path / "blur.csv"


@pytest.mark.parametrize(("after", "kept"), [(150, [50, 100, 150]), (149, [50, 100]), (60, [50])])
def test_rows_beyond_the_checkpoint_are_dropped(after, kept, log_file):
    drop_rows(log_file, after=after)
    assert [int(row["step"]) for row in read_rows(log_file)] == kept


def test_nothing_is_left_of_a_log_without_a_checkpoint(log_file):
    drop_rows(log_file, after=0)
    assert not log_file.exists()
    drop_rows(log_file, after=0)


def test_a_row_that_was_cut_off_is_dropped(log_file):
    with log_file.open("a", encoding="utf-8") as file:
        file.write("200,1.")
    drop_rows(log_file, after=1000)
    assert [int(row["step"]) for row in read_rows(log_file)] == [50, 100, 150]


def test_lines_say_how_long_it_takes(tmp_path, monkeypatch, capsys):
    """A hundred steps in ten seconds, the checkpoint before them not counted."""
    monkeypatch.setattr(training_log, "LOG_STEPS", 100)
    now = iter([0.0, 10.0])
    monkeypatch.setattr(training_log.time, "monotonic", lambda: next(now))
    log = TrainingLog(tmp_path, "blur", steps=3800, first=100)
    for step in range(101, 201):
        log.add_loss(step, 0.5)
    log.add_scores(200, {"mae_px": 0.1})
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "blur 200/3800 loss 0.5000, 10.00 steps/s, 6 min left"
    assert lines[1] == "blur 200: development {'mae_px': 0.1}"
    assert read_rows(tmp_path / "blur.csv") == [{"step": "200", "loss": "0.5", "steps_per_second": "10.0"}]
    assert (tmp_path / "tensorboard").exists() == bool(importlib.util.find_spec("tensorboard"))
