"""Compiles functions of tensors for the backend of Keras that is in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from defocus_edge.networks.keras_policy import use_own_policy


def compile_inference(
    function: Callable[..., Any], signature: list[tuple[tuple[int | None, ...], str]]
) -> Callable[..., Any]:
    """Compile a function of tensors, written with `keras.ops` and Keras layers, for the backend in use.

    `signature` holds (shape, dtype) of each positional argument; None in a shape stands for an axis of any length. The
    result takes arrays or tensors and returns tensors of the backend.
    """

    def run(*arguments: Any) -> Any:
        with use_own_policy():  # some layers ask Keras for the layout when they are called
            return function(*arguments)

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in signature]
        return tf.function(run, input_signature=specs, jit_compile=False)
    if backend == "jax":
        import jax

        return jax.jit(run)
    return _without_gradient(run)


def _without_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a torch function so that it takes arrays and records no gradients."""
    import torch

    def run(*arguments: Any) -> Any:
        with torch.no_grad():
            return function(*(ops.convert_to_tensor(argument) for argument in arguments))

    return run
