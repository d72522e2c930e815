"""The threshold of E-NET that gives the best map is the one that is chosen."""

import numpy as np
import pytest

from defocus_edge.arrays import as_image
from training.data.development import DevelopmentScene
from training.edges import calibration
from training.edges.calibration import calibrate_depth_threshold


@pytest.fixture
def scene(texture):
    image = as_image(texture)
    shape = image.shape[:2]
    return DevelopmentScene(
        "flat", "uniform", image, np.full(shape, 3.0, dtype=np.float32), np.zeros(shape, dtype=np.int8)
    )


def test_smallest_geometric_mean_over_families_wins(scene, small_networks, monkeypatch):
    other = DevelopmentScene("other", "depth", scene.image, scene.radius, scene.edge_label)
    errors = {("flat", 0.2): 0.1, ("other", 0.2): 1.0, ("flat", 0.4): 0.3, ("other", 0.4): 0.9}
    monkeypatch.setattr(calibration, "_measure_error", lambda scene, *rest: errors[scene.name, rest[-1]])
    threshold, found = calibrate_depth_threshold(small_networks, [scene, other], thresholds=(0.2, 0.4))
    assert threshold == 0.2  # 0.1 · 1.0 < 0.3 · 0.9, though its arithmetic mean is larger
    assert found == {0.2: {"uniform": 0.1, "depth": 1.0}, 0.4: {"uniform": 0.3, "depth": 0.9}}


def test_a_threshold_that_leaves_no_pattern_edge_is_never_chosen(scene, small_networks):
    threshold, found = calibrate_depth_threshold(small_networks, [scene], thresholds=(1e-9, 1 - 1e-9))
    assert threshold == 1 - 1e-9
    assert found[1e-9]["uniform"] == float("inf")
    assert np.isfinite(found[threshold]["uniform"])
