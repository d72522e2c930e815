"""Dual-pixel pairs and coded pictures are found as `synth` and public sets have them; what is wrong is named."""

import cv2
import numpy as np
import pytest

from defocus_edge.files.atomic import ImageReadError
from synth.__main__ import main as run_synth
from synth.apertures import MASKS
from tests.conftest import make_texture, write_png
from training.data.signed_datasets import (
    SignedSetError,
    list_coded_pictures,
    list_dual_pairs,
    read_coded_picture,
    read_dual_pair,
)


@pytest.fixture
def make(tmp_path, rng):
    """Make two samples of a family; returns the folder."""

    def run(family):
        write_png(tmp_path / "sources" / "0.png", make_texture(rng, 120, 130))
        options = ["--sources", str(tmp_path / "sources"), "--out", str(tmp_path / family), "--count", "2"]
        assert run_synth([family, *options]) == 0
        return tmp_path / family

    return run


def write_16_bit(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.dstack([values] * 3).astype(np.uint16))


def test_pairs_of_synth_come_with_their_truth(make):
    files = list_dual_pairs(make("dual"))
    assert [one.name for one in files] == ["000000", "000001"]
    pair = read_dual_pair(files[1])
    assert pair.left.shape == pair.right.shape == pair.sharp.shape == (*pair.radius.shape, 3)
    assert pair.radius.min() < 0 < pair.radius.max()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("train_l/source/7_L.png", "train_r/source/7_R.png"),
        ("train_l/source/7.png", "train_r/source/7.png"),
        ("train/inputL/7.png", "train/inputR/7.png"),
    ],
)
def test_public_sets_have_16_bits_also_if_one_view_is_dark(left, right, tmp_path):
    # A guess of the depth from the largest value would take 10 bits for the left and 16 for the right view.
    write_16_bit(tmp_path / left, np.full((30, 40), 1000))
    write_16_bit(tmp_path / right, np.full((30, 40), 33000))
    (one,) = list_dual_pairs(tmp_path)
    assert one.name == "train/7"
    pair = read_dual_pair(one)
    assert pair.left.mean() == pytest.approx(1000 / 65535, rel=1e-4)
    assert pair.right.mean() == pytest.approx(33000 / 65535, rel=1e-4)
    assert pair.sharp is None
    assert pair.radius is None


def test_a_view_without_partner_is_named(tmp_path):
    write_16_bit(tmp_path / "test_l" / "source" / "7_L.png", np.zeros((30, 40)))
    with pytest.raises(SignedSetError, match=r"each view must have its partner\. Got: 1 without, such as '.*7_L\.png'"):
        list_dual_pairs(tmp_path)


def test_a_folder_without_pairs_is_refused(tmp_path):
    with pytest.raises(
        SignedSetError, match=r"root must hold dual-pixel pairs: left/NAME\.png .* Got: '.*', which has"
    ):
        list_dual_pairs(tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path):
    for name in ("7.png", "7_L.png"):
        write_16_bit(tmp_path / "left" / name, np.zeros((30, 40)))
    with pytest.raises(SignedSetError, match=r"names of a view must differ .* Got: '.*7\.png' and '.*7_L\.png'"):
        list_dual_pairs(tmp_path)


def test_views_of_two_sizes_are_refused(tmp_path):
    write_16_bit(tmp_path / "left" / "7.png", np.zeros((30, 40)))
    write_16_bit(tmp_path / "right" / "7.png", np.zeros((30, 41)))
    (one,) = list_dual_pairs(tmp_path)
    with pytest.raises(SignedSetError, match=r"one size\. Got: '.*7\.png' with \(30, 41\) instead of \(30, 40\) px"):
        read_dual_pair(one)


def test_a_damaged_view_is_named(tmp_path):
    for view in ("left", "right"):
        (tmp_path / view).mkdir()
        (tmp_path / view / "7.png").write_bytes(b"broken")
    (one,) = list_dual_pairs(tmp_path)
    with pytest.raises(ImageReadError, match=r"7\.png"):
        read_dual_pair(one)


def test_coded_pictures_come_with_their_mask(make):
    files = list_coded_pictures(make("coded"))
    scene = read_coded_picture(files[0])
    assert scene.mask in MASKS.values()
    assert scene.image.shape == (*scene.radius.shape, 3)
    assert scene.radius.min() < 0 < scene.radius.max()


def test_a_missing_coded_picture_is_named(make):
    root = make("coded")
    (root / "pictures" / "000001.png").unlink()
    with pytest.raises(SignedSetError, match=r"all files of the manifest must be there\. Got: no '.*000001\.png'"):
        list_coded_pictures(root)


def test_folders_that_are_not_coded_are_refused(make, tmp_path):
    with pytest.raises(SignedSetError, match=r"must describe coded pictures\. Got: line 1 of "):
        list_coded_pictures(make("dual"))
    (tmp_path / "manifest.jsonl").touch()
    with pytest.raises(SignedSetError, match=r"must hold coded pictures\. Got: '.*', which is empty"):
        list_coded_pictures(tmp_path)
    with pytest.raises(SignedSetError, match=r"with manifest\.jsonl\. Got: '.*sources', which has none"):
        list_coded_pictures(tmp_path / "sources")
