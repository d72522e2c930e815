"""Which program runs B-NET and E-NET: onnxruntime on the CPU, or Keras on any device."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from defocus_edge._extras import ONNX, ONNXRUNTIME
from defocus_edge.choices import AUTO, ENGINES, Engine, Precision
from defocus_edge.networks.devices import choose_device, has_nvidia_gpu, use_device
from defocus_edge.networks.forks import check_process
from defocus_edge.networks.presets import load_edge_networks, load_edge_weights

if TYPE_CHECKING:
    from defocus_edge.networks.edge import dense
    from defocus_edge.networks.edge.architecture import EdgeWeights
    from defocus_edge.networks.edge.networks import EdgeNetworks

Networks = TypeVar("Networks", "EdgeWeights", "EdgeNetworks")


def start_engine(
    source: str | Path | EdgeNetworks,
    *,
    engine: Engine = AUTO,
    precision: Precision = "float32",
    device: str = AUTO,
    grid_step: int | None = None,
) -> dense.Engine:
    """Load a preset, or take networks in memory, into the engine that runs them.

    The options are those of `BlurEstimator`; a `grid_step` takes the place of that of the networks. Raises what
    `choose_engine`, `load_edge_networks` and `choose_device` raise, and ForkError.
    """
    check_process()
    if choose_engine(engine, precision=precision, device=device) == "onnxruntime":
        from defocus_edge.networks.onnx.runtime import OnnxEngine

        if device != AUTO:
            choose_device(device)  # "cpu:x" is refused
        weights = load_edge_weights(source) if isinstance(source, str | Path) else source.weights
        return OnnxEngine(_set_grid(weights, grid_step))
    from defocus_edge.networks.edge.keras_engine import KerasEngine

    device = choose_device(device)
    with use_device(device):
        networks = load_edge_networks(source) if isinstance(source, str | Path) else source
    return KerasEngine(_set_grid(networks, grid_step), precision=precision, device=device)


def _set_grid(networks: Networks, grid_step: int | None) -> Networks:
    """The same weights on another grid."""
    if grid_step is None:
        return networks
    return replace(networks, config=replace(networks.config, grid_step=grid_step))


def choose_engine(engine: Engine = AUTO, *, precision: Precision = "float32", device: str = AUTO) -> Engine:
    """Choose ``"onnxruntime"`` or ``"keras"``.

    ``"auto"`` is onnxruntime if it is installed and nothing asks for Keras: bfloat16, a GPU as `device`, a GPU in the
    computer with ``"auto"`` as `device`, or a backend in the environment variable ``KERAS_BACKEND``. ValueError if
    `engine` is unknown or cannot do what is asked; ImportError if it is not installed.
    """
    if engine not in ENGINES:
        msg = f"engine must be one of {ENGINES}. Got: {engine!r}."
        raise ValueError(msg)
    on_cpu = device.partition(":")[0] == "cpu" or device == AUTO
    if engine == "onnxruntime":
        if precision != "float32" or not on_cpu:
            msg = f"engine 'onnxruntime' computes in float32 on the CPU. Got: {precision} on {device!r}."
            raise ValueError(msg)
        ONNX.load()
        ONNXRUNTIME.load()
    if engine != AUTO:
        return engine
    wants_gpu = device == AUTO and has_nvidia_gpu()
    if precision != "float32" or not on_cpu or wants_gpu or "KERAS_BACKEND" in os.environ:
        return "keras"
    return "onnxruntime" if ONNX.is_installed and ONNXRUNTIME.is_installed else "keras"
