"""Pictures with masks: the right side is blurred, nothing but the generator decides, and the fixed set is fixed."""

import dataclasses

import cv2
import numpy as np
import pytest

from defocus_edge.blur_levels import BLURRED_ABOVE
from defocus_edge.psf import blur_with_disk_fast, decode_srgb, encode_srgb
from synth.camera import Sensor
from tests.conftest import make_texture, write_png
from training.data.sources import load_sources
from training.masks import scenes as mask_scenes
from training.masks.parts import (
    PartCutter,
    compose_backdrop,
    compose_depth,
    compose_person,
    compose_plane,
    compose_shape,
    compose_slope,
    compose_uniform,
)
from training.masks.scenes import (
    BLURRED_RADII,
    FAMILIES,
    GRADUAL_SCENES,
    MIXED_FAMILIES,
    MOTORCYCLE_FOCI,
    PERSON_SCENES,
    SCENE_FOCI,
    SCENE_SHAPES,
    SHAPE_SCENES,
    SHARP_RADII,
    UNIFORM_SCENES,
    WHOLE_RADII,
    MaskSceneSampler,
    render_mask_development_set,
    render_whole_pictures,
)

SIDE = 96


@pytest.fixture(scope="module")
def sources(training_root):
    return load_sources(training_root, development=False)


@pytest.fixture(scope="module")
def large_root(tmp_path_factory):
    """One picture of each kind, large enough for the development set."""
    root = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    for folder in ("bsds500", "urban100", "sunhays80", "mcmaster"):
        write_png(root / "sharp" / folder / "0.png", make_texture(rng, 440, 450, block=9))
    disk = np.zeros((440, 450), dtype=np.uint8)
    cv2.circle(disk, (220, 225), 150, 255, -1)
    for name in ("objects/1", "rgbd/scene_rgb"):
        write_png(root / f"{name}.png", make_texture(rng, 440, 450, block=9))
    write_png(root / "objects" / "1_mask.png", disk)
    write_png(root / "focus_masks" / "1.png", disk)
    write_png(root / "rgbd" / "scene_disparity.png", np.where(disk > 0, 120, 30).astype(np.uint8))
    return root


@pytest.fixture(scope="module")
def scenes(large_root):
    return list(render_mask_development_set(large_root))


class FixedCutter:
    """Texture everywhere, a shape that is blurred at the right, a person at the left."""

    def __init__(self, side=64):
        self.light = (make_texture(np.random.default_rng(0), side, side) / np.float32(255)).astype(np.float32)
        self.right = np.zeros((side, side), dtype=np.float32)
        self.right[:, side // 2 :] = 1
        self.radii = []

    def cut_shape(self, _shape, _rng):
        return self.right

    def cut_person(self, _shape, _rng):
        return self.light[::-1], 1 - self.right

    def cut_light(self, _shape, _rng, *, radius):
        self.radii.append(radius)
        return self.light


def draw(sources, family=None, *, seed=0, count=4, side=SIDE):
    sampler = MaskSceneSampler(sources, side=side, families=None if family is None else {family: 1.0})
    return sampler.draw_batch(count, np.random.default_rng(seed))


@pytest.mark.parametrize("family", [None, *FAMILIES])
@pytest.mark.parametrize("side", [64, 130])
def test_shapes_dtypes_and_ranges(sources, family, side):
    images, masks = draw(sources, family, side=side)
    assert images.shape == (4, side, side, 3)
    assert masks.shape == (4, side, side)
    assert images.dtype == np.float32
    assert masks.dtype == bool
    assert images.min() >= 0
    assert images.max() <= 1
    np.testing.assert_allclose(images * 255, np.rint(images * 255), atol=1e-4)
    assert images.std(axis=(1, 2, 3)).min() > 0.01


def test_batch_is_its_samples_in_turn(sources):
    sampler = MaskSceneSampler(sources, side=SIDE)
    images, masks = sampler.draw_batch(3, np.random.default_rng(4))
    rng = np.random.default_rng(4)
    for image, mask in zip(images, masks, strict=True):
        one, other = sampler.draw_sample(rng)
        np.testing.assert_array_equal(image, one)
        np.testing.assert_array_equal(mask, other)


def test_radii_are_those_that_masks_are_made_of(sources):
    sampler = MaskSceneSampler(sources, side=SIDE)
    images, masks = sampler.draw_batch(6, np.random.default_rng(4))
    again, radii = sampler.draw_radii(6, np.random.default_rng(4))
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(masks, radii > BLURRED_ABOVE)
    assert radii.dtype == np.float32
    assert radii.max() > BLURRED_RADII[0]


@pytest.mark.parametrize("family", MIXED_FAMILIES)
def test_pictures_in_focus_are_drawn_beside_the_same_pictures_and_radii(sources, family):
    sampler = MaskSceneSampler(sources, side=64, families={family: 1.0})
    images, radii = sampler.draw_radii(3, np.random.default_rng(4))
    again, same, sharp = sampler.draw_in_focus(3, np.random.default_rng(4))
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(radii, same)
    assert sharp.shape == images.shape
    assert sharp.dtype == np.float32
    np.testing.assert_allclose(sharp * 255, np.rint(sharp * 255), atol=1e-4)


def test_pictures_in_focus_have_neither_noise_nor_jpeg(sources, monkeypatch):
    """Where nothing is blurred, the picture differs by these alone: with a clean sensor it is the one in focus."""
    sampler = MaskSceneSampler(sources, side=SIDE)
    monkeypatch.setattr(mask_scenes, "draw_blurred", lambda _: 0.0)
    monkeypatch.setattr(mask_scenes, "_draw_sharp", lambda _: 0.0)
    images, radii, sharp = sampler.draw_in_focus(8, np.random.default_rng(0))
    assert not radii.any()
    assert (images != sharp).any()
    assert np.abs(images - sharp).mean() < 0.05
    monkeypatch.setattr(mask_scenes, "draw_sensor", lambda _: Sensor())
    images, _, sharp = sampler.draw_in_focus(8, np.random.default_rng(0))
    np.testing.assert_allclose(images, sharp, atol=1.01 / 255)


@pytest.mark.parametrize("radius", [1.0, 2.5, 6.0])
def test_blurring_the_picture_in_focus_gives_the_picture(sources, monkeypatch, radius):
    """Away from what is saturated: light above 1 is lost in the picture in focus."""
    sampler = MaskSceneSampler(sources, side=SIDE, families={"uniform": 1.0})
    monkeypatch.setattr(mask_scenes, "draw_blurred", lambda _: radius)
    monkeypatch.setattr(mask_scenes, "_draw_sharp", lambda _: radius)
    monkeypatch.setattr(mask_scenes, "draw_sensor", lambda _: Sensor())
    for image, sharp in zip(*sampler.draw_in_focus(6, np.random.default_rng(1))[::2], strict=True):
        again = encode_srgb(blur_with_disk_fast(decode_srgb(sharp), radius))
        saturated = cv2.dilate((sharp.max(axis=-1) == 1).astype(np.uint8), np.ones((15, 15))) > 0
        assert np.abs(again - image)[~saturated].max(initial=0) < 2.5 / 255
        assert np.abs(sharp - image).max() > 10 / 255


@pytest.mark.parametrize("radius", [0.0, 4.0])
def test_compositions_in_focus_are_those_with_radius_0(radius):
    """The same content, whatever the radii; depth and gradual blur are slices, which hide nothing in focus."""
    rng = np.random.default_rng(0)
    cutter, shape = FixedCutter(), (64, 64)
    disparity = np.linspace(10, 90, 64, dtype=np.float32)[None].repeat(64, axis=0)

    def compose(radius):
        return {
            "shape": compose_shape(cutter, shape, sharp=radius, blurred=radius, blurred_is_near=True, rng=rng),
            "far shape": compose_shape(cutter, shape, sharp=radius, blurred=radius, blurred_is_near=False, rng=rng),
            "person": compose_person(cutter, shape, near=radius, far=radius, rng=rng),
            "uniform": compose_uniform(cutter, shape, radius=radius, rng=rng),
            "plane": compose_plane(cutter, shape, focus=0.3, angle=0.4, largest=radius, rng=rng),
            "slope": compose_slope(cutter, shape, sharp=0.0, blurred=radius, slope=0.2, rng=rng),
            "depth": compose_depth(cutter.light, disparity, focus=0.5, largest=radius),
        }

    in_focus = compose(0.0)
    for name, scene in compose(radius).items():
        np.testing.assert_allclose(scene.sharp, in_focus[name].light, atol=1e-5, err_msg=name)
        assert (np.abs(scene.sharp - scene.light).max() > 0.02) == (radius > 0), name


def test_soft_mattes_mix_light_in_focus_too(rng):
    cutter = FixedCutter()
    cutter.right = np.clip(np.linspace(-1, 2, 64, dtype=np.float32)[None].repeat(64, axis=0), 0, 1)
    scene = compose_person(cutter, (64, 64), near=3.0, far=5.0, rng=rng)
    matte = (1 - cutter.right)[..., None]
    np.testing.assert_allclose(scene.sharp, cutter.light[::-1] * matte + cutter.light * (1 - matte), atol=1e-6)


@pytest.mark.parametrize("family", [None, *FAMILIES])
def test_nothing_but_the_generator_decides(sources, family):
    first = draw(sources, family, seed=5)
    draw(sources, family, seed=6)
    for one, other in zip(first, draw(sources, family, seed=5), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (first[0] != draw(sources, family, seed=6)[0]).any()


def test_order_of_the_families_changes_nothing(sources):
    batches = [
        MaskSceneSampler(sources, side=64, families=families).draw_batch(6, np.random.default_rng(0))
        for families in ({"shape": 0.7, "uniform": 0.3}, {"uniform": 0.3, "shape": 0.7})
    ]
    np.testing.assert_array_equal(batches[0][0], batches[1][0])


def test_both_classes_occur_and_whole_pictures_of_one(sources):
    share = draw(sources, count=60, side=64)[1].mean(axis=(1, 2))
    assert 0.35 < share.mean() < 0.8
    assert (share == 0).any()
    assert (share == 1).any()
    assert ((share > 0) & (share < 1)).mean() > 0.5


@pytest.mark.parametrize("family", ["shape", "person", "depth"])
def test_blurred_pixels_are_smoother(sources, family):
    """Between neighbours, away from the rim, over many samples."""
    images, masks = draw(sources, family, count=20, side=128)
    rough = {True: [], False: []}
    for image, mask in zip(images, masks, strict=True):
        difference = np.abs(np.diff(image.mean(axis=-1), axis=0))
        for is_blurred in (True, False):
            inner = cv2.erode((mask == is_blurred).astype(np.uint8), np.ones((25, 25))).astype(bool)[1:]
            if inner.sum() > 200:
                rough[is_blurred].append(difference[inner].mean())
    assert np.median(rough[True]) < 0.7 * np.median(rough[False])


def test_sources_are_not_modified(sources):
    before = [picture.copy() for picture in sources.sharp]
    draw(sources, count=8)
    for picture, kept in zip(sources.sharp, before, strict=True):
        np.testing.assert_array_equal(picture, kept)


def test_unknown_family_is_refused(sources):
    with pytest.raises(ValueError, match=r"families must be of shape, .*backdrop\. Got: 'macro'"):
        draw(sources, "macro")


@pytest.mark.parametrize(("family", "kind"), [("shape", "shapes"), ("person", "cutouts"), ("depth", "depth")])
def test_families_need_their_sources(sources, family, kind):
    without = dataclasses.replace(sources, **{kind: []})
    with pytest.raises(ValueError, match=rf"must not name one whose sources are missing\. Got: '{family}'"):
        draw(without, family)
    assert draw(without, "uniform", count=1)[0].shape == (1, SIDE, SIDE, 3)


@pytest.mark.parametrize(("side", "name"), [(230, "sharp picture"), (205, "person")])
def test_pictures_are_never_enlarged(sources, side, name):
    sharp = [picture if side > 205 else np.pad(picture, ((0, 9), (0, 0), (0, 0)), "edge") for picture in sources.sharp]
    with pytest.raises(ValueError, match=rf"shape must not be larger than each {name} of the sources\. Got: {side}×"):
        MaskSceneSampler(dataclasses.replace(sources, sharp=sharp), side=side)


def test_soft_sources_are_never_in_focus(sources):
    soft = [cv2.GaussianBlur(picture, (0, 0), 2.0) for picture in sources.sharp[:3]]
    cutter, rng = PartCutter(dataclasses.replace(sources, sharp=[*soft, sources.sharp[5]])), np.random.default_rng(0)
    sharp, any_kind = (
        [np.abs(np.diff(cutter.cut_light((SIDE, SIDE), rng, radius=radius), axis=0)).max() for _ in range(12)]
        for radius in (0.0, 2.0)
    )
    assert min(sharp) > 2 * min(any_kind)
    with pytest.raises(ValueError, match=r"in focus all over\. Got: none for 96×96 px"):
        draw(dataclasses.replace(sources, sharp=soft))


@pytest.mark.parametrize("is_near", [True, False])
def test_shape_blurs_its_white_side(is_near, rng):
    cutter = FixedCutter()
    scene = compose_shape(cutter, (64, 64), sharp=0.0, blurred=6.0, blurred_is_near=is_near, rng=rng)
    np.testing.assert_array_equal(scene.radius > BLURRED_ABOVE, cutter.right > 0)
    assert cutter.radii == [0.0, 6.0]
    np.testing.assert_allclose(scene.light[:, :24], cutter.light[:, :24], atol=1e-5)
    # What is nearer and blurred spills over the sharp side; what is farther does not.
    spilled = np.abs(scene.light[:, 27:32] - cutter.light[:, 27:32]).max()
    assert spilled > 0.1 if is_near else spilled < 1e-5


@pytest.mark.parametrize(("near", "far"), [(0.0, 5.0), (5.0, 0.0)])
def test_person_is_in_front(near, far, rng):
    cutter = FixedCutter()
    scene = compose_person(cutter, (64, 64), near=near, far=far, rng=rng)
    assert cutter.radii == [far]
    np.testing.assert_array_equal(scene.radius > BLURRED_ABOVE, (cutter.right > 0) == (far > 0))
    own, other = cutter.light[::-1], cutter.light
    np.testing.assert_allclose(scene.light[:, :24], blur_with_disk_fast(own, near)[:, :24], atol=1e-4)
    np.testing.assert_allclose(scene.light[:, 40:], blur_with_disk_fast(other, far)[:, 40:], atol=1e-4)


@pytest.mark.parametrize("focus", [-0.1, 0.0, 0.4, 1.0])
def test_plane_has_its_focus_and_its_largest_radius(focus, rng):
    scene = compose_plane(FixedCutter(), (64, 64), focus=focus, angle=0.0, largest=9.0, rng=rng)
    assert (np.ptp(scene.radius, axis=0) == 0).all()
    along = np.abs(np.linspace(0, 1, 64) - focus)
    np.testing.assert_allclose(scene.radius[0], 9 * along / along.max(), atol=0.13)


def test_slope_grows_from_the_outline(rng):
    cutter = FixedCutter()
    scene = compose_slope(cutter, (64, 64), sharp=0.5, blurred=4.0, slope=0.2, rng=rng)
    assert (scene.radius[:, :32] == 0.5).all()
    np.testing.assert_allclose(scene.radius[0, 32:], np.minimum(0.5 + 0.2 * np.arange(1, 33), 4), atol=0.13)


def test_depth_is_in_focus_where_it_should_be():
    light = FixedCutter().light
    disparity = np.linspace(10, 90, 64, dtype=np.float32)[None].repeat(64, axis=0)
    for focus, expected in ((0.0, 0), (0.5, 32), (1.0, 63)):
        scene = compose_depth(light, disparity, focus=focus, largest=6.0)
        assert abs(int(scene.radius[0].argmin()) - expected) <= 2
        assert scene.radius.max() == 6.0


def test_uniform_has_one_radius(rng):
    scene = compose_uniform(FixedCutter(), (64, 64), radius=7.0, rng=rng)
    assert (scene.radius == 7.0).all()


def test_nobody_has_to_decide_what_is_nearly_in_focus():
    assert SHARP_RADII[1] < BLURRED_ABOVE < BLURRED_RADII[0]


def test_families_of_the_development_set(scenes):
    counts = {}
    for scene in scenes:
        counts[scene.family] = counts.get(scene.family, 0) + 1
    assert counts == {
        "shape": SHAPE_SCENES,
        "person": PERSON_SCENES,
        "gradual": GRADUAL_SCENES,
        "uniform": UNIFORM_SCENES,
        "depth": len(SCENE_FOCI),
        "motorcycle": len(MOTORCYCLE_FOCI),
    }
    assert len({scene.name for scene in scenes}) == len(scenes) == 60


def test_scenes_of_the_development_set(scenes):
    for scene in scenes:
        assert scene.image.shape == (*scene.mask.shape, 3)
        assert scene.image.dtype == np.float32
        assert scene.mask.dtype == bool
        assert 0 <= scene.image.min() < scene.image.max() <= 1
        has_both = scene.mask.any() and not scene.mask.all()
        assert has_both or scene.family in ("uniform", "depth")
    assert {scene.mask.shape for scene in scenes} >= set(SCENE_SHAPES)


def test_development_set_is_the_same_each_time(scenes, large_root):
    for one, other in zip(scenes[:45], render_mask_development_set(large_root), strict=False):  # depth takes seconds
        assert one.name == other.name
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)


def test_light_is_blurred_before_it_is_encoded(rng):
    """Half-covered pixels are as bright as light is, not as the mean of the two codes."""
    cutter = FixedCutter()
    cutter.light = np.zeros((64, 64, 3), dtype=np.float32)
    cutter.light[:, ::2] = 1
    scene = compose_uniform(cutter, (64, 64), radius=8.0, rng=rng)
    np.testing.assert_allclose(encode_srgb(scene.light[20:44, 20:44]), encode_srgb(0.5), atol=0.03)


def test_whole_pictures_are_sharp_or_blurred_all_over(large_root):
    sharp, blurred = (list(render_whole_pictures(large_root, blurred=flag)) for flag in (False, True))
    assert [scene.name for scene in sharp] == [f"sharp-{number}" for number in range(4)]
    assert [scene.name for scene in blurred] == [f"blurred-{number}" for number in range(4)]
    for one, other in zip(sharp, blurred, strict=True):
        assert not one.mask.any()
        assert other.mask.all()
        assert np.abs(np.diff(other.image, axis=1)).mean() < np.abs(np.diff(one.image, axis=1)).mean()
    assert min(WHOLE_RADII) > BLURRED_ABOVE


def test_a_backdrop_is_blurred_and_has_no_detail(sources):
    cutter = PartCutter(sources)
    for seed in range(4):
        scene = compose_backdrop(cutter, (SIDE, SIDE), near=0.0, far=4.0, rng=np.random.default_rng(seed))
        is_blurred = scene.radius > BLURRED_ABOVE
        assert 0.04 < is_blurred.mean() < 0.96
        steps = np.abs(np.diff(scene.light, axis=1)).max(axis=-1)
        deep = is_blurred[:, 1:] & (cv2.erode(is_blurred.astype(np.uint8), np.ones((23, 23))) > 0)[:, 1:]
        assert steps[deep].max(initial=0) < 0.03
        assert steps.max() > 0.1


def test_backdrops_are_a_family(sources):
    sampler = MaskSceneSampler(sources, side=SIDE, families={"backdrop": 1.0})
    images, masks = sampler.draw_batch(8, np.random.default_rng(0))
    assert images.shape == (8, SIDE, SIDE, 3)
    assert 0.3 < masks.mean() <= 1
