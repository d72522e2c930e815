"""Draw the pictures of the documentation from the package itself: `python docs/figures.py [FOLDER]`.

The photographs come with scikit-image. One run takes about a minute; the pictures in ``docs/pictures`` are its output.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import skimage.data
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from defocus_edge import BlurEstimate, BlurEstimator, deblur
from defocus_edge.arrays import as_image
from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS
from defocus_edge.choices import DEFAULT_PRESET, FAST_PRESET
from defocus_edge.estimation.edges import find_edges
from defocus_edge.estimation.reduction import reduce_image
from defocus_edge.networks.edge.architecture import BRANCH_SIDES
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.engines import start_engine
from defocus_edge.plots import overlay_blur_map, plot_edges
from defocus_edge.propagation.depth_boundaries import close_depth_edges
from defocus_edge.propagation.propagate import simplify_guide
from defocus_edge.psf import blur_with_disk, decode_srgb, encode_srgb
from defocus_edge.thresholds import widen_mask

#: Where the pictures of the documentation lie.
PICTURES = Path(__file__).resolve().parent / "pictures"
_DPI = 110
_HEIGHT = 3.2  # inches, of a panel
_JPEG_QUALITY = 88
_COLOUR_MAP = "plasma"  # that of `defocus_edge.plots`
# Rows and columns of the flag beside the astronaut, which is blurred.
_FLAG = (slice(0, 130), slice(0, 130))
# Radii in px and confidence of the two edge points whose patches are shown.
_SHOWN_RADII, _SHOWN_CONFIDENCE = (0.75, 2.5), 0.9
# Part of the photograph in a stack, and by how much its frames are blurred, px.
_STACK_PART, _STACK_RADII = (slice(60, 180), slice(150, 310)), (4, 3, 2, 1, 0, 1, 2, 3)
# Largest radius that a reconstruction takes for sharp, and the margin around what is blurred, px.
_LARGEST_SHARP, _MARGIN = 2.0, 3.0


def make_figure(columns: int, *, width: float, height: float = _HEIGHT) -> tuple[Figure, Any]:
    """Figure with panels side by side, in inches."""
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure, np.atleast_1d(figure.subplots(1, columns))


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure; JPEG for photographs, PNG for drawings."""
    options = {"pil_kwargs": {"quality": _JPEG_QUALITY}} if name.endswith(".jpg") else {}
    figure.savefig(folder / name, **options)


def show(axes: Any, picture: Any, title: str, **options: Any) -> Any:
    """Draw one picture without axes."""
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
    return axes.imshow(picture, **options)


def draw_map(photo: Any, estimate: BlurEstimate, folder: Path) -> None:
    """Photograph, edge points and map of the tutorial."""
    edges = plot_edges(photo, estimate.points, estimate.is_depth_edge, point_radius=estimate.point_radius)
    figure, (first, second, third) = make_figure(3, width=10.5)
    show(first, photo, "photograph")
    show(second, edges, "edge points by radius; depth edges cyan")
    show(third, overlay_blur_map(photo, estimate.radius), "blur map over the photograph")
    save(figure, folder, "tutorial-map.jpg")


def draw_mask(photo: Any, estimate: BlurEstimate, folder: Path) -> None:
    """Radius, confidence and mask of the tutorial."""
    figure, (first, second, third) = make_figure(3, width=11)
    radius = show(first, estimate.radius, "radius (px)", cmap=_COLOUR_MAP, vmin=0, vmax=MAX_RADIUS)
    figure.colorbar(radius, ax=first, shrink=0.8)
    confidence = show(second, estimate.confidence, "confidence", cmap="gray", vmin=0, vmax=1)
    figure.colorbar(confidence, ax=second, shrink=0.8)
    show(third, photo, "outline of the mask")
    third.contour(estimate.mask(radius=1.5), levels=[0.5], colors="tab:cyan", linewidths=1.2)
    save(figure, folder, "tutorial-mask.jpg")


def draw_deblurred(photo: Any, estimate: BlurEstimate, folder: Path) -> None:
    """A part of the photograph before and after deblurring."""
    sharper = deblur(photo, estimate)
    figure, (first, second) = make_figure(2, width=6.4)
    show(first, photo[_FLAG], "before")
    show(second, sharper[_FLAG], "after deblur")
    save(figure, folder, "tutorial-deblurred.jpg")


def draw_edges(photo: Any, estimate: BlurEstimate, folder: Path) -> None:
    """From the photograph to pattern edges and depth edges."""
    kinds = plot_edges(photo, estimate.points, estimate.is_depth_edge)
    figure, (first, second, third) = make_figure(3, width=12, height=3)
    show(first, photo, "photograph")
    show(second, ~find_edges(as_image(photo)), "edge points (Canny)", cmap="gray")
    show(third, kinds, "pattern edges orange, depth edges cyan")
    save(figure, folder, "edges.jpg")


def draw_patches(photo: Any, estimate: BlurEstimate, folder: Path) -> None:
    """Two edge points, their three patches, and the softmax of B-NET over the levels."""
    points = [_choose_point(estimate, radius) for radius in _SHOWN_RADII]
    blur = DenseEvaluator(start_engine(DEFAULT_PRESET)).predict(as_image(photo), np.array(points)).blur
    figure = Figure(figsize=(10, 5), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(2, 4, width_ratios=(1, 1, 1, 2))
    for panels, (row, column), softmax in zip(rows, points, blur, strict=True):
        for axes, side in zip(panels, BRANCH_SIDES, strict=False):
            reach = side // 2
            patch = photo[row - reach : row + reach + 1, column - reach : column + reach + 1]
            show(axes, patch, f"{side}×{side} px", interpolation="nearest")
            axes.plot(reach, reach, "+", color="cyan", markersize=12)
        median = BLUR_LEVELS[np.argmax(np.cumsum(softmax) >= softmax.sum() / 2)]
        panels[-1].bar(BLUR_LEVELS, softmax, width=0.2, color="tab:blue")
        panels[-1].axvline(median, color="tab:red", linestyle="--", label=f"median: {median:g} px")
        panels[-1].set(xlabel="blur level (px)", ylabel="probability", ylim=(0, 1))
        panels[-1].legend()
    save(figure, folder, "patches.jpg")


def _choose_point(estimate: BlurEstimate, radius: float) -> tuple[int, int]:
    """The pattern edge point with a whole patch and a radius close to the wanted one."""
    margin = BRANCH_SIDES[0] // 2
    points, shape = estimate.points, np.array(estimate.radius.shape)
    usable = ~estimate.is_depth_edge & (estimate.point_scale == 1) & (estimate.point_confidence > _SHOWN_CONFIDENCE)
    usable &= (points >= margin).all(axis=1) & (points < shape - margin).all(axis=1)
    distance = np.where(usable, np.abs(estimate.point_radius - radius), np.inf)
    row, column = points[int(np.argmin(distance))].tolist()
    return row, column


def draw_dense(folder: Path) -> None:
    """Why pooling with stride 3 in each patch equals dilation 3 on the whole picture, and what a point gathers."""
    figure, (chain, grid) = make_figure(2, width=11, height=3.6)
    _draw_chain(chain)
    _draw_gathered(grid)
    save(figure, folder, "dense.png")


def _draw_chain(axes: Any) -> None:
    """One row of pixels: what one patch uses of the maps that all patches share."""
    count, start, stride = 16, 2, 3
    used = {start + stride * number for number in range(3)}
    for column in range(count):
        axes.plot(column, 0, "s", color="0.75", markersize=9)
        if column < count - 2:
            chosen = column in used
            for pixel in range(column, column + stride):
                axes.plot(
                    (pixel, column + 1), (0, 1), color="tab:blue" if chosen else "0.85", zorder=2 if chosen else 1
                )
            axes.plot(column + 1, 1, "o", color="tab:blue" if chosen else "0.75", markersize=9, zorder=3)
        if column < count - 2 - 2 * stride:
            chosen = column == start
            for number in range(3):
                ends = (column + 1 + stride * number, column + 1 + stride)
                axes.plot(ends, (1, 2), color="tab:red" if chosen else "0.9", zorder=2 if chosen else 0)
            axes.plot(column + 1 + stride, 2, "o", color="tab:red" if chosen else "0.75", markersize=9, zorder=3)
    axes.set_yticks((0, 1, 2), ("pixels", "maximum of 3,\nstride 1", "convolution,\ndilation 3"))
    axes.set_xticks(())
    axes.set_ylim(-0.4, 2.4)
    axes.set_title("colour: what one patch uses; grey: its neighbours", fontsize=10)
    axes.spines[:].set_visible(False)


def _draw_gathered(axes: Any) -> None:
    """The 25 positions of both maps that one edge point gathers."""
    side = 5
    rows, columns = np.mgrid[:side, :side]
    for axis in range(3 * side - 1):
        axes.axhline(axis - 0.5, color="0.9", linewidth=0.8)
        axes.axvline(axis - 0.5, color="0.9", linewidth=0.8)
    axes.plot(3 * columns.ravel(), 3 * rows.ravel(), "o", color="tab:blue", label="coarse[p + 3 d]", markersize=11)
    axes.plot(columns.ravel(), rows.ravel(), "s", color="tab:orange", label="fine[p + d]", markersize=6)
    axes.set(xlim=(-0.8, 3 * side - 2.2), ylim=(3 * side - 2.2, -0.8), aspect="equal", xticks=(), yticks=())
    axes.set_title("the 25 positions that one edge point gathers", fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))


def draw_propagation(photo: Any, estimate: BlurEstimate, folder: Path) -> None:
    """From sparse radii and depth edges to the map."""
    image = as_image(photo)
    depth, pattern = np.zeros((2, *estimate.radius.shape), dtype=bool)
    depth[tuple(estimate.points[estimate.is_depth_edge].T)] = True
    pattern[tuple(estimate.points[~estimate.is_depth_edge].T)] = True
    walls = depth | close_depth_edges(image, depth, pattern)
    figure = Figure(figsize=(10, 7), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    (first, second), (third, fourth) = figure.subplots(2, 2)
    edges = plot_edges(photo, estimate.points, estimate.is_depth_edge, point_radius=estimate.point_radius)
    show(first, edges, "1. radii at the edge points")
    show(second, simplify_guide(image), "2. guide: the photograph without texture")
    show(third, walls, "3. depth edges, linked along contours", cmap="gray")
    radius = show(fourth, estimate.radius, "4. blur map (px)", cmap=_COLOUR_MAP, vmin=0, vmax=MAX_RADIUS)
    figure.colorbar(radius, ax=fourth, shrink=0.8, extend="max")
    save(figure, folder, "propagation.jpg")


def draw_reconstruction(photo: Any, estimate: BlurEstimate, folder: Path) -> None:
    """Photograph, map and mask for COLMAP."""
    ignored = widen_mask(estimate.mask(radius=_LARGEST_SHARP), margin=_MARGIN)
    figure, (first, second, third) = make_figure(3, width=10)
    show(first, photo, "photograph")
    show(second, estimate.radius, "blur map (px)", cmap=_COLOUR_MAP, vmin=0, vmax=MAX_RADIUS)
    show(third, ~ignored, "mask: black is ignored", cmap="gray")
    save(figure, folder, "reconstruction.jpg")


def draw_stack(folder: Path) -> None:
    """Radius of the frames of a stack, and the median of each map."""
    photo = skimage.data.chelsea()[_STACK_PART]
    light = decode_srgb(as_image(photo))
    frames = (encode_srgb(blur_with_disk(light, radius)) if radius else as_image(photo) for radius in _STACK_RADII)
    estimates = BlurEstimator(FAST_PRESET, max_radius=MAX_RADIUS).estimate_many(frames)
    medians = [float(np.median(np.asarray(estimate))) for estimate in estimates]
    figure, (axes,) = make_figure(1, width=6)
    axes.plot(_STACK_RADII, "o--", color="tab:gray", label="blurred by")
    axes.plot(medians, "o-", color="tab:blue", label="median of the map")
    axes.set(xlabel="frame", ylabel="radius (px)", ylim=(0, None))
    axes.legend()
    save(figure, folder, "stack.png")


def draw_pyramid(estimator: BlurEstimator, folder: Path) -> None:
    """Full size, half size, and the scale that each edge point was measured at; the right half is blurred by 12 px."""
    light = decode_srgb(as_image(skimage.data.coffee()))
    light[:, 300:] = blur_with_disk(light, 12.0)[:, 300:]
    photo = encode_srgb(light)
    estimate = estimator.estimate(photo)
    half = reduce_image(as_image(photo))
    figure, (first, second, third) = make_figure(3, width=12, height=3)
    figure.get_layout_engine().set(wspace=0.04)  # type: ignore[union-attr]  # it was chosen above
    show(first, photo, "full size: radii up to 6 px")
    show(second, half, "half size: radii up to 12 px")
    second.set(xlim=(-0.5, photo.shape[1] - 0.5), ylim=(photo.shape[0] - 0.5, -0.5))
    show(third, np.full(photo.shape, 0.92), "where each edge point was measured")
    for scale, colour, label in ((1, "tab:blue", "full size"), (2, "tab:red", "half size")):
        rows, columns = estimate.points[(estimate.point_scale == scale) & ~estimate.is_depth_edge].T
        third.plot(columns, rows, ".", color=colour, markersize=1 if scale == 1 else 3, label=label)
    third.legend(loc="lower left", markerscale=6, fontsize=8)
    save(figure, folder, "pyramid.jpg")


def draw_all(folder: Path) -> None:
    """Write all pictures of the documentation into a folder."""
    mpl.rcParams["font.size"] = 9
    folder.mkdir(parents=True, exist_ok=True)
    estimator = BlurEstimator()
    for photo, parts in (
        (skimage.data.astronaut(), (draw_map, draw_mask, draw_deblurred)),
        (skimage.data.chelsea(), (draw_edges, draw_patches, draw_propagation, draw_reconstruction)),
    ):
        estimate = estimator.estimate(photo)
        for draw in parts:
            draw(photo, estimate, folder)
    draw_pyramid(estimator, folder)
    draw_dense(folder)
    draw_stack(folder)


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
