"""Several scales: what is reduced and how, where a finer scale is measured, and whose radius counts."""

import numpy as np
import pytest

from defocus_edge.estimation import pyramid, stages
from defocus_edge.estimation.point_blur import PointBlur
from defocus_edge.estimation.reduction import TooSmallError, choose_scales, reduce_any, reduce_image
from defocus_edge.psf import decode_srgb, disk_kernel, encode_srgb


def make_points(points, radius, depth=(), confidence=1.0):
    """Points with one confidence; `depth` has the numbers of depth edges."""
    points = np.array(points, dtype=np.int32).reshape(-1, 2)
    is_depth = np.isin(np.arange(len(points)), depth)
    radius = np.broadcast_to(np.float32(radius), len(points)).copy()
    return PointBlur(points, radius, np.full(len(points), confidence, np.float32), is_depth)


def grid(height, width, step=4):
    """Points on a grid, not on the border."""
    rows, columns = np.mgrid[2 : height - 2 : step, 2 : width - 2 : step]
    return np.stack([rows.ravel(), columns.ravel()], axis=1)


@pytest.fixture
def run(monkeypatch):
    """`measure` on a grey picture, given the points of each scale; also where each scale was measured."""

    def measure(shape, answers):
        looked = {}
        scales = iter(sorted(answers, reverse=True))

        def answer(picture, edges, *_, **__):
            scale = next(scales)
            looked[scale] = edges
            found = answers[scale]
            assert (found.points < picture.shape[:2]).all()
            return found.select(edges[tuple(found.points.T)])

        monkeypatch.setattr(stages, "choose_scales", lambda *_: sorted(answers))
        monkeypatch.setattr(stages, "measure_points", answer)
        everywhere = np.ones(shape, dtype=bool)
        image = np.full((*shape, 3), 0.5, dtype=np.float32)
        blur = stages.measure(image, None, edges=everywhere, depth_threshold=0.5, close_boundaries=False)
        return blur, looked

    return measure


@pytest.mark.parametrize(
    ("shape", "max_radius", "expected"),
    [
        ((400, 600), 6, [1]),
        ((400, 600), 0.5, [1]),
        ((400, 600), 6.5, [1, 2]),
        ((400, 600), 12, [1, 2]),
        ((400, 600), 24.0, [1, 2, 4]),
        ((191, 600), "auto", [1]),
        ((192, 600), "auto", [1, 2]),
        ((600, 400), "auto", [1, 2, 4]),
        ((4000, 6000), "auto", [1, 2, 4, 8, 16]),
    ],
)
def test_scales(shape, max_radius, expected):
    assert choose_scales(shape, max_radius) == expected


def test_a_picture_too_small_for_the_radius_is_refused():
    with pytest.raises(TooSmallError, match=r"max_radius of a picture of 30×40 px can be at most 6 px\. Got: 12\."):
        choose_scales((30, 40), 12)


@pytest.mark.parametrize("shape", [(6, 8), (7, 5), (1, 3), (1025, 3)])
def test_reducing_is_the_mean_of_the_light(shape, rng):
    image = rng.random((*shape, 3), dtype=np.float32)
    reduced = reduce_image(image)
    even = decode_srgb(np.pad(image, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), mode="edge"))
    expected = encode_srgb(even.reshape(even.shape[0] // 2, 2, -1, 2, 3).mean(axis=(1, 3)))
    assert reduced.dtype == np.float32
    np.testing.assert_allclose(reduced, expected, atol=1e-6)


def test_a_disk_of_twice_the_radius_is_a_disk_of_half_the_picture():
    """What the pyramid rests on: second moments of a reduced disk, of the pixels' own square apart."""
    kernel = np.pad(disk_kernel(8.0), 4)[1:, 1:]  # an even side
    reduced = kernel.reshape(kernel.shape[0] // 2, 2, -1, 2).sum(axis=(1, 3))

    def moment(values):
        rows = np.arange(len(values)) - (np.arange(len(values)) * values.sum(axis=1)).sum()
        return (rows**2 * values.sum(axis=1)).sum()

    assert moment(reduced) - 1 / 12 == pytest.approx(4.0**2 / 4, rel=0.01)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_reduced_mask_has_any_pixel_of_the_block(scale, rng):
    marked = rng.random((13, 10)) < 0.1
    padded = np.pad(marked, ((0, -13 % scale), (0, -10 % scale)))
    expected = padded.reshape(padded.shape[0] // scale, scale, -1, scale).any(axis=(1, 3))
    np.testing.assert_array_equal(reduce_any(marked, scale), expected)


def test_a_coarse_radius_needs_an_edge_of_the_finer_picture_near_it():
    found = make_points([[5, 5], [5, 30], [20, 20]], [3.0, 3.0, 3.0], depth=[2])
    finer_edges = np.zeros((60, 81), dtype=bool)
    finer_edges[10, 10 + 2 * pyramid.NEAR] = True
    kept = pyramid.drop_unproven(found, finer_edges, is_coarsest=False)
    assert kept.points.tolist() == [[5, 5], [20, 20]]
    finer_edges[:] = False
    finer_edges[10, 10 + 2 * pyramid.NEAR + 2] = True
    assert pyramid.drop_unproven(found, finer_edges, is_coarsest=False).points.tolist() == [[20, 20]]


def test_a_radius_at_the_ceiling_of_the_coarsest_picture_is_not_proven():
    found = make_points([[5, 5], [5, 30]], [pyramid.CEILING - 0.25, pyramid.CEILING])
    everywhere = np.ones((60, 80), dtype=bool)
    assert len(pyramid.drop_unproven(found, everywhere, is_coarsest=False)) == 2
    assert pyramid.drop_unproven(found, everywhere, is_coarsest=True).points.tolist() == [[5, 5]]


def test_an_unproven_radius_is_better_than_none(run):
    blur, _ = run((80, 80), {1: make_points([], []), 2: make_points([[20, 20]], [6.0])})
    assert blur.found.radius.tolist() == [12.0]
    finer = make_points([[40, 70]], [2.0])
    blur, _ = run((80, 80), {1: finer, 2: make_points([[20, 20]], [6.0])})
    assert blur.found.radius.tolist() == [2.0]


def test_a_single_scale_is_passed_on(run):
    found = make_points([[3, 4], [9, 9]], [6.0, 2.0], depth=[1])
    blur, looked = run((40, 40), {1: found})
    assert looked[1].all()
    np.testing.assert_array_equal(blur.found.points, found.points)
    np.testing.assert_array_equal(blur.found.radius, found.radius)
    assert blur.scale.tolist() == [1, 1]
    assert blur.boundaries is None


def test_strong_blur_is_not_looked_at_again(run):
    """The left half is blurred by 10 px, the right half is sharp."""
    coarse = grid(50, 100)
    radius = np.where(coarse[:, 1] < 50, 5.0, 0.5)
    blur, looked = run((100, 200), {1: make_points(grid(100, 200), 1.0), 2: make_points(coarse, radius)})
    assert not looked[1][:, :80].any()
    assert looked[1][:, 120:].all()
    left = blur.found.points[:, 1] < 80
    assert set(blur.scale[left]) == {2}
    np.testing.assert_array_equal(blur.found.radius[left], 10)
    right = blur.found.points[:, 1] >= 120
    assert set(blur.scale[right]) == {1}
    np.testing.assert_array_equal(blur.found.radius[right], 1)


@pytest.mark.parametrize(("side", "is_skipped"), [(12, False), (60, True)])
@pytest.mark.parametrize("corner", [0, 30])
def test_little_strong_blur_is_looked_at_again(run, side, is_skipped, corner):
    """The finer scale contradicts: it was a cloud."""
    coarse = grid(100, 100)
    inside = ((coarse >= corner) & (coarse < corner + side)).all(axis=1)
    blur, looked = run(
        (200, 200), {1: make_points(grid(200, 200), 1.0), 2: make_points(coarse, np.where(inside, 4.0, 0.5))}
    )
    middle = 2 * corner + side
    assert looked[1][middle, middle] != is_skipped
    assert blur.scale.max() == (2 if is_skipped else 1)


def test_what_is_not_looked_at_stays_so_at_finer_scales(run):
    answers = {
        4: make_points(grid(60, 60), 5.0),
        2: make_points(grid(120, 120), 1.0),
        1: make_points(grid(240, 240), 1.0),
    }
    blur, looked = run((240, 240), answers)
    assert not looked[2].any()
    assert not looked[1].any()
    assert set(blur.scale) == {4}
    np.testing.assert_array_equal(blur.found.radius, 20)


def test_of_weak_blur_the_next_scale_is_passed_over(run):
    """The left half is blurred by 2 px, the right half by 8 px, which only the scale between them tells well."""
    coarse, middle = grid(60, 60), grid(120, 120)
    answers = {
        4: make_points(coarse, np.where(coarse[:, 1] < 30, 0.5, 2.0)),
        2: make_points(middle, np.where(middle[:, 1] < 60, 1.0, 4.0)),
        1: make_points(grid(240, 240), 2.0),
    }
    blur, looked = run((240, 240), answers)
    assert not looked[2][:, : 2 * 20].any()
    assert looked[2][:, 2 * 40 :].all()
    assert looked[1][:, : 4 * 28].all()
    assert not looked[1][:, 4 * 40 :].any()
    assert set(blur.scale[blur.found.points[:, 1] < 4 * 20]) == {1}
    assert set(blur.scale[blur.found.points[:, 1] >= 4 * 40]) == {2}


def test_weak_blur_beside_a_little_strong_one_is_looked_at(run):
    points = grid(60, 60)
    radius = np.where(np.arange(len(points)) % 3 == 0, 2.0, 0.5)
    _, looked = run((240, 240), {1: make_points([], 1.0), 2: make_points([], 1.0), 4: make_points(points, radius)})
    assert looked[2].all()
    assert looked[1].all()


def test_the_picture_itself_is_never_passed_over(run):
    _, looked = run((100, 100), {1: make_points([], 1.0), 2: make_points(grid(50, 50), 0.5)})
    assert looked[1].all()


def test_where_nothing_is_known_the_finer_scale_is_looked_at(run):
    _, looked = run((100, 100), {1: make_points(grid(100, 100), 1.0), 2: make_points([], 1.0)})
    assert looked[1].all()


def test_a_little_sharpness_opens_the_finer_scale(run):
    points = grid(50, 50)
    radius = np.where(np.arange(len(points)) % 2 == 0, 1.0, 5.0)
    _, looked = run((100, 100), {1: make_points([], 1.0), 2: make_points(points, radius)})
    assert looked[1].all()


def test_sharp_parts_of_a_reduced_picture_do_not_count(run):
    """They are sharper than the coarse scale can tell: 0.5 px there are anything up to 1 px."""
    blur, _ = run((100, 100), {1: make_points([[10, 10]], 0.75), 2: make_points(grid(50, 50), 0.5)})
    assert blur.scale.tolist() == [1]
    assert blur.found.radius.tolist() == [0.75]


@pytest.mark.parametrize(
    ("fine", "coarse", "expected"),
    [
        (4.0, 2.6, 4.0),  # below: the finer scale alone
        (5.0, 2.6, 5.1),  # half way: the mean
        (5.0, 4.0, 5.0),  # they do not agree: the finer one
        (6.0, 5.0, 10.0),  # at the ceiling: the coarser one
        (6.0, 1.0, 6.0),  # but not if it contradicts
    ],
)
def test_blending(run, fine, coarse, expected):
    # Most of the coarse points around are sharp, so that the finer scale is looked at.
    sharp = np.stack([np.full(7, 24), np.arange(24, 37, 2)], axis=1)
    points = np.concatenate([[[30, 30]], sharp])
    blur, _ = run(
        (100, 100),
        {1: make_points([[60, 60]], fine), 2: make_points(points, [coarse, *[0.5] * len(sharp)])},
    )
    here = (blur.found.points == [60, 60]).all(axis=1) & (blur.scale == 1)
    assert here.sum() == 1
    assert blur.found.radius[here] == pytest.approx(expected)


def test_at_the_ceiling_without_a_coarser_point_a_radius_stays(run):
    blur, _ = run((100, 100), {1: make_points([[60, 60]], 6.0), 2: make_points([[5, 5]], 1.0)})
    assert blur.found.radius[blur.scale == 1].tolist() == [6.0]


def test_coarse_depth_edges_are_boundaries_before_their_block(run):
    answers = {
        1: make_points([], 1.0),
        4: make_points([[3, 2], [8, 8]], [4.0, 4.0], depth=[0]),
        2: make_points([], 1.0),
    }
    blur, _ = run((47, 45), answers)
    expected = np.zeros((47, 45), dtype=bool)
    expected[12, 8:12] = expected[12:16, 8] = True
    np.testing.assert_array_equal(blur.boundaries, expected)
    assert blur.found.points.tolist() == [[14, 10], [34, 34]]
    assert blur.found.is_depth_edge.tolist() == [True, False]


def test_depth_edges_of_the_picture_itself_supersede_coarse_ones(run):
    answers = {1: make_points([[24, 24]], 1.0, depth=[0]), 2: make_points([[12, 12]], 4.0, depth=[0])}
    blur, _ = run((48, 48), answers)
    assert blur.boundaries is None
    assert blur.scale.tolist() == [1]


def test_points_of_the_last_block_stay_inside(run):
    found = make_points([[20, 20]], 5.0)
    blur, _ = run((41, 41), {1: make_points([], 1.0), 2: found})
    assert blur.found.points.tolist() == [[40, 40]]


def test_constants_fit_together():
    """What a scale hands over lies within what the next coarser one is kept from and looked at to."""
    assert pyramid.BLEND_FROM < pyramid.CEILING < 2 * pyramid.STRONG_FROM
    assert pyramid.STRONG_FROM > pyramid.BLEND_FROM / 2
    assert 2 * pyramid.WEAK_TO < pyramid.BLEND_FROM / 2
