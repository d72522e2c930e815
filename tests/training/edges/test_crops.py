"""Crops: labelled edge points within their ranges, the same from the same seed, true to their family."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS, MIN_RADIUS, N_LEVELS, radius_to_class
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from synth.scenes import Layer, Scene, render_layers, render_uniform
from training.data.camera import CROP_SIDE, FAMILIES
from training.data.labels import UNDECIDED, choose_balanced, label_depth_edges, share_levels
from training.data.sources import load_sources
from training.edges.batches import CropBatch
from training.edges.crops import CropSampler

CROPS, POINTS = 6, 100


@pytest.fixture(scope="module")
def sources(training_root):
    return load_sources(training_root, development=False)


def draw(sources, family=None, *, seed=0, crops=CROPS, points=POINTS, balance="radius"):
    sampler = CropSampler(sources, families=None if family is None else {family: 1.0})
    return sampler.draw_batch(crops, points, rng=np.random.default_rng(seed), balance=balance)


def assert_equal(batch, other):
    for field in dataclasses.fields(CropBatch):
        np.testing.assert_array_equal(getattr(batch, field.name), getattr(other, field.name))


@pytest.mark.parametrize("family", [None, *FAMILIES])
def test_shapes_dtypes_and_ranges(sources, family):
    batch = draw(sources, family)
    side, count = CROP_SIDE + 2 * PATCH_RADIUS, CROPS * POINTS
    assert batch.images.shape == (CROPS, side, side, 3)
    assert batch.points.shape == (count, 3)
    assert batch.levels.shape == (count, N_LEVELS)
    assert batch.radius.shape == batch.is_depth.shape == batch.valid.shape == (count,)
    assert batch.images.dtype == batch.levels.dtype == batch.radius.dtype == batch.valid.dtype == np.float32
    assert batch.points.dtype == np.int32
    assert batch.is_depth.dtype == np.int8
    assert 0 <= batch.images.min() < batch.images.max() <= 1
    assert batch.points.min() >= 0
    assert batch.points[:, 1:].max() < CROP_SIDE
    assert set(np.unique(batch.valid)) <= {0, 1}
    assert batch.radius.min() >= MIN_RADIUS
    assert batch.radius.max() <= MAX_RADIUS
    assert set(np.unique(batch.is_depth)) <= {UNDECIDED, 0, 1}
    assert batch.valid.mean() > 0.3


def test_padding_is_undecided_and_comes_last(sources):
    batch = draw(sources, points=3000)
    valid = batch.valid.reshape(CROPS, 3000)
    assert (np.diff(valid, axis=1) <= 0).all()
    assert (batch.is_depth[batch.valid == 0] == UNDECIDED).all()
    numbers = batch.points.reshape(CROPS, 3000, 3)[..., 0]
    assert (numbers[valid > 0] == np.broadcast_to(np.arange(CROPS)[:, None], numbers.shape)[valid > 0]).all()


def test_points_of_a_crop_are_different(sources):
    batch = draw(sources)
    points = batch.points[batch.valid > 0]
    assert len(np.unique(points, axis=0)) == len(points)


def test_unknown_family_is_refused(sources):
    with pytest.raises(ValueError, match=r"families must be of uniform, .*depth\. Got: 'macro'"):
        draw(sources, "macro")


def test_depth_needs_pictures_with_disparity(sources):
    flat = dataclasses.replace(sources, depth=[])
    with pytest.raises(ValueError, match="families must not name 'depth' where no picture with disparity"):
        CropSampler(flat)
    assert draw(flat, "uniform", crops=1).valid.any()


def test_each_point_knows_its_family(sources):
    batch = draw(sources, crops=12)
    of_crops = batch.family.reshape(12, POINTS)
    assert (of_crops == of_crops[:, :1]).all()
    assert len(set(of_crops[:, 0])) > 1
    assert set(draw(sources, "composite").family) == {"composite"}
    assert (batch.is_depth[np.isin(batch.family, ["uniform", "gradual"])] != 1).all()


def test_order_of_the_families_changes_nothing(sources):
    one, other = ({"uniform": 0.7, "composite": 0.3}, {"composite": 0.3, "uniform": 0.7})
    batches = [
        CropSampler(sources, families=families).draw_batch(4, 10, rng=np.random.default_rng(0))
        for families in (one, other)
    ]
    assert_equal(*batches)


def test_uniform_crops_of_levels_only(sources):
    sampler = CropSampler(sources, families={"uniform": 1.0}, level_share=1.0)
    batch = sampler.draw_batch(12, 20, rng=np.random.default_rng(0))
    assert set(batch.radius[batch.valid > 0]) <= set(BLUR_LEVELS)


@pytest.mark.parametrize("family", [None, *FAMILIES])
def test_same_seed_same_batch(sources, family):
    first = draw(sources, family, seed=5, crops=3)
    assert_equal(first, draw(sources, family, seed=5, crops=3))
    assert (first.images != draw(sources, family, seed=6, crops=3).images).any()


def test_a_batch_does_not_depend_on_the_ones_before(sources):
    sampler = CropSampler(sources)
    sampler.draw_batch(2, 10, rng=np.random.default_rng(1))
    assert_equal(
        sampler.draw_batch(2, 10, rng=np.random.default_rng(2)),
        CropSampler(sources).draw_batch(2, 10, rng=np.random.default_rng(2)),
    )


def test_sources_are_not_modified(sources):
    before = [picture.copy() for picture in sources.sharp]
    draw(sources)
    for picture, kept in zip(sources.sharp, before, strict=True):
        np.testing.assert_array_equal(picture, kept)


def test_uniform_crops_have_one_radius_and_pattern_edges(sources):
    batch = draw(sources, "uniform")
    for number in range(CROPS):
        here = (batch.points[:, 0] == number) & (batch.valid > 0)
        assert len(np.unique(batch.radius[here])) <= 1
    assert (batch.is_depth[batch.valid > 0] == 0).all()


def test_gradual_crops_have_many_radii_and_pattern_edges(sources):
    batch = draw(sources, "gradual")
    assert len(np.unique(batch.radius[batch.valid > 0])) > CROPS
    assert (batch.is_depth[batch.valid > 0] == 0).all()


@pytest.mark.parametrize("family", ["composite", "depth"])
def test_scenes_with_depth_have_edges_of_both_kinds(sources, family):
    labels = draw(sources, family, crops=30, balance="depth edges").is_depth
    assert (labels == 0).sum() >= 100
    assert (labels == 1).sum() >= 100


@pytest.mark.parametrize("count", [1, 8, 30, 100])
def test_choice_takes_as_many_of_each_stratum_as_there_are(count):
    strata = np.array([0] * 50 + [3] * 4 + [7] * 10 + [-1] * 20)
    chosen = choose_balanced(strata, count, rng=np.random.default_rng(0))
    assert len(chosen) == len(set(chosen.tolist())) == min(count, len(strata))
    taken = {stratum: int((strata[chosen] == stratum).sum()) for stratum in (0, 3, 7, -1)}
    assert taken == {1: taken, 8: taken, 30: {0: 16, 3: 4, 7: 10, -1: 0}, 100: {0: 50, 3: 4, 7: 10, -1: 20}}[count]
    assert count != 8 or (taken[-1] == 0 and all(2 <= taken[stratum] <= 3 for stratum in (0, 3, 7)))


def test_levels_are_balanced_over_many_crops(sources):
    """In-focus parts of scenes with depth add to the first level, saturated blur to the last."""
    batch = draw(sources, crops=300, points=64)
    kept = (batch.valid > 0) & (batch.is_depth != 1)
    share = np.bincount(radius_to_class(batch.radius[kept]), minlength=N_LEVELS) / kept.sum() * N_LEVELS
    assert share.min() > 0.25
    assert share.max() < 5
    assert share[1:-1].max() < 2.5


def test_blur_that_is_asked_for_is_seen(sources):
    """The radius of a uniform crop orders its contrast between neighbours."""
    batch = draw(sources, "uniform", crops=16)
    radius = [batch.radius[(batch.points[:, 0] == number) & (batch.valid > 0)] for number in range(16)]
    known = [number for number in range(16) if len(radius[number])]
    roughness = [np.abs(np.diff(batch.images[number], axis=0)).mean() for number in known]
    assert np.corrcoef([radius[number][0] for number in known], roughness)[0, 1] < -0.4


@given(st.lists(st.floats(MIN_RADIUS, MAX_RADIUS, width=32), min_size=1, max_size=20))
def test_shares_sum_to_one_and_their_mean_is_the_radius(values):
    radius = np.array(values, dtype=np.float32)
    shares = share_levels(radius)
    assert shares.shape == (len(values), N_LEVELS)
    assert shares.dtype == np.float32
    assert shares.min() >= 0
    assert (np.count_nonzero(shares, axis=1) <= 2).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(shares @ BLUR_LEVELS, radius, atol=1e-5)


def test_a_level_has_all_of_its_own_share():
    np.testing.assert_allclose(share_levels(BLUR_LEVELS), np.eye(N_LEVELS), atol=1e-6)


def make_step_scene(near_radius, side=60) -> Scene:
    matte = np.zeros((side, side), dtype=np.float32)
    matte[:, : side // 2] = 1
    light = np.full((side, side, 3), 0.5, dtype=np.float32)
    return render_layers([Layer(light, np.ones_like(matte), 0), Layer(light, matte, near_radius)])


def test_scene_without_depth_edges_is_all_pattern():
    labels = label_depth_edges(render_uniform(np.zeros((30, 40, 3), dtype=np.float32), 2))
    assert labels.shape == (30, 40)
    assert labels.dtype == np.int8
    assert not labels.any()


@pytest.mark.parametrize(("radius", "depth", "decided_from"), [(1, 1.5, 3), (6, 3, 7)])
def test_labels_by_distance_from_a_depth_edge(radius, depth, decided_from):
    labels = label_depth_edges(make_step_scene(radius))
    distance = np.abs(np.arange(60) - 29)  # the depth edge is the last column of the near layer
    expected = np.where(distance <= depth, 1, np.where(distance <= decided_from, UNDECIDED, 0))
    np.testing.assert_array_equal(labels, np.tile(expected, (60, 1)))
