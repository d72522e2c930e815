"""The cases are what they say, and the best setting is the one with the highest mean PSNR."""

import numpy as np
import pytest

from defocus_edge.psf import decode_srgb
from training.evaluation.uniform_deblurring import (
    BALANCES,
    ITERATIONS,
    NOISE,
    PICTURES,
    SIDE,
    UniformScore,
    list_methods,
    make_cases,
    score_uniform,
    summarize_uniform,
)


@pytest.fixture(scope="module")
def cases():
    return list(make_cases([2.0]))


def test_cases_are_cut_blurred_and_noisy(cases):
    import skimage.data

    assert [case.name for case in cases] == list(PICTURES)
    for case in cases:
        top, left = PICTURES[case.name]
        photo = decode_srgb(getattr(skimage.data, case.name)() / np.float32(255))
        np.testing.assert_array_equal(case.sharp, photo[top : top + SIDE, left : left + SIDE])
        assert case.blurred.shape == case.sharp.shape == (SIDE, SIDE, 3)
        assert case.blurred.min() >= 0
        assert case.blurred.max() <= 1
        assert case.blurred.mean() == pytest.approx(float(case.sharp.mean()), abs=0.01)


def test_noise_is_one_percent():
    (sharp, *_) = make_cases([0.0])
    middle = (sharp.sharp > 0.1) & (sharp.sharp < 0.9)  # not clipped
    assert (sharp.blurred - sharp.sharp)[middle].std() == pytest.approx(NOISE, rel=0.02)


def test_same_cases_each_time(cases):
    again = list(make_cases([2.0]))
    assert all((one.blurred == other.blurred).all() for one, other in zip(cases, again, strict=True))


def test_every_method_sharpens_with_one_of_its_settings(cases):
    methods = list_methods()
    wanted = [("blurry input", ""), ("deconvolve", "noise known")]
    wanted += [("Richardson-Lucy", f"{ITERATIONS[1]} iterations"), ("Wiener", f"balance {BALANCES[2]:g}")]
    blurry, *others = score_uniform(cases[0], {key: methods[key] for key in wanted})
    assert [(score.method, score.setting) for score in others] == wanted[1:]
    assert all(score.psnr > blurry.psnr + 1 for score in others)
    assert all(score.seconds > 0 for score in others)
    assert len(methods) == 3 + len(ITERATIONS) + len(BALANCES)


def test_psnr_is_worked_out_on_the_middle_and_clipped(cases):
    case = cases[0]

    def spoil(*_):
        spoiled = case.sharp + np.float32(0.1) * np.where(case.sharp < 0.5, 1, -1)
        spoiled[:16] = spoiled[:, -16:] = 9
        return spoiled

    (score,) = score_uniform(case, {("spoil", ""): spoil})
    assert score.psnr == pytest.approx(20, abs=1e-3)
    (score,) = score_uniform(case, {("bright", ""): lambda *_: np.where(case.sharp > 0.5, 2, case.sharp)})
    assert score.psnr > 0  # 2 counts as 1


def make_score(method, setting, psnr, *, radius=2.0, picture="a", seconds=0.065536):
    return UniformScore(method, setting, radius, picture, psnr, seconds)


def test_the_best_setting_of_each_radius_is_kept():
    scores = [
        make_score("blurry input", "", 20.0),
        make_score("ours", "default", 25.0),
        make_score("ours", "known", 24.0),
        make_score("RL", "5", 26.0, picture="a"),
        make_score("RL", "9", 22.0, picture="a"),
        make_score("RL", "5", 22.0, picture="b"),
        make_score("RL", "9", 27.0, picture="b"),
        make_score("blurry input", "", 15.0, radius=3.0),
        make_score("RL", "5", 16.0, radius=3.0),
        make_score("RL", "9", 14.0, radius=3.0),
    ]
    rows = summarize_uniform(scores, keep_all=["ours"])
    assert [(row["radius (px)"], row["method"], row["setting"], row["PSNR (dB)"]) for row in rows] == [
        ("2", "blurry input", "", 20.0),
        ("2", "ours", "default", 25.0),
        ("2", "ours", "known", 24.0),
        ("2", "RL", "9", 24.5),
        ("3", "blurry input", "", 15.0),
        ("3", "RL", "5", 16.0),
    ]
    assert [row["gain (dB)"] for row in rows] == [0, 5, 4, 4.5, 0, 1]
    assert rows[0]["s/MP"] == pytest.approx(1)
    assert len(summarize_uniform(scores, keep_all=["ours", "RL"])) == 8
