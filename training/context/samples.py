"""What the context network learns from: measured scenes in a folder, one file each."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defocus_edge.estimation.stages import measure
from defocus_edge.files.atomic import atomic_write, read_bytes
from defocus_edge.networks.edge.dense import DenseEvaluator

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
    path = folder / f"{name}{SUFFIX}"
    if path.is_file():
        return True
    sample = make()
    if sample is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, **asdict(sample))
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return True


def read_sample(path: Path) -> Sample:
    """Read one sample; raises OSError or ValueError."""
    with np.load(io.BytesIO(read_bytes(path))) as arrays:
        return Sample(**{field.name: arrays[field.name] for field in fields(Sample)})


def list_samples(folder: Path) -> list[Path]:
    """Paths of all samples of a folder, sorted."""
    return sorted(folder.glob(f"*{SUFFIX}"))
