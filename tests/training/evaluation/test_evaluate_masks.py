"""Detectors with known maps get the figures they deserve; tables and plots are written whole."""

import csv

import numpy as np
import pytest

from defocus_edge.files.images import read_image
from defocus_edge.metrics import THRESHOLDS, MaskProtocol, measure_mask, summarize_masks
from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.thresholds import threshold_blur_map
from tests.conftest import write_png
from training.baselines.registry import Baseline
from training.data.mask_datasets import MaskPair
from training.evaluation.mask_methods import MaskMethod, wrap_baseline
from training.evaluation.masks import (
    CURVES_FILE,
    PICTURES_FILE,
    PLOT_FILES,
    SECONDS,
    SUMMARY_FILE,
    resize_scene,
    score_masks,
    tabulate_masks,
    tabulate_pictures,
    tabulate_reliability,
    write_report,
)
from training.masks.scenes import MaskScene

MEANS, POOLED, SMALL = MaskProtocol(), MaskProtocol("pooled"), MaskProtocol(size="32x24")


def make_scene(name, rng, *, height=40, width=60):
    """Blurred where the red channel is bright."""
    image = rng.random((height, width, 3), dtype=np.float32)
    image[..., 0] = np.linspace(0, 1, width)
    return MaskScene(name, "made", image, image[..., 0] > 0.5)


def detect_right(image):
    return image[..., 0]


def detect_wrong(image):
    return 1 - image[..., 0]


def guess(image):
    return image[..., 1]


METHODS = {"right": MaskMethod(detect_right), "wrong": MaskMethod(detect_wrong), "guess": MaskMethod(guess)}


@pytest.fixture
def scenes(rng):
    return [make_scene("one", rng), make_scene("two", rng, height=50)]


@pytest.fixture
def scores(scenes):
    return score_masks(scenes, METHODS)


def test_each_picture_has_each_detector(scores):
    assert [(score.picture, score.detector) for score in scores] == [
        (picture, detector) for picture in ("one", "two") for detector in METHODS
    ]
    assert all(score.seconds >= 0 for score in scores)


def test_detectors_are_ordered_as_they_deserve(scores):
    rows = tabulate_masks(scores, MEANS)
    right, wrong, guessed = rows
    assert [row["detector"] for row in rows] == list(METHODS)
    assert right["AUC"] == 1
    assert wrong["AUC"] == 0
    assert guessed["AUC"] == pytest.approx(0.5, abs=0.05)
    assert right["max-of-mean Fβ"] == right["accuracy at best α"] == 1
    assert right["MAE"] < guessed["MAE"] < wrong["MAE"]
    assert right["IoU"] > 0.95


@pytest.mark.parametrize("protocol", [MEANS, POOLED])
def test_rows_have_the_figures_of_the_protocol(scenes, protocol):
    scores = score_masks(scenes, {"guess": MaskMethod(guess)}, protocol=protocol)
    (row,) = tabulate_masks(scores, protocol)
    figures = summarize_masks([measure_mask(guess(scene.image), scene.mask) for scene in scenes], protocol)
    assert row["protocol"] == protocol.name
    assert row["pictures"] == 2
    shared = set(row) & set(figures)
    assert len(shared) >= 9
    assert all(row[name] == figures[name] for name in shared)
    assert set(figures) - set(row) == {"with blur", "with both"}
    assert row[SECONDS] >= 0


def test_own_threshold_decides_the_iou(scenes):
    scores = score_masks(scenes, {"right": MaskMethod(detect_right), "late": MaskMethod(detect_right, 0.75)})
    rows = tabulate_masks(scores, MEANS)
    assert rows[0]["IoU"] == pytest.approx(1, abs=0.05)
    assert rows[1]["IoU"] == pytest.approx(0.5, abs=0.05)


def test_another_size_is_what_detectors_see(scenes):
    seen = []

    def detect(image):
        seen.append(image.shape)
        return image[..., 0]

    (row,) = tabulate_masks(score_masks(scenes, {"own": MaskMethod(detect)}, protocol=SMALL), SMALL)
    assert seen == [(24, 32, 3)] * 2
    assert row["protocol"] == "per-image mean, 32x24"
    assert row["AUC"] == 1


@pytest.mark.parametrize("size", ["30x20", "120x80", "90x20"])
def test_resized_mask_is_that_of_most_of_each_pixel(rng, size):
    scene = make_scene("one", rng)
    small = resize_scene(scene, size)
    width, height = map(int, size.split("x"))
    assert small.image.shape == (height, width, 3)
    assert small.image.dtype == np.float32
    assert small.mask.shape == (height, width)
    assert small.mask.mean() == pytest.approx(scene.mask.mean(), abs=0.02)
    assert resize_scene(scene, "native size") is scene


def test_pairs_are_read_and_bad_ones_are_said(tmp_path, rng):
    picture = rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", picture)
    write_png(tmp_path / "mask.png", np.where(picture[..., 0] >= 128, 255, 0).astype(np.uint8))
    write_png(tmp_path / "small.png", np.zeros((20, 20), dtype=np.uint8))
    pairs = [
        MaskPair("good", tmp_path / "a.png", tmp_path / "mask.png"),
        MaskPair("odd", tmp_path / "a.png", tmp_path / "small.png"),
        MaskPair("gone", tmp_path / "a.png", tmp_path / "gone.png"),
    ]
    lines = []
    scores = score_masks(pairs, {"right": MaskMethod(detect_right)}, say=lines.append)
    assert [score.picture for score in scores] == ["good"]
    assert scores[0].curves.auc == 1
    assert [line.partition(":")[0] for line in lines] == ["odd", "gone"]


def test_map_that_does_not_fit_is_named(scenes):
    with pytest.raises(ValueError, match=r"Method 'half' on 'one': mask must be a bool array of probability's shape"):
        score_masks(scenes, {"half": MaskMethod(lambda image: image[::2, :, 0])})


def test_no_method_is_refused(scenes):
    with pytest.raises(ValueError, match=r"methods must name at least one\. Got: none\."):
        score_masks(scenes, {})


def test_reliability_counts_pixels_by_tenths_of_the_probability(scenes):
    rows = tabulate_reliability(score_masks(scenes, {"right": MaskMethod(detect_right), "guess": MaskMethod(guess)}))
    assert [row["probability"] for row in rows[:10]] == [f"{t / 10:.1f} to {(t + 1) / 10:.1f}" for t in range(10)]
    values = np.concatenate([detect_right(scene.image).ravel() for scene in scenes])
    truth = np.concatenate([scene.mask.ravel() for scene in scenes])
    tenths = np.minimum((values * 10).astype(int), 9)  # no value of a row is at a limit of a tenth but 0 and 1
    for tenth, row in enumerate(rows[:10]):
        assert row["pixels"] == pytest.approx((tenths == tenth).mean())
        assert row["blurred"] == pytest.approx(truth[tenths == tenth].mean())
    assert [row["blurred"] for row in rows[10:]] == pytest.approx([truth.mean()] * 10, abs=0.1)  # a guess knows nothing


def test_a_baseline_in_px_is_compared_with_the_threshold_of_the_blur_map():
    radii = np.array([[0.5, 1.0, 4.0, 2.0]], dtype=np.float32)
    method = wrap_baseline(Baseline("own", lambda _: radii, "px"))
    probability = method.detect(np.zeros((1, 4, 3), dtype=np.float32))
    np.testing.assert_array_equal(probability > method.threshold, threshold_blur_map(radii))
    score = wrap_baseline(Baseline("own", lambda _: radii / 8, "score"))
    np.testing.assert_array_equal(score.detect(np.zeros((1, 4, 3), dtype=np.float32)), radii / 8)


def test_a_method_without_an_answer_says_one_half():
    def fail(_):
        raise NoEdgesError("nothing to see")

    answer = wrap_baseline(Baseline("own", fail, "px")).detect(np.zeros((3, 4, 3), dtype=np.float32))
    np.testing.assert_array_equal(answer, np.full((3, 4), 0.5, dtype=np.float32))


def test_pictures_can_be_ranked(scores):
    rows = tabulate_pictures(scores, MEANS)
    assert [(row["picture"], row["detector"]) for row in rows] == [(s.picture, s.detector) for s in scores]
    assert {"max Fβ", "MAE", "AUC", "IoU"} <= set(rows[0])


@pytest.mark.parametrize("protocol", [MEANS, POOLED])
def test_report_is_written(tmp_path, scores, protocol):
    folder = tmp_path / "new" / "report"
    write_report(folder, scores, protocol)
    assert {path.name for path in folder.iterdir()} == {SUMMARY_FILE, CURVES_FILE, PICTURES_FILE, *PLOT_FILES}
    lengths = []
    for name in (SUMMARY_FILE, CURVES_FILE, PICTURES_FILE):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        lengths.append(len(rows))
        assert all(None not in row and None not in row.values() for row in rows)
    assert lengths == [3, 3 * len(THRESHOLDS), 6]
    pictures = [read_image(folder / name) for name in PLOT_FILES]
    assert all(picture.shape == (520, 640, 3) for picture in pictures)
    assert all(picture.std() > 0.05 for picture in pictures)
    assert (pictures[0] != pictures[2]).any()


def test_report_without_scores_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"scores must hold at least one picture\. Got: none"):
        write_report(tmp_path / "report", [], MEANS)
    assert not (tmp_path / "report").exists()


def test_report_of_pictures_of_one_class_is_written(tmp_path, rng):
    scene = make_scene("sharp", rng)
    sharp = MaskScene("sharp", "made", scene.image, np.zeros_like(scene.mask))
    write_report(tmp_path, score_masks([sharp], METHODS), MEANS)
    assert (tmp_path / PLOT_FILES[2]).is_file()
