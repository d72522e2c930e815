"""Belief propagation against the sum over all labellings, where it is exact."""

import itertools

import numpy as np
import pytest

from training.baselines.scale_inference import COUPLING, infer_across_scales


def sum_over_all_labellings(scores, coupling):
    """Marginals of the energy in the paper, by brute force."""
    shape = scores.shape
    weights, sharp = 0.0, np.zeros(shape)
    for labels in itertools.product((0, 1), repeat=scores.size):
        h = np.reshape(labels, shape)
        pairs = sum(np.abs(np.diff(h, axis=axis)).sum() for axis in range(3))
        weight = np.exp(-np.abs(h - scores).sum() - coupling * pairs)
        weights += weight
        sharp += weight * h
    return sharp[0] / weights


def test_constant_of_the_paper():
    assert COUPLING == 0.5


@pytest.mark.parametrize("shape", [(1, 1, 7), (1, 6, 1), (3, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("coupling", [0.0, 0.5, 2.0])
def test_chains_are_exact(rng, shape, coupling):
    scores = rng.random(shape).astype(np.float32)
    result = infer_across_scales(scores, coupling=coupling)
    np.testing.assert_allclose(result, sum_over_all_labellings(scores, coupling), atol=1e-4)


def test_grids_with_loops_are_nearly_exact(rng):
    scores = rng.random((3, 2, 2)).astype(np.float32)
    np.testing.assert_allclose(infer_across_scales(scores), sum_over_all_labellings(scores, COUPLING), atol=0.03)


def test_more_rounds_change_nothing(rng):
    scores = (rng.random((3, 20, 24)) < 0.5).astype(np.float32)
    np.testing.assert_allclose(infer_across_scales(scores), infer_across_scales(scores, rounds=400), atol=1e-3)


def test_a_lone_pixel_gives_way_to_its_neighbours():
    scores = np.zeros((3, 9, 9), dtype=np.float32)
    scores[0, 4, 4] = 1
    assert infer_across_scales(scores)[4, 4] < 0.5
    assert infer_across_scales(scores, coupling=0.0)[4, 4] > 0.7


def test_mirrored_and_swapped():
    scores = np.random.default_rng(1).random((3, 8, 10)).astype(np.float32)
    result = infer_across_scales(scores)
    np.testing.assert_allclose(infer_across_scales(scores[:, ::-1, ::-1]), result[::-1, ::-1], atol=1e-5)
    np.testing.assert_allclose(infer_across_scales(1 - scores), 1 - result, atol=1e-5)


@pytest.mark.parametrize(
    "scores", [np.zeros((4, 4)), np.zeros((0, 4, 4)), np.full((1, 2, 2), np.nan), np.ones((1, 2, 2)) * 2]
)
def test_other_scores_are_refused(scores):
    with pytest.raises(ValueError, match=r"scores must have shape \(S, H, W\) and lie in \[0, 1\]\. Got: "):
        infer_across_scales(scores)


@pytest.mark.parametrize("options", [{"coupling": -1.0}, {"coupling": np.nan}, {"rounds": 0}])
def test_other_options_are_refused(options):
    with pytest.raises(ValueError, match=r"coupling must be finite and >= 0, rounds at least 1\. Got: "):
        infer_across_scales(np.zeros((1, 2, 2), dtype=np.float32), **options)
