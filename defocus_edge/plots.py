"""Pictures of maps and edges in colours with a scale, drawn without pyplot or a display.

All use the colour map plasma, which is perceptually uniform and readable with every kind of colour vision, over a fixed
range of radii, so that pictures compare. Matplotlib is loaded by the first picture that needs it, not by the import.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from defocus_edge.arrays import as_image, check_map, shrink
from defocus_edge.blur_levels import MAX_RADIUS
from defocus_edge.psf import LUMA

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

#: Longest side in px of a map in a preview; larger maps are averaged down.
MAX_PREVIEW_SIDE = 1600
#: Smaller maps are enlarged by a whole number until they reach this side in px.
MIN_PREVIEW_SIDE = 600
#: Cyan of depth edges: far from all colours of the scale with every kind of colour vision (CIEDE2000 > 30, simulated).
DEPTH_EDGE_COLOUR = (0, 255, 255)
#: Orange of pattern edges without a radius: all kinds of colour vision tell it from cyan.
PATTERN_EDGE_COLOUR = (255, 160, 0)

_COLOUR_MAP = "plasma"
# The picture behind edges is dimmed to this share.
_EDGE_BACKGROUND = 0.35
# Dots grow by 1 px with each such length of the longer side, so that they survive shrinking on a screen.
_PX_PER_EDGE_DOT = 2000
_DPI = 100
# The font size of a preview is the longer side over this number, but within these limits in px.
_SIDES_PER_FONT, _FONT_LIMITS = 50, (12, 28)
# Layout of a preview, in units of the font size. The bar beside a panorama is higher than its map.
_BAR_WIDTH, _MARGIN, _LABEL_WIDTH, _TITLE_HEIGHT, _MIN_BAR_HEIGHT = 1.0, 1.0, 4.5, 2.0, 9.0


def plot_blur_map(blur_map: npt.ArrayLike, *, max_radius: float | None = None, title: str | None = None) -> ByteArray:
    """Draw a blur map in colours, with a colour bar in px.

    Parameters
    ----------
    blur_map : array_like, shape (H, W)
        Blur radius in px.
    max_radius : float, optional
        Radius in px at the top of the scale, `MAX_RADIUS` by default. Larger radii get its colour, and the bar ends in
        an arrow.
    title : str, optional
        A line above the map.

    Returns
    -------
    ndarray, shape (h, w, 3), uint8
        RGB. The map is at most 1600 px long, in its own proportions; margins, bar and title come on top.

    Raises
    ------
    ValueError
        If the map is not 2-D, empty or not finite, or `max_radius` is not positive.
    """
    radii = _check_blur_map(blur_map)
    top = _check_max_radius(max_radius)
    return _frame(colour_radii(_resize(radii), top), top=top, is_cut=bool(radii.max() > top), title=title)


def overlay_blur_map(
    image: npt.ArrayLike,
    blur_map: npt.ArrayLike,
    *,
    confidence: npt.ArrayLike | None = None,
    opacity: float = 0.6,
    max_radius: float | None = None,
    title: str | None = None,
) -> ByteArray:
    """Lay a blur map in colours over the grey picture, with a colour bar in px.

    Parameters
    ----------
    image : array_like, shape (H, W, 3) or as `as_image` takes it
        The picture that the map belongs to.
    blur_map : array_like, shape (H, W)
        Blur radius in px.
    confidence : array_like, shape (H, W), optional
        Between 0 and 1. The grey picture shows through where it is low.
    opacity : float
        Share of the map's colour, from 0 to 1, where the confidence is 1.
    max_radius : float, optional
        As in `plot_blur_map`.
    title : str, optional
        A line above the picture.

    Returns
    -------
    ndarray, shape (h, w, 3), uint8
        RGB, of the size that `plot_blur_map` gives.

    Raises
    ------
    TypeError, ValueError
        If `as_image` refuses the image, the shapes differ, or a number is outside its range.
    """
    radii, top = _check_blur_map(blur_map), _check_max_radius(max_radius)
    grey = as_image(image) @ LUMA
    if radii.shape != grey.shape:
        raise ValueError(f"blur_map must have the size of image, {grey.shape}. Got: {radii.shape}. Resize one of them.")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be between 0 and 1. Got: {opacity}.")
    share: npt.NDArray[np.float32] = np.full((1, 1, 1), opacity, dtype=np.float32)
    if confidence is not None:
        trust = np.asarray(confidence, dtype=np.float32)
        if trust.shape != grey.shape or not ((trust >= 0) & (trust <= 1)).all():
            got = f"{trust.shape}, {trust.min(initial=np.inf):g} to {trust.max(initial=-np.inf):g}"
            raise ValueError(f"confidence must have shape {grey.shape} and be between 0 and 1. Got: {got}.")
        share = share * _resize(trust)[..., np.newaxis]
    background = 255 * _resize(grey)[..., np.newaxis]
    blend = background + share * (colour_radii(_resize(radii), top) - background)
    return _frame(_to_bytes(blend), top=top, is_cut=bool(radii.max() > top), title=title)


def plot_edges(
    image: npt.ArrayLike,
    points: npt.ArrayLike,
    is_depth_edge: npt.ArrayLike,
    *,
    point_radius: npt.ArrayLike | None = None,
    max_radius: float | None = None,
) -> ByteArray:
    """Draw edge points on the dimmed grey picture: pattern edges by their radius, depth edges in cyan.

    Parameters
    ----------
    image : array_like, shape (H, W, 3) or as `as_image` takes it
        The picture.
    points : array_like, shape (N, 2), integer
        Edge points, (row, col).
    is_depth_edge : array_like, shape (N,), bool
        True for depth edges, False for pattern edges.
    point_radius : array_like, shape (N,), optional
        Blur radius in px at each point, for the colour of pattern edges, which are orange without it. Values at depth
        edges are ignored.
    max_radius : float, optional
        As in `plot_blur_map`.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8
        RGB, in the size of the picture. Dots are wider than 1 px in large pictures.

    Raises
    ------
    TypeError, ValueError
        If `as_image` refuses the image, a shape or type differs, a point is outside the picture, or a pattern edge has
        no finite radius.
    """
    grey = as_image(image) @ LUMA
    places, is_depth = _check_points(points, is_depth_edge, grey.shape)
    colours = np.empty((len(places), 3), dtype=np.uint8)
    colours[is_depth] = DEPTH_EDGE_COLOUR
    if point_radius is None:
        colours[~is_depth] = PATTERN_EDGE_COLOUR
    else:
        radii = np.asarray(point_radius, dtype=np.float32)
        if radii.shape != is_depth.shape or not np.isfinite(radii[~is_depth]).all():
            rule = f"point_radius must have shape {is_depth.shape} and be finite at pattern edges"
            n_missing = radii.size - np.isfinite(radii).sum()
            raise ValueError(f"{rule}. Got: shape {radii.shape}, {n_missing} not finite. Give one radius per point.")
        colours[~is_depth] = colour_radii(radii[~is_depth], _check_max_radius(max_radius))
    canvas = np.repeat(_to_bytes(255 * _EDGE_BACKGROUND * grey)[..., np.newaxis], 3, axis=2)
    order = np.argsort(is_depth, kind="stable")  # depth edges last, on top
    _draw_dots(canvas, places[order], colours[order], side=1 + max(grey.shape) // _PX_PER_EDGE_DOT)
    return canvas


def choose_scale_top(blur_map: npt.ArrayLike) -> float:
    """Top in px of a colour scale that shows all of a map: 6 px, the largest blur level, doubled as often as needed."""
    largest, top = float(_check_blur_map(blur_map).max()), float(MAX_RADIUS)
    while top < largest:
        top *= 2
    return top


def make_colour_table() -> ByteArray:
    """(256, 3) RGB colours of the scale, from a radius of 0 to its top."""
    import matplotlib as mpl

    return _to_bytes(255 * np.asarray(mpl.colormaps[_COLOUR_MAP](np.arange(256)))[:, :3])


def _check_blur_map(blur_map: npt.ArrayLike) -> FloatArray:
    """Blur map as float32; raise unless it is 2-D, not empty and finite."""
    radii = np.asarray(blur_map, dtype=np.float32)
    check_map(radii)
    return radii


def _check_max_radius(max_radius: float | None) -> float:
    """Top of the colour scale in px; raise unless it is positive and finite."""
    top = MAX_RADIUS if max_radius is None else float(max_radius)
    if not 0 < top < np.inf:
        raise ValueError(f"max_radius must be positive and finite, in px. Got: {max_radius}. Default: {MAX_RADIUS}.")
    return top


def _check_points(
    points: npt.ArrayLike, is_depth_edge: npt.ArrayLike, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.bool_]]:
    """Points and their kind as arrays; raise unless they fit together and lie in the picture."""
    places, is_depth = np.asarray(points), np.asarray(is_depth_edge)
    if places.ndim != 2 or places.shape[1] != 2 or places.dtype.kind not in "iu":
        got = f"{places.dtype}, {places.shape}"
        raise ValueError(f"points must be integers of shape (N, 2). Got: {got}. Pass (row, col).")
    if is_depth.shape != places.shape[:1] or is_depth.dtype != np.bool_:
        rule = f"is_depth_edge must be bool of shape ({len(places)},), one per point"
        raise ValueError(f"{rule}. Got: {is_depth.dtype}, {is_depth.shape}. Threshold probabilities first.")
    if ((places < 0) | (places >= shape)).any():
        got = f"{tuple(places.min(0).tolist())} to {tuple(places.max(0).tolist())}"
        raise ValueError(f"points must lie in the picture of {shape}. Got: {got}. Pass (row, col), not (x, y).")
    return places, is_depth


def _resize(plane: FloatArray) -> FloatArray:
    """Plane in preview size: averaged down to `MAX_PREVIEW_SIDE`, or pixels repeated up to `MIN_PREVIEW_SIDE`."""
    side = max(plane.shape)
    if side > MAX_PREVIEW_SIDE:
        return shrink(plane, MAX_PREVIEW_SIDE)
    times = -(-MIN_PREVIEW_SIDE // side)
    return plane.repeat(times, axis=0).repeat(times, axis=1)


def _to_bytes(values: npt.NDArray[np.floating[Any]]) -> ByteArray:
    """Values of 0..255 rounded to uint8."""
    result: ByteArray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return result


def colour_radii(radii: FloatArray, top: float) -> ByteArray:
    """RGB colours of radii in px, any shape, on the scale from 0 to `top` px; larger ones get the colour of the top."""
    return make_colour_table()[_to_bytes(radii * np.float32(255 / top))]


def _draw_dots(canvas: ByteArray, places: npt.NDArray[np.integer], colours: ByteArray, *, side: int) -> None:
    """Set a square of `side` px around each place, later places over earlier ones."""
    steps = range(-((side - 1) // 2), side // 2 + 1)
    corner = np.array(canvas.shape[:2]) - 1
    for row_step in steps:
        for col_step in steps:
            rows, cols = np.clip(places + np.array((row_step, col_step)), 0, corner).T
            canvas[rows, cols] = colours


def _frame(content: ByteArray, *, top: float, is_cut: bool, title: str | None) -> ByteArray:
    """Put the coloured map on white, pixel by pixel, with a title above and the colour bar beside it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    height, width = content.shape[:2]
    font = float(np.clip(max(height, width) / _SIDES_PER_FONT, *_FONT_LIMITS))
    margin, bar = round(_MARGIN * font), max(height, round(_MIN_BAR_HEIGHT * font))
    head = margin + (round(_TITLE_HEIGHT * font) if title else 0)
    total_width = margin + width + round((_MARGIN + _BAR_WIDTH + _LABEL_WIDTH) * font)
    total_height = head + bar + margin
    figure = Figure(figsize=(total_width / _DPI, total_height / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    points = font * 72 / _DPI
    left = margin + width + _MARGIN * font
    bar_width = _BAR_WIDTH * font
    axes = figure.add_axes((left / total_width, margin / total_height, bar_width / total_width, bar / total_height))
    scale = figure.colorbar(
        ScalarMappable(Normalize(0, top), _COLOUR_MAP), cax=axes, extend="max" if is_cut else "neither", extendfrac=0.03
    )
    scale.set_label("blur radius (px)", fontsize=points, labelpad=points / 2)
    axes.tick_params(labelsize=points)
    if title:
        x, y = margin / total_width, 1 - margin / total_height
        figure.text(x, y, title, fontsize=1.15 * points, va="top", ha="left", parse_math=False)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    start = head + (bar - height) // 2
    picture[start : start + height, margin : margin + width] = content
    return picture
