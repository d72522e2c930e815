"""Source files to arrays: depth without holes, turns that are exact, bad files named."""

import cv2
import numpy as np
import pytest
import tifffile

from defocus_edge.psf import decode_srgb
from synth.coco import CocoObject
from synth.depth import fill_holes, read_inverse_depth
from synth.loading import (
    SourceError,
    Turn,
    check_same_size,
    load_depth,
    load_mask,
    load_picture,
    resize,
)
from synth.readers import Source


def test_disparity_is_filled_from_the_farther_neighbour(tmp_path):
    rows = np.array([[0, 9, 0, 0, 4, 0], [0] * 6, [7] * 6], dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "d.png"), rows.repeat(8, axis=0).repeat(4, axis=1))
    inverse = read_inverse_depth(tmp_path / "d.png", kind="disparity")[:, ::4] * 255
    np.testing.assert_allclose(inverse[0], [9, 9, 4, 4, 4, 4], rtol=1e-5)
    np.testing.assert_allclose(inverse[9], inverse[0])  # an empty row, nearer to the first ones
    np.testing.assert_allclose(inverse[14], 7, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".npy", ".tif", ".png"])
def test_depth_is_inverted_and_its_holes_are_far(suffix, tmp_path):
    depth = np.array([[1000, 0, 4000, 2000]], dtype=np.uint16).repeat(20, axis=0).repeat(5, axis=1)
    path = tmp_path / f"depth{suffix}"
    if suffix == ".png":
        cv2.imwrite(str(path), depth)
    elif suffix == ".npy":
        np.save(path, depth / np.float32(1000))
    else:
        tifffile.imwrite(path, (depth / 1000).astype(np.float32))
    inverse = read_inverse_depth(path, kind="depth")
    assert inverse.dtype == np.float32
    np.testing.assert_allclose(inverse[0, ::5] / inverse[0, 0], [1, 0.25, 0.25, 0.5], rtol=1e-4)


def test_depth_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"kind must be 'disparity' or 'depth'\. Got: 'height'"):
        read_inverse_depth(tmp_path / "a.png", kind="height")


def test_a_picture_without_depth_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "d.png"), np.zeros((20, 20), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"must hold depth > 0 somewhere\. Got: none"):
        read_inverse_depth(tmp_path / "d.png", kind="disparity")


def test_depth_too_small_to_be_divided_by_is_refused(tmp_path):
    np.save(tmp_path / "d.npy", np.full((20, 20), 1e-40, dtype=np.float32))
    assert read_inverse_depth(tmp_path / "d.npy", kind="disparity").max() > 0
    with pytest.raises(ValueError, match=r"must hold depth whose inverse is finite\. Got: "):
        read_inverse_depth(tmp_path / "d.npy", kind="depth")


def test_a_damaged_map_is_refused(tmp_path):
    (tmp_path / "d.npy").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="Cannot read map"):
        read_inverse_depth(tmp_path / "d.npy", kind="disparity")


def test_without_holes_nothing_changes():
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(fill_holes(values, np.zeros((3, 4), dtype=bool)), values)
    np.testing.assert_array_equal(fill_holes(values, np.ones((3, 4), dtype=bool)), values)


def test_holes_take_the_farther_neighbour():
    values = np.array([[0, 5, 0, 0, 3, 0], [1, 2, 3, 4, 5, 6]], dtype=np.float32)
    filled = fill_holes(values, values == 0)
    assert filled.tolist() == [[5, 5, 3, 3, 3, 3], [1, 2, 3, 4, 5, 6]]
    assert values[0, 0] == 0  # the input is as it was


def test_a_row_of_holes_is_copied_from_the_nearest_row():
    values = np.zeros((2, 4), dtype=np.float32)
    values[1, 2] = 7
    assert fill_holes(values, values == 0).tolist() == [[7, 7, 7, 7], [7, 7, 7, 7]]


def test_files_of_a_source_are_read(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((24, 28, 3), 188, dtype=np.uint8))
    mask = np.zeros((24, 28), dtype=np.uint8)
    mask[2:, 3:] = 255
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    source = Source(tmp_path, "a.png", mask="m.png", depth="m.png")
    np.testing.assert_allclose(load_picture(source), decode_srgb(188 / 255), rtol=1e-5)
    np.testing.assert_array_equal(load_mask(source), mask / 255)
    np.testing.assert_array_equal(load_depth(source), 1)
    outline = CocoObject(1, (24, 28), "[[0, 0, 28, 0, 28, 24, 0, 24]]")
    np.testing.assert_array_equal(load_mask(Source(tmp_path, "a.png", outline=outline)), 1)


@pytest.mark.parametrize("load", [load_picture, load_mask, load_depth])
def test_unreadable_files_are_the_fault_of_their_source(load, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    source = Source(tmp_path, "bad.png", mask="bad.png", depth="bad.png")
    with pytest.raises(SourceError, match=r"bad\.png") as caught:
        load(source)
    assert caught.value.source == source


@pytest.mark.parametrize(
    ("load", "what"),
    [(load_mask, "a mask"), (load_depth, "disparity or depth")],
)
def test_what_a_source_does_not_have_is_said(load, what, tmp_path):
    with pytest.raises(SourceError, match=rf"'a\.png' must have {what}\. Got: none"):
        load(Source(tmp_path, "a.png"))


def test_sizes_must_agree(tmp_path):
    with pytest.raises(SourceError, match=r"must have one size\. Got: \(4, 4, 3\) and \(4, 5\)"):
        check_same_size(np.zeros((4, 4, 3)), np.zeros((4, 5)), Source(tmp_path, "a.png"))


@pytest.mark.parametrize("mirrored", [False, True])
def test_quarter_turns_are_exact(mirrored, rng):
    values = rng.random((5, 7, 3), dtype=np.float32)
    start = values[:, ::-1] if mirrored else values
    for quarters, angle in enumerate((0, 90, 180, 270, 360)):
        np.testing.assert_array_equal(Turn(angle, mirrored).apply(values), np.rot90(start, quarters))


@pytest.mark.parametrize("angle", [10, 45, 135, 200, -30])
def test_other_turns_have_no_empty_corner(angle):
    flat = np.full((60, 90, 3), 0.5, dtype=np.float32)
    turned = Turn(angle).apply(flat)
    np.testing.assert_allclose(turned, 0.5, atol=1e-6)
    assert turned.shape[1] / turned.shape[0] == pytest.approx(1.5, rel=0.1)


def test_other_turns_go_the_same_way_as_quarter_turns():
    values = np.zeros((81, 81), dtype=np.float32)
    values[38:43, 50:] = 1  # a bar to the right
    turned = Turn(89.9).apply(values, nearest=True)
    middle = len(turned) // 2
    assert turned[5, middle] == 1 == Turn(90).apply(values)[5, 40]
    assert turned[-5, middle] == 0
    assert set(np.unique(turned)) == {0, 1}


def test_reduction_keeps_the_mean(rng):
    values = rng.random((40, 60), dtype=np.float32)
    assert resize(values, (20, 30)).mean() == pytest.approx(values.mean(), abs=1e-5)
    assert set(np.unique(resize(values, (20, 30), nearest=True))) <= set(np.unique(values))
    assert resize(values, (40, 60)) is values
