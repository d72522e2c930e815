"""Optional packages, and advice on how to install them. Looking for a package does not load it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@dataclass(frozen=True)
class Extra:
    """An extra of ``setup.cfg``: its name for pip, the module that it installs, and what needs it, in the plural."""

    name: str
    module: str
    purpose: str

    @property
    def is_installed(self) -> bool:
        """Whether Python finds the module."""
        return find_spec(self.module) is not None

    @property
    def advice(self) -> str:
        """What to do if the module is not installed."""
        return f"{self.purpose} need the package {self.module}: pip install 'defocus-edge[{self.name}]'"

    def load(self) -> Any:
        """The module, or an ImportError with the advice."""
        if not self.is_installed:
            raise ImportError(f"{self.advice}.")
        return import_module(self.module)


RAW = Extra("raw", "rawpy", "camera raw files")
EXR = Extra("exr", "OpenEXR", "EXR files")
HEIF = Extra("heif", "pillow_heif", "HEIC files")
IMAGECODECS = Extra(
    "imagecodecs", "imagecodecs", "JPEG XL files, and TIFF and JPEG 2000 files with rare codecs, depths or colours,"
)
ONNX = Extra("onnx", "onnx", "exports to ONNX and the engine onnxruntime")
ONNXRUNTIME = Extra("onnx", "onnxruntime", "estimates with the engine onnxruntime")
WEB = Extra("web", "gradio", "pages in the browser")
