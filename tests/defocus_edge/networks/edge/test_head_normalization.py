"""Networks with normalized heads: contrast and a constant offset change nothing, dense equals patches, ONNX too."""

import keras
import numpy as np
import onnxruntime
import pytest

from defocus_edge.blur_levels import read_radius
from defocus_edge.networks.edge.architecture import FIRST_CONVS, EdgeNetworksConfig
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.head_normalization import HeadNormalization, normalize_head
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.networks.onnx.export import export_onnx
from defocus_edge.networks.presets import load_edge_networks, save_edge_preset
from tests.defocus_edge.networks.edge.patch_oracle import PatchEvaluator, pad_border

CONFIG = EdgeNetworksConfig(filters=6, dense_units=(8, 6), head_normalization=True)


@pytest.fixture(scope="module")
def networks():
    keras.utils.set_random_seed(5)
    networks = build_edge_networks(CONFIG)
    for name in FIRST_CONVS:
        kernel = networks.joint.get_layer(name).kernel
        kernel.assign(kernel - keras.ops.mean(kernel, axis=(0, 1), keepdims=True))
    return networks


@pytest.fixture
def picture(rng):
    return rng.random((47, 60, 3), dtype=np.float32), rng.integers(0, 47, (30, 2))


def assert_same(prediction, other, tolerance):
    np.testing.assert_allclose(prediction.blur, other.blur, rtol=0, atol=tolerance)
    np.testing.assert_allclose(prediction.edge, other.edge, rtol=0, atol=tolerance)


@pytest.mark.parametrize("factor", [2, 4, 16])
@pytest.mark.parametrize("offset", [-0.3, 0.0, 0.4])
def test_contrast_and_offset_change_no_radius(networks, picture, factor, offset):
    image, points = picture
    evaluator = DenseEvaluator(KerasEngine(networks))
    prediction = evaluator.predict(image, points)
    changed = evaluator.predict((image - 0.5) / factor + 0.5 + offset, points)
    assert_same(changed, prediction, 1e-3)
    radius, other = (read_radius(each.blur, read_out="expectation") for each in (prediction, changed))
    np.testing.assert_allclose(other, radius, rtol=0.02)


def test_without_it_contrast_changes_the_output(picture):
    keras.utils.set_random_seed(5)
    image, points = picture
    evaluator = DenseEvaluator(KerasEngine(build_edge_networks(EdgeNetworksConfig(filters=6, dense_units=(8, 6)))))
    difference = evaluator.predict(image, points).blur - evaluator.predict(image / 16, points).blur
    assert np.abs(difference).max() > 1e-3


def test_dense_equals_patches(networks, picture):
    image, points = picture
    expected = PatchEvaluator(networks).predict(image, points)
    assert np.ptp(expected.blur, axis=0).max() > 0.01
    assert_same(DenseEvaluator(KerasEngine(networks), tile_side=32).predict(image, points), expected, 1e-4)


def test_rows_have_mean_square_one_and_zeros_stay(rng):
    values = rng.random((3, 7)).astype(np.float32) * np.array([[1e-3], [1], [0]], np.float32)
    normalized = keras.ops.convert_to_numpy(normalize_head(values))
    np.testing.assert_allclose((normalized**2).mean(axis=1), [1, 1, 0], rtol=1e-5)


def test_layer_has_no_weights_and_keeps_the_shape(networks):
    layers = [layer for layer in networks.joint.layers if isinstance(layer, HeadNormalization)]
    assert sorted(layer.name for layer in layers) == ["blur_head_normalization", "edge_head_normalization"]
    assert not any(layer.weights for layer in layers)
    assert layers[0].compute_output_shape((None, 6)) == (None, 6)


def test_preset_keeps_it(networks, tmp_path):
    save_edge_preset(networks, tmp_path, {"name": "test"})
    assert load_edge_networks(tmp_path).config == CONFIG


@pytest.mark.parametrize("patches", [False, True])
def test_onnx_gives_the_same(networks, picture, tmp_path, patches):
    image, points = picture
    save_edge_preset(networks, tmp_path, {"name": "test"})
    export_onnx(tmp_path, tmp_path / "networks.onnx", patches=patches)
    session = onnxruntime.InferenceSession(tmp_path / "networks.onnx", providers=["CPUExecutionProvider"])
    padded = pad_border(image)
    inputs = (
        {"patches": np.stack([padded[row : row + 41, col : col + 41] for row, col in points])}
        if patches
        else {"image": padded[None], "points": np.insert(points, 0, 0, axis=1).astype(np.int32)}
    )
    blur, edge = session.run(["blur", "edge"], inputs)
    expected = PatchEvaluator(networks).predict(image, points)
    np.testing.assert_allclose(blur, expected.blur, rtol=0, atol=1e-5)
    np.testing.assert_allclose(edge, expected.edge, rtol=0, atol=1e-5)
