"""Source pictures: the split, the layout of the folders, holes of disparity maps."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defocus_edge.files.atomic import ImageReadError
from synth.sharpness import measure_sharpness
from tests.conftest import make_texture
from training.data.mattes import load_mattes
from training.data.sources import (
    LEAST_SIDE,
    SHARP_FOLDERS,
    SHARP_RADIUS,
    filter_sharp,
    list_pictures,
    load_sources,
    shrink,
    split_paths,
)
from training.runs.settings import VALIDATION_STRIDES


@pytest.fixture
def root(training_root, tmp_path):
    """A copy of the training data that a test may damage."""
    return shutil.copytree(training_root, tmp_path / "data")


def test_both_sides_of_the_split_load(training_root):
    kept, learnt = (load_sources(training_root, development=development) for development in (True, False))
    assert (len(kept.sharp), len(learnt.sharp)) == (5, 13)
    assert (len(kept.cutouts), len(learnt.cutouts)) == (1, 1)
    assert (len(kept.shapes), len(learnt.shapes)) == (1, 1)
    assert (len(kept.depth), len(learnt.depth)) == (1, 2)


def test_shapes_and_dtypes(training_root):
    sources = load_sources(str(training_root), development=False)
    assert {(picture.shape, picture.dtype) for picture in sources.sharp} == {((200, 220, 3), np.dtype(np.uint8))}
    (cutout,) = sources.cutouts
    assert cutout.picture.shape == (210, 200, 3)
    assert cutout.mask.shape == (210, 200)
    assert set(np.unique(cutout.mask)) == {0, 255}
    assert sources.shapes[0].shape == (200, 210)
    assert sources.depth[0].disparity.shape == (210, 200)
    assert sources.depth[0].disparity.dtype == np.float32


@pytest.mark.parametrize("folder", [*SHARP_FOLDERS, "objects", "focus_masks", "rgbd"])
def test_missing_folder_is_named(root, folder):
    shutil.rmtree(root / folder)
    with pytest.raises(FileNotFoundError, match=rf"Expected a folder with pictures \(.*\.jpg.*\)\. Got: .*{folder}, "):
        load_sources(root, development=True)


def test_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"Expected a folder with pictures .* which has none"):
        list_pictures(tmp_path)


@pytest.mark.parametrize("name", ["objects/0001_mask.png", "rgbd/Aloe_view1_disparity.png"])
def test_missing_partner_of_a_picture_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(FileNotFoundError, match=Path(name).name):
        load_sources(root, development=True)


def test_damaged_picture_is_named(root):
    (root / "sharp" / "bsds500" / "000.png").write_bytes(b"\x89PNG")
    with pytest.raises(ImageReadError, match=r"000\.png"):
        load_sources(root, development=True)


@given(st.integers(0, 60), st.sampled_from([2, 5, 10]), st.randoms())
def test_split_is_every_nth_by_name_disjoint_and_complete(count, stride, random):
    paths = [Path(f"{number:03}.png") for number in range(count)]
    shuffled = random.sample(paths, count)
    kept, learnt = (split_paths(shuffled, development=development, stride=stride) for development in (True, False))
    assert kept == paths[::stride]
    assert not set(kept) & set(learnt)
    assert sorted([*kept, *learnt]) == paths


def test_no_stride_trains_on_the_development_set():
    paths = [Path(f"{number:03}.png") for number in range(60)]
    development = set(split_paths(paths, development=True))
    for stride in VALIDATION_STRIDES:
        assert not development & set(split_paths(paths, development=False, stride=stride))


def test_four_fifths_of_the_pictures_train_with_stride_5(training_root):
    kept, learnt = (load_sources(training_root, development=side, stride=5) for side in (True, False))
    assert (len(kept.sharp), len(learnt.sharp)) == (6, 12)  # of 12, 2, 2 and 2


def test_pictures_are_listed_by_name(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.txt", "d.tiff"):
        (tmp_path / name).touch()
    assert [path.name for path in list_pictures(tmp_path)] == ["a.jpg", "b.PNG", "d.tiff"]


def test_views_of_a_scene_stay_on_one_side(training_root):
    """The first view of Aloe is kept; the second must not be learnt from."""
    kept, learnt = (load_sources(training_root, development=development).depth for development in (True, False))
    pictures = {path.stem: path for path in list_pictures(training_root / "rgbd")}
    expected = load_picture(pictures["Aloe_view1_rgb"])
    np.testing.assert_array_equal(kept[0].picture, expected)
    learnt_names = ("Bowling_view1_rgb", "Bowling_view5_rgb")
    for depth, name in zip(learnt, learnt_names, strict=True):
        np.testing.assert_array_equal(depth.picture, load_picture(pictures[name]))


def load_picture(path):
    import cv2

    return cv2.imread(str(path))[..., ::-1]


def test_no_hole_is_left_in_disparity(training_root):
    for depth in load_sources(training_root, development=False).depth:
        assert depth.disparity.min() == 30


def test_shrinking_averages():
    picture = np.zeros((40, 60, 3), dtype=np.uint8)
    picture[::2] = 200
    assert shrink(picture, 0.5).shape == (20, 30, 3)
    assert (shrink(picture, 0.5) == 100).all()
    assert shrink(picture, 0.001).shape == (1, 1, 3)


def test_soft_pictures_are_reduced_until_they_are_sharp(rng):
    sharp = make_texture(rng, 300, 320, block=9)
    soft = cv2.GaussianBlur(sharp, (0, 0), 1.0)
    plain = np.full_like(sharp, 99)
    small = cv2.GaussianBlur(make_texture(rng, 130, 140, block=9), (0, 0), 2.0)
    first, second = filter_sharp([sharp, soft, plain, small])
    np.testing.assert_array_equal(first, sharp)
    assert LEAST_SIDE <= min(second.shape[:2]) < 250
    radius = measure_sharpness(second.astype(np.float32) / 255).radius
    assert radius < 1.15 * SHARP_RADIUS < measure_sharpness(soft.astype(np.float32) / 255).radius


def test_pictures_are_left_as_they_come_where_asked(training_root):
    paths = sorted((training_root / "sharp" / "bsds500").iterdir())
    assert len(load_sources(training_root, development=False, sharpen=False).sharp) >= len(paths) - 2


def test_objects_with_masks_and_mattes_are_read(tmp_path):
    disk = cv2.circle(np.zeros((60, 80), np.uint8), (40, 30), 20, 255, -1)
    for folder, end in (("salient", "_mask"), ("alpha", "_alpha")):
        (tmp_path / folder).mkdir()
        matte = cv2.GaussianBlur(disk, (0, 0), 3)
        picture = np.repeat(50 + matte[..., None] // 2, 3, axis=-1)  # 50 behind the object, 177 the object's own
        for name in ("01", "02", "03"):
            cv2.imwrite(str(tmp_path / folder / f"{name}.png"), picture)
            cv2.imwrite(str(tmp_path / folder / f"{name}{end}.png"), matte)
    salient, soft = load_mattes(tmp_path, development=False, stride=2)
    kept_out = load_mattes(tmp_path, development=True, stride=2)
    assert (len(salient), len(soft)) == (1, 1)
    assert [len(each) for each in kept_out] == [2, 2]
    assert salient[0].picture.shape == (60, 80, 3)
    (matte,) = soft
    assert matte.picture.shape == (48, 64, 3)
    assert ((matte.mask > 20) & (matte.mask < 235)).any()
    # Where the object shines through, it keeps its own colour.
    assert np.abs(matte.picture[matte.mask > 60].astype(int) - 177).max() < 25


def test_folders_with_mattes_may_be_missing(tmp_path):
    assert load_mattes(tmp_path, development=True) == ([], [])
