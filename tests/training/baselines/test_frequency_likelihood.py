"""The likelihood of blur from local frequencies: its energies against responses to noise, and its answers."""

import numpy as np
import pytest
from baseline_cases import blur_photograph, load_photograph

from defocus_edge.blur_levels import BLUR_LEVELS
from defocus_edge.psf import blur_with_disk
from training.baselines.frequency_likelihood import (
    DIRECTIONS,
    FREQUENCIES,
    measure_filter_energies,
    measure_log_likelihood,
    measure_powers,
)
from training.baselines.pictures import convert_to_grey


def test_energy_of_white_noise_is_the_mean_power(rng):
    _, disturbance = measure_filter_energies()
    assert len(disturbance) == 2 * len(FREQUENCIES) * len(DIRECTIONS)
    powers = measure_powers(rng.standard_normal((256, 256)).astype(np.float32))
    np.testing.assert_allclose(powers.mean(axis=0), disturbance, rtol=0.15)


@pytest.mark.parametrize("level", [0, 6, 14])
def test_energy_of_white_gradients_after_a_disk(rng, level):
    # The sum along a row of white noise has white gradients along the row; the filters of the rows see others.
    grey = np.cumsum(rng.standard_normal((256, 300)), axis=1).astype(np.float32)
    powers = measure_powers(blur_with_disk(grey, float(BLUR_LEVELS[level])))
    inner = powers.reshape(256, 300, -1)[30:-30, 30:-30].mean(axis=(0, 1))
    signal, _ = measure_filter_energies()
    half = len(inner) // 2
    strong = signal[level, half:] > 0.01 * signal[level, half:].max()
    np.testing.assert_allclose(inner[half:][strong], signal[level, half:][strong], rtol=0.25)


def test_flipped_pictures_have_flipped_likelihoods():
    grey = convert_to_grey(load_photograph("coffee"))[:60, :70]
    flipped = measure_log_likelihood(np.ascontiguousarray(grey[:, ::-1]))[:, ::-1]
    found = measure_log_likelihood(grey)
    assert found.max() == 0
    assert np.corrcoef(found.ravel(), flipped.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("photograph", ["coffee", "grass", "astronaut"])
@pytest.mark.parametrize("radius", [1.0, 2.0, 3.0, 5.0])
def test_the_likeliest_radius_is_about_right(photograph, radius):
    grey = convert_to_grey(blur_photograph(load_photograph(photograph), radius))
    likeliest = BLUR_LEVELS[measure_log_likelihood(grey).argmax(axis=2)]
    assert np.median(likeliest) == pytest.approx(radius, abs=0.5)
