"""`defocus-edge info`: versions, devices, OpenCV wheels and presets, and what is wrong with them.

Nothing heavy is imported with this module; a function imports what it inspects.
"""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from importlib import metadata
from typing import Annotated, Any

import typer

from defocus_edge._version import __version__
from defocus_edge.cli.console import silence_stderr
from defocus_edge.networks.devices import find_devices, has_nvidia_gpu

#: Wheels that install the same folder ``cv2``: any two of them overwrite each other.
OPENCV_WHEELS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
REPAIR_OPENCV = f"pip uninstall -y {' '.join(OPENCV_WHEELS)} && pip install opencv-contrib-python"

# The libraries that `info` reports, and the distributions that may provide each.
_DISTRIBUTIONS = {
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly"),
    "keras": ("keras", "keras-nightly"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "opencv": OPENCV_WHEELS,
    "numpy": ("numpy",),
    "numba": ("numba",),
    "scikit-image": ("scikit-image",),
}
_SUMMARY_KEYS = ("licence", "hardware", "data", "command")  # shown of a preset's metadata, where present


def info(json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show versions, devices and presets, and what is wrong with the installation."""
    found = collect_info()
    typer.echo(json.dumps(found, indent=2) if json_output else format_info(found))


def find_idle_gpu(backend: str, devices: list[str]) -> str | None:
    """Warning if this computer has a GPU that the backend does not use."""
    if not has_nvidia_gpu() or not all(device.startswith("cpu") for device in devices):
        return None
    advice = "Install it with pip install 'defocus-edge[gpu]'." if backend == "tensorflow" else "See its manual."
    return f"This computer has an NVIDIA GPU, but {backend} runs on the CPU, many times slower. {advice}"


def collect_info() -> dict[str, Any]:
    """Versions, devices, OpenCV wheels and presets, with warnings on what is wrong."""
    versions: dict[str, str | None] = {"defocus_edge": __version__, "python": platform.python_version()}
    versions |= {name: _find_version(distributions) for name, distributions in _DISTRIBUTIONS.items()}
    warnings: list[str] = []
    return {
        "versions": versions,
        "platform": platform.platform(),
        **_inspect_backend(warnings),
        **_inspect_opencv(warnings),
        "presets": _inspect_presets(warnings),
        "warnings": warnings,
    }


def format_info(found: dict[str, Any]) -> str:
    """Findings of `collect_info` as lines of text."""
    lines = [f"{name:14}{version or 'not installed'}" for name, version in found["versions"].items()]
    is_on_cpu = all(device.startswith("cpu") for device in found["devices"])
    where = "the CPU only, no GPU is used" if is_on_cpu else "the GPU"
    lines += [f"{'platform':14}{found['platform']}"]
    if found["backend"]:
        lines += [f"{'backend':14}{found['backend']}, runs on {where} ({', '.join(found['devices'])})"]
    lines += [f"{'OpenCV wheels':14}{', '.join(found['opencv_wheels']) or 'none'}"]
    lines += [f"{'contrib':14}{'works' if found['opencv_contrib_works'] else 'is missing'}"]
    if not found["presets"]:
        lines += [f"{'presets':14}none"]
    for preset in found["presets"]:
        lines += [f"preset {preset['name']}: SHA-256 {'ok' if preset['sha256_ok'] else 'NOT ok'}"]
        lines += [f"    {key}: {preset['metadata'][key]}" for key in _SUMMARY_KEYS if key in preset["metadata"]]
    return "\n".join(lines + [f"Warning: {warning}" for warning in found["warnings"]])


def _find_version(distributions: tuple[str, ...]) -> str | None:
    """Version of the first of these distributions that is installed."""
    for name in distributions:
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return None


def _inspect_backend(warnings: list[str]) -> dict[str, Any]:
    """Keras' backend and its devices."""
    backend, devices = None, list[str]()
    try:
        with silence_stderr():
            backend, devices = find_devices()
    except (ImportError, ValueError) as error:  # ValueError: KERAS_BACKEND names an unknown one
        warnings.append(f"keras and its backend cannot be imported: {error}")
    else:
        warnings.extend(filter(None, [find_idle_gpu(backend, devices)]))
    return {"backend": backend, "devices": devices}


def _inspect_opencv(warnings: list[str]) -> dict[str, Any]:
    """Which OpenCV wheels are installed, and whether the contrib functions work."""
    versions = {name: _find_version((name,)) for name in OPENCV_WHEELS}
    wheels = [f"{name} {version}" for name, version in versions.items() if version]
    works, fault = False, "cv2.ximgproc.dtFilter is missing"
    try:
        import cv2

        works = callable(getattr(getattr(cv2, "ximgproc", None), "dtFilter", None))
    except ImportError as error:
        fault = f"cv2 cannot be imported: {error}"
    if not works:
        warnings.append(f"OpenCV with its contrib functions does not work: {fault}. Repair: {REPAIR_OPENCV}")
    if len(wheels) > 1:
        warnings.append(f"{len(wheels)} OpenCV wheels overwrite each other. Repair: {REPAIR_OPENCV}")
    return {"opencv_wheels": wheels, "opencv_contrib_works": works}


def _inspect_presets(warnings: list[str]) -> list[dict[str, Any]]:
    """Metadata of the shipped presets, and whether their weights are intact."""
    from defocus_edge.choices import DEFAULT_PRESET
    from defocus_edge.networks import preset_files

    reports: list[dict[str, Any]] = []
    for name in preset_files.list_presets():
        report: dict[str, Any] = {"name": name, "sha256_ok": False, "metadata": {}}
        try:
            report["metadata"] = preset_files.read_metadata(name)
            preset_files.verify_preset(name)
            report["sha256_ok"] = True
        except (preset_files.PresetError, OSError) as error:
            warnings.append(f"The preset {name} cannot be used: {error}")
        reports.append(report)
    if DEFAULT_PRESET not in preset_files.list_presets():
        warnings.append(f"The default preset {DEFAULT_PRESET} is not installed: name one with --preset.")
    return reports
