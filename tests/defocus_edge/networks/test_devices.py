"""Which device computes, and what is said if it is not there."""

import logging

import pytest

from defocus_edge.networks import devices
from defocus_edge.networks.devices import DeviceError, choose_device, find_devices, use_device


@pytest.fixture
def pretend(monkeypatch):
    """Makes the backend see some devices."""

    def set_devices(*names):
        monkeypatch.setattr(devices, "find_devices", lambda: ("tensorflow", list(names)))
        devices._settle_for_cpu.cache_clear()

    yield set_devices
    devices._settle_for_cpu.cache_clear()


def test_the_backend_has_a_device():
    backend, found = find_devices()
    assert backend in ("tensorflow", "jax", "torch")
    assert found
    assert choose_device() in found
    with use_device(choose_device("cpu")):
        pass


@pytest.mark.parametrize(
    ("seen", "device", "expected"),
    [
        (["cpu:0"], "auto", "cpu:0"),
        (["cpu:0"], "cpu", "cpu:0"),
        (["gpu:0", "gpu:1"], "auto", "gpu:0"),
        (["gpu:0", "gpu:1"], "cpu", "cpu:0"),
        (["gpu:0", "gpu:1"], "gpu:1", "gpu:1"),
        (["gpu:0"], "gpu", "gpu:0"),
    ],
)
def test_choices(pretend, seen, device, expected):
    pretend(*seen)
    assert choose_device(device) == expected


@pytest.mark.parametrize(("seen", "device"), [("cpu:0", "gpu:0"), ("gpu:0", "gpu:1"), ("cpu:0", "gpu")])
def test_a_gpu_that_is_not_there_is_an_error(pretend, seen, device):
    pretend(seen)
    with pytest.raises(DeviceError, match=rf"device '{device}' is not there: tensorflow sees {seen}\. See .*info"):
        choose_device(device)


@pytest.mark.parametrize("device", ["cuda", "gpu:x", "gpu:-1", "", "GPU:0"])
def test_other_names_are_refused(device):
    with pytest.raises(DeviceError, match=r"device must be 'auto', 'cpu' or 'gpu:0' \(or another number\)\. Got: "):
        choose_device(device)


def test_the_cpu_is_named_once(pretend, caplog):
    pretend("cpu:0")
    with caplog.at_level(logging.INFO, logger="defocus_edge"):
        choose_device()
        choose_device()
    assert [record.message for record in caplog.records] == ["No GPU: tensorflow runs on the CPU."]
