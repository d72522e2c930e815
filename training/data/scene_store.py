"""Rendered scenes in a folder, so that each is rendered once; checksums tell a damaged file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from defocus_edge.files.atomic import atomic_write
from training.data.development import DevelopmentScene

# Length of the checksum at the end of a file: SHA-256.
_CHECKSUM = 32


class SceneStore:
    """A folder of scenes for one way to render them.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    version : str
        Name of the subfolder: what the scenes depend on, see `find_version`.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self._folder = folder / version
        self._folder.mkdir(parents=True, exist_ok=True)

    def load(self, name: str, render: Callable[[], DevelopmentScene]) -> DevelopmentScene:
        """Read a scene; render and write it where it is missing or damaged. `DevelopmentScene.sharp` is not kept."""
        path = self._folder / f"{name}.scene"
        data = path.read_bytes() if path.is_file() else b""
        if len(data) <= _CHECKSUM or hashlib.sha256(data[:-_CHECKSUM]).digest() != data[-_CHECKSUM:]:
            data = _pack(render())
            with atomic_write(path) as temporary:
                temporary.write_bytes(data)
        with np.load(io.BytesIO(data[:-_CHECKSUM])) as arrays:
            image = arrays["image"].astype(np.float32) / np.float32(255)
            return DevelopmentScene(name, str(arrays["family"]), image, arrays["radius"], arrays["edge_label"])


def _pack(scene: DevelopmentScene) -> bytes:
    """The arrays of a scene and their checksum."""
    buffer = io.BytesIO()
    image = np.rint(scene.image * 255).astype(np.uint8)
    np.savez_compressed(buffer, image=image, radius=scene.radius, edge_label=scene.edge_label, family=scene.family)
    return buffer.getvalue() + hashlib.sha256(buffer.getvalue()).digest()


def find_version(root: Path, folders: tuple[str, ...], rendering: int) -> str:
    """Name that changes with the files of some folders below a root, or with the number of the rendering."""
    files = sorted(path for folder in folders for path in (root / folder).rglob("*") if path.is_file())
    listed = [f"{path.relative_to(root).as_posix()} {path.stat().st_size}" for path in files]
    return hashlib.sha256("\n".join([str(rendering), *listed]).encode()).hexdigest()[:12]
