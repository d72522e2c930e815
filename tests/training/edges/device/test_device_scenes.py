"""Scenes rendered on the accelerator, against `synth`."""

import jax.numpy as jnp
import numpy as np
import pytest

from defocus_edge.blur_levels import BLUR_LEVELS
from defocus_edge.psf import decode_srgb, disk_kernel, encode_srgb
from synth.camera import Sensor, take_picture
from synth.scenes import Layer, render_gradual, render_layers, render_uniform
from tests.conftest import make_texture
from tests.training.edges.device.device_cases import draw_matte
from training.edges.device.apertures import LARGEST_STEP, STEPS, STEPS_PER_PIXEL, build_optics, list_apertures
from training.edges.device.atlas import MARGIN, SIDE
from training.edges.device.scenes import blur, blur_ramp, cover, decode_light, encode_light


@pytest.fixture(scope="module")
def optics():
    return build_optics()


def draw_light(seed, *, block=3):
    texture = make_texture(np.random.default_rng(seed), SIDE, SIDE, block=block)
    return decode_srgb(texture / 255)


def assert_same_picture(light, expected, tolerance=1):
    """As 8-bit pictures, without the margin."""
    picture = np.rint(np.asarray(encode_light(jnp.clip(light[0], 0, 1))) * 255)
    clean = take_picture(expected, Sensor(), rng=np.random.default_rng(0)).astype(np.float32)
    inner = slice(MARGIN, -MARGIN)
    difference = np.abs(picture - clean)[inner, inner]
    assert difference.max() <= tolerance + 1e-3
    return difference


def test_srgb_curves_are_those_of_the_library():
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    np.testing.assert_allclose(np.asarray(decode_light(jnp.asarray(values))), decode_srgb(values), atol=1e-6)
    np.testing.assert_allclose(np.asarray(encode_light(jnp.asarray(values))), encode_srgb(values), atol=1e-6)


def test_kernels_of_all_levels_are_exact(optics):
    for level in BLUR_LEVELS:
        transfer = np.asarray(optics.transfer[round(float(level) * STEPS_PER_PIXEL)])
        kernel = disk_kernel(float(level))
        half = len(kernel) // 2
        found = np.roll(np.fft.irfft2(transfer, (SIDE, SIDE)), (half, half), axis=(0, 1))
        np.testing.assert_allclose(found[: len(kernel), : len(kernel)], kernel, atol=1e-6)


def test_apertures_have_the_moments_of_disks(optics):
    """The transform near frequency 0 tells the second moment: 1 - 2 π² f² σ²."""
    transfer, radius = np.asarray(optics.transfer), np.asarray(optics.radius)
    for aperture in range(len(list_apertures())):
        for size in (2.0, 4.0, 7.0):
            row = aperture * STEPS + round(size * STEPS_PER_PIXEL)
            drop = np.mean([1 - transfer[row, 1, 0], 1 - transfer[row, 0, 1]])
            moment = drop / (2 * (np.pi / SIDE) ** 2)
            assert moment == pytest.approx(radius[row] ** 2 / 4 + 1 / 12, rel=0.06)
    np.testing.assert_allclose(transfer[:, 0, 0], 1, atol=1e-5)
    np.testing.assert_allclose(radius[:STEPS], np.arange(STEPS) / STEPS_PER_PIXEL)
    assert sum(aperture.share for aperture in list_apertures()) == pytest.approx(1)


def test_larger_disks_have_larger_moments(optics):
    moment = np.asarray(optics.moment)
    assert (np.diff(moment) >= 0).all()
    radius = np.arange(LARGEST_STEP + 1) / STEPS_PER_PIXEL
    np.testing.assert_allclose(moment[radius > 2], (radius**2 / 4 + 1 / 12)[radius > 2], rtol=0.05)


def test_largest_disk_stays_within_the_margin():
    assert len(disk_kernel(LARGEST_STEP / STEPS_PER_PIXEL)) // 2 <= MARGIN


def test_uniform_blur_is_that_of_synth(optics):
    radii = np.array([0, 0.5, 1.25, 6, 9], dtype=np.float32)
    light = np.stack([draw_light(seed) for seed in range(5)])
    steps = (radii * STEPS_PER_PIXEL).astype(int)
    ramp = blur_ramp(jnp.asarray(light), jnp.asarray(np.broadcast_to(steps[:, None, None], (5, SIDE, SIDE))), optics)
    for blurred in (blur(jnp.asarray(light), steps, optics), ramp):
        for number, radius in enumerate(radii):
            assert_same_picture(blurred[number : number + 1], render_uniform(light[number], float(radius)).light)


@pytest.mark.parametrize("slope", [0.01, 0.03])
def test_ramps_are_nearly_those_of_synth(optics, slope):
    rows, cols = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    radius = np.clip(np.rint((3.5 + slope * (0.8 * rows - 0.6 * cols)) * 8) / 8, 0, 9).astype(np.float32)
    light = draw_light(0, block=5)
    step = jnp.asarray(radius[None] * STEPS_PER_PIXEL)
    blurred = blur_ramp(jnp.asarray(light[None]), step, optics)
    difference = assert_same_picture(blurred, render_gradual(light, radius).light, tolerance=15)
    assert difference.mean() < 0.15
    assert np.quantile(difference, 0.99) < 1.01


@pytest.mark.parametrize(("near", "far"), [(0.5, 5.0), (6.0, 0.5), (2.25, 3.5)])
def test_layers_are_those_of_synth(optics, near, far):
    background, light, matte = draw_light(0), draw_light(1), draw_matte(2)
    behind, row = (np.array([round(radius * STEPS_PER_PIXEL)]) for radius in (far, near))
    layer = (jnp.asarray(each[None]) for each in (light, matte))
    found = cover(blur(jnp.asarray(background[None]), behind, optics), *layer, row, optics)
    expected = render_layers([Layer(background, np.ones_like(matte), far), Layer(light, matte, near)])
    assert_same_picture(found, expected.light)


def test_layer_that_covers_nothing_changes_nothing(optics):
    light = jnp.asarray(draw_light(0)[None])
    found = cover(light, light, jnp.zeros((1, SIDE, SIDE)), np.array([32]), optics)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(light))
