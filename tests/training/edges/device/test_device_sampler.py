"""Crops drawn on the accelerator: labelled, the same from the same seed, true to their family."""

import dataclasses

import jax
import numpy as np
import pytest

from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS, N_LEVELS
from defocus_edge.estimation.edges import EdgeSettings, find_edges
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from tests.conftest import make_texture
from training.data.camera import CROP_SIDE
from training.data.labels import UNDECIDED, share_levels
from training.data.sources import Cutout, DepthPicture, Sources
from training.edges.batches import CropBatch
from training.edges.device.atlas import IMAGE_SIDE
from training.edges.device.chance import Chance
from training.edges.device.sampler import DeviceCropSampler

CROPS, POINTS = 6, 60


@pytest.fixture(scope="module")
def sources():
    """Two sharp pictures, an object, a shape and a picture with depth."""
    rng = np.random.default_rng(0)
    pictures = [make_texture(rng, 260, 280) for _ in range(2)]
    rows, cols = np.mgrid[:260, :280]
    disk = np.where(np.hypot(rows - 120.0, cols - 140.0) < 70, 255, 0).astype(np.uint8)
    disparity = np.repeat(np.linspace(10, 90, 260, dtype=np.float32)[:, None], 280, axis=1)
    return Sources(pictures, [Cutout(pictures[0], disk)], [disk], [DepthPicture(pictures[1], disparity)])


@pytest.fixture(scope="module")
def sampler(sources):
    return DeviceCropSampler(sources)


def draw(sampler, seed=0, *, points=POINTS, balance="radius"):
    return sampler.draw_batch(CROPS, points, rng=np.random.default_rng(seed), balance=balance)


@pytest.fixture(scope="module")
def batch(sampler):
    return draw(sampler)


def test_shapes_dtypes_and_ranges(batch):
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
    assert batch.valid.mean() > 0.3
    np.testing.assert_allclose(batch.levels, share_levels(batch.radius), atol=1e-5)


def test_padding_is_undecided_and_comes_last(batch):
    valid = batch.valid.reshape(CROPS, POINTS)
    assert (np.diff(valid, axis=1) <= 0).all()
    padding = batch.valid == 0
    assert padding.any()
    assert (batch.is_depth[padding] == UNDECIDED).all()
    assert (batch.radius[padding] == MIN_RADIUS).all()
    points = batch.points[~padding]
    assert len(np.unique(points, axis=0)) == len(points)
    assert (batch.points[:, 0] == np.repeat(np.arange(CROPS), POINTS)).all()


def test_points_are_edge_points(batch):
    """Edge points with the loosest threshold that occurs; the hysteresis of the original reaches all of them."""
    hits = []
    for number in range(CROPS):
        edges = find_edges(batch.images[number], settings=EdgeSettings(high_quantile=0.4))
        here = batch.points[(batch.points[:, 0] == number) & (batch.valid > 0)]
        hits.extend(edges[here[:, 1] + PATCH_RADIUS, here[:, 2] + PATCH_RADIUS].tolist())
    assert np.mean(hits) > 0.9


def test_the_seed_alone_decides(sampler, batch):
    other = draw(sampler, 1)
    again = draw(sampler)
    for field in dataclasses.fields(CropBatch):
        np.testing.assert_array_equal(getattr(batch, field.name), getattr(again, field.name))
    assert (batch.images != other.images).mean() > 0.5


def test_families_without_depth_have_pattern_edges_only(batch):
    flat = (batch.family != "composite") & (batch.valid > 0)
    assert flat.any()
    assert (batch.is_depth[flat] == 0).all()


def test_composites_have_edges_of_both_kinds(sampler):
    wanted, counts = np.array([30, 10]), np.zeros(2, dtype=int)
    for seed in range(40):
        batch = draw(sampler, seed)
        labels = batch.is_depth[batch.family == "composite"]
        counts += [(labels == 0).sum(), (labels == 1).sum()]
        if (counts >= wanted).all():
            break
    assert (counts >= wanted).all()


def test_families_that_only_the_cpu_renders_come_from_there(sources):
    sampler = DeviceCropSampler(sources, families={"uniform": 1.0, "depth": 3.0})
    seeds = [seed for seed in range(8) if np.random.default_rng(seed).random() < 0.75]
    assert 2 < len(seeds) < 8
    for seed in seeds[:2]:
        assert set(draw(sampler, seed).family) == {"depth"}


def test_families_are_counted(sampler, sources):
    assert sum(sampler.count_families(7)) == 7
    assert sampler.count_families(100) == (69, 7, 24)
    assert DeviceCropSampler(sources, families={"composite": 2.0}).count_families(3) == (0, 0, 3)


def test_chance_is_as_likely_as_it_says():
    chance = Chance(jax.random.key(0), 4000)
    assert np.bincount(chance.choose([0.5, 0.2, 0.3])) / 4000 == pytest.approx([0.5, 0.2, 0.3], abs=0.03)
    assert np.bincount(chance.count(np.full(4000, 3))) / 4000 == pytest.approx([1 / 3] * 3, abs=0.03)
    assert np.mean(chance.toss(0.2)) == pytest.approx(0.2, abs=0.03)
    noise = np.asarray(chance.exponential(2.0, 6.0))
    assert noise.max() <= 6
    assert noise.mean() == pytest.approx(2 * (1 - np.exp(-3)), rel=0.05)
    assert np.std(chance.normal(2)) == pytest.approx(1, rel=0.05)
    assert len({float(chance.draw()[0]) for _ in range(70)}) == 70


@pytest.mark.parametrize(("crops", "points", "match"), [(0, 10, "crops must"), (1, 577, "points_per_crop must")])
def test_sizes_must_be_possible(sampler, crops, points, match):
    with pytest.raises(ValueError, match=match):
        sampler.draw_batch(crops, points, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("families", "got"), [({"depth": 0.5}, "depth"), ({}, "none")])
def test_families_must_be_drawn_here(sources, families, got):
    with pytest.raises(ValueError, match=rf"name one or more of uniform, gradual, composite\. Got: {got}\."):
        DeviceCropSampler(sources, families=families)


def test_composites_need_something_to_lay_in_front(sources):
    flat = dataclasses.replace(sources, cutouts=[], shapes=[])
    with pytest.raises(ValueError, match=r"sources must hold an object or a mask that has 96×96 px .* Got: none\."):
        DeviceCropSampler(flat)
    assert DeviceCropSampler(flat, families={"uniform": 1.0})
