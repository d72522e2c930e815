"""What the camera, the light and the patterns of the accelerator's crops do."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from defocus_edge.psf import encode_srgb
from training.edges.device import camera
from training.edges.device.chance import Chance
from training.edges.device.patterns import draw_pattern, draw_shade
from training.edges.device.photos import find_content


def test_clean_pictures_are_encoded_and_rounded_and_no_more(monkeypatch):
    monkeypatch.setattr(camera, "CLEAN_SHARE", 1.1)
    monkeypatch.setattr(camera, "STOPS_DEVIATION", 0.0)
    light = np.random.default_rng(0).random((2, 80, 80, 3), dtype=np.float32)
    shot = jax.jit(lambda light: camera.shoot(light, Chance(jax.random.key(0), 2), may_resize=np.ones(2, bool)))(light)
    expected = np.rint(encode_srgb(light)[:, 8:-8, 8:-8] * 255)
    assert np.abs(np.asarray(shot.images) * 255 - expected).max() <= 1.001
    np.testing.assert_array_equal(shot.factor, 1)


def test_jpeg_is_that_of_opencv(monkeypatch):
    monkeypatch.setattr(camera, "QUALITIES", (75.0, 75.0))
    smooth = cv2.GaussianBlur(np.random.default_rng(0).random((80, 80, 3), dtype=np.float32), (0, 0), 1.5)
    picture = np.rint(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)).astype(np.uint8)
    monkeypatch.setattr(camera.Chance, "count", lambda *_: jnp.zeros(1, jnp.int32))
    chance = Chance(jax.random.key(0), 1)
    yes, no = np.ones(1, bool), np.zeros(1, bool)
    ours = camera._compress(jnp.asarray(picture[None] / np.float32(255)), yes, no, chance)
    options = [cv2.IMWRITE_JPEG_QUALITY, 75, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, buffer = cv2.imencode(".jpg", picture[8:, 8:, ::-1], options)
    theirs = cv2.imdecode(buffer, cv2.IMREAD_COLOR)[:64, :64, ::-1]
    assert np.abs(np.asarray(ours[0]) * 255 - theirs).mean() < 1.2  # libjpeg computes with integers
    assert np.abs(picture[8:72, 8:72].astype(float) - theirs).mean() > 1


def test_resizing_by_one_changes_nothing_and_a_ramp_stays_a_ramp():
    matrix = camera.make_resize_matrix(jnp.array([1.0, 1.3]))
    np.testing.assert_allclose(matrix[0], np.eye(80), atol=1e-6)
    ramp = np.broadcast_to(np.arange(80, dtype=np.float32)[None, :, None, None], (2, 80, 80, 1))
    resized = np.asarray(camera.apply_resize(ramp, matrix))[1, 10:-10, 40, 0]
    np.testing.assert_allclose(np.diff(resized), 1 / 1.3, rtol=1e-3)


def test_sharpening_keeps_constants_and_overshoots_at_edges():
    step = np.full((1, 80, 80, 3), 0.3, np.float32)
    step[:, :, 40:] = 0.7
    sharpened = np.asarray(camera._sharpen(step, jnp.ones(1), jnp.ones(1)))
    np.testing.assert_allclose(sharpened[:, :, :20], 0.3, atol=1e-5)
    assert sharpened.max() > 0.75


def test_shadows_are_told_from_content():
    texture = cv2.GaussianBlur(np.random.default_rng(0).random((80, 80, 3), dtype=np.float32), (0, 0), 1.0)
    texture = cv2.normalize(texture, None, 0, 1, cv2.NORM_MINMAX)[None]
    soft = np.broadcast_to(1 / (1 + np.exp(-(np.arange(80) - 40) / 12)), (1, 80, 80)).astype(np.float32)
    shares = []
    for light in (texture, np.full_like(texture, 0.5)):
        content = np.asarray(find_content(light, soft, light * soft[..., None]))
        shares.append(content[0, 10:-10, 32:48].mean())
    assert shares[0] > 0.6
    assert shares[1] < 0.05


def test_patterns_and_shade_are_light():
    def draw():
        chance = Chance(jax.random.key(4), 50)
        return draw_pattern(chance), *draw_shade(chance)

    pattern, factor, glow = (np.asarray(each) for each in jax.jit(draw)())
    assert 0 <= pattern.min() <= pattern.max() <= 1
    assert 0 < factor.min() <= factor.max() <= 1
    assert glow.min() >= 0
    assert np.abs(np.diff(pattern[..., 0], axis=1)).max(axis=(1, 2)).min() > 0
