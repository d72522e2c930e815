"""Figures of masks against scikit-learn, against slow loops, and where a class is missing."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from defocus_edge.metrics import (
    ALPHAS,
    BETA_SQUARED,
    NATIVE_SIZE,
    THRESHOLDS,
    MaskProtocol,
    average_curves,
    curves,
    measure_mask,
    summarize_masks,
)
from defocus_edge.thresholds import threshold_blur_map

MEANS, POOLED = MaskProtocol("per-image mean"), MaskProtocol("pooled", "320x320")
PIXELS = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=40)


def make_pair(rng, height=11, width=13, *, levels=256):
    """Map of few enough values that some are tied, somewhat related to its mask."""
    mask = rng.random((height, width)) < rng.uniform(0.2, 0.8)
    values = np.clip(rng.normal(0.3 + 0.3 * mask, 0.25), 0, 1)
    return (np.rint(values * (levels - 1)) / (levels - 1)).astype(np.float32), mask


def make_set(rng, count=6):
    return [make_pair(rng, 5 + number, 9) for number in range(count)]


def measure_all(pairs):
    return [measure_mask(*pair) for pair in pairs]


def f_beta_slowly(positive, mask):
    """Fβ as it is written, pixel sums and all."""
    hits = float((positive & mask).sum())
    if hits == 0:
        return 0.0
    precision, recall = hits / positive.sum(), hits / mask.sum()
    return (1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)


def test_thresholds_are_those_of_the_field():
    assert THRESHOLDS.tolist() == [number / 100 for number in range(101)]
    assert BETA_SQUARED == 0.3


@pytest.mark.parametrize("levels", [3, 11, 256, 2**20])
def test_auc_is_that_of_scikit_learn(rng, levels):
    for _ in range(5):
        probability, mask = make_pair(rng, levels=levels)
        expected = reference.roc_auc_score(mask.ravel(), probability.ravel())
        assert measure_mask(probability, mask).auc == pytest.approx(expected, abs=1e-12)


def test_each_threshold_is_that_of_scikit_learn(rng):
    probability, mask = make_pair(rng)
    found = measure_mask(probability, mask)
    for number, threshold in enumerate(THRESHOLDS.astype(np.float32)):
        positive, truth = (probability >= threshold).ravel(), mask.ravel()
        precision, recall, f_beta, _ = reference.precision_recall_fscore_support(
            truth, positive, beta=BETA_SQUARED**0.5, average="binary", zero_division=0
        )
        assert found.precision[number] == pytest.approx(precision)
        assert found.recall[number] == pytest.approx(recall)
        assert found.f_beta[number] == pytest.approx(f_beta)
        assert found.false_positive_rate[number] == pytest.approx(positive[~truth].mean())


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_iou_is_that_of_scikit_learn(rng, threshold):
    probability, mask = make_pair(rng)
    positive = probability >= np.float32(threshold)
    expected = reference.jaccard_score(mask.ravel(), positive.ravel(), zero_division=1)
    assert measure_mask(probability, mask, threshold=threshold).iou == pytest.approx(expected)


def test_adaptive_threshold_is_twice_the_mean(rng):
    probability, mask = make_pair(rng)
    faint = probability / 3
    expected = f_beta_slowly(faint >= 2 * faint.mean(dtype=np.float64), mask)
    assert measure_mask(faint, mask).adaptive_f_beta == pytest.approx(expected)


def test_adaptive_threshold_is_at_most_one():
    probability = np.array([[1.0, 0.9, 0.8, 0.7]])
    mask = np.array([[True, True, True, False]])
    assert measure_mask(probability, mask).adaptive_f_beta == pytest.approx(f_beta_slowly(probability >= 1, mask))


def test_probability_at_a_threshold_reaches_it_whatever_its_type():
    mask = np.array([[True]])
    for dtype in (np.float16, np.float32, np.float64):
        for number in (0, 25, 50, 75, 100):  # those that float16 holds exactly
            found = measure_mask(np.full((1, 1), number / 100, dtype=dtype), mask)
            assert found.true_positives.sum() == number + 1
    for number in range(101):
        assert measure_mask(np.full((1, 1), number / 100, dtype=np.float32), mask).true_positives.sum() == number + 1


def test_adaptive_thresholds_of_blur_maps_are_those_of_the_library(rng):
    probability, mask = make_pair(rng)
    found = measure_mask(probability, mask).right_at_alpha
    expected = [(threshold_blur_map(probability, alpha=float(alpha)) == mask).sum() for alpha in ALPHAS]
    np.testing.assert_array_equal(found, expected)


def test_map_without_contrast_is_sharp_at_each_alpha():
    mask = np.array([[True, False, False]])
    for value in (0.0, 0.1, 0.7, 1.0):
        np.testing.assert_array_equal(measure_mask(np.full((1, 3), value), mask).right_at_alpha, 2)


@given(PIXELS)
def test_counts_of_any_map(pixels):
    probability = np.array([[value / 20 for value, _ in pixels]], dtype=np.float32)
    mask = np.array([[blurred for _, blurred in pixels]])
    found = measure_mask(probability, mask)
    at = probability >= THRESHOLDS.astype(np.float32)[:, None]
    np.testing.assert_array_equal(found.true_positives, (at & mask).sum(axis=1))
    np.testing.assert_array_equal(found.false_positives, (at & ~mask).sum(axis=1))
    assert found.absolute_error / found.pixels == pytest.approx(np.abs(probability - mask).mean(), abs=1e-6)
    slow = [f_beta_slowly(positive, mask[0]) for positive in at]
    np.testing.assert_allclose(found.f_beta, slow if mask.any() else np.nan, rtol=1e-12)


@given(PIXELS)
def test_auc_of_any_map_counts_pairs(pixels):
    blurred = [value for value, is_blurred in pixels if is_blurred]
    sharp = [value for value, is_blurred in pixels if not is_blurred]
    pairs = [(one > other) + 0.5 * (one == other) for one in blurred for other in sharp]
    probability = np.array([[value / 20 for value, _ in pixels]])
    found = measure_mask(probability, np.array([[is_blurred for _, is_blurred in pixels]])).auc
    assert found == pytest.approx(np.mean(pairs) if pairs else np.nan, nan_ok=True)


@given(PIXELS)
def test_perfect_map_has_perfect_figures(pixels):
    mask = np.array([[is_blurred for _, is_blurred in pixels]])
    found = summarize_masks([measure_mask(mask.astype(np.float32), mask)], MEANS)
    assert found["MAE"] == 0
    assert found["IoU"] == 1
    assert found["max-of-mean Fβ"] == pytest.approx(1 if mask.any() else np.nan, nan_ok=True)
    if mask.any() and not mask.all():
        assert found["AUC"] == found["accuracy at best α"] == 1


@pytest.mark.parametrize(
    ("is_blurred", "value", "iou"), [(True, 1.0, 1), (True, 0.0, 0), (False, 1.0, 0), (False, 0, 1)]
)
def test_masks_of_one_class(is_blurred, value, iou):
    mask = np.full((3, 4), is_blurred)
    found = measure_mask(np.full((3, 4), float(value)), mask)
    assert np.isnan(found.auc)
    assert found.iou == iou
    assert np.isnan(found.recall).all() == np.isnan(found.f_beta).all() == np.isnan(found.adaptive_f_beta)
    assert np.isnan(found.recall).all() == (not is_blurred)
    assert np.isnan(found.false_positive_rate).all() == is_blurred
    assert np.isfinite(found.precision).all()
    assert found.absolute_error / found.pixels == abs(value - is_blurred)


def test_means_over_pictures_are_those_of_the_figures(rng):
    pairs = make_set(rng)
    found = summarize_masks(measure_all(pairs), MEANS)
    at = THRESHOLDS.astype(np.float32)
    slow = np.array([[f_beta_slowly(probability >= t, mask) for t in at] for probability, mask in pairs])
    assert found["max-of-mean Fβ"] == pytest.approx(slow.mean(axis=0).max())
    assert found["mean-of-max Fβ"] == pytest.approx(slow.max(axis=1).mean())
    assert found["AUFβ"] == pytest.approx(reference.auc(THRESHOLDS, slow.mean(axis=0)))
    assert found["MAE"] == pytest.approx(np.mean([np.abs(p - m).mean() for p, m in pairs]))
    assert found["AUC"] == pytest.approx(np.mean([reference.roc_auc_score(m.ravel(), p.ravel()) for p, m in pairs]))
    assert found["IoU"] == pytest.approx(
        np.mean([reference.jaccard_score(m.ravel(), p.ravel() >= 0.5) for p, m in pairs])
    )
    right = np.mean([[(threshold_blur_map(p, alpha=float(a)) == m).mean() for a in ALPHAS] for p, m in pairs], axis=0)
    assert found["accuracy at best α"] == pytest.approx(right.max())
    assert found["best α"] == ALPHAS[right.argmax()]


def test_f_of_the_mean_curves_is_another_figure(rng):
    measured = measure_all(make_set(rng))
    precision = np.mean([one.precision for one in measured], axis=0)
    recall = np.mean([one.recall for one in measured], axis=0)
    with np.errstate(invalid="ignore"):
        expected = np.nanmax((1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall))
    found = summarize_masks(measured, MEANS)
    assert found["max Fβ of mean PR"] == pytest.approx(expected)
    assert found["max Fβ of mean PR"] != found["max-of-mean Fβ"] < found["mean-of-max Fβ"]


def test_pooled_figures_are_those_of_one_large_picture(rng):
    pairs = make_set(rng)
    probability, mask = (np.concatenate([part.ravel() for part in parts]) for parts in zip(*pairs, strict=True))
    found, one = summarize_masks(measure_all(pairs), POOLED), measure_mask(probability[None], mask[None])
    assert found["max Fβ"] == pytest.approx(one.f_beta.max())
    assert found["AUFβ"] == pytest.approx(np.trapezoid(one.f_beta, THRESHOLDS))
    assert found["MAE"] == pytest.approx(np.abs(probability - mask).mean())
    assert found["IoU"] == pytest.approx(one.iou)
    rounded = np.searchsorted(THRESHOLDS.astype(np.float32), probability, side="right")
    assert found["AUC at 101 thresholds"] == pytest.approx(reference.roc_auc_score(mask, rounded))
    adaptive = np.concatenate([(p >= min(2 * p.mean(dtype=np.float64), 1)).ravel() for p, _ in pairs])
    assert found["adaptive Fβ"] == pytest.approx(f_beta_slowly(adaptive, mask))
    accuracy = [
        np.concatenate([(threshold_blur_map(p, alpha=float(a)) == m).ravel() for p, m in pairs]).mean() for a in ALPHAS
    ]
    assert found["accuracy at best α"] == pytest.approx(max(accuracy))


def test_pictures_without_a_class_are_left_out_of_the_means_that_need_it(rng):
    pairs = make_set(rng, 3)
    empty = (np.full((4, 4), 0.2), np.zeros((4, 4), dtype=bool))
    full = (np.full((4, 4), 0.7), np.ones((4, 4), dtype=bool))
    without, found = (summarize_masks(measure_all(one), MEANS) for one in (pairs, [*pairs, empty, full]))
    assert (found["pictures"], found["with blur"], found["with both"]) == (5, 4, 3)
    assert found["AUC"] == without["AUC"]
    assert found["MAE"] == pytest.approx((3 * without["MAE"] + 0.2 + 0.3) / 5)
    assert found["IoU"] == pytest.approx((3 * without["IoU"] + 1 + 1) / 5)
    with_full = summarize_masks(measure_all([*pairs, full]), MEANS)
    for name in ("max-of-mean Fβ", "mean-of-max Fβ", "adaptive Fβ", "AUFβ"):
        assert found[name] == with_full[name]


@pytest.mark.parametrize("protocol", [MEANS, POOLED])
@pytest.mark.parametrize("is_blurred", [True, False])
def test_sets_of_one_class_have_nan_figures_and_no_warnings(protocol, is_blurred):
    mask = np.full((4, 4), is_blurred)
    found = summarize_masks(measure_all([(np.full((4, 4), 0.5), mask)] * 2), protocol)
    auc, best = ("AUC", "max-of-mean Fβ") if protocol is MEANS else ("AUC at 101 thresholds", "max Fβ")
    assert np.isnan(found[auc])
    assert np.isnan(found[best]) == (not is_blurred)
    assert found["MAE"] == 0.5


@pytest.mark.parametrize("protocol", [MEANS, POOLED])
def test_curves_of_many_pictures(rng, protocol):
    pairs = make_set(rng)
    found, measured = average_curves(measure_all(pairs), protocol), measure_all(pairs)
    assert found.protocol is protocol
    if protocol is MEANS:
        np.testing.assert_allclose(found.precision, np.mean([one.precision for one in measured], axis=0))
        np.testing.assert_array_equal(found.true_positive_rate, found.recall)
    for name in ("precision", "recall", "f_beta", "false_positive_rate", "true_positive_rate"):
        curve = getattr(found, name)
        assert curve.shape == THRESHOLDS.shape
        assert ((curve >= 0) & (curve <= 1)).all()
    assert (np.diff(found.recall) <= 0).all()
    assert found.recall[0] == found.false_positive_rate[0] == 1


def test_order_of_the_pictures_changes_nothing(rng):
    measured = measure_all(make_set(rng))
    for protocol in (MEANS, POOLED):
        one, other = (summarize_masks(order, protocol) for order in (measured, measured[::-1]))
        assert one == {name: value if isinstance(value, str) else pytest.approx(value) for name, value in other.items()}


def test_figures_carry_their_protocol(rng):
    measured = measure_all(make_set(rng, 2))
    assert summarize_masks(measured, MEANS)["protocol"] == "per-image mean, native size"
    assert summarize_masks(measured, POOLED)["protocol"] == "pooled, 320x320"


def test_inputs_are_not_modified(rng):
    probability, mask = make_pair(rng)
    copies = probability.copy(), mask.copy()
    measure_mask(probability, mask)
    np.testing.assert_array_equal(probability, copies[0])
    np.testing.assert_array_equal(mask, copies[1])


def test_unknown_aggregation_is_refused():
    with pytest.raises(ValueError, match=r"aggregation must be one of per-image mean, pooled\. Got: 'median'"):
        MaskProtocol("median")


@pytest.mark.parametrize("size", ["320", "320×320", "0x10", "", f"{NATIVE_SIZE}!"])
def test_unknown_size_is_refused(size):
    with pytest.raises(ValueError, match="size must be 'native size' or WIDTHxHEIGHT"):
        MaskProtocol(size=size)


@pytest.mark.parametrize(
    "probability", [np.zeros(4), np.zeros((0, 4)), np.zeros((2, 4, 1)), np.zeros((2, 4), dtype=np.uint8)]
)
def test_probability_must_be_a_float_picture(probability):
    with pytest.raises(ValueError, match=r"probability must be a float array of shape \(H, W\), not empty\. Got: "):
        measure_mask(probability, np.zeros(probability.shape, dtype=bool))


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf])
def test_probability_must_be_in_range(value):
    probability = np.full((2, 2), 0.5)
    probability[1, 0] = value
    with pytest.raises(ValueError, match=r"probability must be finite and in \[0, 1\]\. Got: values from "):
        measure_mask(probability, np.ones((2, 2), dtype=bool))


@pytest.mark.parametrize("mask", [np.zeros((2, 3), dtype=bool), np.zeros((2, 2), dtype=np.uint8)])
def test_mask_must_fit(mask):
    with pytest.raises(ValueError, match=r"mask must be a bool array of probability's shape \(2, 2\)\. Got: "):
        measure_mask(np.zeros((2, 2)), mask)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, np.nan])
def test_threshold_must_be_in_range(threshold):
    with pytest.raises(ValueError, match=r"threshold must be a number in \[0, 1\]\. Got: "):
        measure_mask(np.zeros((1, 1)), np.ones((1, 1), dtype=bool), threshold=threshold)


def test_no_pictures_are_refused():
    with pytest.raises(ValueError, match=r"curves must hold at least one picture\. Got: none"):
        summarize_masks([], MEANS)


def test_examples():
    assert doctest.testmod(curves).failed == 0
