"""Methods by name: presets, baselines, true radii."""

import numpy as np
import pytest

from defocus_edge.arrays import as_image
from defocus_edge.estimation.result import BlurEstimate
from defocus_edge.networks.preset_files import PresetError
from defocus_edge.pipeline import BlurEstimator
from training.baselines import BASELINES
from training.data.development import DevelopmentScene
from training.evaluation.map_methods import load_map_methods


@pytest.fixture
def scene(texture):
    image = as_image(texture)
    label = np.zeros(image.shape[:2], dtype=np.int8)
    return DevelopmentScene("one", "uniform", image, np.full(image.shape[:2], 2.0, dtype=np.float32), label)


def test_methods_have_the_order_and_units_of_their_words(small_preset):
    methods = load_map_methods(["hifst", str(small_preset), "true", "karaali-jung"])
    assert [(method.name, method.unit) for method in methods] == [
        ("hifst", "score"),
        ("small", "px"),
        ("true", "px"),
        ("karaali-jung", "px"),
    ]


def test_maps_are_those_of_what_is_named(scene, small_preset):
    own, true, baseline = load_map_methods([str(small_preset), "true", "karaali-jung"])
    estimate = own.measure(scene)
    assert isinstance(estimate, BlurEstimate)
    np.testing.assert_array_equal(estimate.radius, BlurEstimator(small_preset).estimate(scene.image).radius)
    np.testing.assert_allclose(np.asarray(true.measure(scene)), 2, rtol=1e-6)
    np.testing.assert_array_equal(baseline.measure(scene), BASELINES["karaali-jung"].measure(scene.image))


def test_unknown_word_is_refused():
    with pytest.raises(PresetError, match="preset must be one of"):
        load_map_methods(["magic"])


@pytest.mark.parametrize(("words", "got"), [([], "none"), (["lbp", "lbp"], "lbp, lbp")])
def test_no_method_or_one_twice_is_refused(words, got):
    with pytest.raises(ValueError, match=rf"methods must be at least one, each once\. Got: {got}"):
        load_map_methods(words)


def test_missing_weights_of_the_authors_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_map_methods(["lbp"], authors=tmp_path)
