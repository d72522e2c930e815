"""Large scenes, and how their table is made."""

from dataclasses import replace

import numpy as np
import pytest

from defocus_edge.pipeline import BlurEstimator
from training.data.large_scenes import BAND_RADII, PERSON_SCENES, render_large_scenes
from training.data.sources import Cutout, Sources
from training.evaluation.range import METHODS, RANGES, score_range, summarize_range

SIDE = 256


@pytest.fixture
def scenes(rng, monkeypatch):
    """All scenes, small, of noise and one person."""
    person = Cutout(rng.integers(0, 256, (90, 60, 3), dtype=np.uint8), np.zeros((90, 60), np.uint8))
    person.mask[10:80, 15:45] = 255
    sharp = [rng.integers(0, 256, (200, 210, 3), dtype=np.uint8) for _ in range(3)]
    monkeypatch.setattr("training.data.large_scenes.load_sources", lambda *_, **__: Sources(sharp, [person]))
    monkeypatch.setattr("training.data.large_scenes.filter_sharp", lambda pictures: pictures)
    return list(render_large_scenes("anywhere", side=SIDE))


def test_scenes_have_the_radii_they_say(scenes):
    assert len(scenes) == 2 + len(PERSON_SCENES)
    for scene in scenes:
        assert scene.image.shape == (SIDE, SIDE, 3)
        assert scene.image.dtype == scene.radius.dtype == np.float32
        assert scene.edge_label.shape == (SIDE, SIDE)
    rising, mixed, *persons = scenes
    assert sorted(set(rising.radius[0])) == sorted(set(mixed.radius[0])) == list(BAND_RADII)
    assert (np.diff(rising.radius[0]) >= 0).all()
    for scene, (far, near) in zip(persons, PERSON_SCENES.values(), strict=True):
        assert set(np.unique(scene.radius)) == {max(far, 0.5), *(max(radius, 0.5) for radius in near)}
        assert scene.radius[0, 0] == max(far, 0.5)


def test_bands_are_blurred_as_they_say(scenes):
    contrast = [np.diff(scenes[0].image[:, start : start + 28], axis=0).std() for start in range(2, SIDE, 32)]
    assert (np.diff(contrast) < 0).all()


class StubEstimator:
    """Says 6 px, or twice the true radius to the pyramid."""

    def __init__(self, scenes):
        self.truth = {id(scene.image): scene.radius for scene in scenes}

    def estimate(self, image, *, max_radius):
        truth = self.truth[id(image)]
        return replace_radius(2 * truth if max_radius == "auto" else np.full_like(truth, 6))


def replace_radius(radius):
    class Estimate:
        pass

    estimate = Estimate()
    estimate.radius = radius
    return estimate


def test_errors_are_relative(scenes):
    scores = score_range(scenes[:1], StubEstimator(scenes))
    assert [score.method for score in scores] == list(METHODS)
    single, pyramid = scores
    truth = scenes[0].radius
    assert single.relative == pytest.approx(np.mean(np.abs(6 - truth) / np.maximum(truth, 1)))
    assert pyramid.relative == pytest.approx(np.mean(truth / np.maximum(truth, 1)))
    assert pyramid.by_range == pytest.approx((0.5, 1, 1, 1, 1))
    assert single.by_range[0] == pytest.approx(5.5)
    assert single.by_range[4] == pytest.approx((11 / 17 + 18 / 24) / 2)


def test_rows_are_means_of_families(scenes):
    scores = score_range([scenes[0], scenes[2]], StubEstimator(scenes))
    rows = summarize_range(scores)
    assert [(row["family"], row["method"]) for row in rows] == [
        (family, method) for family in ("bands", "persons", "all") for method in METHODS
    ]
    assert rows[4]["relative error"] == pytest.approx((rows[0]["relative error"] + rows[2]["relative error"]) / 2)
    assert list(rows[0])[3:] == [f"{low:g} to {high:g} px" for low, high in RANGES]


def test_a_scene_without_edges_is_said_and_not_counted(scenes):
    plain = replace(scenes[0], image=np.full((64, 64, 3), 0.5, np.float32), radius=np.ones((64, 64), np.float32))
    lines = []
    scores = score_range([plain], BlurEstimator(), say=lines.append)
    assert len(lines) == 2
    assert all(np.isnan(score.relative) for score in scores)
