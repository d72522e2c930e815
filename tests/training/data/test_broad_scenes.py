"""The broad development set: each family is what it says, and a scene depends on its number alone."""

import cv2
import numpy as np
import pytest

from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS, MIN_RADIUS
from tests.conftest import make_texture
from training.data import broad_scenes
from training.data.broad_scenes import (
    FAMILY_SCENES,
    FRAME,
    Pictures,
    list_broad_scenes,
    load_pictures,
    render_broad_scene,
)
from training.data.photographs import find_light
from training.data.sources import Cutout


@pytest.fixture(scope="module")
def held_back():
    rng = np.random.default_rng(0)
    sharp = [make_texture(rng, 300, 420, block=3), make_texture(rng, 520, 800, block=3)]
    disk = cv2.circle(np.zeros((300, 260), np.uint8), (130, 150), 90, 255, -1)
    cutouts = [Cutout(make_texture(rng, 300, 260, block=5), disk)]
    mattes = [Cutout(cutouts[0].picture, cv2.GaussianBlur(disk, (0, 0), 6))]
    disparity = np.repeat(np.linspace(10, 90, 120, dtype=np.float32)[:, None], 150, axis=1)
    depth = [(find_light(make_texture(rng, 120, 150)), disparity)]
    return Pictures(sharp, cutouts, cutouts, mattes, [cv2.resize(disk, (400, 300))], depth)


@pytest.mark.parametrize("family", FAMILY_SCENES)
def test_scenes_are_what_their_family_says(held_back, family):
    depths = []
    for number in range(3):
        scene = render_broad_scene(held_back, family, number)
        assert (scene.name, scene.family) == (f"{family}-{number:02}", family)
        assert scene.image.shape == (*scene.radius.shape, 3)
        assert all(96 <= side <= most for side, most in zip(scene.radius.shape, FRAME, strict=True))
        assert scene.radius.dtype == np.float32
        assert MIN_RADIUS <= scene.radius.min() <= scene.radius.max() <= MAX_RADIUS
        np.testing.assert_allclose(scene.image * 255, np.rint(scene.image * 255), atol=1e-3)
        depths.append((scene.edge_label == 1).any())
        values = len(np.unique(scene.radius))
        if family in ("uniform", "shading"):
            assert values == 1
        elif family in ("composite", "matte"):
            assert values == 2
        elif family in ("persons", "layered"):
            assert values <= 3
    assert any(depths) == (family in ("composite", "matte", "persons", "layered"))


def test_uniform_scenes_have_each_level_twice(held_back):
    radii = [render_broad_scene(held_back, "uniform", number).radius[0, 0] for number in (0, 5, 22, 23)]
    np.testing.assert_allclose(radii, BLUR_LEVELS[[0, 5, 22, 0]])
    assert FAMILY_SCENES["uniform"] == 2 * len(BLUR_LEVELS)
    assert sum(FAMILY_SCENES.values()) >= 240


def test_a_scene_depends_on_its_number_alone(held_back):
    first, other, again = (render_broad_scene(held_back, "persons", number) for number in (4, 5, 4))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.radius, again.radius)
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


def test_light_and_shadow_do_not_change_what_is_true(held_back):
    """A wall without texture: what is left are the pictures on it and the light."""
    scene = render_broad_scene(held_back, "shading", 1)
    smooth = np.abs(np.diff(cv2.GaussianBlur(scene.image.mean(axis=-1), (0, 0), 8), axis=1))
    assert smooth.max() > 2e-3
    assert np.ptp(scene.radius) == 0


def test_families_and_numbers_are_listed():
    assert len(list_broad_scenes()) == sum(FAMILY_SCENES.values())
    assert list_broad_scenes(["depth", "uniform"], 2) == [("uniform", 0), ("uniform", 1), ("depth", 0), ("depth", 1)]


def test_pictures_are_those_that_are_held_back(training_root, monkeypatch):
    monkeypatch.setattr(broad_scenes, "LEAST_SIDE", 100)
    held_back = load_pictures(training_root, development=True)
    assert len(held_back.persons) == len(held_back.shapes) == 1
    assert len(held_back.depth) == 2  # and skimage's motorcycle
    assert (held_back.salient, held_back.mattes) == ([], [])
