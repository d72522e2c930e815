"""noise.py: the noise that was added is found, where there is texture and where light is clipped."""

import cv2
import numpy as np
import pytest
from skimage import data

from defocus_edge.psf import decode_srgb, encode_srgb
from defocus_edge.sharpening.noise import estimate_noise, measure_noise
from synth.scenes import render_uniform


@pytest.fixture(scope="module")
def sharp():
    """Light of two photographs of 150×150 px, shrunk so that they are sharp."""
    pictures = (data.astronaut(), data.camera())
    shrunk = [cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for picture in pictures]
    return [
        decode_srgb(np.atleast_3d(picture)[20:170, 60:210] / np.float32(255)) * np.ones(3, "f") for picture in shrunk
    ]


def add_noise(light, noise, *, seed=1):
    """Encoded picture with noise in 8-bit steps."""
    encoded = encode_srgb(np.clip(light, 0, 1))
    return np.clip(encoded + np.random.default_rng(seed).normal(0, noise / 255, encoded.shape), 0, 1)


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.55, 6.0])
def test_noise_is_found_in_blurred_pictures(sharp, noise):
    for light in sharp:
        assert estimate_noise(add_noise(render_uniform(light, 3.0).light, noise)) == pytest.approx(noise, rel=0.25)


def test_noise_is_read_where_the_map_is_blurred(sharp):
    """Texture at the right looks like noise, unless the map says that it is in focus."""
    light, radius = render_uniform(sharp[0], 3.0).light, np.full((150, 150), 3.0)
    light[:, 80:], radius[:, 80:] = sharp[0][:, 80:], 0.0
    image = add_noise(light, 1.0)
    assert estimate_noise(image, radius) == pytest.approx(1.0, abs=0.35)
    assert estimate_noise(image) > estimate_noise(image, radius)


def test_noise_of_a_saturated_picture():
    assert estimate_noise(np.full((40, 40), 255, dtype=np.uint8)) == 0


def test_grey_counts_as_three_equal_channels(sharp):
    grey = np.float32(add_noise(sharp[1][..., 0], 2.0))
    assert estimate_noise(grey) == pytest.approx(measure_noise(grey[..., np.newaxis], None), rel=1e-6)


def test_steps_are_those_of_8_bits_at_any_depth(sharp):
    image = np.rint(add_noise(sharp[0], 3.0) * 255).astype(np.uint8)
    deep = image.astype(np.uint16) * 257
    assert estimate_noise(image) == pytest.approx(estimate_noise(deep), rel=1e-5)


@pytest.mark.parametrize(
    ("image", "blur_map", "error", "complaint"),
    [
        (np.ones((10, 30)), None, ValueError, "image must have at least 20 px"),
        (np.ones((30, 30), dtype=bool), None, TypeError, "uint8, uint16 or float"),
        (np.ones((30, 30)), np.ones((30, 20)), ValueError, r"shape of the image, \(30, 30\)\. Got: \(30, 20\)\."),
        (np.ones((30, 30)), np.full((30, 30), np.nan), ValueError, "blur_map must be finite"),
    ],
)
def test_wrong_arguments_are_refused(image, blur_map, error, complaint):
    with pytest.raises(error, match=complaint):
        estimate_noise(image, blur_map)
