"""Batches under faults from outside: strange names, folders that change their mind, kills at random moments."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from tests.defocus_edge.cli.batch.batch_cases import DENIED, READ_ONLY, read_tree, run_main, write_scripts

PATIENCE = 120.0
RUN = (
    "import sys; from tests.defocus_edge.cli.batch.batch_cases import run_main; "
    "sys.exit(run_main(*sys.argv[1:3], sys.argv[3:]))"
)
#: Kills of workers in a run, and runs whose first process is killed after that.
WORKER_KILLS, RUNS = 4, 2
MANY = {f"{number // 8}/{number:02}.jpg": str(number) for number in range(60)}


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture
def run(notes, capsys):
    """Run the command with scripted work in this process: exit code, lines on stderr."""

    def run_command(*arguments):
        code = run_main(notes, 0, arguments)
        return code, capsys.readouterr().err.splitlines()

    return run_command


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def count_maps(folder):
    return len(list(folder.rglob("*_blur.tif")))


def test_a_picture_that_may_not_be_read_is_told(run, tmp_path):
    pictures, out = write_scripts(tmp_path / "in", {"a.jpg": DENIED, "b.jpg": "1"}), tmp_path / "out"
    assert run(pictures, out)[0] == 1
    assert read_rows(out / "failures.csv") == [["a.jpg", f"Permission denied: {pictures / 'a.jpg'}"]]
    assert [row[0] for row in read_rows(out / "summary.csv")] == ["b.jpg"]


def test_results_that_become_read_only_half_way_are_finished_by_the_next_run(run, tmp_path):
    scripts = {"a.jpg": "1", "b.jpg": READ_ONLY, "c.jpg": "3"}
    pictures, out = write_scripts(tmp_path / "in", scripts), tmp_path / "out"
    assert run(pictures, out)[0] == 1
    assert sorted(read_tree(out)) == ["a_blur.tif", "failures.csv", "summary.csv"]
    rows = read_rows(out / "failures.csv")
    assert [picture for picture, _ in rows] == ["b.jpg", "c.jpg"]
    assert all("cannot write into the folder" in error and "Read-only file system" in error for _, error in rows)
    write_scripts(pictures, {"b.jpg": "2"})
    assert run(pictures, out, "--skip-existing")[0] == 0
    assert run(pictures, tmp_path / "undisturbed")[0] == 0
    assert read_tree(out) == read_tree(tmp_path / "undisturbed")


def test_strange_names(run, tmp_path):
    """A newline, a leading dash, a formula, bytes that are no UTF-8, and a name without room for an ending."""
    names = ["a\nb.jpg", "-rf.jpg", "=1+1.jpg", b"caf\xe9.jpg".decode("utf-8", "surrogateescape"), "x" * 251 + ".jpg"]
    pictures, out = write_scripts(tmp_path / "in", dict.fromkeys(names, "1")), tmp_path / "out"
    code, err = run(pictures, out)
    assert code == 1
    assert len(err) == len(names) + 1, err
    written = [row[0] for row in read_rows(out / "summary.csv")]
    assert sorted(written) == sorted([r"a\x0ab.jpg", "'-rf.jpg", "'=1+1.jpg", r"caf\udce9.jpg"])
    ((name, error),) = read_rows(out / "failures.csv")
    assert (name, "File name too long" in error) == (names[-1], True)
    assert count_maps(out) == len(names) - 1
    assert all("\x1b" not in line for line in err)


def test_kills_at_random_moments_change_no_byte(run, notes, tmp_path, repository):
    """Workers, then the first process; what they leave is finished with --skip-existing."""
    chance = random.Random(0)
    pictures, out = write_scripts(tmp_path / "in", MANY), tmp_path / "out"
    command = [sys.executable, "-c", RUN, str(notes), "0.02", str(pictures), str(out), "--jobs", "2", "--skip-existing"]
    for _ in range(RUNS):
        done = count_maps(out) if out.is_dir() else 0
        process = subprocess.Popen(command, cwd=repository, stderr=subprocess.DEVNULL)
        for kill in range(WORKER_KILLS + 1):
            wait_for(lambda wanted=done + 1 + 2 * kill: count_maps(out) >= wanted, process)
            time.sleep(chance.uniform(0, 0.03))
            if kill < WORKER_KILLS:
                with suppress(ProcessLookupError):  # it may have died of an earlier kill
                    os.kill(read_last_worker(notes), signal.SIGKILL)
        process.kill()
        process.wait()
        wait_for(lambda: not is_running(read_last_worker(notes)))
    assert 0 < count_maps(out) < len(MANY)
    assert run(pictures, out, "--skip-existing")[0] == 0
    assert run(pictures, tmp_path / "undisturbed")[0] == 0
    assert read_tree(out) == read_tree(tmp_path / "undisturbed")


def wait_for(condition, process=None):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.005)


def read_last_worker(notes):
    return int((notes / "attempts").read_text(encoding="utf-8").splitlines()[-1].split()[-1])


def is_running(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
