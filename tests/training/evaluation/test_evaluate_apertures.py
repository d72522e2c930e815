"""Scenes at two apertures: made-up depth and maps whose truth is known."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge import pipeline
from defocus_edge.files.images import write_picture
from training.__main__ import app
from training.data import apertures
from training.data.apertures import APERTURES, FOCUS_DISTANCES, find_known, find_radius
from training.evaluation.apertures import score_apertures, summarize_apertures

FOCUS = FOCUS_DISTANCES[30]


def make_depth():
    depth = np.tile(np.linspace(800, 4000, 200, dtype=np.float32), (60, 1)).round()
    depth[:20] = 0
    return depth


class LensEstimator:
    """Tells the truth plus 0.25 px; bright pictures are those of the first aperture."""

    def __init__(self, preset=None):
        pass

    def estimate(self, image):
        aperture = APERTURES[0] if image.mean() > 0.5 else APERTURES[1]
        return SimpleNamespace(radius=find_radius(np.maximum(make_depth(), 1), FOCUS, aperture) + 0.25)


@pytest.fixture
def folder(tmp_path):
    for name in ("001", "002", "003"):
        cv2.imwrite(str(tmp_path / f"{name}_depth_mm.png"), make_depth().astype(np.uint16))
        for aperture, value in zip(APERTURES, (200, 50), strict=True):
            path = tmp_path / f"{name}_f{aperture:g}.jpg"
            write_picture(path, np.full((60, 200, 3), value, np.uint8))
            path.rename(path.with_suffix(".JPG"))
    return tmp_path


def test_radius_is_that_of_a_thin_lens():
    depth = np.array([1000.0, 2000.0], np.float32)
    wide, narrow = (np.sqrt(find_radius(depth, 1000.0, aperture) ** 2 - 0.25) for aperture in (2.8, 8.0))
    assert wide[0] == narrow[0] == 0
    assert wide[1] == pytest.approx(narrow[1] * 8 / 2.8, rel=1e-4)
    assert wide[1] == pytest.approx(35**2 / (2 * 2.8 * 23.6 / 645) * (1 / 1000 - 1 / 2000), rel=1e-4)


def test_only_known_depth_without_steps_counts():
    depth = make_depth()
    known = find_known(depth)
    assert not known[:27].any()
    assert known[30:].any()
    depth[:, 100:] += 2000
    assert not find_known(depth)[40, 94:106].any()


def test_errors_are_those_of_the_maps_and_the_focus_is_found(folder):
    names = apertures.list_scenes(folder)
    assert names == ["001", "003"]
    assert apertures.list_scenes(folder, judging=False) == ["002"]
    scenes = [apertures.read_scene(folder, name) for name in names]
    scores = score_apertures(scenes, {"lens": LensEstimator()})
    assert [(score.scene, score.aperture) for score in scores] == [("001", 2.8), ("001", 8), ("003", 2.8), ("003", 8)]
    for score in scores:
        assert score.mae == pytest.approx(0.25, abs=0.1)
        assert score.focus_mm == pytest.approx(FOCUS, rel=0.1)
        assert score.relative < score.mae
    first, second = summarize_apertures(scores)
    assert (first["aperture"], second["aperture"], first["scenes"], first["beyond"]) == ("f/2.8", "f/8", 2, 0)


def test_scenes_without_known_depth_or_map_are_left_out(folder):
    scene = apertures.read_scene(folder, "001")
    blind = apertures.ApertureScene("blind", scene.images, np.zeros_like(scene.depth))
    assert score_apertures([blind], {"lens": LensEstimator()}) == []


def test_the_command_prints_a_table(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(pipeline, "BlurEstimator", LensEstimator)
    out = tmp_path / "scores.json"
    result = CliRunner().invoke(app, ["evaluate", "apertures", "--folder", str(folder), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "| f/2.8 | 2 |" in result.stdout
    assert out.is_file()


def test_the_command_refuses_a_folder_without_scenes(tmp_path):
    result = CliRunner().invoke(app, ["evaluate", "apertures", "--folder", str(tmp_path)])
    assert result.exit_code == 2
    assert "_depth_mm.png" in result.output
