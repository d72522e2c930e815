"""Crops drawn on the accelerator: labelled as their scenes, the same from the same seed, true to their family."""

import dataclasses
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from keras import ops

from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS, MIN_RADIUS, N_LEVELS, radius_to_class
from defocus_edge.estimation.edges import EdgeSettings, find_edges
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from synth.scenes import Layer, render_layers
from tests.training.edges.device.device_cases import draw_matte, to_array
from tests.training.training_cases import BLUR, EDGE, copy_networks, make_model
from training.data.camera import CROP_SIDE, MEAN_NOISE, NOISE_SHARE
from training.data.labels import UNDECIDED, label_depth_edges, share_levels
from training.data.sources import Cutout, Sources, load_sources
from training.edges.batches import CropBatch
from training.edges.device import crops as device_crops
from training.edges.device.atlas import IMAGE_SIDE, MARGIN, SIDE, build_atlas, cut_pixels
from training.edges.device.crops import DeviceCropSampler, find_truth
from training.edges.device.recipes import DEVICE_FAMILIES, Recipe, Stream, draw_recipe, make_key
from training.edges.device.scenes import LARGEST_STEP

CROPS, POINTS = 3, 60


@pytest.fixture(scope="module")
def sources(training_root):
    sources = load_sources(training_root, development=False)
    return dataclasses.replace(sources, sharp=sources.sharp[:3], depth=[])


@pytest.fixture
def eager(monkeypatch):
    """Compiling takes longer than drawing a few crops as they come."""
    monkeypatch.setattr(device_crops, "_compile", lambda function: function)


def draw(sources, family=None, *, seed=0, crops=CROPS, points=POINTS, balance="radius"):
    sampler = DeviceCropSampler(sources, families=None if family is None else {family: 1.0})
    return sampler.draw_batch(crops, points, seed=seed, balance=balance).to_host()


def draw_recipes(sources, crops=400, *, seed=0, shares=(0.5, 0.2, 0.3), level_share=0.75):
    atlas, kinds = build_atlas(sources, (0.68, 0.8))
    return draw_recipe(crops, atlas, kinds, Stream(make_key(seed)), shares=shares, level_share=level_share)


def assert_equal(batch, other):
    for field in dataclasses.fields(CropBatch):
        np.testing.assert_array_equal(getattr(batch, field.name), getattr(other, field.name))


def test_compiled_crops_are_those_drawn_as_they_come(sources, monkeypatch):
    sampler = DeviceCropSampler(sources)
    first, other, again = (sampler.draw_batch(CROPS, POINTS, seed=seed).to_host() for seed in (1, 2, 1))
    assert_equal(first, again)
    assert len(sampler._compiled) == 1
    assert (first.images != other.images).mean() > 0.5
    monkeypatch.setattr(device_crops, "_compile", lambda function: function)
    slow = DeviceCropSampler(sources).draw_batch(CROPS, POINTS, seed=1).to_host()
    np.testing.assert_allclose(first.images, slow.images, atol=1.01 / 255)
    assert (first.points == slow.points).all(axis=1).mean() > 0.9


@pytest.mark.usefixtures("eager")
class TestBatches:
    @pytest.mark.parametrize("family", [None, *DEVICE_FAMILIES])
    def test_shapes_dtypes_and_ranges(self, sources, family):
        batch = draw(sources, family)
        count = CROPS * POINTS
        assert batch.images.shape == (CROPS, IMAGE_SIDE, IMAGE_SIDE, 3)
        assert batch.points.shape == (count, 3)
        assert batch.levels.shape == (count, N_LEVELS)
        assert batch.radius.shape == batch.is_depth.shape == batch.valid.shape == batch.family.shape == (count,)
        assert batch.images.dtype == batch.levels.dtype == batch.radius.dtype == batch.valid.dtype == np.float32
        assert batch.points.dtype == np.int32
        assert batch.is_depth.dtype == np.int8
        assert 0 <= batch.images.min() < batch.images.max() <= 1
        np.testing.assert_allclose(batch.images * 255, np.rint(batch.images * 255), atol=1e-3)
        assert batch.points.min() >= 0
        assert batch.points[:, 1:].max() < CROP_SIDE
        assert batch.radius.min() >= MIN_RADIUS
        assert batch.radius.max() <= MAX_RADIUS
        assert set(np.unique(batch.is_depth)) <= {UNDECIDED, 0, 1}
        assert batch.valid.mean() > 0.5
        assert set(batch.family) <= ({family} if family else set(DEVICE_FAMILIES))
        np.testing.assert_allclose(batch.levels, share_levels(batch.radius), atol=1e-5)

    def test_padding_is_undecided_and_comes_last(self, sources):
        batch = draw(sources, points=500, crops=2)
        valid = batch.valid.reshape(2, 500)
        assert (np.diff(valid, axis=1) <= 0).all()
        padding = batch.valid == 0
        assert padding.any()
        assert (batch.is_depth[padding] == UNDECIDED).all()
        assert (batch.radius[padding] == MIN_RADIUS).all()
        assert not batch.points[padding].any()
        points = batch.points[~padding]
        assert len(np.unique(points, axis=0)) == len(points)
        np.testing.assert_array_equal(np.unique(points[:, 0]), [0, 1])

    def test_points_are_edge_points(self, sources):
        """Edge points with the loosest threshold that occurs; the hysteresis of the original reaches all of them."""
        batch = draw(sources, points=500)
        for number in range(CROPS):
            edges = find_edges(batch.images[number], settings=EdgeSettings(high_quantile=0.4))
            here = batch.points[(batch.points[:, 0] == number) & (batch.valid > 0)]
            assert edges[here[:, 1] + PATCH_RADIUS, here[:, 2] + PATCH_RADIUS].mean() > 0.95

    def test_a_batch_does_not_depend_on_the_ones_before(self, sources):
        sampler = DeviceCropSampler(sources)
        sampler.draw_batch(2, 10, seed=1)
        assert_equal(
            sampler.draw_batch(2, 10, seed=(2, 3)).to_host(),
            DeviceCropSampler(sources).draw_batch(2, 10, seed=(2, 3)).to_host(),
        )

    def test_families_without_depth_have_pattern_edges_only(self, sources):
        for family in ("uniform", "gradual"):
            batch = draw(sources, family)
            assert (batch.is_depth[batch.valid > 0] == 0).all()
            radii = [np.unique(batch.radius[batch.points[:, 0] == number]) for number in range(CROPS)]
            assert (max(map(len, radii)) > 2) == (family == "gradual")

    def test_composites_have_edges_of_both_kinds(self, sources):
        labels = draw(sources, "composite", crops=30, balance="depth edges").is_depth
        assert (labels == 0).sum() >= 60
        assert (labels == 1).sum() >= 60

    def test_targets_and_weights_are_those_of_the_batch_on_the_host(self, sources):
        batch = DeviceCropSampler(sources).draw_batch(4, 30, seed=0, balance="depth edges")
        host = batch.to_host()
        for settings in (BLUR, EDGE, dataclasses.replace(BLUR, loss="cross entropy")):
            np.testing.assert_allclose(to_array(batch.make_target(settings)), host.make_target(settings), atol=1e-5)
            np.testing.assert_array_equal(to_array(batch.weigh(settings.head)), host.weigh(settings.head))

    def test_a_step_learns_from_the_tensors_as_they_are(self, sources, small_networks):
        batch = DeviceCropSampler(sources).draw_batch(2, 30, seed=0)
        model = make_model(copy_networks(small_networks), BLUR)
        loss = model.train_on_batch(batch.inputs, batch.make_target(BLUR), sample_weight=batch.weigh("blur"))
        assert 0 < float(np.asarray(loss)) < 10

    def test_sizes_must_be_possible(self, sources):
        sampler = DeviceCropSampler(sources)
        with pytest.raises(ValueError, match=r"crops must be at least 1\. Got: 0\."):
            sampler.draw_batch(0, 10, seed=0)
        with pytest.raises(ValueError, match=r"points_per_crop must be from 1 to 576\. Got: 577\."):
            sampler.draw_batch(1, 577, seed=0)


@pytest.mark.parametrize(("families", "got"), [({"uniform": 0.5, "depth": 0.5}, "'depth'"), ({}, "none")])
def test_families_with_depth_maps_stay_on_the_host(sources, families, got):
    with pytest.raises(
        ValueError, match=rf"must be one or more of uniform, gradual, composite to be .*\. Got: {got}\."
    ):
        DeviceCropSampler(sources, families=families)


def test_composites_need_something_to_lay_in_front(sources):
    flat = dataclasses.replace(sources, cutouts=[], shapes=[])
    with pytest.raises(ValueError, match=r"sources must hold an object or a mask that has 96×96 px .* Got: none\."):
        DeviceCropSampler(flat)
    assert DeviceCropSampler(flat, families={"uniform": 1.0})


def test_sources_that_are_all_too_small_are_refused(sources):
    small = dataclasses.replace(sources, sharp=[picture[:110, :110] for picture in sources.sharp])
    with pytest.raises(ValueError, match=r"sources must hold a sharp picture that has 96×96 px .*110×110"):
        DeviceCropSampler(small)


def test_sources_are_not_modified(sources):
    before = [picture.copy() for picture in sources.sharp]
    DeviceCropSampler(sources)
    for picture, kept in zip(sources.sharp, before, strict=True):
        np.testing.assert_array_equal(picture, kept)


@pytest.mark.parametrize(("near", "far"), [(4.0, 0.25), (1.0, 7.0), (2.0, 2.25)])
def test_truth_is_that_of_the_scene(near, far):
    matte = draw_matte(3)
    light = np.zeros((SIDE, SIDE, 3), dtype=np.float32)
    scene = render_layers([Layer(light, np.ones_like(matte), far), Layer(light, matte, near)])
    recipe = Recipe(*[None] * len(Recipe._fields))._replace(
        far_step=ops.full((1, SIDE, SIDE), far * 16), near_step=ops.full((1,), near * 16)
    )
    radius, label = (to_array(each)[0] for each in find_truth(recipe, ops.convert_to_tensor(matte[None])))
    inner = slice(MARGIN + PATCH_RADIUS, -MARGIN - PATCH_RADIUS)
    np.testing.assert_array_equal(radius, np.clip(scene.radius, MIN_RADIUS, MAX_RADIUS)[inner, inner])
    np.testing.assert_array_equal(label, label_depth_edges(scene)[inner, inner])


def test_recipes_are_drawn_as_often_as_asked(sources):
    recipe = draw_recipes(sources)
    family = to_array(recipe.family).astype(int)
    np.testing.assert_allclose(np.bincount(family) / 400, [0.5, 0.2, 0.3], atol=0.08)
    far, near = to_array(recipe.far_step), to_array(recipe.near_step)
    for steps in (far, near):
        np.testing.assert_array_equal(steps, np.rint(steps))
        assert 0 <= steps.min() <= steps.max() <= LARGEST_STEP
    has_ramp = np.ptp(far, axis=(1, 2)) > 0
    assert not has_ramp[family != 1].any()
    assert has_ramp[family == 1].mean() > 0.9
    in_levels = (far[has_ramp] % 4 == 0).all(axis=(1, 2)).mean()
    assert 0.3 < in_levels < 0.7
    classes = np.bincount(radius_to_class(far[family == 0, 0, 0] / 16), minlength=N_LEVELS)
    assert classes.min() >= 1
    assert classes.max() <= 25
    assert ((near > 16 * MAX_RADIUS).mean()) < 0.1
    deviation = to_array(recipe.deviation)
    assert deviation[deviation > 0].mean() == pytest.approx(MEAN_NOISE, abs=0.25)
    assert (deviation > 0).mean() == pytest.approx(NOISE_SHARE, abs=0.08)
    quantile = to_array(recipe.quantile)
    assert 0.4 <= quantile.min() < 0.45 < 0.85 < quantile.max() <= 0.9
    gain = to_array(recipe.near_gain)
    assert np.log(gain).mean() == pytest.approx(0, abs=0.05)
    assert np.log(gain.mean(axis=1)).std() == pytest.approx(0.25, abs=0.04)


def test_uniform_crops_of_levels_only(sources):
    recipe = draw_recipes(sources, 100, shares=(1.0, 0.0, 0.0), level_share=1.0)
    assert set(to_array(recipe.far_step)[:, 0, 0] / 16) <= set(BLUR_LEVELS)


@pytest.mark.parametrize("missing", [None, "cutouts", "shapes"])
def test_windows_lie_in_their_pictures_in_all_eight_turns(missing):
    """Each pixel says where it is."""
    rows, cols = np.mgrid[:150, :160].astype(np.uint8)
    picture = np.stack([rows, cols, np.zeros_like(rows)], axis=-1)
    disk = np.where(np.hypot(rows - 70.0, cols - 80.0) < 60, 255, 0).astype(np.uint8)
    sources = Sources(sharp=[picture], cutouts=[Cutout(picture, disk)], shapes=[disk])
    if missing:
        sources = dataclasses.replace(sources, **{missing: []})
    atlas, kinds = build_atlas(sources, [1.0])
    recipe = draw_recipe(60, atlas, kinds, Stream(make_key(0)), shares=(0, 0, 1.0), level_share=1.0)
    turns = set()
    for cut in (recipe.far, recipe.near):
        pixels = to_array(cut_pixels(atlas.pixels, cut)).astype(int)
        for found in pixels[..., :2]:
            steps = (tuple(found[1, 0] - found[0, 0]), tuple(found[0, 1] - found[0, 0]))
            turns.add(steps)
            expected = found[0, 0] + np.arange(SIDE)[:, None, None] * steps[0] + np.arange(SIDE)[:, None] * steps[1]
            np.testing.assert_array_equal(found, expected)
    assert len(turns) == 8
    matte = to_array(cut_pixels(atlas.pixels, recipe.matte))
    assert (matte[..., 3].min(axis=(1, 2)) == 0).all()
    is_object = matte[..., :3].any(axis=(1, 2, 3))
    assert is_object.mean() == {None: pytest.approx(0.5, abs=0.2), "cutouts": 0, "shapes": 1}[missing]
    # An object and its matte are cut from the same place.
    np.testing.assert_array_equal(to_array(cut_pixels(atlas.pixels, recipe.near))[is_object], matte[is_object])
    assert not to_array(recipe.is_inverted)[is_object].any()


def test_streams_of_near_seeds_differ():
    assert len({tuple(make_key(seed).tolist()) for seed in (0, 1, 2, (0, 1), (0, 2), (1, 1))}) == 6
    stream = Stream(make_key(0))
    first, second = make_key(0).tolist()
    assert [stream.next().tolist() for _ in range(3)] == [[first, second + number] for number in (1, 2, 3)]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_draw_crops(backend, training_root, repository):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    program = """
import sys
import numpy as np
from training.edges.device.atlas import IMAGE_SIDE, MARGIN, SIDE, build_atlas, cut_pixels
from training.edges.device.crops import DeviceCropSampler
from training.data.sources import load_sources
sampler = DeviceCropSampler(load_sources(sys.argv[1], development=False))
first, again, other = (sampler.draw_batch(2, 50, seed=seed).to_host() for seed in (3, 3, 4))
assert first.valid.mean() > 0.5 and 0 <= first.images.min() < first.images.max() <= 1
assert (first.images == again.images).all() and (first.points == again.points).all()
assert (first.images != other.images).mean() > 0.5
"""
    subprocess.run(
        [sys.executable, "-c", program, str(training_root)],
        check=True,
        cwd=repository,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
