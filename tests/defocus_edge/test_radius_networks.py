"""Radii straight from a network: in px, behind the calls of estimator, detector and tables, and as ONNX."""

import json

import numpy as np
import onnxruntime
import pytest

from defocus_edge import BlurDetector, PresetError, RadiusEstimator, export_onnx
from defocus_edge.masks import compare_radius
from defocus_edge.networks.presets import SegmentationPreset, load_segmentation_preset, save_segmentation_preset
from defocus_edge.networks.segmentation.blocks import NormalizedConfig
from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
from defocus_edge.networks.segmentation.registry import build_segmentation_network
from training.evaluation.map_methods import load_map_methods
from training.evaluation.mask_methods import wrap_detector


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    config = NormalizedConfig(width=0.05)
    network = build_segmentation_network("dmenet", config)
    folder = tmp_path_factory.mktemp("presets") / "mine"
    return save_segmentation_preset(SegmentationPreset("dmenet", config, network), folder, {})


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).random((40, 56, 3), dtype=np.float32)


def test_the_radius_is_a_share_of_the_largest(preset, picture):
    radius = RadiusEstimator(preset).estimate(picture)
    assert radius.shape == (40, 56)
    assert radius.dtype == np.float32
    model = load_segmentation_preset(preset).model
    padded = np.pad(picture, ((0, 8), (0, 8), (0, 0)), mode="reflect")[None]
    expected = LARGEST_RADIUS / (1 + np.exp(-np.asarray(model(padded))[0, :40, :56, -1]))
    np.testing.assert_allclose(radius, expected, atol=1e-4)


def test_a_detector_compares_the_radius_with_the_threshold_of_maps(preset, picture):
    detector = BlurDetector(preset=preset)
    assert detector.method == "dmenet"
    expected = compare_radius(RadiusEstimator(preset).estimate(picture))
    np.testing.assert_array_equal(detector.detect(picture).probability, expected)
    assert wrap_detector(detector).threshold == 0.5
    with pytest.raises(ValueError, match=r"threshold does not go with method 'dmenet'\. Got: threshold=0\.4"):
        BlurDetector(preset=preset, threshold=0.4)


def test_tables_of_maps_take_its_folder(preset, picture):
    class Scene:
        image = picture

    (method,) = load_map_methods([str(preset)])
    assert (method.name, method.unit) == ("mine", "px")
    np.testing.assert_array_equal(method.measure(Scene), RadiusEstimator(preset).estimate(picture))


def test_onnx_gives_px(preset, picture, tmp_path):
    export_onnx(preset, tmp_path / "mine.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "mine.onnx")
    (output,) = session.get_outputs()
    assert output.name == "radius"
    (radius,) = session.run(None, {"image": picture[None, :32, :48]})
    np.testing.assert_allclose(radius[0], RadiusEstimator(preset).estimate(picture[:32, :48]), atol=1e-3)
    assert "threshold" not in session.get_modelmeta().custom_metadata_map


def test_a_network_that_answers_with_a_mask_is_refused():
    with pytest.raises(PresetError, match=r"preset must hold a network that answers with a radius\. Got: msdu, a mask"):
        RadiusEstimator("msdu-v1")


def test_a_radius_has_no_threshold_in_its_file(preset, tmp_path):
    for name in ("model.weights.h5", "metadata.json"):
        (tmp_path / name).write_bytes((preset / name).read_bytes())
    values = json.loads((preset / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(values | {"threshold": 0.5}), encoding="utf-8")
    with pytest.raises(PresetError, match=r"does not describe dmenet: .*threshold"):
        RadiusEstimator(tmp_path)
