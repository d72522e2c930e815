"""cli.batch.command: what a folder becomes, and that nothing which goes wrong on the way changes it."""

import csv
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from defocus_edge._extras import Extra
from defocus_edge.cli.app import main
from defocus_edge.cli.batch import command as cli_batch
from defocus_edge.cli.batch import ray_engine, tables
from defocus_edge.cli.batch.records import MAX_DEATHS
from defocus_edge.cli.console import INTERRUPTED
from tests.defocus_edge.cli.batch.batch_cases import BAD, DIE, DIE_ONCE, FATAL, FULL, read_tree, run_main, write_scripts

PATIENCE = 120.0
ENGINES = ["local", "ray"]
SCRIPTS = {"a.jpg": "1", "b/c.PNG": "2", "b/d.tif": "3", "b/e/f.jpg": "4", "g.webp": "5"}
MAPS = ["a_blur.tif", "b/c_blur.tif", "b/d_blur.tif", "b/e/f_blur.tif", "g_blur.tif"]
_RUN = (
    "import sys; from tests.defocus_edge.cli.batch.batch_cases import run_main; "
    "sys.exit(run_main(*sys.argv[1:3], sys.argv[3:]))"
)


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture
def pictures(tmp_path):
    return write_scripts(tmp_path / "in", SCRIPTS)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(notes, capsys):
    """Run the command with scripted work in this process: exit code, lines on stderr."""

    def run_command(*arguments):
        code = run_main(notes, 0, arguments)
        captured = capsys.readouterr()
        assert not captured.out
        return code, captured.err.splitlines()

    return run_command


@pytest.fixture
def begin(notes, repository):
    """Begin a run in a process group of its own, in which each picture takes a while."""

    def begin_command(*arguments, before=""):
        command = [sys.executable, "-c", f"{before}\n{_RUN}", str(notes), "0.1", *map(str, arguments)]
        return subprocess.Popen(command, cwd=repository, stderr=subprocess.PIPE, text=True, start_new_session=True)

    return begin_command


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def read_attempts(notes):
    path = notes / "attempts"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def read_workers(notes):
    """Process numbers of all that took part."""
    return {int(line.split()[-1]) for line in (notes / "attempts").read_text().splitlines()}


def wait_for_maps(folder, count, process):
    deadline = time.monotonic() + PATIENCE
    while len(list(folder.rglob("*_blur.tif"))) < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_the_end_of(pid):
    deadline = time.monotonic() + PATIENCE
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.01)
        pytest.fail(f"process {pid} goes on")


# What a run makes


def test_a_folder_becomes_a_tree_of_maps_and_a_table(run, pictures, out):
    before = read_tree(pictures)
    code, err = run(pictures, out)
    assert code == 0
    assert sorted(read_tree(out)) == sorted([*MAPS, "summary.csv"])
    assert read_tree(pictures) == before
    assert [row[:3] for row in read_rows(out / "summary.csv")] == [[name, "24", "24"] for name in SCRIPTS]
    assert len(err) == len(SCRIPTS) + 1
    assert err[0].startswith("[1/5, 0:0")
    assert "left] a.jpg: median " in err[0]
    assert err[-1] == f"5 pictures done: {out / 'summary.csv'}"


def test_jobs_and_a_second_run_change_no_byte(run, pictures, out, tmp_path):
    assert run(pictures, out)[0] == 0
    assert run(pictures, tmp_path / "other", "--jobs", 3)[0] == 0
    assert read_tree(tmp_path / "other") == read_tree(out)
    assert run(pictures, tmp_path / "other")[0] == 0
    assert read_tree(tmp_path / "other") == read_tree(out)


def test_the_pictures_that_patterns_name(run, pictures, out, notes):
    assert run(pictures, out, "--glob", "b/*.png", "--glob", "G.*")[0] == 0
    assert read_attempts(notes) == ["b/c.PNG", "g.webp"]


def test_names_that_differ_in_the_suffix(run, tmp_path, out):
    pictures = write_scripts(tmp_path / "in", {"IMG_1.JPG": "1", "img_1.png": "2", "IMG_2.JPG": "3"})
    assert run(pictures, out)[0] == 0
    maps = ["IMG_1.JPG_blur.tif", "IMG_2_blur.tif", "img_1.png_blur.tif"]
    assert sorted(read_tree(out)) == [*maps, "summary.csv"]
    assert len(set(read_tree(out).values())) == 4


def test_results_inside_the_folder_of_the_pictures_are_not_taken_for_pictures(run, pictures, notes):
    out = pictures / "b" / "maps"
    assert run(pictures, out)[0] == 0
    first = read_tree(out)
    assert run(pictures, out)[0] == 0
    assert read_tree(out) == first
    assert read_attempts(notes) == 2 * list(SCRIPTS)


def test_table_as_parquet(run, pictures, out):
    assert run(pictures, out, "--summary", "parquet")[0] == 0
    assert sorted(read_tree(out)) == sorted([*MAPS, "summary.parquet"])


# --skip-existing


def test_what_is_done_is_left_alone_and_stays_in_the_table(run, pictures, out, notes):
    run(pictures, out)
    before = read_tree(out)
    code, err = run(pictures, out, "--skip-existing")
    assert code == 0
    assert all("was done" in line for line in err[:-1])
    assert read_tree(out) == before
    assert len(read_attempts(notes)) == len(SCRIPTS)


def test_what_is_missing_damaged_or_older_is_done_again(run, pictures, out, notes):
    run(pictures, out)
    before = read_tree(out)
    (out / "a_blur.tif").unlink()
    (out / "b" / "d_blur.tif").write_bytes(b"II*\0")
    os.utime(out / "g_blur.tif", (0, 0))
    assert run(pictures, out, "--skip-existing")[0] == 0
    assert read_attempts(notes)[len(SCRIPTS) :] == ["a.jpg", "b/d.tif", "g.webp"]
    assert read_tree(out) == before


# Faults: in the end, all bytes are those of an undisturbed run


def test_bad_pictures_are_told_and_the_others_done(run, pictures, out, tmp_path):
    run(pictures, tmp_path / "undisturbed")
    write_scripts(pictures, {"b/d.tif": BAD})
    code, err = run(pictures, out)
    assert code == 1
    error = f"Cannot read picture '{pictures / 'b' / 'd.tif'}': bad."
    assert read_rows(out / "failures.csv") == [["b/d.tif", error]]
    assert [row[0] for row in read_rows(out / "summary.csv")] == ["a.jpg", "b/c.PNG", "b/e/f.jpg", "g.webp"]
    assert any(line.startswith("Error: [3/5, ") and line.endswith(f"b/d.tif: {error}") for line in err)
    assert err[-1] == f"4 pictures done: {out / 'summary.csv'}, 1 failed: {out / 'failures.csv'}"

    write_scripts(pictures, {"b/d.tif": SCRIPTS["b/d.tif"]})
    assert run(pictures, out, "--skip-existing")[0] == 0
    assert read_tree(out) == read_tree(tmp_path / "undisturbed")


def test_a_worker_that_is_killed_changes_no_byte(run, pictures, out, notes, tmp_path):
    write_scripts(pictures, {"b/c.PNG": DIE_ONCE})
    assert run(pictures, out, "--jobs", 2)[0] == 0
    assert read_attempts(notes).count("b/c.PNG") == 2
    assert run(pictures, tmp_path / "undisturbed")[0] == 0  # it dies once only
    assert read_tree(out) == read_tree(tmp_path / "undisturbed")


def test_a_picture_that_kills_its_workers_is_given_up(run, pictures, out):
    write_scripts(pictures, {"b/c.PNG": DIE})
    assert run(pictures, out)[0] == 1
    error = f"worker died {MAX_DEATHS} times with this picture: killed by SIGKILL"
    assert read_rows(out / "failures.csv") == [["b/c.PNG", error]]
    assert len(read_rows(out / "summary.csv")) == len(SCRIPTS) - 1


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_run_that_is_killed_is_finished_by_the_next(run, begin, pictures, out, notes, tmp_path, engine):
    run(pictures, tmp_path / "undisturbed")
    (notes / "attempts").unlink()
    killed = begin(pictures, out, "--jobs", 2, "--engine", engine)
    wait_for_maps(out, 2, killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    for pid in read_workers(notes):
        wait_for_the_end_of(pid)
    leftover = out / "b" / ".defocus-edge-0123456789ab.tif"
    leftover.parent.mkdir(exist_ok=True)
    leftover.write_bytes(b"half")
    done = len(list(out.rglob("*_blur.tif")))
    begun = len(read_attempts(notes))
    assert begun <= done + 2  # no more is lost than what the two workers had in hand
    assert run(pictures, out, "--skip-existing")[0] == 0
    assert len(read_attempts(notes)) == begun + len(SCRIPTS) - done
    assert read_tree(out) == read_tree(tmp_path / "undisturbed")


def test_workers_end_with_a_run_that_is_killed_alone(begin, pictures, out, notes):
    killed = begin(pictures, out)
    wait_for_maps(out, 1, killed)
    killed.kill()
    killed.communicate()
    wait_for_the_end_of(read_workers(notes).pop())
    assert len(read_attempts(notes)) < len(SCRIPTS)


@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_leaves_whole_files_and_tables(run, begin, pictures, out, tmp_path, engine):
    run(pictures, tmp_path / "undisturbed")
    stopped = begin(pictures, out, "--jobs", 2, "--engine", engine)
    wait_for_maps(out, 2, stopped)
    os.killpg(stopped.pid, signal.SIGINT)
    _, err = stopped.communicate(timeout=PATIENCE)
    assert stopped.returncode == INTERRUPTED
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "Interrupted. Every file that was written is complete."
    undisturbed = read_tree(tmp_path / "undisturbed")
    found = read_tree(out)
    rows = found.pop("summary.csv").splitlines()
    assert set(rows) <= set(undisturbed["summary.csv"].splitlines())
    assert found.items() <= undisturbed.items()
    assert run(pictures, out, "--skip-existing")[0] == 0
    assert read_tree(out) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_a_run_leave_whole_files_and_tables(run, begin, pictures, out, tmp_path, number):
    """Only the first process gets the signal, as from `kill`."""
    run(pictures, tmp_path / "undisturbed")
    heeded = f"import signal; signal.signal({int(number)}, signal.SIG_DFL)"  # under nohup it would be ignored
    stopped = begin(pictures, out, "--jobs", 2, before=heeded)
    wait_for_maps(out, 3, stopped)  # so one is on record: its worker was given another picture
    stopped.send_signal(number)
    _, err = stopped.communicate(timeout=PATIENCE)
    assert stopped.returncode == 128 + number
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "Interrupted. Every file that was written is complete."
    undisturbed, found = read_tree(tmp_path / "undisturbed"), read_tree(out)
    rows = found.pop("summary.csv").splitlines()
    assert 2 <= len(rows) <= len(SCRIPTS)
    assert set(rows) <= set(undisturbed["summary.csv"].splitlines())
    assert found.items() <= undisturbed.items()


def test_full_disk_fails_pictures_and_leaves_no_half_files(begin, run, pictures, out, tmp_path):
    """Files may grow to 1000 bytes, which no map fits into: the system refuses the rest as on a full disk."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))"
    full = begin(pictures, out, before=limit)
    _, err = full.communicate(timeout=PATIENCE)
    assert full.returncode == 1
    assert "Traceback" not in err
    assert sorted(read_tree(out)) == ["failures.csv", "summary.csv"]
    rows = read_rows(out / "failures.csv")
    assert [picture for picture, _ in rows] == list(SCRIPTS)
    assert all(error.endswith("Is the disk full?") or error == "File too large" for _, error in rows)
    assert run(pictures, out, "--skip-existing")[0] == 0
    run(pictures, tmp_path / "undisturbed")
    assert read_tree(out) == read_tree(tmp_path / "undisturbed")


def test_no_space_for_a_picture(run, pictures, out):
    write_scripts(pictures, {"a.jpg": FULL})
    assert run(pictures, out)[0] == 1
    assert read_rows(out / "failures.csv") == [["a.jpg", "No space left on device"]]


def test_no_space_for_the_tables(run, monkeypatch, pictures, out):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables, "write_csv", refuse)
    code, err = run(pictures, out)
    assert code == 1
    assert err[-1] == "Error: the tables cannot be written: No space left on device"
    assert sorted(read_tree(out)) == MAPS


def test_networks_that_cannot_be_loaded_end_the_run(run, pictures, out, notes):
    write_scripts(pictures, {"b/c.PNG": FATAL})
    assert run(pictures, out)[0] == 1
    assert read_rows(out / "failures.csv") == [["b/c.PNG", "the networks cannot be loaded"]]
    assert read_attempts(notes) == ["a.jpg", "b/c.PNG"]


# Wrong usage, which is said before anything is done


def test_unwritable_results_are_a_usage_error(run, monkeypatch, pictures, out):
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    code, err = run(pictures, out)
    assert (code, err) == (2, [f"Error: OUT_DIR must be a folder that can be written to. Got: {out}."])


def test_unreadable_pictures_are_a_usage_error(run, monkeypatch, pictures, out):
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.R_OK)
    code, err = run(pictures, out)
    assert (code, err) == (2, [f"Error: IN_DIR must be a folder that can be read. Got: {pictures}."])


def test_two_runs_into_one_folder_are_a_usage_error(run, pictures, out):
    out.mkdir()
    descriptor = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        code, err = run(pictures, out)
    finally:
        os.close(descriptor)
    assert code == 2
    assert err == [f"Error: Another run is writing to {out}. Wait for its end, or choose another folder."]


def test_without_an_extra_its_name_is_told(run, monkeypatch, pictures, out):
    monkeypatch.setattr(ray_engine, "RAY", Extra("ray", "no_such_module", ray_engine.RAY.purpose))
    monkeypatch.setattr(cli_batch, "PARQUET", Extra("parquet", "no_such_module", cli_batch.PARQUET.purpose))
    code, err = run(pictures, out, "--engine", "ray")
    advice = "runs with --engine ray need the package no_such_module: pip install 'defocus-edge[ray]'"
    assert (code, err) == (2, [f"Error: {advice}."])
    code, err = run(pictures, out, "--summary", "parquet")
    assert code == 2
    assert "pip install 'defocus-edge[parquet]'" in err[0]
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{in}"], "Missing argument"),
        (["{in}/missing", "{out}"], "IN_DIR must be a folder. Got: "),
        (["{in}/a.jpg", "{out}"], "IN_DIR must be a folder. Got: "),
        (["{in}", "{in}/b/.."], "OUT_DIR must be another folder than IN_DIR"),
        (["{in}", "{in}/a.jpg"], "OUT_DIR must be a folder that can be made"),
        (["{in}", "{out}", "--glob", "*.gif"], "There are no pictures in "),
        (["{in}", "{out}", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["{in}", "{out}", "--engine", "spark"], "'spark' is not one of"),
        (["{in}", "{out}", "--summary", "xlsx"], "'xlsx' is not one of"),
        (["{in}", "{out}", "--num-gpus", "1"], "--num-gpus goes with --engine ray only. Got: 1.0."),
        (["{in}", "{out}", "--ray-address", "auto"], "--ray-address goes with --engine ray only. Got: auto."),
        (["{in}", "{out}", "--engine", "ray", "--num-gpus", "-1"], "must be a finite number, 0 or more. Got: -1.0."),
        (["{in}", "{out}", "--preset", "nope"], "preset must be one of"),
    ],
)
def test_usage_errors(capsys, pictures, out, arguments, message):
    paths = {"in": pictures, "out": out}
    assert main(["batch", *(argument.format(**paths) for argument in arguments)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


# On a terminal


END = b"the end"


def read_to_the_end(descriptor, parts):
    """The other end stays open, as multiprocessing passes stderr on to a process of its own."""
    while not b"".join(parts).endswith(END):
        parts.append(os.read(descriptor, 4096))


def test_a_terminal_shows_failures_and_a_bar_with_the_time_that_is_left(notes, monkeypatch, pictures, out):
    reader, writer = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    write_scripts(pictures, {"b/c.PNG": BAD})
    parts = []
    thread = threading.Thread(target=read_to_the_end, args=(reader, parts))
    thread.start()
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        code = run_main(notes, 0, [pictures, out])
        os.write(writer, END)
        thread.join(PATIENCE)
    assert code == 1
    os.close(reader)
    shown = b"".join(parts).decode()
    assert "b/c.PNG: Cannot read picture" in shown
    assert "a.jpg: median" not in shown
    assert "5/5" in shown
    assert "left:" in shown
    assert "4 pictures done: " in shown
