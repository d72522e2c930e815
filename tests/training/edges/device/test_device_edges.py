"""Edge points, labels and the choice of points on the accelerator, against their originals."""

import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from scipy import ndimage

from defocus_edge.blur_levels import BLUR_LEVELS, radius_to_class
from defocus_edge.estimation.edges import EdgeSettings
from defocus_edge.estimation.edges import find_edges as find_edges_with_canny
from defocus_edge.psf import blur_with_disk, decode_srgb
from synth.camera import Sensor, take_picture
from synth.scenes import Layer, render_layers
from tests.training.edges.device.device_cases import draw_matte
from training.data.labels import UNDECIDED
from training.data.labels import choose_balanced as choose_of_one
from training.data.labels import label_depth_edges as label_scene
from training.edges.device.edges import (
    LABEL_REACH,
    choose_balanced,
    find_edges,
    label_rim,
    stratify,
)

SIDE = 104


def draw_pictures(radii, *, noise=0.0):
    """Parts of a photograph, blurred, as 8-bit pictures in [0, 1]."""
    light = decode_srgb(skimage.data.chelsea() / 255)
    rng = np.random.default_rng(0)
    pictures = []
    for radius in radii:
        row, col = rng.integers(0, 300 - SIDE), rng.integers(0, 451 - SIDE)
        blurred = blur_with_disk(light[row : row + SIDE, col : col + SIDE], radius)
        pictures.append(take_picture(blurred, Sensor(noise), rng=rng).astype(np.float32) / np.float32(255))
    return np.stack(pictures)


def share_beside(points, others):
    """Share of some points that lie on or beside one of others."""
    return (points & ndimage.binary_dilation(others, np.ones((3, 3), dtype=bool))).sum() / points.sum()


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_edge_points_are_nearly_those_of_canny(noise):
    quantiles = np.float32([0.4, 0.5, 0.7, 0.9])
    pictures = draw_pictures([0.5, 1, 2.5, 5], noise=noise)
    found = np.asarray(find_edges(jnp.asarray(pictures), jnp.asarray(quantiles)))
    for picture, quantile, edges in zip(pictures, quantiles, found, strict=True):
        expected = find_edges_with_canny(picture, settings=EdgeSettings(high_quantile=float(quantile)))
        assert share_beside(edges, expected) >= 0.98
        # The rest is farther along weak edges than 16 px.
        assert share_beside(expected, edges) >= 0.9


def test_flat_picture_has_no_edge_points():
    assert not np.asarray(find_edges(jnp.full((1, 40, 40, 3), 0.5), jnp.full((1,), 0.5))).any()


@pytest.mark.parametrize(("near", "far"), [(0.5, 4.0), (3.0, 0.5), (9.0, 1.0), (2.0, 2.25)])
def test_labels_are_those_of_the_scene(near, far):
    matte = draw_matte(int(near))
    light = np.zeros((*matte.shape, 3), dtype=np.float32)
    scene = render_layers([Layer(light, np.ones_like(matte), far), Layer(light, matte, near)])
    covered = jnp.asarray(matte >= 0.5)[None]
    found = np.asarray(
        label_rim(covered, jnp.full((1, 1, 1), near), jnp.full(covered.shape, far), jnp.zeros_like(covered))
    )
    inner = slice(LABEL_REACH, -LABEL_REACH)
    expected = label_scene(scene)[inner, inner]
    # What lies at the edge of the picture may be nearer to a rim outside.
    np.testing.assert_array_equal(found[0], expected)
    assert set(np.unique(expected)) == ({0} if abs(near - far) < 0.5 else {UNDECIDED, 0, 1})


@pytest.mark.parametrize("count", [1, 8, 30, 84])
def test_choice_takes_as_many_of_each_stratum_as_the_original(count):
    strata = np.array([0] * 50 + [3] * 4 + [7] * 10 + [-1] * 20 + [5] * 16)
    edges = np.arange(100) < 84
    chance = np.random.default_rng(0).random((2, 100), dtype=np.float32)
    both = (jnp.asarray(np.stack([each, each])) for each in (edges, strata.astype(np.float32)))
    chosen, valid = (np.asarray(each) for each in choose_balanced(*both, count, jnp.asarray(chance)))
    assert valid.all()
    expected = np.bincount(strata[choose_of_one(strata[:84], count, rng=np.random.default_rng(0))] + 1, minlength=9)
    for row in chosen:
        assert len(set(row.tolist())) == count
        assert edges[row].all()
        # Which strata go without within the last rank is random.
        assert np.abs(np.bincount(strata[row] + 1, minlength=9) - expected).max() <= 1
    assert (chosen[0] != chosen[1]).any()


def test_room_that_is_left_is_not_valid():
    edges = np.zeros((2, 50), dtype=bool)
    edges[0, [3, 8, 40]] = True
    strata = np.zeros((2, 50), dtype=np.float32)
    chance = np.full((2, 50), 1 - 2.0**-24, dtype=np.float32)
    inputs = (jnp.asarray(each) for each in (edges, strata))
    chosen, valid = (np.asarray(each) for each in choose_balanced(*inputs, 10, jnp.asarray(chance)))
    np.testing.assert_array_equal(valid, [[True] * 3 + [False] * 7, [False] * 10])
    assert set(chosen[0, :3].tolist()) == {3, 8, 40}


def test_strata_are_levels_or_kinds_of_edges():
    radius, label = np.append(BLUR_LEVELS, np.float32(3.3)), np.zeros(24, dtype=np.float32)
    label[:2] = 1, UNDECIDED
    inputs = [jnp.asarray(each) for each in (radius, label)]
    np.testing.assert_array_equal(np.asarray(stratify(*inputs, "depth edges")), label)
    expected = radius_to_class(radius)
    expected[0] = -1
    np.testing.assert_array_equal(np.asarray(stratify(*inputs, "radius")), expected)
