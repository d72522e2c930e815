"""Stacks slice by slice: each slice as alone, whatever the number of dimensions."""

from types import SimpleNamespace

import numpy as np
import pytest

from defocus_edge.napari_plugin.stacks import count_slices, detect_slices, estimate_slices
from defocus_edge.propagation.propagate import NoEdgesError


def finish(generator):
    """What the generator yields, and what it returns."""
    steps = []
    while True:
        try:
            steps.append(next(generator))
        except StopIteration as end:
            return steps, end.value


def test_a_grey_stack_of_two_times_and_three_depths(estimator, texture):
    grey = texture[..., 1]
    stack = np.stack([np.stack([grey, grey[::-1], grey.T[:64].repeat(2, axis=1)[:, :80]])] * 2)
    steps, (radius, confidence) = finish(estimate_slices(stack, is_rgb=False, estimator=estimator))
    assert steps == [1, 2, 3, 4, 5, 6]
    assert count_slices(stack, is_rgb=False) == 6
    assert radius.shape == confidence.shape == (2, 3, 64, 80)
    for place in ((0, 1), (1, 2)):
        alone = estimator.estimate(stack[place])
        np.testing.assert_array_equal(radius[place], alone.radius)
        np.testing.assert_array_equal(confidence[place], alone.confidence)


def test_one_colour_picture(estimator, texture):
    _, (radius, _) = finish(estimate_slices(texture, is_rgb=True, estimator=estimator))
    np.testing.assert_array_equal(radius, estimator.estimate(texture).radius)


def test_a_slice_without_edges_is_not_a_number(estimator, texture):
    stack = np.stack([texture, np.full_like(texture, 7)])
    _, (radius, confidence) = finish(estimate_slices(stack, is_rgb=True, estimator=estimator))
    assert np.isfinite(radius[0]).all()
    assert np.isnan(radius[1]).all()
    assert np.isnan(confidence[1]).all()


def test_other_errors_are_raised(estimator, texture):
    with pytest.raises(ValueError, match=r"within \[0, 1\]"):
        finish(estimate_slices(texture.astype(float), is_rgb=True, estimator=estimator))
    with pytest.raises(ValueError, match=r"at least 3 dimensions\. Got: 2"):
        finish(estimate_slices(texture[..., 0], is_rgb=True, estimator=estimator))


def test_masks_are_labels_and_nothing_in_focus_is_all_blurred(texture):
    def detect(plane):
        if plane.max() == plane.min():
            raise NoEdgesError("no edges")
        return SimpleNamespace(mask=plane[..., 0] > 100)

    stack = np.stack([texture, np.full_like(texture, 7)])
    steps, labels = finish(detect_slices(stack, is_rgb=True, detector=SimpleNamespace(detect=detect)))
    assert steps == [1, 2]
    np.testing.assert_array_equal(labels[0], texture[..., 0] > 100)
    assert labels[1].all()
    assert labels.dtype == np.uint8
