"""Scenes whose depth is known: one lens gives the radii of a picture from its disparity, whichever way it is turned."""

import dataclasses

import numpy as np
import pytest

from defocus_edge.blur_levels import RADIUS_STEP
from synth.scenes import render_uniform
from tests.conftest import make_texture, write_png
from training.data.mask_datasets import list_pairs
from training.data.sources import load_sources
from training.masks.choices import UNLABELLED
from training.masks.lenses import LensScene, add_disparity, add_sharp, measure_depth, turn_scene
from training.masks.parts import PartCutter, compose_depth, compose_plane
from training.masks.samplers import DepthSampler, MixedSampler
from training.masks.scenes import DEPTH_FAMILIES, FAMILIES, MaskSceneSampler

SIDE = 64
#: Radii are rounded to steps.
ROUNDING = RADIUS_STEP / 2 + 1e-3


@pytest.fixture(scope="module")
def sources(training_root):
    return load_sources(training_root, development=False)


def make_light():
    return (make_texture(np.random.default_rng(0), SIDE, SIDE) / np.float32(255)).astype(np.float32)


def make_plane(angle, *, focus=0.3, radius=None):
    """A plane without a picture, whose disparity grows along a direction."""
    rows, cols = np.indices((SIDE, SIDE), dtype=np.float32)
    along = np.cos(angle) * cols + np.sin(angle) * rows
    disparity = (along - along.min()) / np.ptp(along)
    light = make_light()
    scene = add_sharp(render_uniform(light, 0.0), light)
    scene = dataclasses.replace(scene, radius=np.abs(disparity - focus) if radius is None else radius)
    return add_disparity(scene, disparity, focus=focus, sided=False)


def check_lens(signed, disparity):
    """The straight line through signed radii and disparity leaves what rounding does; nearer is in front."""
    known = disparity >= 0
    slope, level = np.polyfit(disparity[known].astype(np.float64), signed[known].astype(np.float64), 1)
    assert slope > 0
    radius = np.abs(level + slope * disparity)
    np.testing.assert_allclose(np.abs(signed)[known], radius[known], atol=2 * ROUNDING)
    return slope, level


@pytest.mark.parametrize("family", ["gradual", "depth"])
def test_drawn_radii_and_disparity_obey_a_lens(sources, family):
    sampler = MaskSceneSampler(sources, side=SIDE, families={family: 1.0})
    _, radii, disparity = sampler.draw_depths(24, np.random.default_rng(0))
    lenses = []
    for signed, one in zip(radii, disparity, strict=True):
        known = one >= 0
        assert one.max() <= 1
        np.testing.assert_array_equal(one[~known], UNLABELLED)
        assert (signed[~known] >= 0).all()
        if known.any():
            lenses.append(check_lens(signed, one))
    assert len(lenses) >= 6
    assert len({round(slope, 2) for slope, _ in lenses}) > 3
    assert any(level < 0 < level + slope for slope, level in lenses)  # a focus within the scene


def test_other_scenes_have_no_disparity(sources):
    for family in ("shape", "person", "uniform", "backdrop"):
        sampler = MaskSceneSampler(sources, side=SIDE, families={family: 1.0})
        _, radii, disparity = sampler.draw_depths(2, np.random.default_rng(0))
        np.testing.assert_array_equal(disparity, UNLABELLED)
        assert radii.min() >= 0


def test_slopes_have_no_disparity_and_planes_have(sources):
    _, _, disparity = MaskSceneSampler(sources, side=SIDE, families={"gradual": 1.0}).draw_depths(
        24, np.random.default_rng(0)
    )
    known = (disparity >= 0).mean(axis=(1, 2))
    assert set(known) == {0, 1}
    assert 6 <= known.sum() <= 18


def test_pictures_and_radii_are_those_without_depth(sources):
    sampler = MaskSceneSampler(sources, side=SIDE)
    images, radii, disparity = sampler.draw_depths(12, np.random.default_rng(3))
    again, plain = sampler.draw_radii(12, np.random.default_rng(3))
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(np.abs(radii), plain)
    assert disparity.dtype == radii.dtype == np.float32
    assert images.shape[:3] == radii.shape == disparity.shape


def test_photographs_beside_scenes_change_nothing(sources, tmp_path, rng):
    write_png(tmp_path / "image" / "0.png", rng.integers(0, 256, (80, 80, 3), dtype=np.uint8))
    write_png(tmp_path / "gt" / "0.png", np.full((80, 80), 255, dtype=np.uint8))
    scenes = MaskSceneSampler(sources, side=SIDE)
    pairs = list_pairs(tmp_path / "image", tmp_path / "gt")
    mixed = MixedSampler(pairs, scenes, share=0.5, scales=(0.5, 1.0), blurred_share=0.1)
    assert isinstance(mixed, DepthSampler)
    both = (sampler.draw_depths(3, np.random.default_rng(1)) for sampler in (scenes, mixed))
    for one, other in zip(*both, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("angle", [0.6, 2.5, 4.0, 5.5])
def test_the_lower_end_of_a_plane_is_near(angle, quarters):
    signed, disparity = measure_depth(turn_scene(make_plane(angle), quarters))
    assert disparity[-1].mean() > disparity[0].mean()
    assert (disparity.min(), disparity.max()) == (0, 1)
    slope, _ = check_lens(signed, disparity)
    assert slope == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("focus", [-0.1, 0.4, 1.1])
def test_planes_have_their_disparity(sources, focus, rng):
    scene = compose_plane(PartCutter(sources), (SIDE, SIDE), focus=focus, angle=0.0, largest=9.0, rng=rng)
    np.testing.assert_allclose(scene.disparity, np.linspace(0, 1, SIDE)[None].repeat(SIDE, axis=0), atol=1e-6)
    largest = 9 / max(abs(focus), abs(1 - focus))
    np.testing.assert_allclose(scene.radius, largest * np.abs(scene.disparity - focus), atol=ROUNDING)


@pytest.mark.parametrize("focus", [0.0, 0.4, 1.0])
def test_the_disparity_of_noise_is_not_known(focus):
    disparity = np.linspace(10, 90, SIDE, dtype=np.float32)[None].repeat(SIDE, axis=0).copy()
    disparity[:4, :4], disparity[-4:, :4] = 0, 200
    scene = compose_depth(make_light(), disparity, focus=focus, largest=6.0)
    known = scene.disparity >= 0
    assert not known[:4, :4].any()
    assert not known[-4:, :4].any()
    assert 0.95 < known.mean() < 1
    expected = (disparity - 10) / 80
    np.testing.assert_allclose(scene.disparity[known], expected[known], atol=0.02)
    signed, relative = measure_depth(scene)
    slope, level = check_lens(signed, relative)
    assert -level / slope == pytest.approx(focus, abs=0.03)


def test_a_picture_without_range_has_no_disparity():
    scene = compose_depth(make_light(), np.full((SIDE, SIDE), 7, np.float32), focus=0.5, largest=6.0)
    np.testing.assert_array_equal(scene.disparity, UNLABELLED)


def test_a_turn_turns_all_maps():
    scene = make_plane(0.0, radius=np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE))
    turned = turn_scene(scene, 1)
    assert isinstance(turned, LensScene)
    for name in ("light", "radius", "disparity"):
        np.testing.assert_array_equal(getattr(turned, name), np.rot90(getattr(scene, name)))
    assert turned.focus == scene.focus


def test_depth_is_drawn_more_often_for_a_network_that_learns_it():
    assert set(DEPTH_FAMILIES) == set(FAMILIES)
    assert sum(DEPTH_FAMILIES.values()) == pytest.approx(1)
    for family in ("gradual", "depth"):
        assert DEPTH_FAMILIES[family] == pytest.approx(2 * FAMILIES[family])
