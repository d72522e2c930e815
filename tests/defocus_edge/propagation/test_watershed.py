"""The watershed against scikit-image's, and its own properties."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import watershed

from defocus_edge.propagation.watershed import find_basins


def plain_relief(shape, levels, seed=0):
    """Smooth random relief with plateaus."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 2)
    return np.floor((noise - noise.min()) / np.ptp(noise) * levels).astype(np.uint16)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (2, 2), (37, 50)])
def test_equals_scikit_image_where_no_levels_are_equal(shape, rng):
    relief = rng.permutation(shape[0] * shape[1]).reshape(shape).astype(np.uint16)
    ours, theirs = find_basins(relief), watershed(relief.astype(np.int32))
    assert ours.dtype == np.int32
    assert len({*zip(ours.ravel(), theirs.ravel(), strict=True)}) == ours.max() == theirs.max()


@pytest.mark.parametrize("levels", [3, 20, 400])
def test_each_minimum_has_one_connected_basin(levels):
    relief = plain_relief((60, 71), levels)
    basins = find_basins(relief)
    assert basins.min() == 1
    assert basins.max() == watershed(relief.astype(np.int32)).max()
    for number in range(1, basins.max() + 1):
        assert ndimage.label(basins == number)[1] == 1


def test_a_flat_relief_is_one_basin():
    assert (find_basins(np.full((5, 7), 3, np.uint16)) == 1).all()
    assert find_basins(np.zeros((1, 1), np.uint16)).tolist() == [[1]]
    assert find_basins(np.zeros((0, 4), np.uint16)).shape == (0, 4)


def test_a_ridge_parts_two_basins_in_the_middle():
    relief = np.array([[0, 1, 2, 3, 2, 1, 0]] * 3, np.uint16)
    assert find_basins(relief)[1].tolist() in ([1, 1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2, 2])


def test_basins_depend_on_their_surroundings_only():
    relief = plain_relief((300, 310), 60)
    whole, part = find_basins(relief), find_basins(np.ascontiguousarray(relief[:, 50:]))
    inner = whole[60:240, 160:250], part[60:240, 110:200]
    np.testing.assert_array_equal(np.diff(inner[0], axis=1) != 0, np.diff(inner[1], axis=1) != 0)
