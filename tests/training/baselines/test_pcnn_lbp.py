"""PCNN and LBP: pulses against waves over whole pictures, and how they spread."""

import math

import numpy as np
import pytest
from baseline_cases import load_photograph, make_colour, make_step
from scipy.ndimage import correlate, gaussian_filter

from training.baselines.pcnn_lbp import (
    LEAST_THRESHOLD,
    LINKING_SIDE,
    LINKING_SIGMA,
    LINKING_STRENGTH,
    THRESHOLD_DECAY,
    WINDOW_SIDE,
    find_pulse_times,
    measure_pcnn_lbp,
)


def find_pulse_times_slowly(stimulus):
    """Waves over the whole picture at each threshold, until one adds no neuron."""
    steps = np.arange(-3, 4)
    weights = np.exp(-np.add.outer(steps**2, steps**2) / 2)
    weights /= weights.sum()
    times, threshold, number = np.full(stimulus.shape, np.inf), 1.0, 0
    while threshold >= 0.005:
        pulsing, before = np.zeros(stimulus.shape), -1
        while pulsing.sum() != before:
            before = pulsing.sum()
            activity = stimulus * (1 + 2 * correlate(pulsing, weights, mode="constant"))
            pulsing[np.isinf(times) & (activity >= threshold)] = 1
        times[pulsing > 0] = number
        number, threshold = number + 1, threshold * math.exp(-0.05)
    return np.minimum(times / number, 1)


def test_constants():
    assert WINDOW_SIDE == 21
    assert (LINKING_STRENGTH, LINKING_SIDE, LINKING_SIGMA) == (2, 7, 1)
    assert math.log(THRESHOLD_DECAY) == pytest.approx(-0.05)
    assert LEAST_THRESHOLD == 0.005


def test_times_are_those_of_whole_waves(rng):
    stimulus = gaussian_filter(rng.random((40, 31)), 2)
    stimulus = ((stimulus - stimulus.min()) / np.ptp(stimulus)) ** 3
    times = find_pulse_times(stimulus)
    np.testing.assert_allclose(times, find_pulse_times_slowly(stimulus), rtol=1e-6)
    assert len(np.unique(times)) > 10
    assert times.max() == 1  # the smallest stimulus is 0


def test_a_neuron_alone_pulses_when_the_threshold_has_fallen_to_its_stimulus():
    stimulus = np.zeros((31, 31))
    stimulus[5, 5], stimulus[25, 25] = 1, 0.5
    times = find_pulse_times(stimulus)
    count = math.floor(math.log(1 / 0.005) / 0.05) + 1
    assert times[5, 5] == 0
    assert times[25, 25] == pytest.approx(math.ceil(math.log(2) / 0.05) / count)
    assert (times == 1).sum() == 31 * 31 - 2


def test_a_region_pulses_as_one_and_a_weaker_one_later():
    stimulus = np.full((40, 60), 0.2)
    stimulus[:, :30] = 0.7
    stimulus[8:13, 8:13] = 1  # these pulse first, and the others with them
    stimulus[20:22, 15] = 0.6  # a gap
    times = find_pulse_times(stimulus)
    assert set(times[:, :30].ravel()) == {0}
    assert times[:, 31:].min() > 0.1


def test_map_and_blurriness():
    times = measure_pcnn_lbp(load_photograph("coffee"))
    assert times.min() == 0
    assert times.max() > 0.9
    np.testing.assert_array_equal(measure_pcnn_lbp(make_colour(make_step(6.0))), 1)
