"""Andrade 2016: diffusion against dense algebra and where the answer is known."""

import numpy as np
from baseline_cases import load_photograph, make_colour, make_step

from defocus_edge.blur_levels import sigma_to_radius
from training.baselines.andrade import HOLD, diffuse, estimate_andrade
from training.baselines.zhuo_sim import estimate_edge_sigmas


def diffuse_slowly(points, values, shape):
    """Each pixel the mean of its neighbours, by dense algebra; the points exactly as given."""
    numbers = np.arange(shape[0] * shape[1]).reshape(shape)
    matrix, right = np.zeros((numbers.size, numbers.size)), np.zeros(numbers.size)
    held = {numbers[tuple(point)]: value for point, value in zip(points, values, strict=True)}
    for (row, column), number in np.ndenumerate(numbers):
        if number in held:
            matrix[number, number], right[number] = 1, held[number]
            continue
        for y, x in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= y < shape[0] and 0 <= x < shape[1]:
                matrix[number, number] += 1
                matrix[number, numbers[y, x]] -= 1
    return np.linalg.solve(matrix, right).reshape(shape)


def test_diffusion_is_that_of_dense_algebra(rng):
    points = np.argwhere(rng.random((11, 13)) < 0.1)
    values = rng.uniform(1, 3, len(points)).astype(np.float32)
    found = diffuse(points, values, (11, 13))
    np.testing.assert_allclose(found, diffuse_slowly(points, values, (11, 13)), atol=2 * 4 / HOLD)


def test_heat_between_two_walls_is_a_ramp():
    points = np.array([[row, column] for row in range(20) for column in (0, 30)])
    values = np.where(points[:, 1] == 0, 1, 4).astype(np.float32)
    expected = np.tile(np.linspace(1, 4, 31), (20, 1))
    np.testing.assert_allclose(diffuse(points, values, (20, 31)), expected, atol=0.01)


def test_a_single_point_fills_all():
    np.testing.assert_allclose(diffuse(np.array([[3, 4]]), np.float32([1.5]), (20, 22)), 1.5, rtol=1e-5)


def test_map_is_a_radius():
    blur_map = estimate_andrade(make_colour(make_step(2.0)))
    np.testing.assert_allclose(blur_map, sigma_to_radius(2.0), atol=0.3)


def test_map_stays_within_the_values_at_the_edges():
    picture = load_photograph("coffee")
    _, sigmas = estimate_edge_sigmas(picture @ np.float32([0.2989, 0.5870, 0.1140]))
    blur_map = estimate_andrade(picture)
    assert blur_map.min() >= sigma_to_radius(sigmas.min()) - 1e-5
    assert blur_map.max() <= sigma_to_radius(sigmas.max()) + 1e-5
    assert blur_map.max() > 2 * blur_map.min()
