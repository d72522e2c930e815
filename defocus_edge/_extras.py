"""Packages that only some need, and what to do without them; looking for one does not load it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@dataclass(frozen=True)
class Extra:
    """An extra of ``setup.cfg``.

    Attributes
    ----------
    name : str
        As pip takes it.
    module : str
        What it installs.
    purpose : str
        What does not go without it, in the plural.
    """

    name: str
    module: str
    purpose: str

    @property
    def is_installed(self) -> bool:
        """Whether Python finds the module."""
        return find_spec(self.module) is not None

    @property
    def advice(self) -> str:
        """What to do if it is not there."""
        return f"{self.purpose} need the package {self.module}: pip install 'defocus-edge[{self.name}]'"

    def load(self) -> Any:
        """The module, or an ImportError with the advice."""
        if not self.is_installed:
            raise ImportError(f"{self.advice}.")
        return import_module(self.module)


RAW = Extra("raw", "rawpy", "camera raw files")
EXR = Extra("exr", "OpenEXR", "EXR files")
ONNX = Extra("onnx", "onnx", "exports to ONNX")
