"""Samples: shapes, truth of each family, thin-lens radii, spill on the right side, sources that do not fit."""

import cv2
import numpy as np
import pytest

from defocus_edge.psf import encode_srgb
from synth.camera import PSFS
from synth.loading import SourceError
from synth.readers import Source
from synth.recipes import draw_recipe
from synth.rendering import render_sample
from synth.settings import FAMILIES, SIGNED_FAMILIES, Settings, build_pool
from tests.conftest import make_texture, write_png

PLAIN = {"rotations": (0.0,), "mirror": False, "noise": 0.0, "jpeg_share": 0.0, "reduce": 1.0}


@pytest.fixture
def sources(tmp_path, rng):
    """Three textures; one has an object, one disparity in two planes."""
    square = np.zeros((150, 170), dtype=np.uint8)
    square[40:110, 50:120] = 255
    write_png(tmp_path / "mask.png", square)
    write_png(tmp_path / "disparity.png", np.where(square > 0, 120, 40).astype(np.uint8))
    for name in ("plain", "object", "scene"):
        write_png(tmp_path / f"{name}.png", make_texture(rng, 150, 170))
    return [
        Source(tmp_path, "plain.png"),
        Source(tmp_path, "object.png", mask="mask.png"),
        Source(tmp_path, "scene.png", depth="disparity.png"),
    ]


def render(family, sources, number=0, **options):
    settings = Settings(family, **{**PLAIN, **options})
    return render_sample(draw_recipe(settings, build_pool(family, sources), number))


@pytest.mark.parametrize("psf", PSFS)
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in SIGNED_FAMILIES])
def test_shapes_and_dtypes(family, psf, sources):
    sample = render(family, sources, psf=psf)
    border = {"disk": 6, "gaussian": 12, "polygon": 7}[psf]
    assert sample.picture.shape == (150 - 2 * border, 170 - 2 * border, 3)
    assert sample.radius.shape == sample.depth_edges.shape == sample.mask.shape == sample.picture.shape[:2]
    assert sample.picture.dtype == np.uint8
    assert sample.radius.dtype == np.float32
    assert sample.depth_edges.dtype == sample.mask.dtype == bool
    np.testing.assert_array_equal(sample.mask, sample.radius > 0.75)
    assert 0 <= sample.radius.min() <= sample.radius.max() <= 6


@pytest.mark.parametrize("family", ["uniform", "gradual", "steps"])
def test_one_surface_has_no_depth_edges(family, sources):
    assert not any(render(family, sources, number).depth_edges.any() for number in range(4))


def test_steps_are_those_of_the_levels(sources):
    for number in range(4):
        radius = render("steps", sources, number).radius
        np.testing.assert_allclose(radius * 4, np.rint(radius * 4), atol=1e-6)
        for axis in (0, 1):
            assert set(np.unique(np.abs(np.diff(radius, axis=axis)))) <= {0, 0.25}
        assert len(np.unique(radius)) >= 4


def test_gradual_blur_grows_by_an_eighth_at_most(sources):
    radius = render("gradual", sources).radius
    assert max(np.abs(np.diff(radius, axis=axis)).max() for axis in (0, 1)) <= 0.125 + 1e-6
    assert np.ptp(radius) > 0.8


def test_composites_have_two_radii_and_the_rim_between_them(sources):
    for number, near in enumerate((0, 1)):
        sample = render("composite", sources, number)
        assert sorted(np.unique(sample.radius)) == [0, 1]
        inside = sample.radius == near
        assert inside[69, 79]
        assert not inside[0, 0]
        assert 200 < sample.depth_edges.sum() < 300
        assert inside[sample.depth_edges].all()


def test_a_scene_follows_the_thin_lens(sources):
    for number in range(6):
        settings = Settings("layered", **PLAIN)
        recipe = draw_recipe(settings, build_pool("layered", sources), number)
        sample = render_sample(recipe)
        # Two planes: one is in focus, the other has the largest radius, to a slice of 1/8 px.
        focused, blurred = sorted(np.unique(sample.radius))
        assert focused == 0
        assert blurred == pytest.approx(recipe.radii[0], abs=0.0626)


@pytest.mark.parametrize("largest", [1.0, 3.0])
def test_near_blur_spills_and_far_blur_does_not(largest, tmp_path):
    near = np.zeros((150, 170), dtype=np.uint8)
    near[:, :85] = 1
    light = np.where(near[..., None] > 0, np.uint8(230), np.uint8(20)).repeat(3, axis=2)
    write_png(tmp_path / "scene.png", light)
    write_png(tmp_path / "depth.png", np.where(near > 0, 20, 80).astype(np.uint8))
    source = Source(tmp_path, "scene.png", depth="depth.png", depth_kind="depth")
    spilled = set()
    for number in range(12):
        sample = render("layered", [source], number, largest=largest)
        border = int(largest)
        middle = 85 - border
        is_near_blurred = sample.radius[9, 0] > 0
        if sample.radius.max() < 0.7:
            continue
        row = sample.picture[40, :, 0].astype(int)
        spilled.add(bool(is_near_blurred))
        assert (row[middle] > 21) == is_near_blurred
        assert (row[middle - 1] < 229) == is_near_blurred
    assert spilled == {True, False}


def test_light_is_linear(tmp_path):
    """A black and white grid blurs to the middle of the light, not of the encoded values."""
    grid = (np.indices((150, 150)).sum(axis=0) % 2 * 255).astype(np.uint8)
    write_png(tmp_path / "grid.png", grid)
    pool = build_pool("uniform", [Source(tmp_path, "grid.png")])
    settings = Settings("uniform", **PLAIN)
    number = next(n for n in range(23) if draw_recipe(settings, pool, n).radii[0] == 6)
    picture = render_sample(draw_recipe(settings, pool, number)).picture
    assert np.abs(picture.astype(float) - encode_srgb(0.5) * 255).max() <= 2


def test_the_border_of_all_levels_is_cut_whatever_the_largest_radius(sources):
    assert render("uniform", sources, largest=1.0).picture.shape == (138, 158, 3)
    assert render("gradual", sources, largest=2.0).picture.shape == (146, 166, 3)


def test_largest_side_is_kept(sources):
    assert max(render("uniform", sources, max_side=120).picture.shape) == 120 - 2 * 6


@pytest.mark.parametrize("angle", [90.0, 30.0])
def test_maps_turn_with_the_picture(angle, sources):
    sample = render("composite", sources, rotations=(angle,), largest=1.0)
    assert sample.radius.shape == sample.picture.shape[:2]
    assert sample.depth_edges.any()


def test_a_small_source_is_refused(tmp_path, rng):
    write_png(tmp_path / "small.png", make_texture(rng, 70, 200))
    source = Source(tmp_path, "small.png")
    with pytest.raises(SourceError, match=r"'small\.png' must have sides of at least 76 px .* Got: 70×200") as caught:
        render("uniform", [source])
    assert caught.value.source == source


def test_a_pair_that_does_not_fit_blames_neither(tmp_path, rng):
    write_png(tmp_path / "wide.png", make_texture(rng, 80, 700))
    write_png(tmp_path / "high.png", make_texture(rng, 700, 80))
    write_png(tmp_path / "high_mask.png", np.eye(700, 80, dtype=np.uint8) * 255)
    pictures = [Source(tmp_path, "wide.png"), Source(tmp_path, "high.png", mask="high_mask.png")]
    with pytest.raises(SourceError, match=r"'high\.png' over 'wide\.png' must have sides") as caught:
        render("composite", pictures)
    assert caught.value.source is None


@pytest.mark.parametrize("value", [0, 255])
def test_an_object_that_is_nowhere_or_everywhere_is_refused(value, sources, tmp_path):
    assert cv2.imwrite(str(tmp_path / "mask.png"), np.full((150, 170), value, dtype=np.uint8))
    with pytest.raises(SourceError, match=r"the object of 'object\.png' must cover a part of the sample\. Got: "):
        render("composite", sources)


def test_a_mask_of_another_size_is_refused(sources, tmp_path):
    assert cv2.imwrite(str(tmp_path / "mask.png"), np.full((90, 90), 255, dtype=np.uint8))
    with pytest.raises(SourceError, match=r"must have one size\. Got: \(150, 170, 3\) and \(90, 90\)"):
        render("composite", sources)


def test_shapes_of_any_size_cut_fronts_out(sources, tmp_path):
    disk = np.zeros((300, 250), dtype=np.uint8)
    cv2.circle(disk, (125, 150), 80, 255, -1)
    write_png(tmp_path / "disk.png", disk)
    plain = [source for source in sources if not source.has_object]
    pool = build_pool("composite", plain, shapes=[Source(tmp_path, "disk.png")])
    sample = render_sample(draw_recipe(Settings("composite", **PLAIN), pool, 0))
    assert 0.1 < (sample.radius == 0).mean() < 0.6
