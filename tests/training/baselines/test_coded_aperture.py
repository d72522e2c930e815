"""Profiles of coded edges: steps whose light is traced without any kernel, the side of the focus, refused arguments."""

import numpy as np
import pytest

from defocus_edge.propagation.propagate import NoEdgesError
from defocus_edge.psf import encode_srgb
from synth.apertures import MASKS
from tests.training.baselines.baseline_cases import make_colour, quantize
from training.baselines.coded_aperture import estimate_coded_aperture, fit_coded_edges

SIDE, RAYS, SAMPLES = 64, 60, 8


def trace_step(signed_radius, mask, angle):
    """Edge across a direction in degrees: each sample of each pixel counts the rays that reach it."""
    across = (np.arange(RAYS) + 0.5) / RAYS * 2 - 1
    x, y = np.meshgrid(across, across)
    rows, columns = (((axis + 1) / 2 * len(mask)).astype(int) for axis in (y, x))
    is_open = (np.array(mask)[rows, columns] > 0) & (x**2 + y**2 <= 1)
    normal = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = -1 if signed_radius > 0 else 1
    rays = np.sort(turn * abs(signed_radius) * (normal[0] * x + normal[1] * y)[is_open])
    samples = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    row, column = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.3
    places = (
        normal[0] * (column[..., None, None] + samples) + normal[1] * (row[..., None, None] + samples[:, None])
    ).mean(axis=(2, 3), keepdims=True) + (normal[0] * samples + normal[1] * samples[:, None])
    light = 0.1 + 0.6 * (np.searchsorted(rays, places) / len(rays)).mean(axis=(2, 3))
    return encode_srgb(light)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("radius", "angle"), [(1.5, 35), (2.0, 80), (3.0, 200), (4.0, 290)])
def test_steps_are_measured_with_their_side(radius, angle, sign, rng):
    step = trace_step(sign * radius, MASKS["a"], angle)
    found = fit_coded_edges(quantize(make_colour(step + rng.normal(0, 1 / 255, step.shape))), MASKS["a"])
    assert (np.sign(found.radius) == sign).mean() > 0.95
    assert abs(np.median(found.radius) - sign * radius) < 0.15


def test_a_turned_picture_is_on_the_other_side():
    step = quantize(make_colour(trace_step(3.0, MASKS["b"], 50)))
    turned = np.ascontiguousarray(step[::-1, ::-1])
    one, other = (np.median(fit_coded_edges(image, MASKS["b"]).radius) for image in (step, turned))
    assert one == pytest.approx(-other, abs=0.1)
    assert one > 2.5


def test_a_larger_range_finds_the_same():
    step = quantize(make_colour(trace_step(3.0, MASKS["a"], 0)))
    assert np.median(fit_coded_edges(step, MASKS["a"], largest=20.0).radius) == pytest.approx(3, abs=0.15)


def test_two_steps_make_a_map_of_two_sides():
    near, far = (trace_step(radius, MASKS["a"], 0) for radius in (3.0, -3.0))
    image = quantize(make_colour(np.concatenate([np.tile(part, (2, 1)) for part in (near, far)])))
    radius, confidence = estimate_coded_aperture(image, MASKS["a"])
    assert radius.shape == confidence.shape == (4 * SIDE, SIDE)
    assert np.median(radius[:SIDE]) == pytest.approx(3, abs=0.3)
    assert np.median(radius[-SIDE:]) == pytest.approx(-3, abs=0.3)


@pytest.mark.parametrize("mask", [[[1, 1], [1, 1]], [[1, 0], [0, 1]]])
def test_symmetric_masks_are_refused(mask):
    image = quantize(make_colour(trace_step(2.0, MASKS["a"], 0)))
    with pytest.raises(ValueError, match=r"mask must differ from itself turned by 180 degrees"):
        fit_coded_edges(image, mask)


def test_texture_has_no_edge_to_measure(rng):
    with pytest.raises(NoEdgesError, match=r"edges that can be measured\. Got: none"):
        fit_coded_edges(rng.random((40, 50, 3), dtype=np.float32), MASKS["a"])
