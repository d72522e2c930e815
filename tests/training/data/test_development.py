"""The development set is the same each time, and its truth fits its pictures."""

import numpy as np
import pytest
from scipy import ndimage

from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS, MIN_RADIUS
from training.data.development import (
    COMPOSITE_SCENES,
    DEPTH_FOCI,
    MOTORCYCLE_FOCI,
    UNIFORM_SCENES,
    load_motorcycle,
    render_development_set,
)


@pytest.fixture(scope="module")
def scenes(training_root):
    return list(render_development_set(training_root))


def test_families_and_their_sizes(scenes):
    counts = {}
    for scene in scenes:
        counts[scene.family] = counts.get(scene.family, 0) + 1
    assert counts == {
        "uniform": UNIFORM_SCENES,
        "composite": COMPOSITE_SCENES,
        "depth": len(DEPTH_FOCI),  # of one picture: each scene's other views stay out of both sides
        "motorcycle": len(MOTORCYCLE_FOCI),
    }
    assert len({scene.name for scene in scenes}) > UNIFORM_SCENES  # names tell scenes of a family apart


def test_truth_has_the_shape_of_the_picture_and_lies_within_the_levels(scenes):
    for scene in scenes:
        assert scene.image.shape == (*scene.radius.shape, 3)
        assert scene.edge_label.shape == scene.radius.shape
        assert scene.image.dtype == scene.radius.dtype == np.float32
        assert scene.image.min() >= 0
        assert scene.image.max() <= 1
        assert scene.radius.min() >= MIN_RADIUS
        assert scene.radius.max() <= MAX_RADIUS


def test_uniform_scenes_show_each_level_once_and_no_depth_edge(scenes):
    uniform = [scene for scene in scenes if scene.family == "uniform"]
    assert sorted(float(scene.radius[0, 0]) for scene in uniform) == BLUR_LEVELS.tolist()
    assert all(np.ptp(scene.radius) == 0 and not scene.edge_label.any() for scene in uniform)


def test_composites_have_one_layer_in_focus_either_side(scenes):
    composites = [scene for scene in scenes if scene.family == "composite"]
    assert all(scene.radius.min() == MIN_RADIUS for scene in composites)
    in_focus_at_corner = [scene.radius[0, 0] == MIN_RADIUS for scene in composites]
    assert in_focus_at_corner.count(True) == in_focus_at_corner.count(False) == COMPOSITE_SCENES // 2


def test_scene_in_focus_is_the_picture_where_nothing_is_blurred(scenes):
    for scene in scenes:
        assert scene.sharp.shape == scene.image.shape
        assert scene.sharp.dtype == np.float32
        assert scene.sharp.min() >= 0
        assert scene.sharp.max() <= 1
        # A disk of 6 px, mirrored borders included, does not reach further.
        sharp = ndimage.maximum_filter(scene.radius, 15) <= MIN_RADIUS
        np.testing.assert_allclose(scene.image[sharp], scene.sharp[sharp], atol=0.51 / 255)


def test_blurred_uniform_scenes_have_less_contrast_than_in_focus(scenes):
    blurred = [scene for scene in scenes if scene.family == "uniform" and scene.radius.max() > 1]
    assert all(scene.image.std() < scene.sharp.std() for scene in blurred)


def test_same_set_each_time(training_root, scenes):
    again = list(render_development_set(training_root))
    assert all((one.image == other.image).all() for one, other in zip(scenes, again, strict=True))


def test_motorcycle_disparity_is_whole():
    picture, disparity = load_motorcycle()
    assert picture.shape[:2] == disparity.shape
    assert np.isfinite(disparity).all()
    assert disparity.min() > 0
