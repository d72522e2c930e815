"""Photographs with masks and without, as a training sees them."""

import cv2
import numpy as np
import pytest

from tests.conftest import write_png
from training.data.mask_datasets import list_pairs
from training.masks.samplers import PairSampler, PhotoSampler


@pytest.fixture
def pairs(tmp_path, rng):
    """Three photographs: bright where they are blurred."""
    for number in range(3):
        mask = (rng.random((6, 8)) > 0.5).astype(np.uint8).repeat(12, axis=0).repeat(12, axis=1) * 255
        write_png(tmp_path / "image" / f"{number}.png", np.dstack([mask // 2 + 60] * 3))
        write_png(tmp_path / "gt" / f"{number}.png", mask)
    return list_pairs(tmp_path / "image", tmp_path / "gt")


@pytest.mark.parametrize(
    "options", [{}, {"resized": 96}, {"rotation": 0.5}, {"scaling": 1.5}, {"resized": 80, "rotation": 3.0}], ids=str
)
def test_mask_and_picture_stay_together(pairs, options):
    """Wherever a px comes from: away from the borders of the blocks the picture says what the mask says."""
    images, masks = PairSampler(pairs, side=64, **options).draw_batch(8, np.random.default_rng(0))
    assert images.shape == (8, 64, 64, 3)
    assert images.dtype == np.float32
    assert masks.shape == (8, 64, 64)
    assert masks.dtype == bool
    bright = images[..., 0] > 0.49
    assert (bright == masks).mean() > 0.98
    assert 0.1 < masks.mean() < 0.9


def test_without_changes_whole_photographs_are_seen(pairs):
    sampler = PairSampler(pairs[:1], side=64)
    images, _ = sampler.draw_batch(6, np.random.default_rng(0))
    whole = cv2.resize(cv2.imread(str(pairs[0].picture_path))[..., ::-1], (64, 64), interpolation=cv2.INTER_AREA)
    whole = whole.astype(np.float32) / 255
    for image in images:
        assert min(np.abs(image - whole).max(), np.abs(image[:, ::-1] - whole).max()) < 0.01
    assert any(np.abs(image - whole).max() < 0.01 for image in images)
    assert any(np.abs(image[:, ::-1] - whole).max() < 0.01 for image in images)


def test_the_generator_decides(pairs):
    sampler = PairSampler(pairs, side=32, resized=64, rotation=1.0, scaling=1.2)
    first, other, again = (sampler.draw_batch(3, np.random.default_rng(seed))[0] for seed in (1, 2, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_no_pairs_or_too_small_ones_are_refused(pairs):
    with pytest.raises(ValueError, match=r"There must be pairs, resized to 64 px or more\. Got: 0 and 64 px\."):
        PairSampler([], side=64)
    with pytest.raises(ValueError, match=r"Got: 3 and 32 px\."):
        PairSampler(pairs, side=64, resized=32)


def test_photographs_are_cut_and_small_ones_enlarged(tmp_path, rng):
    for number, size in enumerate([(100, 150), (40, 30)]):
        write_png(tmp_path / f"{number}.png", rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    sampler = PhotoSampler(tmp_path, side=64)
    photos = sampler.draw_photos(10, np.random.default_rng(0))
    assert photos.shape == (10, 64, 64, 3)
    assert photos.dtype == np.float32
    assert 0 <= photos.min() <= photos.max() <= 1
    assert photos.std(axis=(1, 2, 3)).min() > 0.05
    np.testing.assert_array_equal(photos, sampler.draw_photos(10, np.random.default_rng(0)))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder with pictures"):
        PhotoSampler(tmp_path, side=64)
