"""DHDE on edges of known blur, its filter against one point at a time, and its constants."""

import numpy as np
import pytest
from baseline_cases import make_colour, make_step

from defocus_edge.blur_levels import radius_to_sigma
from defocus_edge.networks.weight_files import WeightsError
from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines import dhde, network_weights
from training.baselines.dhde import (
    STRONG_THRESHOLDS,
    WEAK_THRESHOLDS,
    classify_points,
    filter_by_probability,
    find_edge_points,
)
from training.baselines.dhde_features import STRONG, WEAK


def test_constants():
    assert WEAK_THRESHOLDS == (0.117, 0.176)
    assert STRONG_THRESHOLDS == (0.234, 0.351)
    assert round(dhde.EDGE_SIGMA**2, 6) == 2
    assert (dhde.FILTER_SIDE, dhde.FILTER_SPACE, dhde.FILTER_PROBABILITY) == (27, 100, 1)
    assert (dhde.MATTING_FIDELITY, dhde.MATTING_EPSILON) == (0.005, 1e-5)
    assert (dhde.MEDIAN_RADIUS, dhde.MEDIAN_COLOUR, dhde.MEDIAN_ROUNDS) == (5, 0.25, 3)


# The medians are measured.
@pytest.mark.parametrize(("scale", "median"), [(WEAK, 0.75), (STRONG, 0.875)])
def test_classifier_tells_the_blur_of_steps(scale, median):
    errors = []
    for radius in (0.5, 1.0, 1.5, 2.0, 3.0, 4.0):
        for offset in (0.0, 0.3, 0.7):
            for low, high in ((0.2, 0.8), (0.4, 0.7)):
                step = make_step(float(radius_to_sigma(radius)), offset=offset, low=low, high=high)
                points = np.array([[24, 48]])
                found, _ = classify_points(make_colour(step), points, np.array([scale]))
                errors.append(abs(found[0] - radius))
    assert np.median(errors) <= median, errors


def test_edges_of_faint_contrast_are_weak_and_fainter_ones_none():
    contrasts = {0.6: STRONG, 0.12: WEAK, 0.05: None}
    strips = [make_step(1.0, low=0.2, high=0.2 + contrast) for contrast in contrasts]
    points, scale = find_edge_points(np.concatenate(strips, axis=0))
    for number, expected in enumerate(contrasts.values()):
        inside = (points[:, 0] > 48 * number + 8) & (points[:, 0] < 48 * number + 40)
        assert set(scale[inside]) == (set() if expected is None else {expected})


def test_no_edges():
    with pytest.raises(NoEdgesError, match="Got: none"):
        find_edge_points(np.full((40, 40), 0.5, dtype=np.float32))


def test_filter_is_that_of_its_definition(rng):
    points = np.argwhere(rng.random((50, 60)) < 0.05)
    radius, probability = rng.uniform(0.5, 6, len(points)), rng.uniform(0.1, 1, len(points))
    expected = []
    for point in points:
        apart = np.abs(points - point)
        seen = (apart <= 13).all(axis=1)
        weight = np.exp(-(apart[seen] ** 2).sum(axis=1) / (2 * 100**2) - (1 - probability[seen]) ** 2 / 2)
        expected.append((weight * radius[seen]).sum() / weight.sum())
    filtered = filter_by_probability(points, radius.astype(np.float32), probability.astype(np.float32), (50, 60))
    np.testing.assert_allclose(filtered, expected, rtol=1e-5)


def test_missing_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(network_weights, "WEIGHTS_FOLDER", tmp_path)
    dhde.load_classifier.cache_clear()
    try:
        with pytest.raises(WeightsError, match=r"dhde needs whole weights in .*dhde\.weights\.h5\. Got: "):
            dhde.load_classifier()
    finally:
        dhde.load_classifier.cache_clear()
