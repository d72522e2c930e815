"""Networks that a command loads only when it has read the first picture.

Nothing but typer is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from defocus_edge.cli.console import SOME_FILES_FAILED, Record, Screen, fail, silence_stderr
from defocus_edge.cli.info import find_idle_gpu
from defocus_edge.networks.devices import find_devices, has_nvidia_gpu


class Placed(Protocol):
    """Networks that know their device."""

    @property
    def device(self) -> str: ...  # noqa: D102 - see the class


Networks = TypeVar("Networks", bound=Placed)
Result = TypeVar("Result")


class LazyNetworks(Generic[Networks]):
    """Networks that `load` returns at the first use.

    `preset` is a name or a folder. It is checked at once; a wrong one ends the program.
    """

    def __init__(self, preset: str, load: Callable[[], Networks]) -> None:
        from defocus_edge.networks.preset_files import PresetError, find_preset, read_metadata

        self.preset = preset
        self._load = load
        self._networks: Networks | None = None
        self._device = ""
        try:
            read_metadata(find_preset(preset))
        except PresetError as error:
            fail(str(error))

    def run(self, work: Callable[[Networks], Result], screen: Screen, *, unit: str) -> tuple[Result, Record]:
        """Result of `work`, given the networks, with preset, device and seconds; `unit` is what the bar counts."""
        if self._networks is None:
            screen.begin("Loading the networks")
            self._networks = self._open(screen)
        screen.begin(unit)
        started = time.perf_counter()
        result = work(self._networks)
        seconds = round(time.perf_counter() - started, 3)
        return result, {"preset": self.preset, "device": self._device, "seconds": seconds}

    def _open(self, screen: Screen) -> Networks:
        """Load the networks; end the program if that fails, warn of a GPU that is not used."""
        from defocus_edge.networks.devices import DeviceError
        from defocus_edge.networks.preset_files import PresetError

        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # for what TensorFlow writes after this function
        fault = ""
        with silence_stderr():
            import defocus_edge.pipeline  # noqa: F401 - it may load a backend: its greetings are held back here

            try:
                networks = self._load()
            except (PresetError, DeviceError) as error:
                fault = str(error)
            else:
                idle_gpu = find_idle_gpu(*find_devices()) if has_nvidia_gpu() else None
        if fault:
            fail(fault, code=SOME_FILES_FAILED)
        self._device = networks.device.partition(":")[0].upper()
        if idle_gpu:
            screen.warn(idle_gpu)
        return networks
