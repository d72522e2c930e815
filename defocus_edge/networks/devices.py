"""Where the networks run: the backend of Keras, its devices, and the choice among them."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path
from typing import Any

from defocus_edge.choices import AUTO

_LOGGER = logging.getLogger(__name__)


# Exists when the driver of an NVIDIA GPU is loaded, on Linux.
_NVIDIA_DEVICE = Path("/dev/nvidiactl")


class DeviceError(ValueError):
    """A device that does not exist, or that the backend does not see."""


def count_cores() -> int:
    """How many cores of the processor this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_nvidia_gpu() -> bool:
    """Whether this computer has a GPU with a driver, whatever Keras sees; known on Linux only. Loads nothing."""
    return _NVIDIA_DEVICE.exists()


def find_devices() -> tuple[str, list[str]]:
    """Name Keras' backend and its devices, such as ``cpu:0``: the GPUs if there are any, else the CPUs."""
    import keras

    backend = keras.backend.backend()
    if backend == "torch":  # keras.distribution does not know it
        import torch

        return backend, [f"gpu:{number}" for number in range(torch.cuda.device_count())] or ["cpu:0"]
    return backend, list(keras.distribution.list_devices())


def choose_device(device: str = AUTO) -> str:
    """Choose the device to compute on, ``"cpu:0"`` or ``"gpu:N"``.

    `device` is ``"auto"`` for the first GPU if there is one, else the CPU; ``"cpu"``; or ``"gpu:0"`` and so on for one
    GPU. ``"gpu"`` is the first one. DeviceError if it is none of these, or the backend does not see that GPU.
    """
    kind, _, number = device.partition(":")
    if device != AUTO and (kind not in ("cpu", "gpu") or not (number or "0").isdecimal()):
        msg = f"device must be 'auto', 'cpu' or 'gpu:0' (or another number). Got: {device!r}."
        raise DeviceError(msg)
    if kind == "cpu":
        return "cpu:0"
    backend, devices = find_devices()
    gpus = [name for name in devices if not name.startswith("cpu")]
    if device == AUTO:
        return gpus[0] if gpus else _settle_for_cpu(backend)
    wanted = f"gpu:{number or 0}"
    if wanted not in gpus:
        seen = ", ".join(devices)
        msg = f"device {device!r} is not there: {backend} sees {seen}. See `defocus-edge info`, or pass device='auto'."
        raise DeviceError(msg)
    return wanted


def use_device(device: str) -> Any:
    """Context in which Keras computes on a device that `choose_device` named."""
    import keras

    return keras.device(device)


@cache
def _settle_for_cpu(backend: str) -> str:
    """Take the CPU, and log that once."""
    _LOGGER.info("No GPU: %s runs on the CPU.", backend)
    return "cpu:0"
