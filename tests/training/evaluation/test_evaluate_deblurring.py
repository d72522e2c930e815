"""PSNR, SSIM and gains of deblurring: by hand, against scikit-image, and on a small blurred scene."""

import csv

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.files.images import read_image
from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.psf import blur_with_disk, decode_srgb, encode_srgb
from tests.conftest import make_texture
from training.data.development import DevelopmentScene
from training.evaluation.deblurring import (
    BLURRED,
    BLURRY,
    EVERYWHERE,
    FIGURES,
    PICTURES_FILE,
    SUMMARY_FILE,
    TRUE_MAP,
    DeblurringScore,
    Quality,
    measure_quality,
    score_deblurring,
    summarize_deblurring,
    write_deblurring_report,
)
from training.evaluation.map_methods import MapMethod

PSNR, SSIM, GAIN, SSIM_GAIN, SHARE, WORST = FIGURES
RADIUS = 3.0


def make_scene(rng, *, radius=RADIUS, name="one", family="uniform"):
    """A texture, blurred from column 40 on."""
    sharp = make_texture(rng, 64, 80, block=8) / np.float32(255)
    truth = np.full((64, 80), 0.5, dtype=np.float32)
    truth[:, 40:] = radius
    blurred = encode_srgb(np.clip(blur_with_disk(decode_srgb(sharp), radius), 0, 1))
    image = np.where(truth[..., None] > 0.5, np.rint(blurred * 255) / 255, sharp).astype(np.float32)
    return DevelopmentScene(name, family, image, truth, np.zeros(truth.shape, dtype=np.int8), sharp)


def make_score(method, before, after, *, family="f", pixels=EVERYWHERE, picture="1"):
    return DeblurringScore(method, family, picture, pixels, Quality(*before), Quality(*after))


def fail(_):
    msg = "No edges found."
    raise NoEdgesError(msg)


SHARP_MAP = MapMethod("all sharp", lambda scene: np.zeros_like(scene.radius))


def test_quality_is_that_of_scikit_image(rng):
    sharp, picture = rng.random((2, 30, 40, 3), dtype=np.float32)
    (quality,) = measure_quality(picture, sharp)
    assert quality.psnr == pytest.approx(peak_signal_noise_ratio(sharp, picture, data_range=1))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = structural_similarity(sharp, picture, data_range=1, channel_axis=2, **settings)
    assert quality.ssim == pytest.approx(expected, rel=1e-5)


def test_quality_of_chosen_pixels_is_theirs_alone():
    sharp = np.full((40, 60, 3), 0.5, dtype=np.float32)
    picture = sharp.copy()
    picture[:, :20] += np.float32(0.1)
    left = np.zeros((40, 60), dtype=bool)
    left[:, :20] = True
    here, there, all_over = measure_quality(picture, sharp, [left, ~left, left | ~left])
    assert here.psnr == pytest.approx(20, abs=1e-3)
    assert there.psnr == np.inf
    assert all_over.psnr == pytest.approx(20 + 10 * np.log10(3), abs=1e-3)
    assert here.ssim < all_over.ssim < there.ssim
    # Two constants, 0.5 and 0.6, far from the step: (2 μν + C) / (μ² + ν² + C) with C = 0.01².
    middle = np.zeros_like(left)
    middle[20, 8] = True
    (plain,) = measure_quality(picture, sharp, [middle])
    assert plain.ssim == pytest.approx((0.6 + 1e-4) / (0.61 + 1e-4), abs=1e-5)


def test_pixels_at_the_border_alone_have_no_ssim(rng):
    sharp, picture = rng.random((2, 30, 40, 3), dtype=np.float32)
    chosen = np.zeros((30, 40), dtype=bool)
    chosen[:5] = True
    (quality,) = measure_quality(picture, sharp, [chosen])
    assert np.isnan(quality.ssim)
    assert np.isfinite(quality.psnr)


def test_true_map_gains_and_a_map_without_blur_changes_nothing(rng):
    scores = score_deblurring([make_scene(rng)], [SHARP_MAP])
    assert [(score.pixels, score.method) for score in scores] == [
        (pixels, method) for pixels in (EVERYWHERE, BLURRED) for method in (BLURRY, TRUE_MAP, "all sharp")
    ]
    for score in scores:
        if score.method == TRUE_MAP:
            assert score.after.psnr > score.before.psnr + 2
            assert score.after.ssim > score.before.ssim
        else:
            assert score.after == score.before
    blurred = [score for score in scores if score.pixels == BLURRED]
    assert blurred[0].before.psnr < scores[0].before.psnr


def test_confidence_of_an_estimate_is_used_and_a_plain_map_is_taken_to_be_off(rng):
    scene = make_scene(rng)
    none, one = np.zeros_like(scene.radius), np.ones_like(scene.radius)
    points = np.zeros((1, 2), dtype=np.int32)

    def make_estimate(confidence):
        single = np.ones(1, dtype=np.float32)
        settings = EstimatorSettings("none")
        return BlurEstimate(
            scene.radius, confidence, points, single, single, single > 2, settings, np.ones(1, np.int32)
        )

    methods = [
        MapMethod("unsure", lambda _: make_estimate(none)),
        MapMethod("sure", lambda _: make_estimate(one)),
        MapMethod("plain", lambda scene: scene.radius),
    ]
    found = {score.method: score.after for score in score_deblurring([scene], methods) if score.pixels == BLURRED}
    assert found["unsure"] == found[BLURRY]
    assert found[BLURRY].psnr < found["plain"].psnr < found["sure"].psnr < found[TRUE_MAP].psnr + 0.1


def test_scene_without_a_map_stays_as_it_is_and_is_said(rng):
    lines = []
    scores = score_deblurring([make_scene(rng)], [MapMethod("nothing", fail)], say=lines.append)
    assert all(score.after == score.before for score in scores if score.method == "nothing")
    assert lines == ["one, nothing: No edges found."]


def test_scene_without_blur_counts_on_all_pixels_only(rng):
    scores = score_deblurring([make_scene(rng, radius=0.75)], [])
    assert {score.pixels for score in scores} == {EVERYWHERE}


def test_scores_are_no_radii_to_deblur_with(rng):
    method = MapMethod("hifst", lambda scene: scene.radius, unit="score")
    with pytest.raises(ValueError, match=r"must have maps in px to deblur with\. Got: 'hifst', which has a score"):
        score_deblurring([make_scene(rng)], [method])


def test_scene_that_is_not_known_in_focus_is_refused(rng):
    scene = make_scene(rng)
    unknown = DevelopmentScene("photo", "rtf", scene.image, scene.radius, scene.edge_label)
    with pytest.raises(ValueError, match=r"scenes must be known in focus\. Got: 'photo'"):
        score_deblurring([unknown], [])


def test_pictures_are_laid_side_by_side(tmp_path, rng):
    scene = make_scene(rng)
    score_deblurring([scene], [SHARP_MAP], pictures=tmp_path)
    picture = read_image(tmp_path / "one.png")
    assert picture.shape == (64, 4 * 80, 3)
    np.testing.assert_allclose(picture[:, :80], scene.image, atol=1e-6)
    np.testing.assert_allclose(picture[:, -80:], scene.sharp, atol=0.51 / 255)


def test_summary_of_figures_worked_out_by_hand():
    scores = [
        make_score(BLURRY, (20, 0.5), (20, 0.5)),
        make_score(TRUE_MAP, (20, 0.5), (24, 0.7)),
        make_score("own", (20, 0.5), (23.5, 0.6)),
        make_score(BLURRY, (30, 0.7), (30, 0.7), picture="2"),
        make_score(TRUE_MAP, (30, 0.7), (34, 0.9), picture="2"),
        make_score("own", (30, 0.7), (29.5, 0.6), picture="2"),
    ]
    blurry, true, own = summarize_deblurring(scores)
    assert [row["method"] for row in (blurry, true, own)] == [BLURRY, TRUE_MAP, "own"]
    assert (own["family"], own["pixels"], own["scenes"]) == ("f", EVERYWHERE, 2)
    assert blurry[PSNR] == 25
    assert np.isnan([blurry[name] for name in (GAIN, SSIM_GAIN, SHARE, WORST)]).all()
    assert (true[GAIN], true[SHARE], true[WORST]) == (4, 1, 4)
    assert true[SSIM_GAIN] == pytest.approx(0.2)
    assert (own[PSNR], own[GAIN], own[SHARE], own[WORST]) == (26.5, 1.5, 0.375, -0.5)
    assert own[SSIM_GAIN] == pytest.approx(0)


def test_share_is_of_the_same_family_and_pixels():
    scores = [
        make_score(method, (20, 0.5), (20 + gain, 0.5), family=family, pixels=pixels)
        for family, pixels, true, own in (("f", EVERYWHERE, 4, 2), ("f", BLURRED, 8, 6), ("g", EVERYWHERE, 2, 2))
        for method, gain in ((TRUE_MAP, true), ("own", own))
    ]
    shares = {(row["family"], row["pixels"]): row[SHARE] for row in summarize_deblurring(scores) if row[GAIN]}
    rows = [(row["family"], row["pixels"], row["method"]) for row in summarize_deblurring(scores)]
    assert rows[:6:2] == [("f", EVERYWHERE, TRUE_MAP), ("g", EVERYWHERE, TRUE_MAP), ("all", EVERYWHERE, TRUE_MAP)]
    assert shares[("f", EVERYWHERE)] == 0.5
    assert shares[("f", BLURRED)] == 0.75
    assert shares[("g", EVERYWHERE)] == 1
    assert shares[("all", EVERYWHERE)] == pytest.approx(4 / 6)


def test_report_has_the_summary_and_each_scene(tmp_path, rng):
    write_deblurring_report(tmp_path, score_deblurring([make_scene(rng)], [SHARP_MAP]))
    assert {path.name for path in tmp_path.iterdir()} == {SUMMARY_FILE, PICTURES_FILE}
    with (tmp_path / PICTURES_FILE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == [BLURRY, TRUE_MAP, "all sharp"] * 2
    assert [float(row[GAIN]) for row in rows if row["method"] != TRUE_MAP] == [0] * 4
