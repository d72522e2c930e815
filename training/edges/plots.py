"""Plots of the scores of a training."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from defocus_edge.blur_levels import RADIUS_STEP

# Width and height of the plot in inches, and px per inch.
_INCHES = (7.2, 6.4)
_DPI = 100


def plot_confusion(counts: NDArray[np.integer], levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw which level is taken for which.

    Returns an RGB picture, (640, 720, 3) uint8. Each row of cells shows the shares of the points of one true level;
    zeros for a level without points.

    Parameters
    ----------
    counts : (L, L) ndarray of int
        Number of points by true level (rows) and predicted level (columns).
    levels : (L,) ndarray of float
        px, evenly spaced.
    """
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor="white", layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    low, high = float(levels[0]) - RADIUS_STEP / 2, float(levels[-1]) + RADIUS_STEP / 2
    picture = axes.imshow(share, origin="lower", extent=(low, high, low, high), vmin=0, vmax=1, cmap="viridis")
    ticks = [float(level) for level in levels if float(level).is_integer()]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.set_xlabel("most probable level (px)")
    axes.set_ylabel("true level (px)")
    axes.set_title("B-NET on pictures that were not trained on")
    figure.colorbar(picture, ax=axes, label="share of the true level's points")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
