"""What the context network learns from: measured scenes in a folder, one file each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defocus_edge.estimation.stages import measure
from defocus_edge.networks.edge.dense import DenseEvaluator
from training.runs.records import read_record, store_record

#: How the name of a file ends.
SUFFIX = ".sample.npz"


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture, what was measured of it, and the truth.

    Attributes
    ----------
    image : (H, W, 3) ndarray of uint8
    truth : (H, W) ndarray of float16
        True radius in px; NaN where it is not known.
    points : (N, 2) ndarray of int16
    point_radius, point_confidence, depth_probability : (N,) ndarray of float16
        As in `PointBlur`.
    scale : (N,) ndarray of uint8
        As in `PyramidBlur`.
    """

    image: NDArray[np.uint8]
    truth: NDArray[np.float16]
    points: NDArray[np.int16]
    point_radius: NDArray[np.float16]
    point_confidence: NDArray[np.float16]
    depth_probability: NDArray[np.float16]
    scale: NDArray[np.uint8]


def measure_sample(image: NDArray[np.float32], truth: NDArray[np.float32], evaluator: DenseEvaluator) -> Sample | None:
    """Measure the blur of a picture; None if it has no edge."""
    blur = measure(image, evaluator)
    if not len(blur.found):
        return None
    found = blur.found
    return Sample(
        np.rint(image * 255).astype(np.uint8),
        truth.astype(np.float16),
        found.points.astype(np.int16),
        found.radius.astype(np.float16),
        found.confidence.astype(np.float16),
        found.depth_probability.astype(np.float16),
        np.minimum(blur.scale, 255).astype(np.uint8),
    )


def store_sample(folder: Path, name: str, make: Callable[[], Sample | None]) -> bool:
    """Write a sample unless the folder has it; False if there is none to write."""
    return store_record(folder / f"{name}{SUFFIX}", make)


def read_sample(path: Path) -> Sample:
    """Read one file; raises OSError or ValueError."""
    return read_record(path, Sample)


def list_samples(folder: Path) -> list[Path]:
    """Paths of all samples of a folder, sorted."""
    return sorted(folder.glob(f"*{SUFFIX}"))
