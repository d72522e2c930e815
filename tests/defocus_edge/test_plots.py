"""plots.py: previews have the right size, colours and scale, and need neither pyplot nor a display."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from defocus_edge import plots
from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.plots import (
    DEPTH_EDGE_COLOUR,
    MAX_PREVIEW_SIDE,
    MIN_PREVIEW_SIDE,
    PATTERN_EDGE_COLOUR,
    overlay_blur_map,
    plot_blur_map,
    plot_edges,
)

HEIGHT, WIDTH = 60, 90
BOTTOM_COLOUR, TOP_COLOUR = (13, 8, 135), (240, 249, 33)  # ends of plasma


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def ramp():
    """Blur map from 0 px at the left to the top of the scale at the right."""
    return np.tile(np.linspace(0, MAX_RADIUS, WIDTH, dtype=np.float32), (HEIGHT, 1))


@pytest.fixture
def points():
    return np.array([(0, 0), (10, 20), (30, 40), (59, 89)], dtype=np.int32)


@pytest.fixture
def is_depth_edge():
    return np.array([False, True, False, True])


def preview_size(shape):
    """Size of the map in a preview, as the docstring promises it."""
    side = max(shape)
    scale = MAX_PREVIEW_SIDE / side if side > MAX_PREVIEW_SIDE else -(-MIN_PREVIEW_SIDE // side)
    return tuple(max(1, round(length * scale)) for length in shape)


def find_map(preview, shape):
    """Cut the map out of a preview: one margin from the left, beside the middle of the bar, one margin up."""
    height, width = preview_size(shape)
    font = float(np.clip(max(height, width) / 50, 12, 28))
    margin, bar = round(font), max(height, round(9 * font))
    top = preview.shape[0] - margin - bar + (bar - height) // 2
    return preview[top : top + height, margin : margin + width]


# --- plot_blur_map ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (700, 1000), (2000, 3000), (1, 1), (5000, 20), (20, 5000)])
def test_preview_holds_the_map_in_its_aspect(shape):
    preview = plot_blur_map(np.full(shape, 2.9, np.float32))
    height, width = preview_size(shape)
    assert preview.dtype == np.uint8
    assert preview.ndim == 3
    assert preview.shape[2] == 3
    assert max(height, width) <= MAX_PREVIEW_SIDE
    assert height < preview.shape[0]
    assert width < preview.shape[1] <= width + 250
    content = find_map(preview, shape)
    assert content.shape == (height, width, 3)
    assert (content == plots.colour_radii(np.full((1, 1), 2.9, np.float32), MAX_RADIUS)).all()


def test_colours_are_fixed_to_radii(ramp):
    content = find_map(plot_blur_map(ramp), ramp.shape)
    assert tuple(content[0, 0]) == BOTTOM_COLOUR
    assert tuple(content[-1, -1]) == TOP_COLOUR
    half = find_map(plot_blur_map(ramp / 2), ramp.shape)
    twice = find_map(plot_blur_map(ramp / 2, max_radius=MAX_RADIUS / 2), ramp.shape)
    assert tuple(half[0, -1]) != TOP_COLOUR
    np.testing.assert_array_equal(twice, content)


def test_small_maps_are_enlarged_px_by_px(ramp):
    content = find_map(plot_blur_map(ramp), ramp.shape)
    times = content.shape[1] // WIDTH
    np.testing.assert_array_equal(content, content[::times, ::times].repeat(times, axis=0).repeat(times, axis=1))


def test_large_maps_are_averaged():
    checkers = np.indices((2400, 3200)).sum(axis=0) % 2 * np.float32(5.8)
    content = find_map(plot_blur_map(checkers), checkers.shape)
    assert (content == plots.colour_radii(np.full((1, 1), 2.9, np.float32), MAX_RADIUS)).all()


def test_radii_above_the_scale_are_marked_on_the_bar(ramp):
    at_top, above = plot_blur_map(ramp), plot_blur_map(np.where(ramp == MAX_RADIUS, 9, ramp))
    np.testing.assert_array_equal(find_map(at_top, ramp.shape), find_map(above, ramp.shape))
    assert not np.array_equal(at_top, above)


def test_title_takes_room_above_and_is_plain_text(ramp):
    without, with_title = plot_blur_map(ramp), plot_blur_map(ramp, title="50% $broken_{math.jpg")
    assert with_title.shape[0] > without.shape[0]
    assert with_title.shape[1] == without.shape[1]
    np.testing.assert_array_equal(find_map(with_title, ramp.shape), find_map(without, ramp.shape))


def test_same_map_same_preview(ramp):
    np.testing.assert_array_equal(plot_blur_map(ramp, title="a"), plot_blur_map(ramp.astype(np.float64), title="a"))


@pytest.mark.parametrize(
    ("blur_map", "match"),
    [
        (np.ones((4, 5, 3)), r"blur_map must have shape \(H, W\), not empty\. Got: \(4, 5, 3\)"),
        (np.ones((0, 5)), r"Got: \(0, 5\)"),
        (np.full((4, 5), np.nan), r"blur_map must be finite\. Got: NaN"),
        (np.full((4, 5), np.inf), "blur_map must be finite"),
    ],
)
def test_blur_map_is_checked(blur_map, match):
    with pytest.raises(ValueError, match=match):
        plot_blur_map(blur_map)


@pytest.mark.parametrize("max_radius", [0, -1, np.nan, np.inf])
def test_max_radius_is_checked(ramp, max_radius):
    with pytest.raises(ValueError, match=r"max_radius must be positive and finite, in px\. Got: "):
        plot_blur_map(ramp, max_radius=max_radius)


# --- overlay_blur_map ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_type", [lambda a: a, lambda a: a / 255, lambda a: a[..., 0]])
def test_overlay_takes_what_as_image_takes(image, ramp, as_type):
    assert overlay_blur_map(as_type(image), ramp).shape == plot_blur_map(ramp).shape


def test_opacity_goes_from_picture_to_map(image, ramp):
    opaque = overlay_blur_map(image, ramp, opacity=1, title="a")
    np.testing.assert_array_equal(opaque, plot_blur_map(ramp, title="a"))
    clear = find_map(overlay_blur_map(image, ramp, opacity=0), ramp.shape)
    assert (clear == clear[..., :1]).all()
    times = clear.shape[0] // HEIGHT
    luma = image @ np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(clear[::times, ::times, 0], luma, atol=0.51)


def test_confidence_lets_the_picture_through(image, ramp):
    confidence = np.zeros((HEIGHT, WIDTH))
    confidence[:30] = 1
    content = find_map(overlay_blur_map(image, ramp, confidence=confidence), ramp.shape)
    middle = content.shape[0] // 2
    np.testing.assert_array_equal(content[:middle], find_map(overlay_blur_map(image, ramp), ramp.shape)[:middle])
    np.testing.assert_array_equal(
        content[middle:], find_map(overlay_blur_map(image, ramp, opacity=0), ramp.shape)[middle:]
    )


def test_large_overlay_is_shrunk():
    shape = (1000, 2400)
    preview = overlay_blur_map(np.full(shape, 0.5), np.full(shape, 2), confidence=np.ones(shape))
    assert find_map(preview, shape).shape == (667, 1600, 3)
    assert (find_map(preview, shape) == find_map(preview, shape)[0, 0]).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"blur_map": np.ones((30, 30))}, r"blur_map must have the size of image, \(60, 90\)\. Got: \(30, 30\)"),
        ({"blur_map": np.full((HEIGHT, WIDTH), np.nan)}, "blur_map must be finite"),
        ({"image": np.full((HEIGHT, WIDTH), 255.0)}, "Divide by 255"),
        ({"opacity": 1.5}, r"opacity must be between 0 and 1\. Got: 1\.5"),
        ({"opacity": np.nan}, r"opacity must be between 0 and 1\. Got: nan"),
        ({"confidence": np.ones((3, 3))}, r"confidence must have shape \(60, 90\).*Got: \(3, 3\), 1 to 1"),
        ({"confidence": np.full((HEIGHT, WIDTH), 2)}, r"between 0 and 1\. Got: \(60, 90\), 2 to 2"),
        ({"confidence": np.full((HEIGHT, WIDTH), np.nan)}, r"between 0 and 1\. Got: \(60, 90\), nan"),
        ({"confidence": np.ones((0, 3))}, r"Got: \(0, 3\)"),
        ({"max_radius": 0}, "max_radius must be positive"),
    ],
)
def test_overlay_checks_its_input(image, ramp, change, match):
    arguments = {"image": image, "blur_map": ramp} | change
    with pytest.raises(ValueError, match=match):
        overlay_blur_map(**arguments)


# --- plot_edges ------------------------------------------------------------------------------------------------------


def test_edges_are_drawn_where_they_are(image, points, is_depth_edge):
    result = plot_edges(image, points, is_depth_edge)
    assert result.shape == image.shape
    assert result.dtype == np.uint8
    is_edge = np.zeros((HEIGHT, WIDTH), bool)
    for (row, col), is_depth in zip(points, is_depth_edge, strict=True):
        assert tuple(result[row, col]) == (DEPTH_EDGE_COLOUR if is_depth else PATTERN_EDGE_COLOUR)
        is_edge[row, col] = True
    background = result[~is_edge]
    assert (background == background[:, :1]).all()
    assert background.max() < 128


def test_pattern_edges_take_the_colour_of_their_radius(image, points, is_depth_edge):
    result = plot_edges(image, points, is_depth_edge, point_radius=[0, np.nan, MAX_RADIUS, np.nan])
    assert tuple(result[0, 0]) == BOTTOM_COLOUR
    assert tuple(result[30, 40]) == TOP_COLOUR
    assert tuple(result[10, 20]) == DEPTH_EDGE_COLOUR
    wider = plot_edges(image, points, is_depth_edge, point_radius=np.full(4, 6), max_radius=12)
    assert tuple(wider[30, 40]) != TOP_COLOUR


def test_depth_edges_lie_on_top_and_dots_grow_with_the_picture():
    grey = np.zeros((30, 4000), np.uint8)
    result = plot_edges(grey, [(10, 100), (10, 101), (0, 0)], np.array([True, False, True]))
    is_depth = (result == DEPTH_EDGE_COLOUR).all(axis=2)
    assert is_depth[9:12, 99:102].all()
    assert is_depth[:2, :2].all()
    assert is_depth.sum() == 9 + 4
    assert (result == PATTERN_EDGE_COLOUR).all(axis=2).sum() == 3


def test_picture_without_edges(image):
    result = plot_edges(image, np.empty((0, 2), np.int32), np.empty(0, bool), point_radius=np.empty(0))
    assert (result == result[..., :1]).all()


@pytest.mark.parametrize("name", ["image", "points", "is_depth_edge"])
def test_inputs_are_not_modified(image, points, is_depth_edge, name):
    arguments = {"image": image, "points": points, "is_depth_edge": is_depth_edge}
    before = arguments[name].copy()
    plot_edges(**arguments, point_radius=np.ones(4))
    np.testing.assert_array_equal(arguments[name], before)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"points": np.ones((4, 3), int)}, r"points must be integers of shape \(N, 2\)\. Got: int64, \(4, 3\)"),
        ({"points": np.ones((4, 2))}, r"Got: float64, \(4, 2\)"),
        ({"points": np.full((4, 2), 70)}, r"points must lie in the picture of \(60, 90\)\. Got: \(70, 70\) to"),
        ({"points": np.full((4, 2), -1)}, r"points must lie.*Got: \(-1, -1\)"),
        ({"is_depth_edge": np.ones(3, bool)}, r"is_depth_edge must be bool of shape \(4,\).*Got: bool, \(3,\)"),
        ({"is_depth_edge": np.ones(4)}, r"Got: float64, \(4,\)\. Threshold"),
        ({"point_radius": np.ones(3)}, r"point_radius must have shape \(4,\).*Got: shape \(3,\), 0 not finite"),
        ({"point_radius": np.full(4, np.nan)}, r"finite at pattern edges\. Got: shape \(4,\), 4 not finite"),
        ({"point_radius": np.ones(4), "max_radius": -2}, r"max_radius must be positive.*Got: -2"),
        ({"image": np.ones((5, 5))}, "at least 20 px"),
    ],
)
def test_plot_edges_checks_its_input(image, points, is_depth_edge, change, match):
    arguments = {"image": image, "points": points, "is_depth_edge": is_depth_edge} | change
    with pytest.raises(ValueError, match=match):
        plot_edges(**arguments)


# --- no global state -------------------------------------------------------------------------------------------------


def test_import_is_cheap_and_pyplot_is_never_loaded():
    code = """
import sys
import numpy as np
from defocus_edge import plots
assert "matplotlib" not in sys.modules
plots.plot_blur_map(np.ones((30, 30)))
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
