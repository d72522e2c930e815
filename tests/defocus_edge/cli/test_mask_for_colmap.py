"""`defocus-edge mask --for colmap`: names, values and orientation that COLMAP expects."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.defocus_edge.cli.cli_cases import HEIGHT, WIDTH

EXIF_ORIENTATION = 274


def read_mask(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_three_photos_of_one_scene(run, photo, tmp_path):
    """Names as COLMAP looks for them, the same stem in two formats, full size; 0 where the usual mask has 255."""
    photos = [photo, photo.with_suffix(".jpg"), photo.with_name("second.jpg")]
    for copy in photos[1:]:
        Image.open(photo).convert("RGB").save(copy, quality=100, subsampling=0)
    assert run("mask", *photos, "--alpha", "0.5", "--for", "colmap", "--out", tmp_path / "masks")[0] == 0
    names = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert names == sorted(f"{one.name}.png" for one in photos)
    assert run("mask", photo, "--alpha", "0.5")[0] == 0
    mask = read_mask(tmp_path / "masks" / f"{photo.name}.png")
    assert mask.shape == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(mask, 255 - read_mask(tmp_path / "photo_mask.png"))


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, 1), (8, -1)])
def test_masks_lie_as_the_pixels_of_the_file(run, photo, tmp_path, orientation, turn):
    """COLMAP does not turn photos upright; the mask of a turned photo is that of the upright one, turned back."""
    stored = tmp_path / "turned.tif"
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    upright = np.asarray(Image.open(photo).convert("RGB"))
    Image.fromarray(np.ascontiguousarray(np.rot90(upright, turn))).save(stored, exif=exif)
    options = ["--alpha", "0.5", "--for", "colmap", "--out", tmp_path / "masks"]
    assert run("mask", photo, stored, *options)[0] == 0
    masks = [read_mask(tmp_path / "masks" / f"{one.name}.png") for one in (photo, stored)]
    assert 0 < masks[0].mean() < 255
    np.testing.assert_array_equal(masks[1], np.rot90(masks[0], turn))


def test_a_margin_widens_what_is_blurred(run, photo, tmp_path):
    assert run("mask", photo, "--alpha", "0.5")[0] == 0
    narrow = read_mask(tmp_path / "photo_mask.png") == 255
    assert run("mask", photo, "--alpha", "0.5", "--margin", "2")[0] == 0
    wide = read_mask(tmp_path / "photo_mask.png") == 255
    assert (wide | ~narrow).all()
    assert wide.sum() > narrow.sum()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["PHOTO"], "--for colmap needs --out"),
        (["PHOTO", "--out", "HERE"], "must be another folder than that of the photos"),
        (["PHOTO", "--out", "masks", "--pages", "all"], "does not go with --pages all"),
        (["--from-map", "map.tif", "--out", "masks"], "does not go with --from-map"),
    ],
)
def test_wrong_uses_are_one_line(run, photo, tmp_path, words, told):
    places = {"PHOTO": photo, "HERE": tmp_path}
    code, _, err = run("mask", *(places.get(word, word) for word in words), "--for", "colmap")
    assert code == 2
    assert len(err) == 1
    assert told in err[0]
