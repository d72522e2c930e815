"""The recursive filter against NumPy, OpenCV and its own properties."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defocus_edge.propagation import domain_transform
from defocus_edge.propagation import kernels as _kernels
from defocus_edge.propagation.domain_transform import domain_transform_filter, filter_in_place, measure_feedback
from tests.defocus_edge.propagation.recursive_filter_oracle import numpy_recursive_filter

TOLERANCE = 2e-6  # float32 rounding of values in [0, 1] through up to five iterations
SHAPES = [(1, 1), (1, 9), (9, 1), (2, 2), (5, 4), (37, 23), (64, 128), (130, 512), (7, 1024)]


def random_arrays(shape, channels, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.random((*shape, channels) if channels else shape, dtype=np.float32)
    return image, rng.random((*shape, 3), dtype=np.float32)


@st.composite
def filter_cases(draw):
    shape = (draw(st.integers(1, 24)), draw(st.integers(1, 24)))
    image, guide = random_arrays(shape, draw(st.integers(1, 4)), draw(st.integers(0, 2**32 - 1)))
    settings_ = {
        "sigma_s": draw(st.floats(0.1, 500)),
        "sigma_r": draw(st.floats(0.01, 10)),
        "iterations": draw(st.integers(1, 5)),
    }
    return image, guide, settings_


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [0, 1, 2, 3])
def test_equals_the_numpy_filter(shape, channels):
    image, guide = random_arrays(shape, channels)
    penalty = np.where(np.random.default_rng(1).random(shape) < 0.1, np.float32(100), np.float32(0))
    for extra in ({}, {"penalty": penalty}, {"iterations": 5}):
        ours = domain_transform_filter(image, guide, sigma_s=20.0, sigma_r=0.8, **extra)
        expected = numpy_recursive_filter(image, guide, sigma_s=20.0, sigma_r=0.8, **extra)
        assert ours.dtype == np.float32
        assert ours.shape == image.shape
        np.testing.assert_allclose(ours, expected, atol=TOLERANCE)


@settings(max_examples=60)
@given(filter_cases())
def test_equals_the_numpy_filter_for_any_setting(case):
    image, guide, numbers = case
    ours = domain_transform_filter(image, guide, **numbers)
    np.testing.assert_allclose(ours, numpy_recursive_filter(image, guide, **numbers), atol=2e-5)


@pytest.mark.parametrize("guide_channels", [0, 1, 3])
def test_grey_and_colour_guides(guide_channels):
    image, colour = random_arrays((20, 33), 2)
    guide = colour if guide_channels == 3 else colour[..., :1] if guide_channels else colour[..., 0]
    ours = domain_transform_filter(image, guide, sigma_s=5.0, sigma_r=0.5)
    np.testing.assert_allclose(ours, numpy_recursive_filter(image, guide, sigma_s=5.0, sigma_r=0.5), atol=TOLERANCE)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_equals_opencv(channels):
    image, guide = random_arrays((60, 77), channels)
    theirs = cv2.ximgproc.dtFilter(guide, image, 12.0, 0.7, mode=cv2.ximgproc.DTF_RF, numIters=3)
    ours = domain_transform_filter(image, guide, sigma_s=12.0, sigma_r=0.7)
    np.testing.assert_allclose(ours, theirs.reshape(ours.shape), atol=TOLERANCE)


def test_integer_guides_count_in_their_own_unit():
    image, _ = random_arrays((20, 31), 1)
    guide = np.random.default_rng(2).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        domain_transform_filter(image, guide, sigma_s=5.0, sigma_r=255.0),
        domain_transform_filter(image, guide / 255, sigma_s=5.0, sigma_r=1.0),
        atol=TOLERANCE,
    )


@settings(max_examples=30)
@given(filter_cases(), st.floats(-1000, 1000, width=32))
def test_a_constant_stays_constant(case, value):
    image, guide, numbers = case
    constant = np.full_like(image, value)
    np.testing.assert_array_equal(domain_transform_filter(constant, guide, **numbers), constant)


@settings(max_examples=30)
@given(filter_cases())
def test_output_stays_within_the_input_range_of_each_channel(case):
    image, guide, numbers = case
    output = domain_transform_filter(image, guide, **numbers)
    assert (output >= image.min(axis=(0, 1)) - 1e-6).all()
    assert (output <= image.max(axis=(0, 1)) + 1e-6).all()


@settings(max_examples=30)
@given(filter_cases(), st.floats(-3, 3), st.floats(-3, 3))
def test_is_linear_in_the_image(case, first, second):
    image, guide, numbers = case
    other = image[::-1, ::-1]
    mixed = domain_transform_filter(first * image + second * other, guide, **numbers)
    expected = first * domain_transform_filter(image, guide, **numbers)
    expected += second * domain_transform_filter(other, guide, **numbers)
    np.testing.assert_allclose(mixed, expected, atol=2e-4)


@settings(max_examples=30)
@given(filter_cases())
def test_channels_do_not_mix(case):
    image, guide, numbers = case
    together = domain_transform_filter(image, guide, **numbers)
    alone = [domain_transform_filter(image[..., c], guide, **numbers) for c in range(image.shape[2])]
    np.testing.assert_allclose(together, np.stack(alone, axis=-1), atol=1e-6)


@pytest.mark.parametrize("flip", [np.flipud, np.fliplr])
def test_flip_in_is_flip_out_far_from_the_border(flip):
    # Near the border the recursion, which starts at the first pixel, is not symmetric: nor is it in the paper.
    impulse = np.zeros((61, 61), dtype=np.float32)
    impulse[28, 33] = 1
    plain = np.zeros((61, 61), dtype=np.float32)
    output = domain_transform_filter(impulse, plain, sigma_s=2.0, sigma_r=1.0)
    flipped = domain_transform_filter(flip(impulse), plain, sigma_s=2.0, sigma_r=1.0)
    np.testing.assert_allclose(flip(flipped), output, atol=1e-7)


def test_standard_deviation_is_sigma_s():
    impulse = np.zeros((1, 401), dtype=np.float32)
    impulse[0, 200] = 1
    response = domain_transform_filter(impulse, np.zeros((1, 401)), sigma_s=10.0, sigma_r=1.0)[0].astype(np.float64)
    offset = np.arange(401) - 200
    assert response.sum() == pytest.approx(1, abs=1e-4)
    assert np.sqrt((response * offset**2).sum()) == pytest.approx(10, rel=0.02)


def test_penalty_stops_leakage():
    image = np.zeros((32, 40), dtype=np.float32)
    image[:, :20] = 1
    plain = np.zeros_like(image)
    wall = np.zeros_like(image)
    wall[:, 20] = 1000
    open_ = domain_transform_filter(image, plain, sigma_s=10.0, sigma_r=1.0)
    closed = domain_transform_filter(image, plain, sigma_s=10.0, sigma_r=1.0, penalty=wall)
    assert open_[:, 20:].max() > 0.3
    np.testing.assert_allclose(closed, image, atol=1e-6)


def test_inputs_are_not_modified_and_may_be_read_only_or_strided():
    image, guide = random_arrays((40, 62), 2)
    penalty = np.ones((40, 62), dtype=np.float32)
    copies = [a.copy() for a in (image, guide, penalty)]
    views = [a[:, ::2] for a in (image, guide, penalty)]
    strided = domain_transform_filter(views[0], views[1], sigma_s=4.0, sigma_r=1.0, penalty=views[2])
    contiguous = [np.ascontiguousarray(view) for view in views]
    for array in contiguous:
        array.flags.writeable = False
    read_only = domain_transform_filter(contiguous[0], contiguous[1], sigma_s=4.0, sigma_r=1.0, penalty=contiguous[2])
    np.testing.assert_array_equal(strided, read_only)
    for before, after in zip(copies, (image, guide, penalty), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 5, 2)])
def test_an_empty_image_gives_an_empty_result(shape):
    result = domain_transform_filter(np.zeros(shape), np.zeros((*shape[:2], 3)), sigma_s=1.0, sigma_r=1.0)
    assert result.shape == shape


def test_number_of_threads_changes_nothing(monkeypatch):
    image, guide = random_arrays((67, 133), 3)
    monkeypatch.setattr(_kernels, "count_threads", lambda: 1)
    expected = domain_transform_filter(image, guide, sigma_s=9.0, sigma_r=0.5)
    monkeypatch.setattr(domain_transform, "SMALLEST_SHARE", 1)
    monkeypatch.setattr(domain_transform, "NARROWEST_BLOCK", 1)
    for threads in (2, 3, 7, 40):
        monkeypatch.setattr(_kernels, "count_threads", lambda threads=threads: threads)
        np.testing.assert_array_equal(domain_transform_filter(image, guide, sigma_s=9.0, sigma_r=0.5), expected)


def test_may_be_called_from_several_threads_at_once():
    cases = [random_arrays((256, 300), 2, seed) for seed in range(4)]

    def smooth(case):
        return domain_transform_filter(*case, sigma_s=30.0, sigma_r=0.5)

    expected = [smooth(case) for case in cases]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(smooth, cases * 5))
    for i, result in enumerate(results):
        np.testing.assert_array_equal(result, expected[i % len(cases)])


def test_importing_the_modules_loads_no_heavy_library():
    program = (
        "import sys; from defocus_edge.propagation import domain_transform, propagate, settings;"
        "sys.exit(', '.join({'numba', 'scipy', 'cv2', 'tensorflow'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"image": np.zeros(5)}, ValueError, r"image must have the shape .* Got: \(5,\)"),
        ({"image": np.zeros((4, 5), complex)}, TypeError, "image must be an array of real numbers. Got: dtype complex"),
        ({"guide": np.zeros((4, 5), complex)}, TypeError, "guide must be an array of real numbers. Got: dtype complex"),
        ({"guide": np.zeros((5, 4, 3))}, ValueError, r"guide must be .* as large as image, \(4, 5\). Got: shape \(5"),
        ({"guide": np.zeros((4, 5, 4))}, ValueError, r"guide must be grey or RGB .* alpha channel"),
        ({"guide": np.zeros(4)}, ValueError, "guide must be grey or RGB"),
        ({"penalty": np.zeros((4, 4))}, ValueError, r"penalty must be as large as image, \(4, 5\). Got: shape"),
        ({"penalty": np.full((4, 5), -1.0)}, ValueError, "penalty must be at least 0 everywhere. Got: a minimum of -1"),
        ({"sigma_s": 0.0}, ValueError, r"sigma_s must be finite and greater than 0. Got: 0\.0"),
        ({"sigma_s": np.inf}, ValueError, "sigma_s must be finite and greater than 0. Got: inf"),
        ({"sigma_r": -1.0}, ValueError, r"sigma_r must be finite and greater than 0. Got: -1\.0"),
        ({"sigma_r": np.nan}, ValueError, "sigma_r must be finite and greater than 0. Got: nan"),
        ({"iterations": 0}, ValueError, "iterations must be at least 1. Got: 0"),
        ({"iterations": 2.5}, TypeError, r"iterations must be an integer. Got: 2\.5"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, match):
    arguments = {"image": np.zeros((4, 5)), "guide": np.zeros((4, 5, 3)), "sigma_s": 2.0, "sigma_r": 1.0} | changes
    image, guide = arguments.pop("image"), arguments.pop("guide")
    with pytest.raises(error, match=match):
        domain_transform_filter(image, guide, **arguments)


@pytest.mark.parametrize("position", [(0, 0), (11, 30), (19, 40)])
@pytest.mark.parametrize(
    ("name", "value"),
    [("image", np.nan), ("image", np.inf), ("image", -np.inf), ("guide", np.nan), ("penalty", np.nan)],
)
def test_values_that_are_not_finite_are_refused(name, value, position):
    arrays = {"image": np.zeros((20, 41, 2)), "guide": np.zeros((20, 41, 3)), "penalty": np.zeros((20, 41))}
    arrays[name][position] = value
    with pytest.raises(ValueError, match=r"must be finite|at least 0 everywhere. Got: a minimum of nan"):
        domain_transform_filter(arrays["image"], arrays["guide"], sigma_s=3.0, sigma_r=1.0, penalty=arrays["penalty"])


def test_an_infinite_penalty_is_a_perfect_wall():
    image, guide = random_arrays((20, 41), 1)
    wall = np.zeros((20, 41))
    wall[:, 20] = np.inf
    left, right = slice(None, 20), slice(20, None)
    result = domain_transform_filter(image, guide, sigma_s=30.0, sigma_r=9.0, penalty=wall)
    alone = domain_transform_filter(image[:, left], guide[:, left], sigma_s=30.0, sigma_r=9.0)
    np.testing.assert_allclose(result[:, left], alone, atol=TOLERANCE)
    assert not np.allclose(result[:, right], image[:, right])


@pytest.mark.parametrize("where", ["image", "guide", "another"])
def test_the_result_can_be_stored_in_place(where):
    image, guide = random_arrays((37, 70), 3)
    expected = domain_transform_filter(image, guide, sigma_s=20.0, sigma_r=0.8)
    arrays = {"image": image, "guide": guide, "another": np.empty_like(image)}
    result = domain_transform_filter(image, guide, sigma_s=20.0, sigma_r=0.8, out=arrays[where])
    assert result is arrays[where]
    np.testing.assert_array_equal(result, expected)


def test_a_guide_filters_itself_in_place():
    _, guide = random_arrays((130, 512), 0)
    expected = domain_transform_filter(guide, guide, sigma_s=7.0, sigma_r=0.5)
    np.testing.assert_array_equal(domain_transform_filter(guide, guide, sigma_s=7.0, sigma_r=0.5, out=guide), expected)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((4, 5), np.float64),
        np.empty((5, 4), np.float32),
        np.empty((4, 10), np.float32)[:, ::2],
        [[0.0] * 5] * 4,
    ],
)
def test_a_place_for_the_result_that_does_not_fit_is_refused(out):
    image, guide = random_arrays((4, 5), 0)
    with pytest.raises(ValueError, match=r"out must be a writable, C-contiguous float32 array .*\(4, 5\)\. Got: "):
        domain_transform_filter(image, guide, sigma_s=2.0, sigma_r=0.8, out=out)


def test_feedback_is_used_up():
    image, guide = random_arrays((37, 70), 3)
    feedback = measure_feedback(guide, sigma_s=20.0, sigma_r=0.8)
    values = image.copy()
    filter_in_place(values, feedback)
    np.testing.assert_array_equal(values, domain_transform_filter(image, guide, sigma_s=20.0, sigma_r=0.8))
    with pytest.raises(ValueError, match=r"feedback must be of a guide of 37×70 px and not used up\. Got: 0×70"):
        filter_in_place(values, feedback)


def test_feedback_of_another_size_is_refused():
    image, guide = random_arrays((37, 70), 3)
    feedback = measure_feedback(guide, sigma_s=20.0, sigma_r=0.8)
    with pytest.raises(ValueError, match=r"feedback must be of a guide of 36×70 px and not used up\. Got: 37×70"):
        filter_in_place(image[:36].copy(), feedback)
