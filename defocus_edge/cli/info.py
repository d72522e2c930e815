"""How the installation stands: versions, devices, OpenCV wheels, presets.

Nothing heavy is imported with this module; a function imports what it inspects.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from defocus_edge._version import __version__
from defocus_edge.cli.console import silence_stderr
from defocus_edge.networks.devices import find_devices

#: Wheels that all install the folder ``cv2``: any two of them overwrite each other.
OPENCV_WHEELS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
REPAIR_OPENCV = f"pip uninstall -y {' '.join(OPENCV_WHEELS)} && pip install opencv-contrib-python"

# What `info` reports, and the distributions that may provide it.
_DISTRIBUTIONS = {
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly"),
    "keras": ("keras", "keras-nightly"),
    "opencv": OPENCV_WHEELS,
    "numpy": ("numpy",),
    "numba": ("numba",),
    "scikit-image": ("scikit-image",),
}
_NVIDIA_DEVICE = Path("/dev/nvidiactl")  # there when the driver is loaded, on Linux
_SUMMARY_KEYS = ("licence", "hardware", "data", "command")  # of a preset's metadata, where present


def find_idle_gpu(backend: str, devices: list[str]) -> str | None:
    """A warning if this computer has a GPU that the backend does not use."""
    if not _NVIDIA_DEVICE.exists() or not all(device.startswith("cpu") for device in devices):
        return None
    advice = "Install it with pip install 'defocus-edge[gpu]'." if backend == "tensorflow" else "See its manual."
    return f"This computer has an NVIDIA GPU, but {backend} runs on the CPU, many times slower. {advice}"


def collect_info() -> dict[str, Any]:
    """Versions, devices, OpenCV wheels and presets, with warnings on what is wrong."""
    versions: dict[str, str | None] = {"defocus_edge": __version__, "python": platform.python_version()}
    versions |= {name: _find_version(distributions) for name, distributions in _DISTRIBUTIONS.items()}
    warnings: list[str] = []
    info: dict[str, Any] = {"versions": versions, "platform": platform.platform()}
    info |= _inspect_backend(warnings)
    info |= _inspect_opencv(warnings)
    info["presets"] = _inspect_presets(warnings)
    return {**info, "warnings": warnings}


def format_info(info: dict[str, Any]) -> str:
    """What `collect_info` found, for people."""
    lines = [f"{name:14}{version or 'not installed'}" for name, version in info["versions"].items()]
    is_on_cpu = all(device.startswith("cpu") for device in info["devices"])
    where = "the CPU only, no GPU is used" if is_on_cpu else "the GPU"
    lines += [f"{'platform':14}{info['platform']}"]
    if info["backend"]:
        lines += [f"{'backend':14}{info['backend']}, runs on {where} ({', '.join(info['devices'])})"]
    lines += [f"{'OpenCV wheels':14}{', '.join(info['opencv_wheels']) or 'none'}"]
    lines += [f"{'contrib':14}{'works' if info['opencv_contrib_works'] else 'is missing'}"]
    if not info["presets"]:
        lines += [f"{'presets':14}none"]
    for preset in info["presets"]:
        lines += [f"preset {preset['name']}: SHA-256 {'ok' if preset['sha256_ok'] else 'NOT ok'}"]
        lines += [f"    {key}: {preset['metadata'][key]}" for key in _SUMMARY_KEYS if key in preset["metadata"]]
    return "\n".join(lines + [f"Warning: {warning}" for warning in info["warnings"]])


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
    """Which OpenCV wheels are installed, and whether the contrib functions survived that."""
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
    """What the shipped presets say of themselves, and whether their weights are whole."""
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
