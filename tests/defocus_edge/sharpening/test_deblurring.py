"""deblurring.py: what must hold for any picture and map, and how much sharper synthetic scenes become."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import richardson_lucy, wiener

from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
from defocus_edge.psf import decode_srgb, disk_kernel, encode_srgb
from defocus_edge.sharpening.deblurring import convert_confidence, deblur
from defocus_edge.sharpening.noise import SATURATION
from synth.scenes import Layer, render_layers, render_uniform

# 1 % of the range.
NOISE_STEPS = 2.55


@pytest.fixture(scope="module")
def sharp():
    """Light of two photographs of 150×150 px, shrunk so that they are sharp."""
    pictures = (data.astronaut(), data.camera())
    shrunk = [cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for picture in pictures]
    return [
        decode_srgb(np.atleast_3d(picture)[20:170, 60:210] / np.float32(255)) * np.ones(3, "f") for picture in shrunk
    ]


def photograph(light, *, noise=NOISE_STEPS, seed=0):
    """8-bit picture with noise."""
    encoded = encode_srgb(np.clip(light, 0, 1))
    noisy = encoded + np.random.default_rng(seed).normal(0, noise / 255, encoded.shape)
    return np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)


def fill_map(image, radius):
    return np.full(image.shape[:2], radius, dtype=np.float32)


def measure_psnr(picture, light):
    return peak_signal_noise_ratio(photograph(light, noise=0), picture)


def make_estimate(radius, confidence):
    points = np.zeros((1, 2), dtype=np.int32)
    one = np.ones(1, dtype=np.float32)
    settings = EstimatorSettings(preset="none")
    return BlurEstimate(radius, confidence, points, one, one, np.zeros(1, dtype=bool), settings, np.ones(1, np.int32))


def test_samples_of_12_bits_stay_samples_of_12_bits(sharp):
    deep = np.rint(encode_srgb(np.clip(render_uniform(sharp[0], 2.0).light, 0, 1)) * 65535).astype(np.uint16)
    deep[0, 0], deep[-1, -1] = 65535, 0
    radius = fill_map(deep, 2.0)
    expected = deblur(deep, radius, noise=NOISE_STEPS)
    result = deblur(deep >> 4, radius, noise=NOISE_STEPS)
    assert result.dtype == np.uint16
    assert result.max() <= 4095
    assert np.abs(result / 4095 - expected / 65535).mean() < 1e-3
    # Of 12 bits in the range of 16 little is left to sharpen with the noise of the full range.
    unlike = deblur(deep >> 4, radius, noise=NOISE_STEPS, bit_depth=16)
    assert np.abs(unlike.astype(int) - result).max() > 40


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_shape_dtype_and_alpha_are_kept(rng, channels, dtype):
    shape = (24, 30) if channels is None else (24, 30, channels)
    image = rng.uniform(0.2, 0.8, shape)
    image = image.astype(dtype) if np.dtype(dtype).kind == "f" else (image * np.iinfo(dtype).max).astype(dtype)
    before = image.copy()
    result = deblur(image, np.full((24, 30), 1.5), noise=1.0)
    assert result.shape == shape
    assert result.dtype == dtype
    assert result.max() <= (1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max)
    assert result.min() >= 0
    np.testing.assert_array_equal(image, before)
    if channels in (2, 4):
        np.testing.assert_array_equal(result[..., -1], image[..., -1])
    assert (result != image).any()


def test_depths_agree(texture):
    """8 bits, 16 bits and floats of one picture become the same picture."""
    radius = fill_map(texture, 1.5)
    results = [
        deblur(texture, radius, noise=1.0) / 255,
        deblur(texture.astype(np.uint16) * 257, radius, noise=1.0) / 65535,
        deblur(texture / 255, radius, noise=1.0),
    ]
    np.testing.assert_allclose(results[0], results[2], atol=0.51 / 255)
    np.testing.assert_allclose(results[1], results[2], atol=0.51 / 65535 + 1e-6)


@pytest.mark.parametrize("radius", [0.0, 0.3, MIN_RADIUS])
def test_sharp_parts_are_left_alone_exactly(texture, rng, radius):
    for image in (texture, rng.uniform(0, 1, (32, 33, 3))):
        np.testing.assert_array_equal(deblur(image, fill_map(image, radius)), image)


def test_only_pixels_with_blur_change(sharp):
    image = photograph(render_uniform(sharp[0], 2.0).light)
    radius = fill_map(image, 0.0)
    radius[:, 70:] = 2.0
    result = deblur(image, radius)
    np.testing.assert_array_equal(result[:, :70], image[:, :70])
    assert (result[:, 70:] != image[:, 70:]).any()


def test_what_no_disk_can_have_made_is_left_alone(texture):
    """Steps from pixel to pixel under a map that says 4 px: the map is wrong there."""
    np.testing.assert_array_equal(deblur(texture, fill_map(texture, 4.0)), texture)


def test_the_onset_is_gradual(sharp):
    """From 0.5 px on the change grows in proportion to the radius."""
    image = photograph(render_uniform(sharp[0], 0.75).light) / 255
    change = [np.abs(deblur(image, fill_map(image, r), noise=1.0) - image).mean() for r in (0.505, 0.55, 0.6, 0.75)]
    assert 0 < change[0] < change[1] < change[2] < change[3]
    assert change[0] < change[3] / 10


@pytest.mark.parametrize("value", [0, 7, 128, 255])
def test_a_plain_picture_stays(rng, value):
    image = np.full((40, 50, 3), value, dtype=np.uint8)
    radius = rng.uniform(0, 5, (40, 50))
    np.testing.assert_allclose(deblur(image, radius).astype(int), value, atol=1)


@pytest.mark.parametrize("flip", [np.flipud, np.fliplr])
def test_flip_in_flip_out(sharp, flip):
    image = photograph(render_uniform(sharp[0][:64, :72], 2.0).light) / 255
    radius = fill_map(image, 2.0)
    difference = flip(deblur(flip(image), radius)) - deblur(image, radius)
    assert np.abs(difference).mean() < 1e-3


def test_tiles_do_not_show(sharp):
    light = sharp[0]
    image = photograph(render_uniform(light, 2.1).light) / 255
    radius = fill_map(image, 2.1)
    whole, tiled = (deblur(image, radius, noise=NOISE_STEPS, tile_side=side) for side in (512, 50))
    difference = np.abs(whole - tiled)
    assert difference.mean() < 1 / 255
    at_seams = difference[:, [49, 50, 99, 100]].mean()
    assert at_seams < 2 / 255
    assert (
        abs(
            measure_psnr(np.rint(whole * 255).astype(np.uint8), light)
            - measure_psnr(np.rint(tiled * 255).astype(np.uint8), light)
        )
        < 0.1
    )


def test_progress_counts_tiles_and_changes_nothing(sharp):
    """Tiles without blur count, too."""
    image = photograph(sharp[0])
    radius = fill_map(image, 0.0)
    radius[:, :40] = 1.5
    steps = []
    result = deblur(image, radius, tile_side=60, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(done, 9) for done in range(1, 10)]
    np.testing.assert_array_equal(result, deblur(image, radius, tile_side=60))


@pytest.mark.parametrize(("radius", "least"), [(2.0, 2.0), (3.0, 2.0), (5.0, 2.0)])
def test_uniform_blur_is_undone(sharp, radius, least):
    """dB gained; measured 3.1, 3.5 and 3.6 over four pictures."""
    for light in sharp:
        image = photograph(render_uniform(light, radius).light)
        result = deblur(image, fill_map(image, radius))
        assert measure_psnr(result, light) - measure_psnr(image, light) > least


@pytest.mark.parametrize("radius", [2.0, 5.0])
def test_as_good_as_others_at_their_best(sharp, radius):
    """Richardson-Lucy and Wiener in linear light, with the setting that happens to be best for the picture."""
    light = sharp[1][..., :1]
    image = photograph(render_uniform(light, radius).light.reshape(light.shape))
    ours = measure_psnr(deblur(image, fill_map(image, radius)), light)
    blurred = decode_srgb(np.pad(image[..., 0], 20, mode="symmetric") / np.float32(255))
    kernel = disk_kernel(radius)
    solutions = [richardson_lucy(blurred, kernel, num_iter=turns) for turns in (5, 10, 20)]
    solutions += [wiener(blurred, kernel, balance, clip=False) for balance in (0.01, 0.03, 0.1, 0.3)]
    cut = [solution[20:-20, 20:-20, np.newaxis] for solution in solutions]
    best = max(measure_psnr(photograph(solution, noise=0), light) for solution in cut)
    assert ours > best - 0.5


def render_composite(sharp, far, near):
    """A disk of one picture before the other: the picture taken, the map and the sharp light."""
    rows, columns = np.mgrid[:150, :150]
    matte = cv2.GaussianBlur((np.hypot(rows - 75, columns - 75) < 45).astype(np.float32), (0, 0), 0.5)
    scene, true = (
        render_layers([Layer(sharp[0], np.ones_like(matte), radii[0]), Layer(sharp[1], matte, radii[1])])
        for radii in ((far, near), (0.0, 0.0))
    )
    return photograph(scene.light, noise=1.0), scene.radius, true.light


@pytest.mark.parametrize(("far", "near"), [(0.0, 3.0), (3.0, 0.0), (2.0, 4.0)])
def test_a_composite_gains_where_it_is_blurred(sharp, far, near):
    image, radius, light = render_composite(sharp, far, near)
    true = photograph(light, noise=0)
    error, before = ((np.float64(picture) - true) ** 2 for picture in (deblur(image, radius), image))
    blurred = radius >= 1
    assert error[blurred].mean() < before[blurred].mean() / 10**0.1
    jump = cv2.dilate((np.abs(cv2.blur(radius, (3, 3)) - radius) > 0.1).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert error[jump].mean() < before[jump].mean() * 1.05  # no ringing at the depth edge


def test_clipped_highlights_do_not_ring(sharp):
    light = sharp[0] * np.float32(0.5)
    light[60:63, 60:63] = 30
    light[100:103, 30:33] = (40, 10, 4)
    blurred = render_uniform(light, 4.0).light
    image = photograph(blurred, noise=1.0)
    result = deblur(image, fill_map(image, 4.0))
    assert measure_psnr(result, np.minimum(light, 1)) > measure_psnr(image, np.minimum(light, 1))
    spot = np.s_[56:67, 56:67]
    assert (image[spot] >= 255 * SATURATION).sum() > 100
    np.testing.assert_allclose(result[58:65, 58:65].astype(int), image[58:65, 58:65], atol=1)


def test_confidence_limits_the_strength(sharp):
    image = photograph(render_uniform(sharp[0], 2.0).light) / 255
    radius = fill_map(image, 2.0)
    full, half, none = (deblur(image, radius, confidence=fill_map(image, c)) for c in (0.5, 0.25, 0.0))
    np.testing.assert_allclose(full, deblur(image, radius), atol=1e-5)
    np.testing.assert_array_equal(none, image)
    middle = (decode_srgb(full) + decode_srgb(image)) / 2
    np.testing.assert_allclose(half, encode_srgb(middle), atol=1e-3)


def test_an_estimate_brings_its_confidence(sharp):
    image = photograph(render_uniform(sharp[0][:60, :60], 2.0).light)
    radius, confidence = fill_map(image, 2.0), fill_map(image, 0.2)
    estimate = make_estimate(radius, confidence)
    told = deblur(image, radius, confidence=confidence, map_error=convert_confidence(confidence))
    np.testing.assert_array_equal(deblur(image, estimate), told)
    trusted = deblur(image, estimate, confidence=np.ones_like(confidence), map_error=0.0)
    np.testing.assert_allclose(trusted.astype(int), deblur(image, radius), atol=1)


def test_confidence_becomes_an_error():
    np.testing.assert_allclose(convert_confidence([0.0, 0.5, 0.9, 1.0]), [3.0, 1.5, 0.3, 0.05], atol=1e-6)


def test_where_a_map_may_be_off_what_is_about_sharp_stays(sharp):
    image = photograph(sharp[0])
    radius = fill_map(image, 0.7)
    np.testing.assert_array_equal(deblur(image, radius, map_error=0.1), image)
    assert (deblur(image, radius) != image).mean() > 0.1


def test_parts_may_have_errors_of_their_own(sharp):
    """Where the map is said to be off by far less is changed; where it is not, about as much."""
    image = photograph(render_uniform(sharp[0], 2.0).light) / 255
    radius, error = fill_map(image, 2.0), fill_map(image, 0.0)
    error[:, 75:] = 3.0
    exact, doubtful = (np.abs(deblur(image, radius, map_error=given) - image) for given in (0.0, error))
    assert doubtful[:, 90:].mean() < 0.8 * exact[:, 90:].mean()
    assert doubtful[:, :60].mean() > 0.95 * exact[:, :60].mean()


@pytest.mark.parametrize("radius", [2.0, 4.0])
def test_a_map_that_is_off_does_no_harm_if_we_know(sharp, radius):
    for light in sharp:
        image = photograph(render_uniform(light, radius).light, noise=1.0)
        for error in (-0.5, 0.5):
            result = deblur(image, fill_map(image, radius + error), map_error=0.5)
            assert measure_psnr(result, light) > measure_psnr(image, light) + 0.5


IMAGE = np.full((24, 30, 3), 0.5)
MAP = np.ones((24, 30))


@pytest.mark.parametrize(
    ("image", "blur_map", "options", "error", "complaint"),
    [
        (IMAGE[:10], MAP, {}, ValueError, "image must have at least 20 px"),
        (IMAGE * 3, MAP, {}, ValueError, "maximum 1.5"),
        (IMAGE > 0, MAP, {}, TypeError, "uint8, uint16 or float"),
        (IMAGE, MAP[:, 1:], {}, ValueError, r"shape of the image, \(24, 30\)\. Got: \(24, 29\)\."),
        (IMAGE, MAP * np.nan, {}, ValueError, r"blur_map must be finite\. Got: NaN or infinity\."),
        (IMAGE, MAP * np.inf, {}, ValueError, "blur_map must be finite"),
        (IMAGE, -MAP, {}, ValueError, r"radii in px >= 0\. Got: minimum -1\."),
        (IMAGE, MAP * 65, {}, ValueError, r"at most 64 px\. Got: maximum 65\. Check its unit\."),
        (IMAGE, MAP, {"confidence": MAP[1:]}, ValueError, r"confidence must have the shape .*Got: \(23, 30\)\."),
        (IMAGE, MAP, {"confidence": MAP * 2}, ValueError, r"between 0 and 1\. Got: values from 2 to 2\."),
        (IMAGE, MAP, {"confidence": MAP * np.nan}, ValueError, "confidence must be between 0 and 1"),
        (IMAGE, MAP, {"noise": 0.0}, ValueError, r"noise must be a finite number .*Got: 0\.0\."),
        (IMAGE, MAP, {"noise": np.inf}, ValueError, "noise must be a finite number"),
        (IMAGE, MAP, {"map_error": -1.0}, ValueError, r"map_error must be .* px >= 0\. Got: -1\.0\."),
        (IMAGE, MAP, {"map_error": np.nan}, ValueError, "map_error must be a finite number"),
        (IMAGE, MAP, {"tile_side": 8}, ValueError, r"tile_side must be at least 32 px\. Got: 8\."),
    ],
)
def test_wrong_arguments_are_refused(image, blur_map, options, error, complaint):
    with pytest.raises(error, match=complaint):
        deblur(image, blur_map, **options)


def test_only_an_estimate_has_a_confidence(texture):
    """Another object with such an attribute must be an array as well."""
    fake = SimpleNamespace(radius=fill_map(texture, 2.0), confidence=fill_map(texture, 0.0))
    with pytest.raises(TypeError):
        deblur(texture, fake)
