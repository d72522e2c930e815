"""`defocus-edge info`: what it shows, and what it warns of."""

from __future__ import annotations

import json
import shutil
import sys
from importlib import metadata

import cv2
import numpy as np

from defocus_edge import __version__
from defocus_edge.choices import DEFAULT_PRESET
from defocus_edge.cli import info as cli_info
from defocus_edge.cli.app import main
from defocus_edge.networks import preset_files


def test_info(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for name in ("defocus_edge", "python", "tensorflow", "keras", "opencv", "numpy", "numba", "scikit-image"):
        assert f"\n{name} " in f"\n{out}"
    assert "runs on the CPU only, no GPU is used (cpu:0)" in out or "runs on the GPU (gpu:0" in out


def test_info_as_json(capsys, monkeypatch, preset, tmp_path):
    for name in (DEFAULT_PRESET, "damaged", "unreadable"):
        shutil.copytree(preset, tmp_path / name)
    (tmp_path / "damaged" / preset_files.WEIGHTS_FILE).write_bytes(b"x")
    (tmp_path / "unreadable" / preset_files.METADATA_FILE).write_text("{")
    monkeypatch.setattr(preset_files, "PRESETS_FOLDER", tmp_path)
    assert main(["info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["versions"]["defocus_edge"] == __version__
    assert info["versions"]["numpy"] == np.__version__
    assert {report["name"]: report["sha256_ok"] for report in info["presets"]} == {
        "damaged": False,
        DEFAULT_PRESET: True,
        "unreadable": False,
    }
    assert any("The preset damaged cannot be used" in warning for warning in info["warnings"])
    assert any("The preset unreadable cannot be used" in warning for warning in info["warnings"])
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert f"preset {DEFAULT_PRESET}: SHA-256 ok\n    licence: none" in out
    assert "preset damaged: SHA-256 NOT ok" in out


def test_info_without_the_default_preset(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(preset_files, "PRESETS_FOLDER", tmp_path)
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert "presets       none" in out
    assert f"The default preset {DEFAULT_PRESET} is not installed" in out


def test_info_on_two_opencv_wheels(capsys, monkeypatch):
    """The second wheel takes the contrib functions away and pip does not mind."""
    true_version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "4.10.0" if name == "opencv-python-headless" else true_version(name)
    )
    monkeypatch.delattr(cv2.ximgproc, "dtFilter")
    assert main(["info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert "opencv-python-headless 4.10.0" in info["opencv_wheels"]
    assert info["opencv_contrib_works"] is False
    text = " ".join(info["warnings"])
    assert "2 OpenCV wheels overwrite each other. Repair: pip uninstall -y opencv-python " in text
    assert "cv2.ximgproc.dtFilter is missing" in text


def test_info_without_libraries(capsys, monkeypatch):
    def refuse():
        raise ImportError("no keras here")

    monkeypatch.setattr(cli_info, "find_devices", refuse)
    monkeypatch.setitem(sys.modules, "cv2", None)
    true_version = metadata.version

    def find_version(name):
        if name.startswith(("keras", "opencv")):
            raise metadata.PackageNotFoundError
        return true_version(name)

    monkeypatch.setattr(metadata, "version", find_version)
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert "keras         not installed" in out
    assert "Warning: keras and its backend cannot be imported: no keras here" in out
    assert "cv2 cannot be imported" in out
