"""Pictures, a map, and estimators with small random networks for the tests of the library."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from defocus_edge.arrays import as_image
from defocus_edge.estimation.edges import edge_points, find_edges
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.pipeline import BlurEstimator
from tests.defocus_edge.files.file_cases import HEIGHT, WIDTH


@pytest.fixture
def picture():
    """Smooth uint8 RGB picture, each corner and channel different."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def deep_picture():
    """Uint16 RGB picture whose low bytes matter."""
    return np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)


@pytest.fixture
def blur_map():
    return np.random.default_rng(2).uniform(0.5, 6, (HEIGHT, WIDTH)).astype(np.float32)


def copy_networks(networks, edge_bias):
    """The same networks with another bias of E-NET's two outputs."""
    copied = build_edge_networks(networks.config)
    copied.joint.set_weights(networks.joint.get_weights())
    last = copied.joint.get_layer("edge_head_dense3")
    last.set_weights([last.get_weights()[0], np.array(edge_bias, dtype=np.float32)])
    return copied


@pytest.fixture(scope="module")
def pattern_networks(small_networks):
    """Networks for which each edge is a pattern edge."""
    return copy_networks(small_networks, (100, 0))


@pytest.fixture(scope="module")
def estimator(pattern_networks):
    return BlurEstimator(pattern_networks, tile_side=64)


@pytest.fixture
def mixed_networks(small_networks, texture):
    """Networks for which about every second edge of `texture` is a depth edge."""
    image = as_image(texture)
    balanced = copy_networks(small_networks, (0, 0))
    edge = DenseEvaluator(KerasEngine(balanced)).predict(image, edge_points(find_edges(image))).edge
    return copy_networks(small_networks, (float(np.median(np.log(edge[:, 1] / edge[:, 0]))), 0))
