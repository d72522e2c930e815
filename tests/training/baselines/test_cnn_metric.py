"""The learnt local metric: a principal component that ignores brightness, sharp before blurred, coarse before fine."""

import numpy as np
import pytest
from baseline_cases import blur_photograph, load_photograph, make_composite
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from defocus_edge.networks.weight_files import WeightsError
from training.baselines import cnn_metric, network_weights
from training.baselines.cnn_metric import (
    MetricConfig,
    find_metric,
    load_metrics,
    measure_cnn_metric,
    measure_sharpness,
    update_belief,
)
from training.baselines.pictures import convert_to_grey


def test_metric_is_the_first_principal_component(rng):
    kernels = rng.standard_normal((5, 5, 1, 16)) + 3
    rows = kernels.reshape(25, 16).T
    rows = rows - rows.mean(axis=1, keepdims=True)
    # Every kernel and its negative: the mean of all is 0, so that PCA keeps what the kernels share.
    expected = PCA(1).fit(np.concatenate([rows, -rows])).components_[0].reshape(5, 5)
    found = find_metric(kernels)
    assert abs((found * expected).sum()) == pytest.approx(np.linalg.norm(found))
    assert np.abs(found).sum() == pytest.approx(1)
    assert found.sum() == pytest.approx(0, abs=1e-12)


def test_metrics_of_the_package_respond_to_sharp_pictures_more():
    assert [metric.shape for metric in load_metrics()] == [(side, side) for side in MetricConfig().sides]
    picture, _ = make_composite(load_photograph("coffee"), load_photograph("coffee"), 3.0)
    sharpness = measure_sharpness(convert_to_grey(picture))
    assert sharpness[:, :70].mean() > 1.7 * sharpness[:, 90:].mean()
    brighter = measure_sharpness(convert_to_grey(picture * 0.5 + 0.5))
    assert np.corrcoef(sharpness.ravel(), brighter.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("sharp", "blurred"), [("chelsea", "astronaut"), ("coffee", "chelsea"), ("astronaut", "grass")]
)
def test_halves_are_told_apart(sharp, blurred):
    picture, mask = make_composite(load_photograph(sharp), load_photograph(blurred), 3.0)
    assert roc_auc_score(mask.ravel(), measure_cnn_metric(picture).ravel()) > 0.8


def test_belief_is_that_of_the_formula_and_the_coarse_one_counts():
    segments = np.repeat(np.arange(4), 25).reshape(10, 10)
    sharpness = np.exp(np.array([-2.0, -1.0, 1.0, 2.0]))[segments]
    first = update_belief(np.zeros((10, 10)), sharpness, segments)
    assert (np.diff(first[[0, 3, 6, 9], [0, 0, 9, 9]]) < 0).all()
    second = update_belief(first, sharpness, segments)
    np.testing.assert_allclose(np.arctanh(second) - np.arctanh(first), cnn_metric.GAIN * first)
    np.testing.assert_array_equal(update_belief(np.zeros((10, 10)), np.ones((10, 10)), segments), 0)


def test_a_wholly_blurred_picture_has_a_map():
    blur_map = measure_cnn_metric(blur_photograph(load_photograph("coffee"), 3.0))
    assert blur_map.min() == 0
    assert blur_map.max() == 1


def test_missing_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(network_weights, "WEIGHTS_FOLDER", tmp_path)
    load_metrics.cache_clear()
    try:
        with pytest.raises(WeightsError, match=r"cnn-metric needs whole weights in .*weights\.h5\. Got: "):
            load_metrics()
    finally:
        load_metrics.cache_clear()
