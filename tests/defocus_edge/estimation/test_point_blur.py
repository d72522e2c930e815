"""point_blur.py: what confidence means."""

import numpy as np
import pytest

from defocus_edge.blur_levels import BLUR_LEVELS, N_LEVELS
from defocus_edge.estimation.point_blur import measure_confidence


def test_confidence_is_the_probability_within_half_a_pixel():
    certain = np.eye(N_LEVELS, dtype=np.float32)
    np.testing.assert_array_equal(measure_confidence(certain, BLUR_LEVELS), 1)
    even = np.full((1, N_LEVELS), 1 / N_LEVELS, dtype=np.float32)
    for radius, levels in ((3.0, 5), (3.1, 4), (0.5, 3), (6.0, 3)):
        found = measure_confidence(even, np.array([radius], dtype=np.float32))
        assert found == pytest.approx(levels / N_LEVELS, rel=1e-5)
    split = np.zeros((1, N_LEVELS), dtype=np.float32)
    split[0, [2, 20]] = 0.7, 0.3  # 1.0 and 5.5 px
    assert measure_confidence(split, np.array([1.0], dtype=np.float32)) == pytest.approx(0.7)
    assert measure_confidence(split, np.array([2.35], dtype=np.float32)) == 0


def test_confidence_never_exceeds_one():
    assert measure_confidence(np.full((1, N_LEVELS), 1.0, dtype=np.float32), np.array([3.0], dtype=np.float32)) == 1
