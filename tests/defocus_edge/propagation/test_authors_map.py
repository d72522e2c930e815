"""Our propagation, fed with the authors' own labels, gives the dense map they published."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from defocus_edge.propagation.propagate import propagate_blur
from defocus_edge.propagation.settings import PropagationSettings

REFERENCE = Path(__file__).resolve().parents[4] / "shared" / "reference"
LARGEST_RADIUS = 6.0  # their grey level 255


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the authors' published files are not beside the repository")
def test_map_of_the_authors_is_reproduced():
    image = cv2.cvtColor(cv2.imread(str(REFERENCE / "image_01.png")), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
    expected = cv2.imread(str(REFERENCE / "blur_map_01_authors.png"), cv2.IMREAD_UNCHANGED)
    with np.load(REFERENCE / "expected_01.npz") as labels:
        points = np.stack([labels["rows"], labels["cols"]], axis=1)
        radius = 0.5 + 0.25 * labels["blur_softmax"].argmax(axis=1).astype(np.float32)
        is_depth_edge = labels["edge_softmax"].argmax(axis=1) == 1
    depth_edges = np.zeros(expected.shape, dtype=bool)
    depth_edges[tuple(points[is_depth_edge].T)] = True
    pattern = ~is_depth_edge

    blur_map, _ = propagate_blur(
        image,
        points[pattern],
        radius[pattern],
        np.ones(int(pattern.sum()), dtype=np.float32),
        depth_edges,
        settings=PropagationSettings.authors_code(),
    )

    grey = (blur_map / LARGEST_RADIUS * 255).astype(np.uint8)  # they truncate to 8 bits
    difference = np.abs(grey.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.998
