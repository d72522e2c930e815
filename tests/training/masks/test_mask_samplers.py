"""Photographs with masks and without, as a training sees them."""

import pickle

import cv2
import numpy as np
import pytest

from tests.conftest import write_png
from training.data.mask_datasets import list_pairs
from training.data.sources import load_sources
from training.masks.samplers import InFocusSampler, MixedSampler, PairSampler, PhotoSampler, WholeSampler, cut_scaled
from training.masks.scenes import MaskSceneSampler


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


@pytest.fixture
def mixed(pairs, training_root):
    """Makes samplers of the pairs with scenes that are blurred all over or not at all."""
    scenes = MaskSceneSampler(load_sources(training_root, development=False), side=64, families={"uniform": 1.0})

    def make(**options):
        return MixedSampler(pairs, scenes, **{"share": 1.0, "scales": (1.0, 1.0), "blurred_share": 0.0} | options)

    return make


@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.5, 0.9), (1.1, 1.5)])
def test_photographs_keep_their_masks_at_any_scale(mixed, scales):
    images, masks = mixed(scales=scales).draw_batch(12, np.random.default_rng(0))
    assert images.shape == (12, 64, 64, 3)
    assert images.dtype == np.float32
    assert masks.dtype == bool
    light = images.mean(axis=-1)
    for image, mask in zip(light, masks, strict=True):
        if 0.1 < mask.mean() < 0.9:
            assert image[mask].mean() > 1.2 * image[~mask].mean()
    assert 0.1 < masks.mean() < 0.9


def test_whole_pictures_are_in_focus_or_blurred_all_over(mixed, pairs):
    """Whatever the shares of the photographs; a sampler of photographs with masks alone has none."""
    sampler = mixed()
    assert isinstance(sampler, WholeSampler)
    assert not isinstance(PairSampler(pairs, side=64), WholeSampler)
    sharp, blurred, again = (
        sampler.draw_wholes(8, np.random.default_rng(0), blurred=blurred) for blurred in (False, True, True)
    )
    assert sharp.shape == blurred.shape == (8, 64, 64, 3)
    assert sharp.dtype == np.float32
    np.testing.assert_array_equal(blurred, again)
    assert np.abs(np.diff(sharp, axis=2)).mean() > 1.5 * np.abs(np.diff(blurred, axis=2)).mean()


def test_scenes_with_radii_and_photographs_come_alone(mixed):
    sampler = mixed(share=0.5)
    images, radii = sampler.draw_radii(6, np.random.default_rng(0))
    assert images.shape == (6, 64, 64, 3)
    assert radii.dtype == np.float32
    assert (np.ptp(radii, axis=(1, 2)) == 0).all()  # these scenes have one radius each
    assert isinstance(sampler, InFocusSampler)
    again, same, sharp = sampler.draw_in_focus(6, np.random.default_rng(0))
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(radii, same)
    assert np.abs(np.diff(sharp, axis=2)).mean() > np.abs(np.diff(images, axis=2)).mean()
    _, masks = sampler.draw_photographs(20, np.random.default_rng(0))
    assert not np.isin(masks.mean(axis=(1, 2)), (0, 1)).all()


def test_the_share_decides_what_is_a_scene(mixed):
    """A mask of these scenes has one value, one of these photographs two."""
    _, masks = mixed(share=0.5).draw_batch(200, np.random.default_rng(0))
    is_scene = np.isin(masks.mean(axis=(1, 2)), (0, 1))
    assert 0.35 < is_scene.mean() < 0.65
    _, masks = mixed(share=0.0).draw_batch(20, np.random.default_rng(0))
    assert np.isin(masks.mean(axis=(1, 2)), (0, 1)).all()


def test_some_photographs_are_blurred_as_a_whole(mixed):
    sharp, _ = mixed().draw_batch(12, np.random.default_rng(0))
    blurred, masks = mixed(blurred_share=1.0).draw_batch(12, np.random.default_rng(0))
    assert masks.all()
    assert np.abs(np.diff(blurred, axis=2)).max() < 0.8 * np.abs(np.diff(sharp, axis=2)).max()


def test_the_generator_decides_what_is_mixed(mixed):
    sampler = mixed(share=0.5, scales=(0.5, 1.5), blurred_share=0.5)
    first, other, again = (sampler.draw_batch(4, np.random.default_rng(seed))[0] for seed in (1, 2, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("factor", [0.2, 0.4, 1.0, 1.7])
@pytest.mark.parametrize("shape", [(40, 300), (300, 40), (64, 64), (1, 1)])
def test_a_cut_part_has_its_side_whatever_the_photograph(rng, factor, shape):
    photo = rng.integers(0, 256, (*shape, 4), dtype=np.uint8)
    assert cut_scaled(photo, 64, factor, rng).shape == (64, 64, 4)


def test_a_part_at_factor_one_is_a_part_of_the_photograph(rng):
    photo = np.dstack(
        np.indices(
            (
                90,
                90,
            ),
            dtype=np.uint8,
        )
    ).repeat(2, axis=2)
    part = cut_scaled(photo, 64, 1.0, rng)
    top, left = part[0, 0, 0], part[0, 0, 2]
    np.testing.assert_array_equal(part, photo[top : top + 64, left : left + 64])


def test_mixing_needs_photographs(training_root):
    scenes = MaskSceneSampler(load_sources(training_root, development=False), side=64, families={"uniform": 1.0})
    with pytest.raises(ValueError, match=r"There must be photographs with masks\. Got: none\."):
        MixedSampler([], scenes, share=0.5, scales=(1.0, 1.0), blurred_share=0.0)


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


def test_another_process_draws_the_same(mixed):
    """Samplers can be sent to it, with the scenes of all their pictures."""
    sampler = mixed(share=0.5, blurred_share=0.5)
    again = pickle.loads(pickle.dumps(sampler))
    for one, other in zip(*(drawn.draw_batch(6, np.random.default_rng(3)) for drawn in (sampler, again)), strict=True):
        np.testing.assert_array_equal(one, other)
