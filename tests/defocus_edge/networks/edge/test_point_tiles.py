"""Where an image is cut for its points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defocus_edge.networks.edge.patches import PATCH_SIDE
from defocus_edge.networks.edge.point_tiles import cut_tiles, read_padded_window
from tests.defocus_edge.networks.edge.patch_oracle import pad_border

BORDER = PATCH_SIDE - 1


def list_sides(points, tile_side, **options):
    """Height and width of the tiles of an image of 200×231 px, without their border."""
    image = np.zeros((200, 231, 3), dtype=np.float32)
    return [
        (tile.shape[1] - BORDER, tile.shape[2] - BORDER)
        for tile, _, _ in cut_tiles(image, points, tile_side=tile_side, **options)
    ]


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.uint64])
def test_tiles_are_no_larger_than_their_points_ask_for(kind):
    lonely = np.array([[0, 0], [0, 90], [10, 91], [70, 150], [134, 150], [199, 230], [150, 0]], dtype=kind)
    assert set(list_sides(lonely, 160)) == {(36, 36)}
    row = np.stack([np.full(100, 50), np.arange(10, 110)], axis=1).astype(kind)
    assert list_sides(row, 160) == [(36, 108)]
    everywhere = np.argwhere(np.ones((200, 231), dtype=bool)).astype(kind)
    assert list_sides(everywhere, 160) == [(108, 120), (108, 120), (108, 120), (108, 120)]


def test_with_steps_of_a_tile_all_have_one_shape():
    points = np.array([[0, 0], [70, 150], [199, 230]])
    assert list_sides(points, 160, cut_step=160) == [(108, 120)] * 3


@pytest.mark.parametrize("grid", [1, 3])
@settings(max_examples=50)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 200), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_each_point_is_in_one_tile_that_shows_its_patch(grid, height, width, tile_side, count, seed):
    rng = np.random.default_rng(seed)
    points, image = rng.integers(0, (height, width), (count, 2)), rng.random((height, width, 3), dtype=np.float32)
    padded, seen = pad_border(image), np.zeros(count, dtype=int)
    for tile, corner, members in cut_tiles(image, points, tile_side=tile_side, grid=grid):
        assert (np.array(tile.shape[1:3]) < tile_side + BORDER + grid).all()
        assert not ((np.array(tile.shape[1:3]) - BORDER) % grid).any()
        assert not (corner % grid).any()
        seen[members] += 1
        for (row, col), (tile_row, tile_col) in zip(points[members], points[members] - corner, strict=True):
            patch = tile[0, tile_row : tile_row + PATCH_SIDE, tile_col : tile_col + PATCH_SIDE]
            np.testing.assert_array_equal(patch, padded[row : row + PATCH_SIDE, col : col + PATCH_SIDE])
    assert (seen == 1).all()


@pytest.mark.parametrize("corner", [(0, 0), (32, 0), (16, 64), (50, 70)])
def test_window_is_a_cut_of_the_padded_image(corner, rng):
    image = rng.random((53, 71, 3), dtype=np.float32)
    window = read_padded_window(image, np.array(corner), np.array([60, 50]))
    mirrored = np.pad(image, ((20, 60), (20, 60), (0, 0)), mode="symmetric")
    np.testing.assert_array_equal(window, mirrored[corner[0] : corner[0] + 60, corner[1] : corner[1] + 50])


def test_window_of_a_picture_smaller_than_its_border(rng):
    image = rng.random((7, 11, 3), dtype=np.float32)
    window = read_padded_window(image, np.array([0, 0]), np.array([47, 51]))
    np.testing.assert_array_equal(window, pad_border(image))
