"""JAX, loaded when it is first used: importing a module of this folder loads no backend."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _LazyModule:
    """A module that is loaded when something is taken from it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


jax: Any = _LazyModule("jax")
jnp: Any = _LazyModule("jax.numpy")
