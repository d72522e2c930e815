"""Scenes: light goes where optics sends it, and the truth beside it is exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defocus_edge.psf import blur_with_disk, disk_kernel
from synth.scenes import (
    DEPTH_EDGE_JUMP,
    SLICE_STEP,
    Layer,
    lens_radius,
    render_depth,
    render_gradual,
    render_layers,
    render_uniform,
)

SIDE = 48
LEFT = np.zeros((SIDE, SIDE), dtype=np.float32)
LEFT[:, : SIDE // 2] = 1


def grey(value):
    return np.full((SIDE, SIDE, 3), value, dtype=np.float32)


def draw_light(seed=0, shape=(SIDE, SIDE)):
    return np.random.default_rng(seed).random((*shape, 3), dtype=np.float32)


def filter_slowly(values, radius):
    """Sum of shifted copies of the mirrored picture, weighted by the disk."""
    kernel = disk_kernel(radius).astype(np.float64)
    half = len(kernel) // 2
    padded = np.pad(values, ((half, half), (half, half), (0, 0)), mode="symmetric").astype(np.float64)
    return sum(
        weight * padded[row : row + values.shape[0], col : col + values.shape[1]]
        for (row, col), weight in np.ndenumerate(kernel)
    )


def lay_over(near_radius, far_radius, *, near=0.8, far=0.1):
    """A light near layer on the left half over a dark far one."""
    return render_layers([Layer(grey(far), np.ones_like(LEFT), far_radius), Layer(grey(near), LEFT, near_radius)])


@pytest.mark.parametrize(
    "scene",
    [
        render_uniform(draw_light(), 2),
        render_gradual(draw_light(), np.full((SIDE, SIDE), 2, dtype=np.float32)),
        lay_over(3, 1),
        render_depth(draw_light(), np.linspace(-3, 3, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)),
    ],
    ids=["uniform", "gradual", "layers", "depth"],
)
def test_shapes_dtypes_and_ranges(scene):
    assert scene.light.shape == (SIDE, SIDE, 3)
    assert scene.light.dtype == scene.radius.dtype == scene.near_radius.dtype == np.float32
    assert scene.radius.shape == scene.depth_edges.shape == scene.near_radius.shape == (SIDE, SIDE)
    assert scene.depth_edges.dtype == bool
    assert scene.radius.min() >= 0
    assert scene.light.min() >= -1e-5
    assert scene.light.max() <= 1 + 1e-5
    assert (scene.near_radius[~scene.depth_edges] == 0).all()


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match=r"layers must hold at least one layer\. Got: none"):
        render_layers([])


def test_negative_aperture_is_refused():
    with pytest.raises(ValueError, match=r"largest must be a radius in px >= 0\. Got: -1"):
        lens_radius(LEFT, 0.5, -1)


def test_negative_blur_is_refused():
    with pytest.raises(ValueError, match=r"radius must be a finite number of pixels >= 0\. Got: -1"):
        render_uniform(grey(0.5), -1)


def test_inputs_are_not_modified():
    light, depth = draw_light(), np.linspace(-2, 2, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    before, matte = (light.copy(), depth.copy()), LEFT.copy()
    render_uniform(light, 3)
    render_gradual(light, np.abs(depth))
    render_depth(light, depth)
    render_layers([Layer(light, matte, 1), Layer(light, matte, 3)])
    np.testing.assert_array_equal(light, before[0])
    np.testing.assert_array_equal(depth, before[1])
    np.testing.assert_array_equal(matte, LEFT)


@pytest.mark.parametrize("radius", [0.5, 0.75, 2.5, 6.0])
def test_blur_equals_a_slow_convolution(radius):
    light = draw_light(shape=(17, 23))
    np.testing.assert_allclose(blur_with_disk(light, radius), filter_slowly(light, radius), atol=1e-5)


@settings(max_examples=25)
@given(st.floats(0, 8), st.integers(0, 99))
def test_blur_stays_within_the_range_and_flips_with_the_picture(radius, seed):
    light = draw_light(seed, (20, 30))
    blurred = blur_with_disk(light, radius)
    assert light.min() - 1e-5 <= blurred.min()
    assert blurred.max() <= light.max() + 1e-5
    flipped = blur_with_disk(np.ascontiguousarray(light[:, ::-1]), radius)
    np.testing.assert_allclose(flipped[:, ::-1], blurred, atol=1e-5)


@settings(max_examples=25)
@given(st.floats(0, 8), st.floats(0, 8), st.floats(0, 1, width=32))
def test_constant_light_stays_constant(near_radius, far_radius, value):
    for scene in (render_uniform(grey(value), near_radius), lay_over(near_radius, far_radius, near=value, far=value)):
        np.testing.assert_allclose(scene.light, value, atol=1e-5)


@pytest.mark.parametrize("radius", [0.6, 2, 3.3, 6])
def test_blur_keeps_the_energy(radius):
    light = grey(0)
    light[15:30, 18:33] = draw_light()[15:30, 18:33]
    blurred = render_uniform(light, radius).light
    np.testing.assert_allclose(blurred.sum(axis=(0, 1)), light.sum(axis=(0, 1)), rtol=1e-4)


def test_uniform_scene_has_one_radius_and_no_depth_edge():
    scene = render_uniform(draw_light(), 2.6)
    np.testing.assert_array_equal(scene.radius, np.float32(2.6))
    assert not scene.depth_edges.any()


def test_gradual_scene_of_one_radius_is_uniform():
    light = draw_light()
    gradual = render_gradual(light, np.full((SIDE, SIDE), 2.25, dtype=np.float32))
    uniform = render_uniform(light, 2.25)
    np.testing.assert_array_equal(gradual.light, uniform.light)
    np.testing.assert_array_equal(gradual.radius, uniform.radius)


def test_gradual_steps_are_blurred_each_by_its_radius_and_no_depth_edges():
    light = draw_light()
    radius = np.where(LEFT > 0, 1.0, 3.06).astype(np.float32)
    scene = render_gradual(light, radius)
    np.testing.assert_array_equal(scene.radius, np.where(LEFT > 0, 1.0, 3.0))  # the next multiple of 0.125
    np.testing.assert_array_equal(scene.light[LEFT > 0], blur_with_disk(light, 1.0)[LEFT > 0])
    np.testing.assert_array_equal(scene.light[LEFT == 0], blur_with_disk(light, 3.0)[LEFT == 0])
    assert not scene.depth_edges.any()


def test_blurred_near_layer_spills_over_a_sharp_far_one():
    scene = lay_over(4, 0)
    outside = scene.light[24, SIDE // 2 :, 0]
    assert (outside[:4] > 0.1 + 1e-3).all()
    assert (np.diff(outside[:4]) < 0).all()
    np.testing.assert_allclose(outside[5:], 0.1, atol=1e-5)
    # The truth stays with the surface: no radius of the near layer beyond its outline.
    np.testing.assert_array_equal(scene.radius, np.where(LEFT > 0, 4, 0))


def test_half_of_a_blurred_rim_is_on_each_side():
    scene = lay_over(4, 0, near=1.0, far=0.0)
    middle = scene.light[24, SIDE // 2 - 8 : SIDE // 2 + 8, 0]
    np.testing.assert_allclose(middle + middle[::-1], 1, atol=1e-5)


def test_blurred_far_layer_does_not_spill_over_a_sharp_near_one():
    layers = [Layer(draw_light(), np.ones_like(LEFT), 5), Layer(grey(0.3), LEFT, 0)]
    scene = render_layers(layers)
    np.testing.assert_allclose(scene.light[LEFT > 0], 0.3, atol=1e-6)
    np.testing.assert_allclose(scene.light[LEFT == 0], blur_with_disk(layers[0].light, 5)[LEFT == 0], atol=1e-6)


def test_covered_light_of_a_layer_does_not_shine():
    hidden = grey(0.2)
    hidden[LEFT == 0] = 1  # outside the matte
    scene = render_layers([Layer(grey(0.2), np.ones_like(LEFT), 0), Layer(hidden, LEFT, 4)])
    np.testing.assert_allclose(scene.light, 0.2, atol=1e-5)


def test_depth_edges_of_layers_are_the_near_rim():
    scene = lay_over(3, 1)
    expected = np.zeros((SIDE, SIDE), dtype=bool)
    expected[:, SIDE // 2 - 1] = True
    np.testing.assert_array_equal(scene.depth_edges, expected)
    assert (scene.near_radius[expected] == 3).all()


@pytest.mark.parametrize(("near", "found"), [(1.25, False), (1.49, False), (1.5, True), (0.5, True), (0.75, False)])
def test_depth_edges_need_a_jump_of_half_a_pixel(near, found):
    assert DEPTH_EDGE_JUMP == 0.5
    assert lay_over(near, 1.0).depth_edges.any() == found


def test_a_nearer_layer_hides_the_depth_edges_behind_it():
    behind = np.zeros_like(LEFT)
    behind[:, 10:20] = 1
    layers = [Layer(grey(0.1), np.ones_like(LEFT), 5), Layer(grey(0.5), behind, 3), Layer(grey(0.9), LEFT, 1)]
    scene = render_layers(layers)
    assert not scene.depth_edges[:, : SIDE // 2 - 1].any()
    assert scene.depth_edges[:, SIDE // 2 - 1].all()
    assert (scene.radius[LEFT > 0] == 1).all()


@pytest.mark.parametrize("radius", [0.0, 0.5, 2.25, -2.25, -4.0])
def test_flat_depth_equals_a_uniform_scene(radius):
    light = draw_light()
    scene = render_depth(light, np.full((SIDE, SIDE), radius, dtype=np.float32))
    uniform = render_uniform(light, abs(radius))
    np.testing.assert_allclose(scene.light, uniform.light, atol=1e-5)
    np.testing.assert_array_equal(scene.radius, uniform.radius)
    assert not scene.depth_edges.any()


def test_near_depth_spills_and_far_depth_does_not():
    light = np.where(LEFT[..., None] > 0, grey(0.8), grey(0.1))
    near_blurred = render_depth(light, np.where(LEFT > 0, 4, 0).astype(np.float32))
    far_blurred = render_depth(light, np.where(LEFT > 0, 0, -4).astype(np.float32))
    row = SIDE // 2
    assert (near_blurred.light[row, row : row + 4, 0] > 0.101).all()
    np.testing.assert_allclose(far_blurred.light[LEFT > 0], 0.8, atol=1e-5)
    np.testing.assert_allclose(far_blurred.light[LEFT == 0], 0.1, atol=1e-5)  # filled in from the far side itself
    for scene, radius in ((near_blurred, (4, 0)), (far_blurred, (0, 4))):
        np.testing.assert_array_equal(scene.radius, np.where(LEFT > 0, *radius))
        assert scene.depth_edges[:, row - 1].all()
        assert scene.depth_edges.sum() == SIDE
        assert (scene.near_radius[:, row - 1] == radius[0]).all()


@pytest.mark.parametrize(("jump", "found"), [(0.25, False), (0.375, False), (0.5, True), (3, True)])
def test_depth_edges_of_depth_need_a_jump_of_half_a_pixel(jump, found):
    scene = render_depth(draw_light(), (1 + jump * LEFT).astype(np.float32))
    assert scene.depth_edges.any() == found


def test_equal_blur_on_both_sides_of_the_focus_is_a_depth_edge():
    scene = render_depth(draw_light(), np.where(LEFT > 0, 2, -2).astype(np.float32))
    assert scene.depth_edges.sum() == SIDE
    np.testing.assert_array_equal(scene.radius, 2)


@pytest.mark.parametrize("slope", [0.03, 0.1, 0.2])
def test_a_ramp_has_no_depth_edges(slope):
    ramp = np.tile((np.arange(SIDE) - SIDE / 2).astype(np.float32) * np.float32(slope), (SIDE, 1))
    scene = render_depth(draw_light(), ramp)
    assert not scene.depth_edges.any()
    assert np.abs(scene.radius - np.abs(ramp)).max() <= SLICE_STEP / 2 + 1e-6


@pytest.mark.parametrize("radius", [0.0, 4.0])
def test_near_object_over_a_plain_background_is_two_layers(radius):
    light, matte = np.full((60, 60, 3), 0.2, dtype=np.float32), np.zeros((60, 60), dtype=np.float32)
    matte[22:38, 22:38] = 1
    light[22:38, 22:38] = 0.9
    behind = Layer(np.full_like(light, 0.2), np.ones_like(matte), 8.0)
    expected = render_layers([behind, Layer(light, matte, radius)])
    scene = render_depth(light, np.where(matte > 0, radius, -8).astype(np.float32))
    np.testing.assert_allclose(scene.light, expected.light, atol=1e-5)
    np.testing.assert_array_equal(scene.radius, expected.radius)


def test_what_lies_elsewhere_leaves_no_ring():
    """A bright strip of middle depth, 12 px or more away, does not spill out from under an object in focus."""
    light, signed = np.zeros((60, 60, 3), dtype=np.float32), np.full((60, 60), -8, dtype=np.float32)
    light[:, :6], signed[:, :6] = 1, -4
    signed[22:38, 22:38] = 0
    assert render_depth(light, signed).light[16:44, 18:42].max() < 1e-5


def test_constant_light_of_any_depth_stays_constant(rng):
    depth = rng.normal(0, 3, (SIDE, SIDE)).astype(np.float32)
    np.testing.assert_allclose(render_depth(grey(0.4), depth).light, 0.4, atol=1e-4)


def test_lens_radius_is_zero_in_focus_and_signed():
    inverse_depth = np.array([[0.1, 0.3, 0.5, 0.6]], dtype=np.float32)
    radius = lens_radius(inverse_depth, 0.3, 4.0)
    assert radius.dtype == np.float32
    np.testing.assert_allclose(radius, [[-8 / 3, 0, 8 / 3, 4]], atol=1e-5)


def test_lens_radius_with_a_reach_beyond_the_picture():
    radius = lens_radius(np.array([[1.0, 2.0]], dtype=np.float32), 1.0, 6.0, reach=4.0)
    np.testing.assert_allclose(radius, [[0, 1.5]])


def test_everything_in_focus_is_sharp():
    np.testing.assert_array_equal(lens_radius(np.full((3, 4), 0.7, dtype=np.float32), np.float32(0.7), 5), 0)
    np.testing.assert_array_equal(lens_radius(LEFT, 0.5, 0), 0)
