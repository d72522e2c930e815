"""Crops that were rendered ahead: the same as rendered ones, resumable, refused when they are not what is wanted."""

import dataclasses
import json

import numpy as np
import pytest

from tests.training.training_cases import BLUR
from training.data.camera import CROP_SIDE, FAMILIES
from training.data.sources import DEVELOPMENT_STRIDE, load_sources
from training.edges import crop_store
from training.edges.crop_store import PLAN_FILE, CropPlan, CropStoreError, StoredCrops, fill_crop_store
from training.edges.crops import CropSampler
from training.edges.patch_sampler import PatchSampler
from training.edges.training import build_sampler

SHARD = 6
PLAN = CropPlan("dense", {"uniform": 0.5, "composite": 0.5}, 0.85, DEVELOPMENT_STRIDE)
SETTINGS = dataclasses.replace(BLUR, families=PLAN.families)


@pytest.fixture(scope="module", autouse=True)
def _small_files():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crop_store, "SHARD", SHARD)
        yield


def fill(folder, training_root, *, plan=PLAN, crops=2 * SHARD):
    return list(fill_crop_store(plan, root=training_root, folder=folder, crops=crops, jobs=1))


@pytest.fixture(scope="module")
def store(training_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    assert fill(folder, training_root) == [SHARD, 2 * SHARD]
    return folder


@pytest.fixture(scope="module")
def rendered(training_root):
    """The crops of the first file, with all their points."""
    sampler = CropSampler(load_sources(training_root, development=False), families=PLAN.families)
    return sampler.draw_batch(SHARD, CROP_SIDE**2, rng=np.random.default_rng((PLAN.seed, 0)))


def list_points(batch):
    """Set of (radius, label) at each place of each crop, in a form that turns do not change: sorted values."""
    count = len(batch.images)
    valid = batch.valid.reshape(count, -1) > 0
    values = np.stack([batch.radius.reshape(count, -1), batch.is_depth.reshape(count, -1)], axis=-1)
    return [np.sort(values[k][valid[k]], axis=0) for k in range(count)]


def test_stored_crops_are_the_rendered_ones_turned(store, rendered):
    drawn = StoredCrops(store, SETTINGS).draw_batch(40, CROP_SIDE**2, rng=np.random.default_rng(1))
    means = rendered.images.mean(axis=(1, 2))
    seen = set()
    for number, (image, points) in enumerate(zip(drawn.images, list_points(drawn), strict=True)):
        nearest = int(np.abs(means - image.mean(axis=(0, 1))).sum(axis=1).argmin())
        turns = [
            np.rot90(side, k)
            for side in (rendered.images[nearest], rendered.images[nearest][:, ::-1])
            for k in range(4)
        ]
        if any((turn == image).all() for turn in turns):  # the others are of the second file
            seen.add(nearest)
            np.testing.assert_allclose(points, list_points(rendered)[nearest], atol=2e-3)  # float16
            family = rendered.family.reshape(SHARD, -1)[nearest, 0]
            assert drawn.family.reshape(40, -1)[number, 0] == family
    assert seen == set(range(SHARD))


def test_points_lie_on_what_they_label(store):
    """A turned label goes with a turned picture: the gradient at the points is above that of the crop."""
    drawn = StoredCrops(store, SETTINGS).draw_batch(30, CROP_SIDE**2, rng=np.random.default_rng(2))
    light = drawn.images.mean(axis=-1)
    slope = np.hypot(*np.gradient(light, axis=(1, 2)))[:, 20:-20, 20:-20]
    number, row, col = drawn.points[drawn.valid > 0].T
    assert slope[number, row, col].mean() > 1.5 * slope.mean()


def test_draws_follow_from_the_generator(store):
    crops = StoredCrops(store, SETTINGS)
    crops.draw_batch(2, 10, rng=np.random.default_rng(5))
    one, other = (
        some.draw_batch(4, 10, rng=np.random.default_rng(3)) for some in (crops, StoredCrops(store, SETTINGS))
    )
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_families_occur_as_often_as_the_settings_say(store):
    only = dataclasses.replace(SETTINGS, families={"composite": 1.0})
    batch = StoredCrops(store, only).draw_batch(5, 10, rng=np.random.default_rng(0))
    assert set(batch.family) == {"composite"}


def test_a_second_run_renders_what_is_missing(store, training_root, tmp_path):
    (tmp_path / PLAN_FILE).write_bytes((store / PLAN_FILE).read_bytes())
    (tmp_path / "000000.crops").write_bytes((store / "000000.crops").read_bytes())
    before = (tmp_path / "000000.crops").stat().st_mtime_ns
    assert fill(tmp_path, training_root) == [SHARD, 2 * SHARD]
    assert (tmp_path / "000000.crops").stat().st_mtime_ns == before
    assert (tmp_path / "000001.crops").read_bytes() == (store / "000001.crops").read_bytes()


def test_another_plan_is_refused(store, training_root):
    files = sorted(store.iterdir())
    with pytest.raises(CropStoreError, match="store must be new or hold crops of the same plan"):
        fill(store, training_root, plan=dataclasses.replace(PLAN, seed=1))
    assert sorted(store.iterdir()) == files


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation_stride": 5}, r"store must be rendered with validation_stride 5\. Got: .*, with 10\."),
        ({"sampler": "device"}, r"store must be rendered with sampler 'device'\. Got: .*, with 'dense'\."),
        ({"families": {"gradual": 1.0}}, r"store must hold crops of the family 'gradual'\. Got: .*, which has none\."),
    ],
)
def test_crops_for_other_settings_are_refused(store, change, message):
    with pytest.raises(CropStoreError, match=message):
        StoredCrops(store, dataclasses.replace(SETTINGS, **change))


def test_folders_that_are_no_store_are_refused(store, tmp_path):
    with pytest.raises(CropStoreError, match="store must be a folder that python -m training crops has filled"):
        StoredCrops(tmp_path, SETTINGS)
    plan = json.loads((store / PLAN_FILE).read_text())
    (tmp_path / PLAN_FILE).write_text(json.dumps(plan))
    with pytest.raises(CropStoreError, match="store must hold crops"):
        StoredCrops(tmp_path, SETTINGS)
    (tmp_path / PLAN_FILE).write_text("{")
    with pytest.raises(CropStoreError, match=r"crops\.json must be JSON that python -m training crops wrote"):
        StoredCrops(tmp_path, SETTINGS)
    (tmp_path / PLAN_FILE).write_text(json.dumps(plan | {"version": 0}))
    with pytest.raises(CropStoreError, match=r"store must be of version 1\. Got: .*, of version 0"):
        StoredCrops(tmp_path, SETTINGS)


@pytest.mark.parametrize("cut", [10, 3000])
def test_damaged_files_are_named(store, tmp_path, cut):
    (tmp_path / PLAN_FILE).write_bytes((store / PLAN_FILE).read_bytes())
    (tmp_path / "000000.crops").write_bytes((store / "000000.crops").read_bytes()[:cut])
    with pytest.raises(CropStoreError, match=r"000000\.crops must have \d+ bytes\. Got: \d+\. Remove it"):
        StoredCrops(tmp_path, SETTINGS)


def test_patches_are_cut_from_stored_crops(store, training_root):
    sources = load_sources(training_root, development=False)
    sampler = build_sampler(sources, dataclasses.replace(SETTINGS, sampler="patches"), store)
    assert isinstance(sampler, PatchSampler)
    assert sampler.draw_batch(2, 4, rng=np.random.default_rng(0)).patches.shape == (8, 41, 41, 3)


def test_every_family_has_a_number():
    assert tuple(FAMILIES) == ("uniform", "gradual", "composite", "depth")  # files keep the place in this order
