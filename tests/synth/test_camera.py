"""The sensor: encoding, noise, rounding, JPEG, all of it repeatable."""

import numpy as np
import pytest

from defocus_edge.psf import decode_srgb
from synth.camera import Sensor, take_picture


def grey(value, side=128):
    return np.full((side, side, 3), value, dtype=np.float32)


def draw_light(side=64):
    """Smooth coloured light."""
    rows, cols = np.mgrid[0:side, 0:side] / side
    return np.stack([rows, cols, (rows + cols) / 2], axis=-1).astype(np.float32)


def test_a_picture_is_8_bit(rng):
    light = draw_light()
    picture = take_picture(light, Sensor(), rng=rng)
    assert picture.shape == light.shape
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("noise", [-0.1, np.nan])
def test_negative_noise_is_refused(noise):
    with pytest.raises(ValueError, match=r"noise must be finite and >= 0 8-bit steps\. Got: "):
        Sensor(noise=noise)


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_impossible_jpeg_quality_is_refused(quality):
    with pytest.raises(ValueError, match=r"jpeg_quality must be between 1 and 100, or None\. Got: "):
        Sensor(jpeg_quality=quality)


def test_light_is_not_modified(rng):
    light = draw_light()
    take_picture(light, Sensor(noise=3, jpeg_quality=80), rng=rng)
    np.testing.assert_array_equal(light, draw_light())


def test_each_of_256_values_comes_back(rng):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(take_picture(decode_srgb(values / 255), Sensor(), rng=rng), values)


def test_light_beyond_one_is_saturated(rng):
    assert (take_picture(grey(1.7), Sensor(), rng=rng) == 255).all()
    assert (take_picture(grey(-0.2), Sensor(), rng=rng) == 0).all()


@pytest.mark.parametrize("sensor", [Sensor(), Sensor(2.5), Sensor(0, 70), Sensor(2.5, 70)])
def test_same_seed_same_bytes(sensor):
    first, again, other = (take_picture(draw_light(), sensor, rng=np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first == other).all() == (sensor.noise == 0)


@pytest.mark.parametrize("noise", [1, 3, 8])
def test_noise_has_the_standard_deviation_that_was_asked_for(noise, rng):
    picture = take_picture(grey(0.214), Sensor(noise), rng=rng).astype(float)
    # Rounding to whole steps adds a variance of 1/12.
    assert picture.std() == pytest.approx(np.sqrt(noise**2 + 1 / 12), rel=0.02)
    assert picture.mean() == pytest.approx(127.5, abs=0.3)
    assert abs(np.corrcoef(picture[..., 0].ravel(), picture[..., 1].ravel())[0, 1]) < 0.05


def test_jpeg_changes_little_and_less_at_higher_quality():
    plain = take_picture(draw_light(), Sensor(2), rng=np.random.default_rng(0)).astype(float)
    fine, coarse = (
        take_picture(draw_light(), Sensor(2, quality), rng=np.random.default_rng(0)).astype(float)
        for quality in (98, 50)
    )
    assert 0 < np.abs(fine - plain).mean() < np.abs(coarse - plain).mean() < 4


def test_jpeg_keeps_the_order_of_the_channels(rng):
    light = grey(0, side=32)
    light[..., 0] = 1
    picture = take_picture(light, Sensor(jpeg_quality=95), rng=rng)
    assert picture[..., 0].min() > 240
    assert picture[..., 1:].max() < 15
