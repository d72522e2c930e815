"""Patches: cut where the library cuts them, of many crops, the same from the same seed."""

import dataclasses

import numpy as np
import pytest

from defocus_edge.networks.edge.patches import PATCH_RADIUS, PATCH_SIDE
from tests.defocus_edge.networks.edge.patch_oracle import extract_patches
from training.data.sources import load_sources
from training.edges.batches import PatchBatch
from training.edges.crops import CropSampler
from training.edges.patch_sampler import PatchSampler, cut_patches
from training.edges.settings import PATCHES_PER_CROP


@pytest.fixture(scope="module")
def crops(training_root):
    return CropSampler(load_sources(training_root, development=False))


def test_patches_are_those_of_the_library(rng):
    images = rng.random((3, 104, 104, 3), dtype=np.float32)
    points = np.array([(0, 0, 0), (2, 63, 63), (1, 10, 50), (2, 0, 63)], dtype=np.int32)
    patches = cut_patches(images, points)
    assert patches.shape == (4, PATCH_SIDE, PATCH_SIDE, 3)
    for patch, (number, *place) in zip(patches, points, strict=True):
        expected = extract_patches(images[number], np.array([place]) + PATCH_RADIUS)[0]
        np.testing.assert_array_equal(patch, expected)


def test_labels_are_those_of_the_crops(crops):
    of_crops = crops.draw_batch(4, PATCHES_PER_CROP, rng=np.random.default_rng(3))
    batch = PatchSampler(crops).draw_batch(4, PATCHES_PER_CROP, rng=np.random.default_rng(3))
    for name in ("levels", "radius", "is_depth", "valid", "family"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(of_crops, name))
    assert batch.inputs["patches"].shape == (4 * PATCHES_PER_CROP, PATCH_SIDE, PATCH_SIDE, 3)


def test_a_step_has_its_batch_whatever_came_before(crops):
    sampler = PatchSampler(crops)
    sampler.draw_batch(2, 4, rng=np.random.default_rng(1))
    one, other = (some.draw_batch(3, 4, rng=np.random.default_rng(2)) for some in (sampler, PatchSampler(crops)))
    for field in dataclasses.fields(PatchBatch):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
