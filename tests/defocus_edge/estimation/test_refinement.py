"""Cells of a picture, compared with a slow program, and what an answer of the network does to a map."""

import cv2
import numpy as np
import pytest

from defocus_edge.blur_levels import MIN_RADIUS
from defocus_edge.estimation.point_blur import PointBlur
from defocus_edge.estimation.pyramid import PyramidBlur
from defocus_edge.estimation.refinement import apply_answer, choose_cells, describe_cells, reduce_picture
from defocus_edge.networks.refinement import CELL_VALUES


def make_blur(rng, shape, count=300):
    points = np.stack([rng.integers(0, size, count) for size in shape], axis=1).astype(np.int32)
    radius = rng.uniform(0.5, 6, count).astype(np.float32)
    confidence, probability = rng.uniform(0.1, 1, (2, count)).astype(np.float32)
    return PyramidBlur(
        PointBlur(points, radius, confidence, probability), rng.choice([1, 2, 4], count).astype(np.int32)
    )


@pytest.mark.parametrize("shape", [(20, 20), (96, 200), (320, 480), (432, 645), (3000, 4000), (40, 6000)])
def test_cells_are_about_square_and_not_too_many(shape):
    rows, columns = choose_cells((*shape, 3))
    assert rows % 8 == columns % 8 == 0
    assert min(rows, columns) <= 132
    if min(shape) >= 96:
        assert shape[0] / rows == pytest.approx(shape[1] / columns, rel=0.2)
        assert shape[0] / rows >= 3.5


@pytest.mark.parametrize("shape", [(64, 96), (70, 90), (640, 520)])
def test_cells_hold_what_a_slow_program_counts(rng, shape):
    image = cv2.GaussianBlur(rng.random((*shape, 3), np.float32), (0, 0), 3)
    blur = make_blur(rng, shape)
    radius = cv2.GaussianBlur(rng.uniform(0.5, 6, shape).astype(np.float32), (0, 0), 5)
    confidence = rng.random(shape, np.float32)
    picture = reduce_picture(image)
    cells = describe_cells(picture, blur, radius, confidence)
    rows, columns = choose_cells(image.shape)
    assert picture.shape == (4 * rows, 4 * columns, 3)
    assert cells.shape == (rows, columns, CELL_VALUES)
    share, found = 4 * rows / shape[0], blur.found
    for row in range(rows):
        for column in range(columns):
            mine = (found.points[:, 0] * rows // shape[0] == row) & (found.points[:, 1] * columns // shape[1] == column)
            number = blur.scale[mine] * share
            pattern = found.depth_probability[mine] <= 0.5
            weight = number * np.maximum(found.confidence[mine], 1e-3) ** 4
            spread = cells[row, column, 0] - np.log2(share)
            logs = np.log2(found.radius[mine])
            expected = np.zeros(7)
            if pattern.any():
                expected[0] = np.average(logs[pattern], weights=weight[pattern]) - spread
                expected[2] = np.average(found.confidence[mine][pattern], weights=number[pattern])
            if mine.any():
                expected[3] = np.average(found.depth_probability[mine], weights=number)
                expected[5] = np.average(logs, weights=weight) - spread
                expected[6] = np.average(blur.scale[mine] > 1, weights=number)
            expected[1], expected[4] = (total / (1 + total) for total in (number[pattern].sum(), number.sum()))
            np.testing.assert_allclose(cells[row, column, 2:9], expected, atol=2e-3)
    if shape == (64, 96):
        blocks = np.log2(radius).reshape(rows, 4, columns, 4).mean(axis=(1, 3))
        np.testing.assert_allclose(cells[..., 0], blocks, atol=1e-5)
        np.testing.assert_allclose(cells[..., 11:], image.reshape(rows, 4, columns, 4, 3).mean(axis=(1, 3)), atol=1e-5)


def test_gradients_tell_a_sharp_cell_from_a_blurred_one(rng):
    sharp = np.repeat(rng.random((64, 64, 1), np.float32), 3, axis=-1)
    both = np.concatenate([sharp, cv2.GaussianBlur(sharp, (0, 0), 3)], axis=1)
    ones = np.ones(both.shape[:2], np.float32)
    cells = describe_cells(reduce_picture(both), make_blur(rng, both.shape[:2]), ones, ones)
    finer = cells[..., 9] - cells[..., 10]
    assert finer[:, :12].min() > finer[:, 20:].max()


def test_an_answer_changes_the_map():
    radius = np.full((32, 64), 2, np.float32)
    answer = np.zeros((8, 16, 2), np.float32)
    answer[:, 8:, 0] = 1
    answer[..., 1] = np.log(0.5 / np.log(2))
    changed, confidence = apply_answer(radius.copy(), answer)
    np.testing.assert_allclose(changed[:, :28], 2)
    np.testing.assert_allclose(changed[:, 36:], 4)
    assert (np.diff(changed, axis=1) >= 0).all()
    np.testing.assert_allclose(confidence, 0.5, rtol=1e-5)
    answer[..., 0] = -9
    np.testing.assert_array_equal(apply_answer(radius, answer)[0], np.float32(MIN_RADIUS))
