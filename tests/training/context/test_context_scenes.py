"""Random scenes of the context network: what is true of them, and what they depend on."""

import cv2
import numpy as np
import pytest

from defocus_edge.blur_levels import MIN_RADIUS
from tests.conftest import make_texture
from training.context import scenes
from training.context.scenes import LARGEST_RADII, draw_scene
from training.data.broad_scenes import FRAME, Pictures
from training.data.photographs import find_light
from training.data.sources import Cutout


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    disk = cv2.circle(np.zeros((300, 260), np.uint8), (130, 150), 90, 255, -1)
    cutout = Cutout(make_texture(rng, 300, 260), disk)
    depth = [(find_light(make_texture(rng, 240, 300)), np.tile(np.linspace(9, 90, 300, dtype=np.float32), (240, 1)))]
    sharp = [make_texture(rng, 520, 800, block=3)]
    return Pictures(sharp, [cutout], [cutout], [cutout], [cv2.resize(disk, (400, 300))], depth)


@pytest.mark.parametrize("number", range(12))
def test_a_scene_has_a_truth_for_each_pixel(pictures, number):
    scene = draw_scene(pictures, "s", np.random.default_rng(number))
    assert scene.image.shape == (*scene.radius.shape, 3)
    assert all(side <= most for side, most in zip(scene.radius.shape, FRAME, strict=True))
    assert scene.radius.min() >= MIN_RADIUS
    assert scene.radius.max() <= max(LARGEST_RADII) + 0.1
    assert np.ptp(scene.image) > 0


def test_a_scene_depends_on_its_seed_alone(pictures):
    first, again, other = (draw_scene(pictures, "s", np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


def test_all_kinds_occur(pictures):
    kinds = {draw_scene(pictures, "s", np.random.default_rng(seed)).family for seed in range(40)}
    assert kinds == set(scenes.KINDS)


def test_kinds_without_pictures_are_left_out(pictures):
    few = Pictures(pictures.sharp, pictures.persons, [], [], [], [])
    assert {draw_scene(few, "s", np.random.default_rng(seed)).family for seed in range(12)} <= {"layers", "wall"}


def test_an_object_that_stands_on_a_surface_has_its_radius_there(monkeypatch):
    monkeypatch.setattr(scenes, "IN_FOCUS", 0.0)
    monkeypatch.setattr(scenes, "STANDING", 1.0)
    matte = np.zeros((50, 40), np.float32)
    matte[10:31, 12:20] = 1
    behind = np.tile(np.arange(50, dtype=np.float32)[:, None] / 10, (1, 40))
    assert scenes._draw_radius(matte, behind, 6.0, np.random.default_rng(0)) == pytest.approx(3.0)
