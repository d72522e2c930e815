"""The work behind the page: the files of a result are those of the library, and masks need no new estimate."""

import csv
from types import SimpleNamespace
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from defocus_edge.choices import MAP_METHOD
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.images import write_picture
from defocus_edge.files.maps import read_map
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.sharpening.deblurring import deblur
from defocus_edge.thresholds import find_threshold, summarize_map
from defocus_edge.web import work
from defocus_edge.web.work import measure_photo, sharpen_photo, write_mask


@pytest.fixture
def photo(texture, tmp_path):
    path = tmp_path / "photo.png"
    write_picture(path, texture)
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "result").mkdir()
    return tmp_path / "result"


def measure(photo, folder, small_preset, **options):
    options = {"method": MAP_METHOD, "max_pixels": 10**6, "preset": str(small_preset)} | options
    return measure_photo(photo, folder, **options)


def read_mask(result):
    return cv2.imread(str(result.folder / "photo_mask.png"), cv2.IMREAD_UNCHANGED) > 0


def test_the_files_are_those_of_the_library(photo, folder, small_preset):
    result, packed = measure(photo, folder, small_preset)
    estimate = BlurEstimator(str(small_preset)).estimate(photo)
    np.testing.assert_array_equal(read_map(folder / "photo_blur.tif"), estimate.radius)
    np.testing.assert_array_equal(read_mask(result), estimate.mask())
    assert packed["threshold"] == result.threshold == find_threshold(estimate.radius)
    (row,) = csv.DictReader((folder / "photo_summary.csv").read_text().splitlines())
    assert float(row["median_radius_px"]) == pytest.approx(summarize_map(estimate.radius).median_radius, abs=1e-4)
    names = ["photo_blur.tif", "photo_blur.png", "photo_mask.png", "photo_summary.csv"]
    assert result.list_downloads() == [str(folder / name) for name in names]


def test_a_mask_needs_no_new_estimate(photo, folder, small_preset, monkeypatch):
    result, _ = measure(photo, folder, small_preset)
    monkeypatch.setattr(work, "_open_estimator", None)
    moved = write_mask(result, 1.25)
    assert moved.threshold == 1.25
    np.testing.assert_array_equal(read_mask(result), read_map(folder / "photo_blur.tif") > 1.25)
    again, _ = measure(photo, folder, small_preset, before=moved)
    assert again.threshold == result.threshold


def test_a_network_gives_the_mask(photo, folder, small_preset, monkeypatch):
    probability = np.linspace(0, 1, 64 * 80, dtype=np.float32).reshape(64, 80)

    detector = Mock()
    detector.detect.return_value = SimpleNamespace(probability=probability, threshold=0.75)
    monkeypatch.setattr(work, "_open_detector", {"lite": detector}.get)
    result, packed = measure(photo, folder, small_preset, method="lite")
    assert not packed["is_radius"]
    assert packed["probability"]
    np.testing.assert_array_equal(read_mask(result), probability > 0.75)
    np.testing.assert_array_equal(read_mask(write_mask(result, 0.5)), probability > 0.5)


def test_sharpening_is_that_of_the_library(photo, folder, small_preset, texture):
    result, _ = measure(photo, folder, small_preset)
    before, after = sharpen_photo(result, max_pixels=10**6)
    np.testing.assert_array_equal(before, texture)
    np.testing.assert_array_equal(after, deblur(texture, BlurEstimator(str(small_preset)).estimate(photo)))
    assert result.list_downloads()[-1] == str(folder / "photo_deblurred.png")


def test_a_photograph_that_cannot_be_measured_is_told(photo, folder, small_preset):
    photo.write_bytes(b"<html>")
    with pytest.raises(ImageReadError, match="no picture"):
        measure(photo, folder, small_preset)


def test_too_many_pixels_are_refused_before_they_are_read(photo, folder, small_preset):
    with pytest.raises(ImageReadError, match="at most 100 px"):
        measure(photo, folder, small_preset, max_pixels=100)
