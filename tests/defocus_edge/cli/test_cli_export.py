"""`defocus-edge export`: files that other programs read, and one line for what goes wrong."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import onnxruntime
import pytest

from defocus_edge.cli.app import main
from defocus_edge.networks.preset_files import WEIGHTS_FILE
from tests.defocus_edge.cli.cli_cases import list_names


@pytest.fixture
def run(capsys):
    """Run the command: exit code, stdout, lines on stderr."""

    def run_command(*arguments):
        code = main(["export", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()

    return run_command


def test_edge_networks_on_pictures(run, rng, small_preset, tmp_path):
    path = tmp_path / "edge.onnx"
    code, out, err = run(small_preset, "--onnx", path)
    assert (code, out) == (0, "")
    assert err == [
        f"{small_preset}: image float32 (tiles, height, width, 3); points int32 (points, 3) -> "
        f"blur float32 (points, 23); edge float32 (points, 2), in {path}"
    ]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image, points = rng.random((1, 70, 60, 3), dtype=np.float32), np.zeros((4, 3), dtype=np.int32)
    assert [values.shape for values in session.run(None, {"image": image, "points": points})] == [(4, 23), (4, 2)]


def test_edge_networks_on_patches(run, small_preset, tmp_path):
    code, _, err = run(small_preset, "--onnx", tmp_path / "edge.onnx", "--patches")
    assert code == 0
    assert "patches float32 (points, 41, 41, 3) -> blur" in err[0]


def test_segmentation_network_over_an_existing_file(run, segmentation_presets, tmp_path):
    path = tmp_path / "msdu.onnx"
    path.write_bytes(b"old")
    code, _, err = run(segmentation_presets / "msdu", "--onnx", path)
    assert code == 0
    assert "image float32 (pictures, height, width, 3) -> probability float32 (pictures, height, width)" in err[0]
    assert list_names(tmp_path) == ["msdu.onnx"]
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edge-v1"], "Missing option '--onnx'"),
        (["--onnx", "x.onnx"], "Missing argument 'NAME|DIR'"),
        (["edge-v1", "--onnx", "x.jpg"], "must end in .onnx. Got: x.jpg."),
        (["nope", "--onnx", "x.onnx"], "preset must be one of"),
        (["msdu-v1", "--patches", "--onnx", "x.onnx"], "patches goes with a preset of the edge networks only."),
    ],
)
def test_usage_errors(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in " ".join(" ".join(err).split())
    assert list_names(tmp_path) == []


def test_a_damaged_preset_is_one_line(run, small_preset, tmp_path):
    folder = shutil.copytree(small_preset, tmp_path / "preset")
    (folder / WEIGHTS_FILE).write_bytes(b"half")
    code, _, err = run(folder, "--onnx", tmp_path / "x.onnx")
    assert code == 1
    assert len(err) == 1
    assert "SHA-256 must be" in err[0]
    assert list_names(tmp_path) == ["preset"]


def test_a_place_that_cannot_be_written_to_is_one_line(run, small_preset, tmp_path):
    code, _, err = run(small_preset, "--onnx", tmp_path / "none" / "x.onnx")
    assert code == 1
    assert len(err) == 1
    assert "cannot write into the folder" in err[0]


def test_a_missing_package_is_one_line(run, small_preset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, err = run(small_preset, "--onnx", tmp_path / "x.onnx")
    assert code == 1
    assert err == [
        "Error: exports to ONNX and the engine onnxruntime need the package onnx: pip install 'defocus-edge[onnx]'."
    ]
