"""Slices of a picture with depth: as layers where those are known, and no ring around what is in focus."""

import numpy as np
import pytest

from synth.scenes import Layer, blur_with_disk, render_depth, render_layers
from training.depth_scenes import render_slices

SIDE = 60


@pytest.fixture
def light(rng):
    return rng.random((SIDE, SIDE, 3), dtype=np.float32)


def make_depth(**radii):
    """Background -8, a strip at the left `strip`, a square in the middle `square`."""
    signed = np.full((SIDE, SIDE), -8.0, dtype=np.float32)
    signed[:, :6] = radii.get("strip", -8.0)
    signed[22:38, 22:38] = radii.get("square", -8.0)
    return signed


@pytest.mark.parametrize("radius", [-6.0, 0.0, 3.0])
def test_one_depth_is_uniform_blur(light, radius):
    scene = render_slices(light, np.full((SIDE, SIDE), radius, dtype=np.float32))
    np.testing.assert_allclose(scene.light, blur_with_disk(light, abs(radius)), atol=1e-5)
    assert (scene.radius == abs(radius)).all()
    assert not scene.depth_edges.any()


def test_near_object_over_a_plain_background_is_two_layers(light):
    light[...] = 0.2
    light[22:38, 22:38] = 0.9
    matte = np.zeros((SIDE, SIDE), dtype=np.float32)
    matte[22:38, 22:38] = 1
    behind = np.full_like(light, 0.2)
    for square in (0.0, 4.0):
        expected = render_layers([Layer(behind, np.ones_like(matte), 8.0), Layer(light, matte, square)])
        scene = render_slices(light, make_depth(square=square))
        np.testing.assert_allclose(scene.light, expected.light, atol=1e-5)
        np.testing.assert_array_equal(scene.radius, expected.radius)


def test_what_lies_elsewhere_leaves_no_ring(light):
    """A strip of middle depth far from the square does not spill out from under it, as in `render_depth`."""
    light[...] = 0.0
    light[:, :6] = 1.0
    light[22:38, 22:38] = 0.0
    signed = make_depth(strip=-4.0, square=0.0)
    around = np.s_[16:44, 18:42]  # 12 px or more from the strip: its light does not reach there
    assert render_depth(light, signed).light[around].max() > 0.1
    assert render_slices(light, signed).light[around].max() < 1e-5


def test_constant_light_stays_constant():
    light = np.full((SIDE, SIDE, 3), 0.4, dtype=np.float32)
    signed = np.rint(np.random.default_rng(0).uniform(-6, 6, (6, 6))).repeat(10, axis=0).repeat(10, axis=1)
    scene = render_slices(light, signed.astype(np.float32))
    np.testing.assert_allclose(scene.light, 0.4, atol=1e-4)
    np.testing.assert_array_equal(scene.radius, np.abs(signed))
