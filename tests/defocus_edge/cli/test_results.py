"""Pictures that cannot be worked on, and names and folders of the results: the same for all commands."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
import tifffile
from skimage.data import astronaut

from defocus_edge.files.maps import read_map
from tests.defocus_edge.cli.cli_cases import HEIGHT, WIDTH, list_names, write_photo


def damage_jpeg(path):
    write_photo(path)
    path.write_bytes(path.read_bytes()[:-200])


def make_nothing(_):
    """For files that are not there."""


BAD_PICTURES = {
    "missing.png": (make_nothing, "there is no such file"),
    "folder": (lambda path: path.mkdir(), "is a folder. Pass its files one by one"),
    "zero.jpg": (lambda path: path.touch(), "the file is empty (0 bytes)"),
    "text.png": (lambda path: path.write_text("no picture"), "no picture, damaged or of unknown format"),
    "short.jpg": (damage_jpeg, "the file is cut short or damaged"),
    "one.png": (lambda path: cv2.imwrite(str(path), np.zeros((1, 1), np.uint8)), "at least 20 px on each side"),
    "ten.png": (lambda path: cv2.imwrite(str(path), np.zeros((10, 10), np.uint8)), "at least 20 px on each side"),
    "flat.png": (lambda path: cv2.imwrite(str(path), np.full((50, 60), 99, np.uint8)), "No edges found in the image"),
    "loop.png": (lambda path: path.symlink_to(path), "there is no such file"),
    f"{'long' * 80}.png": (make_nothing, "File name too long"),
}


@pytest.mark.parametrize("name", BAD_PICTURES, ids=lambda name: name[:9])
@pytest.mark.parametrize("command", ["estimate", "mask"])
def test_bad_pictures_get_one_line_each(run, tmp_path, command, name):
    make, message = BAD_PICTURES[name]
    path = tmp_path / name
    make(path)
    code, out, err = run(command, path, "--out", tmp_path / "out")
    assert code == 1
    assert not out
    assert len(err) == 1
    assert err[0].startswith("Error: ")
    assert name in err[0]
    assert message in err[0]
    assert not list_names(tmp_path / "out")


def test_bad_paths_are_told_first_and_the_others_are_done(run, photo, tmp_path):
    code, _, err = run("mask", photo, tmp_path / "missing.png")
    assert code == 1
    assert "missing.png" in err[0]
    assert (tmp_path / "photo_mask.png").is_file()


def test_unreadable_file(run, monkeypatch, photo):
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.R_OK)
    code, _, err = run("estimate", photo)
    assert (code, err) == (1, [f"Error: {photo}: may not be read. Change its permissions."])


def test_too_little_memory_fails_one_picture(run, monkeypatch, photo):
    def refuse(*_, **__):
        raise MemoryError

    monkeypatch.setattr("defocus_edge.files.images.read_with_depth", refuse)
    code, _, err = run("estimate", photo)
    assert (code, err) == (1, [f"Error: {photo}: not enough memory for this picture"])


def test_full_disk_fails_one_picture(run, monkeypatch, photo, tmp_path):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", refuse)
    code, _, err = run("estimate", photo)
    assert (code, err) == (1, [f"Error: {photo}: No space left on device"])
    assert list_names(tmp_path) == ["photo.png"]


def test_a_picture_too_small_for_the_radius_does_not_cost_the_others(run, tmp_path):
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    cv2.imwrite(str(small), astronaut()[:40, :40])
    cv2.imwrite(str(large), astronaut()[:160, :160])
    code, _, err = run("estimate", small, large, "--max-radius", "24")
    assert code == 1
    assert err[0] == f"Error: {small}: max_radius of a picture of 40×40 px can be at most 12 px. Got: 24.0."
    assert list_names(tmp_path) == ["large.png", "large_blur.png", "large_blur.tif", "small.png"]


@pytest.mark.parametrize(
    ("aim", "message"),
    [("photo_blur.tif", "which leads to itself. Remove it."), ("there/map.tif", "cannot write into")],
)
def test_a_bad_link_at_the_name_of_a_result_fails_that_photo(run, photo, tmp_path, aim, message):
    (tmp_path / "photo_blur.tif").symlink_to(tmp_path / aim)
    other = write_photo(tmp_path / "other.png", top=20)
    code, _, err = run("estimate", photo, other)
    assert code == 1
    assert err[0].startswith(f"Error: {photo}: ")
    assert message in err[0]
    assert (tmp_path / "other_blur.tif").is_file()


def test_control_characters_of_names_do_not_reach_the_terminal(run, tmp_path):
    photo = write_photo(tmp_path / "a\x1b[2J\rb.png")
    code, _, err = run("estimate", photo, tmp_path / "missing\x1b.png")
    assert code == 1
    assert "\x1b" not in "".join(err)
    assert "\r" not in "".join(err)
    assert r"missing\x1b.png" in err[0]
    assert r"a\x1b[2J\x0db.png: blur radius" in err[1]


def test_file_as_out_is_a_usage_error(run, photo):
    code, _, err = run("estimate", photo, "--out", photo)
    assert (code, err) == (2, [f"Error: --out must be a folder that can be made. Got: {photo} (File exists)."])


def test_out_below_a_file_is_a_usage_error(run, photo):
    code, _, err = run("estimate", photo, "--out", photo / "below")
    assert code == 2
    assert "(Not a directory)" in err[0]


def test_unwritable_out_is_a_usage_error(run, monkeypatch, photo, tmp_path):
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    code, _, err = run("estimate", photo, "--out", tmp_path)
    assert (code, err) == (2, [f"Error: --out must be a folder that can be written to. Got: {tmp_path}."])


def test_unwritable_folder_of_a_photo_fails_that_photo(run, monkeypatch, photo, tmp_path):
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    code, _, err = run("estimate", photo)
    assert code == 1
    assert err == [f"Error: {photo}: the folder {tmp_path} cannot be written to. Choose another one with --out."]


def test_two_photos_for_one_result_are_a_usage_error(run, photo, tmp_path):
    twin = write_photo(tmp_path / "photo.jpg")
    code, _, err = run("estimate", photo, twin)
    assert code == 2
    assert f"{tmp_path / 'photo_blur.tif'} would be written for both {photo} and {twin}" in err[0]
    assert list_names(tmp_path) == ["photo.jpg", "photo.png"]


def test_same_names_of_different_folders_are_fine_without_out(run, photo, tmp_path):
    (tmp_path / "other").mkdir()
    twin = write_photo(tmp_path / "other" / "photo.png")
    assert run("estimate", photo, twin)[0] == 0
    assert run("estimate", photo, twin, "--out", tmp_path)[0] == 2


def test_no_input_is_overwritten(run, photo, tmp_path):
    other = write_photo(tmp_path / "photo_blur.png")
    code, _, err = run("estimate", photo, other)
    assert code == 2
    assert f"{other}, to be written for {photo}, is an input too. Choose another folder with --out." in err[0]


def test_no_input_is_overwritten_through_a_link(run, photo, tmp_path):
    (tmp_path / "photo_mask.png").symlink_to(photo)
    code, _, err = run("mask", photo)
    assert code == 2
    assert "is an input too" in err[0]


def test_existing_results_are_replaced(run, photo, tmp_path):
    (tmp_path / "photo_blur.tif").write_text("old")
    assert run("estimate", photo)[0] == 0
    assert read_map(tmp_path / "photo_blur.tif").shape == (HEIGHT, WIDTH)
