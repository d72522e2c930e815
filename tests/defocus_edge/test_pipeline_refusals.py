"""What the pipeline refuses: wrong options, pictures without edges, edges and pictures that are none."""

import numpy as np
import pytest

from defocus_edge.arrays import ImageWarning
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.networks.preset_files import PresetError
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.propagation.propagate import NoEdgesError
from tests.defocus_edge.conftest import copy_networks

HEIGHT, WIDTH = 64, 80  # size of `texture`


def test_unknown_preset_is_refused():
    with pytest.raises(PresetError, match=r"preset must be one of .*Got: 'no such preset'"):
        BlurEstimator("no such preset")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"read_out": "mean"}, r"read_out must be one of .*Got: 'mean'"),
        ({"propagation": "theirs"}, r"propagation must be 'paper' or .*Got: 'theirs'"),
        ({"depth_penalty": -1}, r"depth_penalty must be .*Got: -1"),
        ({"depth_penalty": np.nan}, r"depth_penalty must be .*Got: nan"),
        ({"tile_side": 0}, r"tile_side must be a positive number of pixels\. Got: 0"),
    ],
)
def test_option_out_of_range_is_refused(pattern_networks, options, message):
    with pytest.raises(ValueError, match=message):
        BlurEstimator(pattern_networks, **options)


def test_missing_authors_weights_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Not found: "):
        BlurEstimator.from_authors_weights(tmp_path)


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_flat_picture_has_no_edges(estimator, value):
    with pytest.raises(NoEdgesError, match=r"No edges found in the image of 40×50 px: nothing shows how blurred it is"):
        estimator.estimate(np.full((40, 50, 3), value, dtype=np.float32))


def test_empty_edge_map_has_no_edges(estimator, texture):
    with pytest.raises(NoEdgesError, match=r"No edges found in the image of 64×80 px"):
        estimator.estimate(texture, np.zeros((HEIGHT, WIDTH), dtype=bool))


def test_depth_edges_alone_give_a_map_of_low_confidence(small_networks, texture):
    estimator = BlurEstimator(copy_networks(small_networks, (0, 100)))
    with pytest.warns(ImageWarning, match=r"All \d+ edge points are depth edges"):
        estimate = estimator.estimate(texture)
    assert estimate.rests_on_depth_edges
    assert estimate.confidence.max() <= 0.1
    pattern = BlurEstimator(copy_networks(small_networks, (100, 0))).estimate(texture)
    assert not pattern.rests_on_depth_edges
    assert pattern.confidence.max() > 0.1
    np.testing.assert_allclose(estimate.radius, pattern.radius, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, int])
def test_edges_must_be_bool(estimator, texture, dtype):
    with pytest.raises(
        TypeError, match=r"edges must be a bool array, True at edges\. Got: .*pass for example edges > 0"
    ):
        estimator.estimate(texture, np.ones((HEIGHT, WIDTH), dtype=dtype))


@pytest.mark.parametrize("shape", [(WIDTH, HEIGHT), (HEIGHT, WIDTH, 1), (HEIGHT - 1, WIDTH)])
def test_edges_must_fit_the_image(estimator, texture, shape):
    with pytest.raises(ValueError, match=r"edges must have the shape of the image, \(64, 80\)\. Got: "):
        estimator.estimate(texture, np.ones(shape, dtype=bool))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 255.0])
def test_impossible_values_are_refused(estimator, value):
    image = np.full((40, 40, 3), 0.5)
    image[3, 4, 1] = value
    with pytest.raises(ValueError, match=r"image must .*Got: "):
        estimator.estimate(image)


@pytest.mark.parametrize("dtype", [np.int64, bool, complex])
def test_impossible_types_are_refused(estimator, dtype):
    with pytest.raises(TypeError, match=r"image must .*Got: "):
        estimator.estimate(np.ones((40, 40, 3), dtype=dtype))


@pytest.mark.parametrize("shape", [(40,), (40, 40, 5), (19, 40, 3), (40, 19), (0, 40, 3)])
def test_impossible_shapes_are_refused(estimator, shape):
    with pytest.raises(ValueError, match=r"image must .*Got: "):
        estimator.estimate(np.zeros(shape))


def test_missing_file_is_refused(estimator, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        estimator.estimate(tmp_path / "none.png")


def test_damaged_file_is_refused(estimator, tmp_path):
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(ImageReadError, match=r"text\.png"):
        estimator.estimate(tmp_path / "text.png")
