"""places.py: where a burst is in focus, and how sharp a frame is there."""

import numpy as np
import pytest

from defocus_edge.culling.bursts import Frame
from defocus_edge.culling.places import GRID_SIDE, View, find_region, measure_views, reduce_map
from defocus_edge.culling.ranking import SOFT_ABOVE, STARS, rank_frames

SUBJECT, GROUND = (slice(4, 12), slice(6, 14)), (slice(0, 20), slice(20, 40))
SHAPE = (20, 40)


def make_map(subject, ground=6.0, other=6.0):
    """Radii of a subject of 8×8 cells and of a ground of 20×20."""
    radii = np.full(SHAPE, other, np.float32)
    radii[SUBJECT], radii[GROUND] = subject, ground
    return radii


def make_view(name, grid, *, boxes=(), shape=None):
    return View(Frame(name), grid, shape or grid.shape, boxes)


def test_the_region_is_where_most_frames_have_their_focus():
    """One frame has the larger ground in focus, and must not win by it."""
    grids = [make_map(0.6), make_map(1.4), make_map(0.9), make_map(6.0, ground=0.5)]
    region, kind = find_region(grids)
    assert kind == "region"
    assert region[SUBJECT].all()
    assert region.sum() == 64
    found = measure_views([make_view(str(number), grid) for number, grid in enumerate(grids)])
    assert [round(measurement.radius, 3) for measurement in found] == [0.6, 1.4, 0.9, 6.0]
    assert {measurement.box for measurement in found} == {(4, 6, 8, 8)}


def test_one_frame_in_focus_says_where():
    region, _ = find_region([make_map(4.0), make_map(0.7), make_map(3.0)])
    assert region[SUBJECT].all()
    assert region.sum() == 64


def test_the_largest_region_counts():
    grid = make_map(0.6)
    grid[0, 0] = 0.5
    region, _ = find_region([grid])
    assert region.sum() == 64


def test_two_frames_with_their_focus_on_different_things():
    """What both have in focus by chance does not count: the larger thing does."""
    grids = [make_map(0.6), make_map(6.0, ground=0.9)]
    for grid in grids:
        grid[0, 0] = 0.5
    region, _ = find_region(grids)
    assert region[GROUND].all()
    assert region.sum() == 400
    found = measure_views([make_view(str(number), grid) for number, grid in enumerate(grids)])
    assert [round(measurement.radius, 3) for measurement in found] == [6.0, 0.9]


def test_nothing_in_focus():
    grids = [make_map(3.0, ground=5.0), make_map(2.5, ground=4.0)]
    region, kind = find_region(grids)
    assert kind == "sharpest box"
    assert region.sum() == 5 * 10
    # 5 of the 8 rows of the subject, and its 8 columns with 2 others.
    assert region[SUBJECT].sum() == 5 * 8


def test_boxes_count_instead_of_the_region():
    grid, box = make_map(0.6, ground=2.0), (0, 50, 40, 30)
    views = [make_view("a", grid, shape=(40, 80)), make_view("b", grid + 1, boxes=[box], shape=(40, 80))]
    views.append(make_view("c", grid[:, ::-1], shape=(80, 40)))
    found = {measurement.frame.picture: measurement for measurement in measure_views(views)}
    assert [(found[name].radius, found[name].kind) for name in "ab"] == [(2.0, "boxes"), (3.0, "boxes")]
    assert found["a"].box == (0, 50, 40, 30)
    assert found["c"].kind == "region"  # another size, another view


def test_a_box_smaller_than_a_cell_and_several_boxes():
    grid = make_map(0.6, ground=2.0)
    tiny, (row, column) = (1, 1, 1, 1), (2000, 4000)
    (found,) = measure_views([make_view("a", grid, boxes=[tiny], shape=(row, column))])
    assert (found.radius, found.box) == (6.0, (0, 0, 100, 100))
    # All pixels of all boxes together: 300 cells of the ground, 64 of the subject.
    (found,) = measure_views([make_view("a", grid, boxes=[(4, 6, 8, 8), (0, 20, 15, 20)])])
    assert found.radius == 2.0


@pytest.mark.parametrize("shape", [(600, 900), (900, 600), (1, 5000), (100, 200)])
def test_maps_are_reduced_to_a_grid(shape):
    grid = reduce_map(np.ones(shape, np.float32))
    assert max(grid.shape) == min(GRID_SIDE, max(shape))
    np.testing.assert_allclose(grid, 1, rtol=1e-6)


def test_frames_in_order_with_a_verdict():
    views = [make_view(name, make_map(radius)) for name, radius in zip("abcd", (1.2, 0.7, 0.6, 0.7), strict=True)]
    ranked = rank_frames(measure_views(views))
    assert [frame.measurement.frame.picture for frame in ranked] == ["c", "b", "d", "a"]
    assert [frame.rank for frame in ranked] == [1, 2, 3, 4]
    assert [frame.verdict for frame in ranked] == ["sharp"] * 3 + ["soft"]
    assert [frame.rating for frame in ranked] == [5, 3, 3, 1]


def test_a_soft_burst_has_no_five_stars():
    ranked = rank_frames(measure_views([make_view("a", make_map(2.5)), make_view("b", make_map(2.4))]))
    assert [(frame.measurement.frame.picture, frame.rating) for frame in ranked] == [("b", 2), ("a", 1)]
    assert max(STARS["soft"]) < min(STARS["sharp"])


def test_the_threshold_itself_is_sharp():
    def judge(radius, **options):
        return rank_frames(measure_views([make_view("a", make_map(radius))]), **options)[0].verdict

    assert judge(SOFT_ABOVE) == "sharp"
    assert judge(1.5) == "soft"
    assert judge(1.5, soft_above=1.5) == "sharp"
