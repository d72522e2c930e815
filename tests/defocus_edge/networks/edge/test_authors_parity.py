"""With the weights the authors published: their softmax at all edge points, and the map they published."""

import cv2
import numpy as np
import pytest

from defocus_edge.files.images import read_image
from defocus_edge.networks.edge.authors_weights import import_authors_weights
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.onnx.runtime import OnnxEngine
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.propagation.settings import PropagationSettings
from tests.defocus_edge.networks.edge.patch_oracle import PatchEvaluator

LARGEST_RADIUS = 6.0  # their grey level 255
# Largest difference of a probability; float32 rounds by some 1e-6 of it in each of 20 layers.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def reference(shared_reference):
    """Picture, edge points and the softmax of the authors' networks at them."""
    with np.load(shared_reference / "expected_01.npz") as arrays:
        expected = dict(arrays)
    points = np.stack([expected["rows"], expected["cols"]], axis=1)
    return read_image(shared_reference / "image_01.png"), points, expected["blur_softmax"], expected["edge_softmax"]


@pytest.mark.parametrize(
    ("build", "step"),
    [
        (lambda networks: DenseEvaluator(KerasEngine(networks)), 1),
        (lambda networks: DenseEvaluator(OnnxEngine(networks.weights)), 1),
        (PatchEvaluator, 10),
    ],
    ids=["keras", "onnxruntime", "patches"],
)
def test_softmax_of_the_authors_is_reproduced(build, step, reference, shared_reference):
    """Patch by patch every tenth point is enough: a patch does not know of the others."""
    image, points, blur, edge = reference
    assert len(points) == 21_406
    points, blur, edge = points[::step], blur[::step], edge[::step]
    prediction = build(import_authors_weights(shared_reference / "weights")).predict(image, points)
    for found, expected in ((prediction.blur, blur), (prediction.edge, edge)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
        second, first = np.sort(expected, axis=1)[:, -2:].T
        is_clear = first - second > 2 * TOLERANCE  # a tie may fall either way: processors round differently
        assert is_clear.mean() > 0.999
        np.testing.assert_array_equal(found.argmax(axis=1)[is_clear], expected.argmax(axis=1)[is_clear])


def test_map_of_the_authors_is_reproduced(reference, shared_reference):
    edges = cv2.imread(str(shared_reference / "edges_01.png"), cv2.IMREAD_GRAYSCALE) > 0
    published = cv2.imread(str(shared_reference / "blur_map_01_authors.png"), cv2.IMREAD_GRAYSCALE)
    estimator = BlurEstimator.from_authors_weights(shared_reference / "weights")
    assert estimator.settings.read_out == "argmax"
    assert estimator.settings.propagation == PropagationSettings.authors_code()
    estimate = estimator.estimate(shared_reference / "image_01.png", edges=edges)
    np.testing.assert_array_equal(estimate.points, reference[1][np.lexsort(reference[1].T[::-1])])
    grey = (estimate.radius / LARGEST_RADIUS * 255).astype(np.uint8)  # they truncate to 8 bits
    difference = np.abs(grey.astype(int) - published)
    assert (difference <= 1).mean() >= 0.995
    assert difference.max() <= 2


def test_options_replace_the_settings_of_the_authors(shared_reference):
    settings = BlurEstimator.from_authors_weights(
        shared_reference / "weights", read_out="expectation", depth_penalty=100
    ).settings
    assert settings.read_out == "expectation"
    assert settings.propagation.depth_penalty == 100
