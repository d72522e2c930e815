"""The border of all baselines."""

import numpy as np
import pytest
from baseline_cases import make_colour, make_step

from defocus_edge.propagation.propagate import NoEdgesError
from training.baselines.pictures import LEAST_CONTRAST, LUMA_601, check_picture, convert_to_grey, stretch


def test_float64_becomes_float32_and_float32_stays():
    picture = make_colour(make_step(1.0))
    assert check_picture(picture) is picture
    assert check_picture(picture.astype(np.float64)).dtype == np.float32


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 4), (19, 50, 3), (40, 19, 3), (1, 40, 50, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"sides of at least 20 px\. Got: shape"):
        check_picture(np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01, 1.01])
def test_values_outside_0_to_1_are_refused(value):
    picture = make_colour(make_step(1.0))
    picture[0, 0, 0] = value
    with pytest.raises(ValueError, match=r"image must be finite and within \[0, 1\]\. Got: "):
        check_picture(picture)


def test_bytes_are_refused():
    with pytest.raises(TypeError, match=r"image must be of float.* Got: dtype uint8\."):
        check_picture(np.zeros((40, 50, 3), dtype=np.uint8))


def test_least_contrast():
    check_picture(make_colour(make_step(0.5, low=0.5, high=0.5 + 1.01 * LEAST_CONTRAST)))
    with pytest.raises(NoEdgesError, match="a plain picture"):
        check_picture(make_colour(make_step(0.5, low=0.5, high=0.5 + 0.99 * LEAST_CONTRAST)))


def test_grey_has_the_weights_of_bt_601():
    assert LUMA_601.sum() == pytest.approx(1, abs=2e-4)
    assert convert_to_grey(np.array([[[1.0, 0.0, 0.0]]], dtype=np.float32))[0, 0] == pytest.approx(0.2989)


def test_stretching():
    np.testing.assert_allclose(stretch(np.array([[2.0, 3.0, 6.0]])), [[0, 0.25, 1]])
    np.testing.assert_array_equal(stretch(np.full((2, 2), 7.0)), np.zeros((2, 2)))
