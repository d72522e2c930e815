"""Each condition does what it says to the picture, and the truth follows."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from defocus_edge.arrays import as_image
from defocus_edge.psf import encode_srgb
from training.data.degradations import CONDITIONS, degrade, degrade_all, halve_scene
from training.data.development import DevelopmentScene


def make_scene(image, radius=2.0, label=0, name="scene"):
    shape = image.shape[:2]
    return DevelopmentScene(
        name, "family", image, np.full(shape, radius, dtype=np.float32), np.full(shape, label, dtype=np.int8)
    )


@pytest.fixture
def scene(texture):
    return make_scene(as_image(texture))


@pytest.fixture
def grey():
    return make_scene(as_image(np.full((200, 200, 3), 128, dtype=np.uint8)))


def test_clean_is_the_scene_itself(scene):
    assert degrade(scene, "clean") is scene


@pytest.mark.parametrize(("condition", "sigma"), [("noise-2", 2.0), ("noise-5", 5.0)])
def test_noise_has_its_standard_deviation_in_8_bit_steps(grey, condition, sigma):
    picture = degrade(grey, condition).image * 255
    np.testing.assert_allclose(picture, np.rint(picture), atol=1e-4)  # quantized
    # Rounding to whole steps adds 1/12 to the variance.
    assert picture.std() == pytest.approx(np.sqrt(sigma**2 + 1 / 12), rel=0.01)
    assert picture.mean() == pytest.approx(128, abs=0.1)


def test_jpeg_is_that_of_the_picture(scene):
    expected = np.rint(scene.image * 255).astype(np.uint8)[..., ::-1]
    expected = cv2.imdecode(cv2.imencode(".jpg", expected, [cv2.IMWRITE_JPEG_QUALITY, 75])[1], cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(degrade(scene, "jpeg-75").image, as_image(expected[..., ::-1]))


def test_a_sharpened_edge_has_halos_on_both_sides():
    values = np.where(np.arange(40) < 20, 0.3, 0.6) * np.ones((40, 1))
    image = np.repeat(values[..., None], 3, axis=-1).astype(np.float32)
    profile = degrade(make_scene(image), "sharpened").image[20, :, 0]
    np.testing.assert_allclose(profile[[5, 35]], [0.3, 0.6], atol=0.6 / 255)
    # Half a pixel from a step of 0.3, a Gaussian of 1 px has reached 0.69 of it, its integral; the rest is added.
    assert profile[20] == pytest.approx(0.6 + 0.3 * 0.31, abs=0.01)
    assert profile[19] == pytest.approx(0.3 - 0.3 * 0.31, abs=0.01)


@pytest.mark.parametrize("condition", ["noise-2", "noise-5", "jpeg-75", "sharpened"])
def test_truth_and_size_stay_where_only_the_picture_changes(scene, condition):
    degraded = degrade(scene, condition)
    assert degraded.radius is scene.radius
    assert degraded.edge_label is scene.edge_label
    assert degraded.image.shape == scene.image.shape
    assert degraded.image.dtype == np.float32
    assert (degraded.image != scene.image).any()
    assert (degraded.name, degraded.family) == (scene.name, scene.family)


@pytest.mark.parametrize("condition", list(CONDITIONS))
def test_same_scene_each_time_and_the_input_stays(scene, condition):
    before = scene.image.copy(), scene.radius.copy()
    one, other = degrade(scene, condition), degrade(scene, condition)
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(scene.image, before[0])
    np.testing.assert_array_equal(scene.radius, before[1])


def test_scenes_and_conditions_have_their_own_noise(grey):
    noise = degrade(grey, "noise-5").image
    other = degrade(make_scene(grey.image, name="other"), "noise-5").image
    assert (noise != other).mean() > 0.8
    weaker = degrade(grey, "noise-2").image
    assert abs(np.corrcoef(noise.ravel(), weaker.ravel())[0, 1]) < 0.02


def test_half_size_averages_light_and_halves_radii(rng):
    picture = as_image(rng.integers(0, 256, (41, 63, 3), dtype=np.uint8))
    half = halve_scene(make_scene(picture, radius=4.0))
    assert half.image.shape == (20, 31, 3)
    assert half.radius.shape == half.edge_label.shape == (20, 31)
    assert (half.radius == 2).all()
    assert (half.radius.dtype, half.edge_label.dtype) == (np.float32, np.int8)
    two = make_scene(as_image(np.tile(np.array([[[0], [255]]], dtype=np.uint8), (20, 20, 3))))
    expected = np.rint(encode_srgb(np.array([0.5], dtype=np.float32)) * 255) / 255  # 188, not 128
    np.testing.assert_allclose(halve_scene(two).image, expected[0], atol=1e-6)


def test_half_size_keeps_radii_within_the_levels():
    image = np.full((40, 40, 3), 0.5, dtype=np.float32)
    assert (halve_scene(make_scene(image, radius=0.5)).radius == 0.5).all()
    assert (halve_scene(make_scene(image, radius=6.0)).radius == 3.0).all()


def test_half_size_averages_the_radii_of_both_sides_of_a_jump():
    scene = make_scene(np.full((40, 40, 3), 0.5, dtype=np.float32))
    scene.radius[:, 21:] = 6.0
    np.testing.assert_array_equal(halve_scene(scene).radius[0, 9:12], [1.0, 2.0, 3.0])


def test_half_size_keeps_thin_depth_edges_and_widens_what_is_undecided():
    scene = make_scene(np.full((40, 40, 3), 0.5, dtype=np.float32))
    scene.edge_label[:, 20:24] = -1
    scene.edge_label[:, 23] = 1
    label = halve_scene(scene).edge_label
    np.testing.assert_array_equal(label[5, 8:14], [0, -1, -1, 1, -1, 0])


def test_all_scenes_under_all_conditions_in_order(scene, grey):
    made = list(degrade_all(iter([scene, grey]), iter(["clean", "jpeg-75"])))
    assert [condition for condition, _ in made] == ["clean", "jpeg-75"] * 2
    assert made[0][1] is scene
    assert made[2][1] is grey


def test_unknown_condition(scene):
    with pytest.raises(ValueError, match=r"condition must be one of clean, noise-2, .* Got: 'fog'"):
        degrade(scene, "fog")


def test_a_halved_scene_is_no_longer_known_in_focus(scene):
    known = replace(scene, sharp=scene.image)
    assert degrade(known, "half-size").sharp is None
    assert degrade(known, "noise-2").sharp is scene.image
