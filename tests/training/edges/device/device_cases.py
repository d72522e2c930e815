"""What tests of the crops on the accelerator share: a soft matte, and JAX that compiles in half the time."""

from contextlib import contextmanager

import jax
import numpy as np

from training.edges.device.atlas import SIDE


def draw_matte(seed):
    """Blobs with soft rims."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    distance = [
        np.hypot(rows - row, cols - col) - radius
        for row, col, radius in zip(*rng.integers(30, 98, (2, 3)), rng.integers(8, 30, 3), strict=True)
    ]
    return np.clip(0.5 - np.min(distance, axis=0), 0, 1).astype(np.float32)


@contextmanager
def compile_quickly():
    """Compile without most optimizations: a test runs a function a few times only."""
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)
