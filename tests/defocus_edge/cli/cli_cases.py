"""What the tests of several commands share."""

from __future__ import annotations

from pathlib import Path

import cv2
from skimage.data import astronaut

from defocus_edge.networks import presets

HEIGHT, WIDTH = 96, 120


def write_photo(path, *, top=0):
    """A part of a real picture, small enough for fast tests."""
    assert cv2.imwrite(str(path), astronaut()[top : top + 2 * HEIGHT : 2, 100 : 100 + 2 * WIDTH : 2, ::-1])
    return path


def make_preset(folder, edge_bias):
    """Small networks with random weights, which take nearly all edges for those of one kind."""
    import keras

    from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
    from defocus_edge.networks.edge.networks import build_edge_networks

    keras.utils.set_random_seed(0)
    networks = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(8, 8)))
    networks.joint.get_layer("edge_head_dense3").bias.assign(edge_bias)
    return presets.save_edge_preset(networks, folder, {"name": "small", "licence": "none"})


def list_names(folder):
    return sorted(path.name for path in Path(folder).iterdir())
