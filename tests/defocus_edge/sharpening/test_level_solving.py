"""level_solving.py: one level in one window; what it does for pictures is in test_deblurring.py."""

import numpy as np
import pytest

from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.psf import decode_srgb
from defocus_edge.sharpening.level_solving import HALO_PX, HALO_RADII, solve_level

WINDOW = slice(60, 80), slice(70, 95)


@pytest.fixture
def colour(rng):
    """Smooth enough that a disk can have made it."""
    rows, columns = np.mgrid[:140, :150] / 9
    return np.float32(0.5 + 0.2 * np.sin(rows)[..., None] * np.cos(columns + 0.3)[..., None] * rng.uniform(0.5, 1, 3))


def solve(colour, level, window=WINDOW, *, radius=None):
    radius = np.full(colour.shape[:2], level, np.float32) if radius is None else radius
    return solve_level(colour, radius, window, level=level, noise=0.004, error=np.zeros_like(radius))


def test_no_blur_is_the_light_itself(colour):
    np.testing.assert_array_equal(solve(colour, MIN_RADIUS), decode_srgb(colour[WINDOW]))


@pytest.mark.parametrize("level", [0.75, 2.0, 6.0])
def test_the_window_is_cut_out_and_contrast_grows(colour, level):
    result = solve(colour, level)
    assert result.shape == (20, 25, 3)
    before = decode_srgb(colour[WINDOW])
    assert np.corrcoef(result.ravel(), before.ravel())[0, 1] > 0.98
    assert result.std() > before.std()


def test_only_the_halo_is_seen(colour):
    level = 2.0
    halo = int(np.ceil(HALO_PX + HALO_RADII * level))
    far = np.ones(colour.shape[:2], dtype=bool)
    far[60 - halo : 80 + halo, 70 - halo : 95 + halo] = False
    other = np.where(far[..., None], 1 - colour, colour)
    np.testing.assert_array_equal(solve(other, level), solve(colour, level))


@pytest.mark.parametrize("window", [np.s_[0:20, 0:25], np.s_[120:140, 125:150], np.s_[0:140, 0:150]])
def test_windows_at_the_border(colour, window):
    whole = solve(colour, 2.0, np.s_[0:140, 0:150])
    np.testing.assert_allclose(solve(colour, 2.0, window), whole[window], atol=0.02)


def test_other_depths_do_not_matter(colour, rng):
    """What lies at another depth is filled in by what surrounds it, whatever it is."""
    radius = np.full(colour.shape[:2], 2.0, np.float32)
    radius[:, 100:] = 0
    other = colour.copy()
    other[:, 100:] = rng.uniform(0.3, 0.7, 3)
    window = np.s_[60:80, 40:85]
    np.testing.assert_allclose(
        solve(other, 2.0, window, radius=radius), solve(colour, 2.0, window, radius=radius), atol=0.01
    )
