"""detect_blur: all methods behind one call."""

import json

import numpy as np
import pytest
import skimage.data

from defocus_edge import BlurDetector, BlurMask, detect_blur
from defocus_edge.arrays import as_image
from defocus_edge.choices import MAP_METHOD, METHOD_PRESETS, METHODS
from defocus_edge.networks.preset_files import CONFIG_FILE, PRESETS_FOLDER, PresetError, list_presets, read_metadata
from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.psf import blur_with_disk, decode_srgb, encode_srgb

NETWORKS = METHODS[1:]


@pytest.fixture(scope="module")
def detectors(segmentation_presets, small_preset):
    """One detector of each method."""
    loaded = {name: BlurDetector(name, preset=segmentation_presets / name) for name in NETWORKS}
    return {"threshold": BlurDetector("threshold", preset=small_preset), **loaded}


@pytest.fixture(scope="module")
def estimator(small_preset):
    return BlurEstimator(small_preset)


def test_methods_are_the_map_and_the_networks_that_have_a_preset():
    assert (MAP_METHOD, *(name for name in METHODS if name in SEGMENTATION_NETWORKS)) == METHODS
    assert set(METHOD_PRESETS) == set(METHODS)
    assert set(METHODS[1:]) == {name for name in SEGMENTATION_NETWORKS if list_presets(name)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(64, 64), (61, 77)])
def test_a_mask_has_the_size_of_the_picture(detectors, texture, method, size):
    image = texture[: size[0], : size[1]]
    found = detectors[method].detect(image)
    assert isinstance(found, BlurMask)
    assert found.probability.shape == found.mask.shape == image.shape[:2]
    assert found.probability.dtype == np.float32
    assert found.mask.dtype == bool
    assert 0 <= found.probability.min() <= found.probability.max() <= 1
    np.testing.assert_array_equal(found.mask, found.probability > found.threshold)
    np.testing.assert_array_equal(np.asarray(found), found.mask)
    assert found.method == method


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("image", "error", "complaint"),
    [
        (np.zeros((64, 64, 5), dtype=np.uint8), ValueError, "shape"),
        (np.full((64, 64), np.nan), ValueError, "finite|NaN"),
        (np.zeros((64, 64), dtype=complex), TypeError, "complex"),
        (np.zeros((10, 64, 3)), ValueError, "20"),
        ("nowhere.png", FileNotFoundError, "nowhere"),
    ],
)
def test_what_is_no_picture_is_refused_by_all(detectors, method, image, error, complaint):
    with pytest.raises(error, match=complaint):
        detectors[method].detect(image)


@pytest.mark.parametrize("method", METHODS)
def test_the_picture_is_not_changed_and_the_result_is_the_same_twice(detectors, texture, method):
    before = texture.copy()
    first, second = (detectors[method].detect(texture).probability for _ in range(2))
    np.testing.assert_array_equal(texture, before)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("options", [{}, {"alpha": 0.6}, {"radius": 2.0}, {"radius": 0.0}], ids=str)
def test_threshold_is_the_mask_of_the_estimate(small_preset, estimator, texture, options):
    """Wherever rounding puts the probability."""
    estimate = estimator.estimate(texture)
    found = detect_blur(texture, preset=small_preset, **options)
    np.testing.assert_array_equal(found.mask, estimate.mask(**options))
    order = np.argsort(estimate.radius, axis=None)
    assert (np.diff(found.probability.ravel()[order]) >= 0).all()  # grows with the radius


def test_a_picture_without_edges_has_no_map_but_networks_answer(detectors):
    grey = np.full((64, 64, 3), 0.5)
    with pytest.raises(NoEdgesError, match="No edges"):
        detectors["threshold"].detect(grey)
    for name in NETWORKS:
        assert np.isfinite(detectors[name].detect(grey).probability).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_threshold_is_the_presets_unless_given(detectors, segmentation_presets, name):
    assert detectors[name].threshold == 0.4
    assert BlurDetector(name, preset=segmentation_presets / name, threshold=0.7).threshold == 0.7


@pytest.mark.parametrize("name", NETWORKS)
def test_large_pictures_are_seen_in_tiles(segmentation_presets, texture, name):
    seen = []
    detector = BlurDetector(name, preset=segmentation_presets / name, largest_side=64, overlap=16)
    wide = np.tile(texture, (1, 2, 1))[:64, :150]
    found = detector.detect(wide, progress=lambda done, count: seen.append((done, count)))
    assert seen[-1][0] == seen[-1][1] > 1
    assert found.mask.shape == (64, 150)


@pytest.mark.parametrize(
    ("method", "options", "complaint"),
    [
        ("magic", {}, r"method must be one of \('threshold', .*\)\. Got: 'magic'\."),
        (
            "btbnet",
            {},
            r"preset must be a folder that holds a trained btbnet: .*\. Got: None\.",
        ),
        ("threshold", {"threshold": 0.5}, r"threshold does not go with method 'threshold'\. Got: threshold=0\.5\."),
        ("threshold", {"alpha": 2.0}, r"alpha must be between 0 and 1\. Got: 2\.0\."),
        ("threshold", {"alpha": 0.2, "radius": 1.0}, "Give alpha or radius, not both"),
        ("msdu", {"alpha": 0.5}, r"alpha does not go with method 'msdu'\. Got: alpha=0\.5\."),
        ("defusion", {"read_out": "argmax"}, "read_out does not go with method 'defusion'"),
        ("maganet", {"threshold": 1.0}, r"threshold must be between 0 and 1\. Got: 1\.0\."),
    ],
)
def test_options_that_do_not_fit_are_refused(segmentation_presets, small_preset, method, options, complaint):
    preset = {"threshold": small_preset, "btbnet": None}.get(method, segmentation_presets / method)
    with pytest.raises(ValueError, match=complaint):
        BlurDetector(method, preset=preset, **options)


def test_presets_of_other_methods_are_refused(segmentation_presets, small_preset):
    with pytest.raises(PresetError, match=r"config\.json must be of msdu\. Got: 'defusion'\."):
        BlurDetector("msdu", preset=segmentation_presets / "defusion")
    with pytest.raises(PresetError, match=r"config\.json must be of msdu\. Got: 'edge'\."):
        BlurDetector("msdu", preset=small_preset)
    with pytest.raises(PresetError, match=r"config\.json must be of a network 'edge'"):
        BlurDetector("threshold", preset=segmentation_presets / "msdu")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_preset_says_which_network_it_is_of(segmentation_presets, name):
    config = json.loads((segmentation_presets / name / CONFIG_FILE).read_text(encoding="utf-8"))
    assert (config["network"], config["threshold"], config["width"]) == (name, 0.4, 1 / 16)


@pytest.mark.parametrize("method", NETWORKS)
def test_presets_of_the_package_find_blur(method):
    """A sharp photograph whose one half is blurred; each preset is at most 8 MB."""
    folder = PRESETS_FOLDER / METHOD_PRESETS[method]
    assert sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".jpg") <= 8e6
    assert read_metadata(folder)["development_set"]["max-of-mean Fβ"] >= 0.92
    light = decode_srgb(as_image(skimage.data.camera()[100:356, 60:380]))
    light[:, 160:] = blur_with_disk(light, 4.0)[:, 160:]
    found = detect_blur(encode_srgb(light), method=method)
    truth = np.zeros(found.mask.shape, dtype=bool)
    truth[:, 160:] = True
    assert (found.mask == truth).mean() > 0.85
