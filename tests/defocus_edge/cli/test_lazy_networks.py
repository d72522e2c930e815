"""The device that the networks run on is named."""

from __future__ import annotations

from contextlib import nullcontext

from defocus_edge.cli import info as cli_info
from defocus_edge.cli import lazy_networks as cli_networks
from defocus_edge.cli.app import main
from defocus_edge.networks import devices, engines
from defocus_edge.networks.edge import keras_engine


def test_idle_gpu_is_told(run, monkeypatch, photo, capsys, tmp_path):
    (tmp_path / "driver").touch()
    monkeypatch.setattr(devices, "_NVIDIA_DEVICE", tmp_path / "driver")
    monkeypatch.setattr(cli_networks, "find_devices", lambda: ("tensorflow", ["cpu:0"]))
    monkeypatch.setattr(cli_info, "find_devices", lambda: ("tensorflow", ["cpu:0"]))
    message = "This computer has an NVIDIA GPU, but tensorflow runs on the CPU"
    code, _, err = run("estimate", photo)
    assert code == 0
    assert message in err[0]
    main(["info"])
    assert message in capsys.readouterr().out


def test_used_gpu_is_told(run, monkeypatch, photo, tmp_path):
    (tmp_path / "driver").touch()
    monkeypatch.setattr(devices, "_NVIDIA_DEVICE", tmp_path / "driver")
    monkeypatch.setattr(cli_networks, "find_devices", lambda: ("tensorflow", ["gpu:0"]))
    for module in (engines, keras_engine):  # nothing could run on a GPU that is not there
        monkeypatch.setattr(module, "choose_device", lambda _: "gpu:0")
        monkeypatch.setattr(module, "use_device", lambda _: nullcontext())
    _, _, err = run("estimate", photo)
    assert len(err) == 1
    assert " on GPU -> " in err[0]
