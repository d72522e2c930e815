"""Scenes rendered on the accelerator, against `synth`."""

import numpy as np
import pytest
from keras import ops

from defocus_edge.blur_levels import BLUR_LEVELS
from defocus_edge.psf import decode_srgb, disk_kernel, encode_srgb
from synth.camera import Sensor, take_picture
from synth.scenes import Layer, render_gradual, render_layers, render_uniform
from tests.conftest import make_texture
from tests.training.edges.device.device_cases import draw_matte, to_array
from training.edges.device.atlas import MARGIN, SIDE
from training.edges.device.scenes import (
    LARGEST_STEP,
    STEPS_PER_PIXEL,
    VERSIONS,
    build_optics,
    cover,
    decode_light,
    encode_light,
    render_far,
    take_pictures,
)


@pytest.fixture(scope="module")
def optics():
    return build_optics()


def draw_light(seed, *, block=3):
    texture = make_texture(np.random.default_rng(seed), SIDE, SIDE, block=block)
    return decode_srgb(texture / 255)


def assert_same_picture(light, expected, tolerance=1):
    """As 8-bit pictures, without the margin."""
    zero = np.zeros(1, dtype=np.float32)
    picture = to_array(take_pictures(light, zero, np.zeros_like(expected)[None]))[0] * 255
    clean = take_picture(expected, Sensor(), rng=np.random.default_rng(0)).astype(np.float32)
    inner = slice(MARGIN, -MARGIN)
    difference = np.abs(picture - clean)[inner, inner]
    assert difference.max() <= tolerance + 1e-3
    return difference


def test_srgb_curves_are_those_of_the_library():
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    np.testing.assert_allclose(to_array(decode_light(ops.convert_to_tensor(values))), decode_srgb(values), atol=1e-6)
    np.testing.assert_allclose(to_array(encode_light(ops.convert_to_tensor(values))), encode_srgb(values), atol=1e-6)


def test_kernels_of_all_levels_are_exact(optics):
    for level in BLUR_LEVELS:
        transfer = to_array(optics.transfer[round(float(level) * STEPS_PER_PIXEL)])
        kernel = disk_kernel(float(level))
        half = len(kernel) // 2
        found = np.roll(np.fft.ifft2(transfer).real, (half, half), axis=(0, 1))
        np.testing.assert_allclose(found[: len(kernel), : len(kernel)], kernel, atol=1e-6)


def test_larger_disks_have_larger_moments(optics):
    moment = to_array(optics.moment)
    assert (np.diff(moment) >= 0).all()
    radius = np.arange(LARGEST_STEP + 1) / STEPS_PER_PIXEL
    np.testing.assert_allclose(moment[radius > 2], (radius**2 / 4 + 1 / 12)[radius > 2], rtol=0.05)


def test_largest_disk_stays_within_the_margin():
    assert len(disk_kernel(LARGEST_STEP / STEPS_PER_PIXEL)) // 2 <= MARGIN


@pytest.mark.parametrize("versions", [1, VERSIONS])
def test_uniform_blur_is_that_of_synth(optics, versions):
    radii = np.array([0, 0.5, 1.25, 6, 9], dtype=np.float32)
    light = np.stack([draw_light(seed) for seed in range(5)])
    step = np.broadcast_to((radii * STEPS_PER_PIXEL)[:, None, None], (5, SIDE, SIDE))
    blurred = render_far(ops.convert_to_tensor(light), ops.convert_to_tensor(step), optics, versions=versions)
    for number, radius in enumerate(radii):
        assert_same_picture(blurred[number : number + 1], render_uniform(light[number], float(radius)).light)


@pytest.mark.parametrize("slope", [0.01, 0.03])
def test_ramps_are_nearly_those_of_synth(optics, slope):
    rows, cols = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    radius = np.clip(np.rint((3.5 + slope * (0.8 * rows - 0.6 * cols)) * 8) / 8, 0, 9).astype(np.float32)
    light = draw_light(0, block=5)
    step = ops.convert_to_tensor(radius[None] * STEPS_PER_PIXEL)
    blurred = render_far(ops.convert_to_tensor(light[None]), step, optics)
    difference = assert_same_picture(blurred, render_gradual(light, radius).light, tolerance=15)
    assert difference.mean() < 0.15
    assert np.quantile(difference, 0.99) < 1.01


@pytest.mark.parametrize(("near", "far"), [(0.5, 5.0), (6.0, 0.5), (2.25, 3.5)])
def test_layers_are_those_of_synth(optics, near, far):
    background, light, matte = draw_light(0), draw_light(1), draw_matte(2)
    step = ops.full((1, SIDE, SIDE), far * STEPS_PER_PIXEL)
    behind = render_far(ops.convert_to_tensor(background[None]), step, optics, versions=1)
    layer = (ops.convert_to_tensor(each[None]) for each in (light, matte))
    found = cover(behind, *layer, ops.full((1,), near * STEPS_PER_PIXEL), optics)
    expected = render_layers([Layer(background, np.ones_like(matte), far), Layer(light, matte, near)])
    assert_same_picture(found, expected.light)


def test_layer_that_covers_nothing_changes_nothing(optics):
    light = ops.convert_to_tensor(draw_light(0)[None])
    found = cover(light, light, ops.zeros((1, SIDE, SIDE)), ops.full((1,), 32.0), optics)
    np.testing.assert_array_equal(to_array(found), to_array(light))


def test_noise_has_the_deviation_that_is_asked_for():
    noise = np.random.default_rng(0).normal(size=(2, 40, 40, 3)).astype(np.float32)
    light = ops.full((2, 40, 40, 3), 0.2)
    pictures = to_array(take_pictures(light, ops.convert_to_tensor(np.float32([0, 4])), noise)) * 255
    assert np.ptp(pictures[0]) < 1e-3
    assert pictures[1].std() == pytest.approx(4, rel=0.05)
    np.testing.assert_allclose(pictures, np.rint(pictures), atol=1e-3)


def test_light_beyond_white_is_saturated():
    light = ops.convert_to_tensor(
        np.float32([-0.1, 0, 1, 1.7])[None, :, None, None] * np.ones((1, 4, 1, 3), np.float32)
    )
    found = to_array(take_pictures(light, ops.zeros(1), ops.zeros((1, 4, 1, 3))))
    np.testing.assert_array_equal(found[0, :, 0, 0], [0, 0, 1, 1])
