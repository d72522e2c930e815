"""cli.app: help, wrong usage, exit codes and interruptions of the whole command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from defocus_edge import __version__
from defocus_edge.choices import DEFAULT_PRESET
from defocus_edge.cli import app as cli
from defocus_edge.cli.app import main
from defocus_edge.files import images
from defocus_edge.networks import preset_files
from tests.defocus_edge.cli.cli_cases import list_names, write_photo


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"defocus-edge {__version__}\n"


def test_the_package_is_the_same_program():
    command = [sys.executable, "-m", "defocus_edge"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"defocus-edge {__version__}\n"
    assert subprocess.run([*command, "estimate"], capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["estimate", "--help"], ["mask", "-h"], ["info", "--help"]])
def test_help_goes_to_stdout(capsys, arguments):
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Usage: defocus-edge")
    assert not captured.err


def test_arguments_of_the_process_are_the_default(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["defocus-edge", "--version"])
    assert main() == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["estimate"], "Missing argument"),
        (["estimate", "x.png", "--colour"], "No such option"),
        (["develop"], "No such command"),
        (["estimate", "x.png", "--read-out", "mean"], "'mean' is not one of"),
        (["estimate", "x.png", "--depth-penalty", "-1"], "must be a finite number, 0 or more. Got: -1.0."),
        (["estimate", "x.png", "--depth-penalty", "nan"], "must be a finite number, 0 or more. Got: nan."),
        (["estimate", "x.png", "--depth-penalty", "1e308"], "must be at most 1e+06. Got: 1e+308."),
        (["estimate", "x.png", "--scale-top", "0"], "must be a finite number greater than 0. Got: 0.0."),
        (["estimate", "x.png", "--max-radius", "0"], "must be auto or a finite number greater than 0. Got: 0."),
        (["estimate", "x.png", "--max-radius", "wide"], "must be auto or a finite number greater than 0. Got: wide."),
        (["batch", "x", "y", "--edge-step", "0"], "Invalid value for '--edge-step'"),
        (["estimate", "x.png", "--precision", "half"], "'half' is not one of"),
        (["estimate", "x.png", "--max-radius", "inf"], "must be auto or a finite number greater than 0. Got: inf."),
        (["estimate", "x.png", "--preset", "nope"], "preset must be one of"),
        (["mask"], "name a PHOTO, or a map with --from-map"),
        (["mask", "x.png", "--alpha", "0.3", "--radius", "2"], "give --alpha or --radius, not both. Got: 0.3 and 2.0"),
        (["mask", "x.png", "--alpha", "1.5"], "must be between 0 and 1. Got: 1.5."),
        (["mask", "x.png", "--alpha", "nan"], "must be between 0 and 1. Got: nan."),
        (["mask", "x.png", "--radius", "-1"], "must be a finite number, 0 or more. Got: -1.0."),
        (["mask", "x.png", "--preset", "nope"], "preset must be one of"),
        (["mask", "x.png", "y.png", "--from-map", "m.tif"], "--from-map goes with one PHOTO. Got: 2"),
        (["mask", "--from-map", "m.png"], "--from-map must end in one of .tif, .tiff, .npy, .exr. Got: m.png"),
    ],
)
def test_usage_errors(capsys, arguments, message):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in " ".join(captured.err.split())
    assert not captured.out


def test_preset_without_metadata_is_a_usage_error(capsys, photo, preset, tmp_path):
    shutil.copytree(preset, tmp_path / "preset")
    (tmp_path / "preset" / "metadata.json").unlink()
    assert main(["estimate", str(photo), "--preset", str(tmp_path / "preset")]) == 2
    assert "The preset has no metadata.json" in capsys.readouterr().err


def test_default_preset_is_used_when_none_is_named(capsys, monkeypatch, photo, preset, tmp_path):
    shutil.copytree(preset, tmp_path / "presets" / DEFAULT_PRESET)
    monkeypatch.setattr(preset_files, "PRESETS_FOLDER", tmp_path / "presets")
    assert main(["estimate", str(photo), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["preset"] == DEFAULT_PRESET


def test_damaged_preset_ends_the_run_with_one_line(capsys, photo, preset, tmp_path):
    damaged = shutil.copytree(preset, tmp_path / "preset")
    with (damaged / preset_files.WEIGHTS_FILE).open("ab") as file:
        file.write(b"x")
    other = write_photo(tmp_path / "other.png")
    assert main(["estimate", str(photo), str(other), "--preset", str(damaged)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert "SHA-256 must be" in err[0]


@pytest.mark.parametrize("error", [ValueError, RuntimeError, KeyError])
def test_an_unexpected_error_is_one_line_and_has_a_traceback_on_demand(run, monkeypatch, blur_map, error):
    def stumble(*_, **__):
        raise error("so\nand so")

    monkeypatch.setattr("defocus_edge.thresholds.threshold_blur_map", stumble)
    code, out, err = run("mask", "--from-map", blur_map, "--json")
    assert (code, len(err)) == (1, 1)
    assert err[0].startswith(f"Error: {blur_map}: unexpected {error.__name__}: ")
    assert json.loads(out)[0]["error"] == err[0].removeprefix("Error: ")
    code, _, err = run("mask", "--from-map", blur_map, "--debug")
    assert code == 1
    assert err[0] == "Traceback (most recent call last):"
    assert "in stumble" in "".join(err)


def test_an_unexpected_error_does_not_cost_other_photos(run, monkeypatch, photo, tmp_path):
    other = write_photo(tmp_path / "other.png")
    original = images.read_with_depth

    def stumble(path, **options):
        if path == photo:
            raise RuntimeError("a bug")
        return original(path, **options)

    monkeypatch.setattr(images, "read_with_depth", stumble)
    code, _, err = run("estimate", photo, other)
    assert code == 1
    assert err[0].startswith(f"Error: {photo}: unexpected RuntimeError: a bug")
    assert (tmp_path / "other_blur.tif").is_file()


def test_an_unexpected_error_before_any_file_is_one_line(run, monkeypatch, photo):
    def stumble(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr("defocus_edge.cli.estimate.plan_jobs", stumble)
    assert run("estimate", photo) == (1, "", ["Error: unexpected RuntimeError: a bug"])
    assert "Traceback (most recent call last):" in run("estimate", photo, "--debug")[2]


def test_ctrl_c_while_writing_leaves_no_half_file(run, monkeypatch, photo, tmp_path):
    def interrupt(path, _):
        with path.open("wb") as file:
            file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupt)
    code, out, err = run("estimate", photo, "--json")
    assert (code, out, err) == (130, "", ["Interrupted. Every file that was written is complete."])
    assert list_names(tmp_path) == ["photo.png"]


def test_ctrl_c_before_a_command_runs(capsys, monkeypatch):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupt)
    assert main([]) == 130
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("command", ["estimate", "mask", "deblur"])
def test_a_gpu_that_is_not_there_ends_the_program(run, photo, command):
    code, _, err = run(command, photo, "--device", "gpu:99")
    assert code == 1
    assert len(err) == 1
    assert err[0].startswith("Error: device 'gpu:99' is not there: tensorflow sees ")
