"""What the browser gets: numbers that it can read back, in a size that it can draw."""

import base64

import cv2
import numpy as np
import pytest

from defocus_edge.plots import make_colour_table
from defocus_edge.web import view
from defocus_edge.web.view import STEPS_PER_PX, pack_view


def decode(url, kind):
    head, _, data = url.partition(",")
    assert head == f"data:image/{kind};base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.fixture
def photo(rng):
    return rng.random((30, 40, 3), dtype=np.float32)


def test_radius_and_confidence_are_read_back(photo, rng):
    radius = rng.uniform(0, 96, (30, 40)).astype(np.float32)
    confidence = rng.random((30, 40), dtype=np.float32)
    packed = pack_view(photo, radius, confidence, name="a.jpg")
    blue, green, red = np.moveaxis(decode(packed["values"], "png").astype(int), -1, 0)
    np.testing.assert_allclose((256 * red + green) / STEPS_PER_PX, radius, atol=0.5 / STEPS_PER_PX + 1e-5)
    np.testing.assert_allclose(blue / 255, confidence, atol=0.5 / 255 + 1e-6)
    assert packed["probability"] is None
    assert (packed["width"], packed["height"], packed["top"]) == (40, 30, 96)
    assert np.abs(decode(packed["photo"], "jpeg")[..., ::-1] / 255 - photo).mean() < 0.2
    assert packed["colours"] == make_colour_table().tolist()


def test_the_probability_of_a_network_goes_along(photo, rng):
    probability = rng.random((30, 40), dtype=np.float32)
    packed = pack_view(photo, probability, probability, name="a.jpg", probability=probability)
    np.testing.assert_allclose(decode(packed["probability"], "png") / 255, probability, atol=0.5 / 255 + 1e-6)


def test_large_pictures_are_averaged_down(photo, monkeypatch):
    monkeypatch.setattr(view, "LARGEST_SIDE", 20)
    radius = np.zeros((30, 40), np.float32)
    radius[:, 1::2] = 2
    packed = pack_view(photo, radius, radius / 2, name="a.jpg")
    values = decode(packed["values"], "png")
    assert values.shape == (15, 20, 3)
    assert set((256 * values[..., 2].astype(int) + values[..., 1]).ravel()) == {STEPS_PER_PX}
    assert decode(packed["photo"], "jpeg").shape == (15, 20, 3)
    assert packed["width"] == 40
