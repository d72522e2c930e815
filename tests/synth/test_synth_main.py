"""`python -m synth`: exit codes, one line for each error, defaults as in the settings."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from synth import generator
from synth.__main__ import app, main
from synth.settings import FAMILIES, SIGNED_FAMILIES, Settings
from tests.conftest import make_texture, write_png


@pytest.fixture
def folder(tmp_path, rng):
    for number in range(2):
        write_png(tmp_path / "sources" / f"{number}.png", make_texture(rng, 130, 120))
    return tmp_path / "sources"


def make(family, sources, out, *options, count=2):
    folders = [part for source in sources for part in ("--sources", str(source))]
    return main([family, *folders, "--out", str(out), "--count", str(count), *options])


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family(family, training_root, tmp_path, capsys):
    sources = [training_root / "sharp" / "mcmaster", training_root / "objects", training_root / "rgbd"]
    shapes = ["--shapes", str(training_root / "focus_masks")]
    options = [*shapes, "--psf", "disk" if family in SIGNED_FAMILIES else "gaussian", "--rotations", "0,45"]
    assert make(family, sources, tmp_path / "out", *options) == 0
    assert "2 samples written, 0 kept" in capsys.readouterr().err
    records = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert [record["family"] for record in records] == [family] * 2
    assert str(tmp_path) not in (tmp_path / "out/manifest.jsonl").read_text()
    assert make(family, sources, tmp_path / "out", *options) == 0
    assert "0 samples written, 2 kept" in capsys.readouterr().err


def test_defaults_are_those_of_the_settings():
    for command in app.registered_commands:
        if command.name in FAMILIES:
            defaults = {name: value.default for name, value in inspect.signature(command.callback).parameters.items()}
            for field in fields(Settings):
                if field.name in ("rotations", "jpeg_quality"):
                    assert tuple(float(part) for part in defaults[field.name].split(",")) == field.default
                elif field.name != "family":
                    assert defaults[field.name] == field.default


def test_a_bad_source_is_told_and_skipped(folder, tmp_path, capsys):
    (folder / "bad.png").write_bytes(b"broken")
    assert make("uniform", [folder], tmp_path / "out", count=12) == 0
    captured = capsys.readouterr()
    assert captured.err.count("Skipped: Cannot read picture") == 1
    assert "12 samples written, 0 kept, 1 sources skipped" in captured.err
    assert captured.out == ""


def test_without_a_usable_source_the_exit_code_is_1(tmp_path, capsys):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "bad.png").write_bytes(b"broken")
    assert make("uniform", [tmp_path / "sources"], tmp_path / "out") == 1
    assert "Error: no usable source for 2 of 2 samples." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--psf", "star"], "psf must be one of disk, gaussian, polygon. Got: 'star'."),
        (["--layout", "voc"], "layout must be one of coco"),
        (["--layout", "hku-is"], "sources of layout hku-is must hold imgs/NAME.png and gt/NAME.png"),
        (["--rotations", "0,x"], "--rotations must be numbers separated by commas. Got: '0,x'."),
        (["--jpeg-quality", "nan,80"], "--jpeg-quality must be numbers separated by commas. Got: 'nan,80'."),
        (["--jpeg-quality", "70"], "--jpeg-quality must be 2 numbers separated by a comma. Got: '70'."),
        (["--reduce", "2"], "reduce must be above 0 and at most 1. Got: 2.0."),
        (["--shapes", "nowhere"], "sources must name an existing folder. Got: 'nowhere'."),
    ],
)
def test_wrong_usage(options, message, folder, tmp_path, capsys):
    assert make("uniform", [folder], tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"Error: {message}")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("family", "message"), [("composite", "composite needs sources with masks"), ("layered", "layered needs sources")]
)
def test_sources_without_what_it_takes(family, message, folder, tmp_path, capsys):
    assert make(family, [folder], tmp_path / "out") == 2
    assert message in capsys.readouterr().err


def test_folders_that_get_in_each_others_way(folder, tmp_path, capsys):
    assert make("uniform", [folder], folder / "out") == 2
    assert "--out must not lie in a source folder" in capsys.readouterr().err
    assert make("uniform", [folder, folder], tmp_path / "out") == 2
    assert "each source folder must be named once" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    assert make("uniform", [folder], tmp_path / "out") == 2
    assert "out must be empty or hold an earlier run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (KeyboardInterrupt(), 130, "stopped. The same command continues the run in"),
    ],
)
def test_what_stops_a_run(error, code, message, folder, tmp_path, capsys, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(generator, "write_sample", fail)
    assert make("uniform", [folder], tmp_path / "out") == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("again", [[], ["--sources"]], ids=["in a row", "repeated"])
def test_check_says_what_is_there(training_root, capsys, again):
    folders = [str(training_root / "objects"), *again, str(training_root / "rgbd")]
    assert main(["check", "--sources", *folders]) == 0
    objects, scenes = capsys.readouterr().out.splitlines()
    assert objects.endswith("objects: objects: 2 pictures, 2 objects, 0 with depth")
    assert scenes.endswith("rgbd: depth: 4 pictures, 0 objects, 4 with depth")


def test_pick_sharp(folder, tmp_path, capsys):
    assert main(["pick-sharp", "--sources", str(folder), "--out", str(tmp_path / "list.txt"), "--limit", "9"]) == 0
    assert "2 of 2 pictures are sharp" in capsys.readouterr().err
    (folder / "bad.png").write_bytes(b"broken")
    assert main(["pick-sharp", "--sources", str(folder), "--out", str(tmp_path / "copies")]) == 1
    assert "Skipped: Cannot read picture" in capsys.readouterr().err
    assert main(["pick-sharp", "--sources", str(folder), "--out", str(folder / "copies")]) == 2
    assert "out must not lie in a source folder" in capsys.readouterr().err
    assert main(["pick-sharp", "--sources", str(folder), "--out", str(tmp_path / "none" / "list.txt")]) == 1
    assert "cannot write into the folder" in capsys.readouterr().err


def test_pick_sharp_does_not_depend_on_the_workers(folder, tmp_path):
    (folder / "bad.png").write_bytes(b"broken")
    for workers in "12":
        out = str(tmp_path / f"{workers}.jsonl")
        assert main(["pick-sharp", "--sources", str(folder), "--out", out, "--workers", workers]) == 1
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from synth.__main__ import main; main(['uniform', '--help']); "
        "sys.exit(bool({'cv2', 'scipy', 'tensorflow', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--count" in done.stdout


def test_the_module_runs(folder, tmp_path):
    command = [sys.executable, "-m", "synth", "steps", "--sources", str(folder), "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, "--count", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "pictures" / "000000.png").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="has other signals")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGKILL", -9)])
def test_a_stopped_run_goes_on_to_the_same_bytes(name, code, folder, tmp_path):
    out, manifest = tmp_path / "out", tmp_path / "out" / "manifest.jsonl"
    command = [sys.executable, "-m", "synth", "uniform", "--sources", str(folder), "--out", str(out)]
    with subprocess.Popen(
        [*command, "--count", "5000", "--workers", "2"],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not manifest.exists() or manifest.read_bytes().count(b"\n") < 5):
            time.sleep(0.02)
        # Ctrl-C reaches the whole group; the kernel's own killer takes one process.
        stop = os.killpg if name == "SIGINT" else os.kill
        stop(process.pid, getattr(signal, name))
        assert process.wait(timeout=30) == code
    while _find_workers(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    count = manifest.read_bytes().count(b"\n") + 8  # what was in hand may be there without a line
    assert make("uniform", [folder], out, count=count) == 0
    assert make("uniform", [folder], tmp_path / "whole", count=count) == 0
    stopped, whole = (
        {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (out, tmp_path / "whole")
    )
    assert stopped == whole


def _find_workers(session):
    """Processes of a session that are still there; only on systems that tell."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields_of_process = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields_of_process[0] != "Z" and int(fields_of_process[3]) == session:
            found.append(status)
    return found
