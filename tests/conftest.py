"""What several test modules share: the oracle files, small random networks, a small preset, a tiny training set."""

from __future__ import annotations

import errno
import gc
import os

# Workers share the cores: threads of BLAS would wait for each other, some times longer than the small products take.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from defocus_edge.networks.edge.networks import EdgeNetworks

REPOSITORY = Path(__file__).resolve().parents[1]

# A busy machine is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


# Files that take long. They begin first, so that none is left to one worker at the end. Only one of them starts Ray:
# two clusters that start at once on two cores can take longer than Ray waits.
LONG_FILES = {
    "test_batch_networks.py",
    "test_dense.py",
    "test_device_camera.py",
    "test_device_sampler.py",
    "test_device_windows.py",
    "test_distillation.py",
    "test_documentation.py",
    "test_keras_policy.py",
    "test_mask_model.py",
    "test_mask_training.py",
    "test_masks.py",
    "test_pipeline_scales.py",
    "test_ray_engine.py",
    "test_segmentation_networks.py",
    "test_training_kill.py",
    "test_training_main.py",
}


def pytest_configure(config):
    """Have workers take the files in the order of the collection; without this the files of few tests come last."""
    config.option.loadscopereorder = False


def pytest_collectstart():
    """Importing makes objects that stay; to look for garbage among them takes a third of the time."""
    gc.disable()


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


def pytest_collection_finish():
    gc.freeze()  # what is loaded stays: no later collection looks at it
    gc.enable()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the working tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """Folder with what the authors of the paper published; it lies beside the repository or not at all."""
    folder = REPOSITORY.parent / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip("the authors' published files are not beside the repository")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def make_texture(rng: np.random.Generator, height: int, width: int, *, block: int = 5) -> np.ndarray:
    """Uint8 RGB picture of random blocks: edges everywhere, none of them soft."""
    coarse = rng.integers(0, 256, (-(-height // block), -(-width // block), 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(block, axis=0).repeat(block, axis=1)[:height, :width])


@pytest.fixture
def texture(rng) -> np.ndarray:
    """Uint8 RGB picture of 64×80 px full of edges."""
    return make_texture(rng, 64, 80)


@pytest.fixture(scope="session")
def small_networks() -> EdgeNetworks:
    """Both networks with 4 filters and random weights that are not dead; tests must not change them."""
    from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
    from defocus_edge.networks.edge.networks import build_edge_networks

    networks = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(8, 6)))
    fill_networks(networks, np.random.default_rng(2))
    return networks


def fill_networks(networks: EdgeNetworks, rng: np.random.Generator) -> None:
    """He-normal kernels and positive biases, the same whatever Keras draws."""
    weights = []
    for weight in networks.joint.weights:
        if len(weight.shape) == 1:
            weights.append(rng.uniform(0.2, 0.5, weight.shape))
        else:
            weights.append(rng.normal(0, np.sqrt(2 / np.prod(weight.shape[:-1])), weight.shape))
    networks.joint.set_weights(weights)


@pytest.fixture(scope="session")
def small_preset(small_networks, tmp_path_factory) -> Path:
    """Folder of a preset with the weights of `small_networks`; tests must not change it."""
    from defocus_edge.networks.presets import save_edge_preset

    return save_edge_preset(small_networks, tmp_path_factory.mktemp("presets") / "small", {"name": "small", "seed": 1})


@pytest.fixture(scope="session")
def segmentation_presets(tmp_path_factory) -> Path:
    """Folder of a narrow preset of each blur-detection network that has one; tests must not change it."""
    from defocus_edge.choices import METHODS
    from defocus_edge.networks.presets import SegmentationPreset, save_segmentation_preset
    from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS, build_segmentation_network

    folder = tmp_path_factory.mktemp("segmentation")
    for name in METHODS[1:]:
        config = SEGMENTATION_NETWORKS[name].config_class(width=1 / 16)
        preset = SegmentationPreset(name, config, build_segmentation_network(name, config), threshold=0.4)
        save_segmentation_preset(preset, folder / name, {"name": name})
    return folder


@pytest.fixture(scope="session")
def training_root(tmp_path_factory) -> Path:
    """Folder in the layout of the training data: 12 and 3×2 sharp pictures, 2 objects, 2 masks, 2 scenes of 2 views."""
    root = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(0)
    for folder, count in (("bsds500", 12), ("urban100", 2), ("sunhays80", 2), ("mcmaster", 2)):
        for number in range(count):
            write_png(root / "sharp" / folder / f"{number:03}.png", make_texture(rng, 200, 220, block=9))
    disk = np.zeros((210, 200), dtype=np.uint8)
    cv2.circle(disk, (100, 105), 60, 255, -1)
    for number in (1, 2):
        write_png(root / "objects" / f"{number:04}.png", make_texture(rng, 210, 200, block=9))
        write_png(root / "objects" / f"{number:04}_mask.png", disk)
        write_png(root / "focus_masks" / f"mask{number}.png", disk.T)
    for name in ("Aloe_view1", "Aloe_view5", "Bowling_view1", "Bowling_view5"):
        disparity = np.where(disk > 0, 120, 30).astype(np.uint8)
        disparity[:, 20:24] = 0
        write_png(root / "rgbd" / f"{name}_rgb.png", make_texture(rng, 210, 200, block=9))
        write_png(root / "rgbd" / f"{name}_disparity.png", disparity)
    return root


def lock_folder(monkeypatch, folder: Path) -> None:
    """Make a folder unreadable, for root too."""
    scan = os.scandir

    def refuse(place):
        if Path(place) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)


def write_png(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 else picture)
