"""Which picture of a pair is sharper, on pairs where it is known."""

import cv2
import numpy as np
import pytest

from defocus_edge.arrays import as_image
from defocus_edge.files.images import write_picture
from training.data.focus_pairs import FocusPair, FocusPairError, compare_sharpness, load_focus_pairs


@pytest.fixture
def sharp(rng):
    """Texture of 96×128 px."""
    blocks = rng.integers(40, 216, (24, 32, 3), dtype=np.uint8)
    return as_image(blocks.repeat(4, axis=0).repeat(4, axis=1))


def blur(image, sigma=2.0):
    return cv2.GaussianBlur(image, (0, 0), sigma)


def make_pair(sharp):
    """Left half in focus in the near picture, right half in the far one."""
    left = np.arange(sharp.shape[1]) < 64
    left = left[None, :, None]
    return FocusPair("halves", np.where(left, sharp, blur(sharp)), np.where(left, blur(sharp), sharp))


def test_each_half_is_sharper_where_it_is_in_focus(sharp):
    near, far = compare_sharpness(make_pair(sharp))
    assert near[:, :58].mean() > 0.95
    assert far[:, 70:].mean() > 0.95
    assert not near[:, 70:].any()
    assert not far[:, :58].any()


def test_exposure_is_no_sharpness(sharp):
    brighter = FocusPair("bright", sharp, 0.5 * sharp + 0.1)
    with pytest.raises(FocusPairError, match="equally sharp"):
        compare_sharpness(brighter)
    pair = make_pair(sharp)
    near, far = compare_sharpness(FocusPair("halves", pair.near, 0.4 * pair.far + 0.2))
    plain_near, plain_far = compare_sharpness(pair)
    assert (near == plain_near).mean() > 0.98
    assert (far == plain_far).mean() > 0.98


def test_noise_is_no_sharpness(sharp, rng):
    """Noise of 2 of 255 on a flat picture is no texture, and on the blurred one of two it wins nowhere."""
    noise = rng.normal(0, 2 / 255, sharp.shape).astype(np.float32)
    flat = np.full_like(sharp, 0.5)
    with pytest.raises(FocusPairError, match="no textured pixels"):
        compare_sharpness(FocusPair("flat", flat + noise, flat))
    near, far = compare_sharpness(FocusPair("noisy", sharp, blur(sharp) + noise))
    assert near.mean() > 0.95
    assert not far.any()


def test_slightly_shifted_pictures_are_equally_sharp(sharp):
    with pytest.raises(FocusPairError, match="equally sharp"):
        compare_sharpness(FocusPair("shifted", sharp[:, :-1], sharp[:, 1:]))


def test_flat_pictures_have_nothing_to_compare(sharp):
    flat = np.full_like(sharp, 0.5)
    with pytest.raises(FocusPairError, match=r"must have pixels where .* Got: 'flat'; it has no textured pixels"):
        compare_sharpness(FocusPair("flat", flat, flat))


def test_pairs_are_read_by_name(sharp, tmp_path):
    pixels = np.rint(sharp * 255).astype(np.uint8)
    for name in ("two-B", "one-A", "two-A", "one-B"):
        write_picture(tmp_path / f"{name}.png", pixels // (2 if name.endswith("B") else 1))
    pairs = load_focus_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["one", "two"]
    for pair in pairs:
        np.testing.assert_array_equal(pair.near, as_image(pixels))
        np.testing.assert_array_equal(pair.far, as_image(pixels // 2))


@pytest.mark.parametrize(("name", "missing"), [("one-A", "one-B"), ("one-B", "one-A"), ("other", "other-A")])
def test_picture_without_a_partner(sharp, tmp_path, name, missing):
    write_picture(tmp_path / f"{name}.png", np.rint(sharp * 255).astype(np.uint8))
    with pytest.raises(FocusPairError, match=f"must hold pairs .* without '{missing}'"):
        load_focus_pairs(tmp_path)


def test_pictures_of_two_sizes(sharp, tmp_path):
    pixels = np.rint(sharp * 255).astype(np.uint8)
    write_picture(tmp_path / "one-A.png", pixels)
    write_picture(tmp_path / "one-B.png", pixels[:-1])
    with pytest.raises(FocusPairError, match=r"must have one size. Got: 'one' with \(96, 128, 3\) and \(95, 128, 3\)"):
        load_focus_pairs(tmp_path)


def test_folder_without_pictures(tmp_path):
    with pytest.raises(FileNotFoundError, match="which has none"):
        load_focus_pairs(tmp_path)
