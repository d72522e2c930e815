"""`python -m training example`: the picture of the README."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def draw_example(
    out: Annotated[Path, typer.Option(help="Picture to write.", show_default=False)],
    preset: Annotated[str | None, typer.Option(help="Name or folder.")] = None,
) -> None:
    """Write the picture of the README: skimage's cat, its edge points and its blur map, side by side."""
    import cv2
    import numpy as np
    import skimage.data

    from defocus_edge.images import write_picture
    from defocus_edge.networks.preset_files import DEFAULT_PRESET
    from defocus_edge.pipeline import BlurEstimator
    from defocus_edge.plots import plot_blur_map, plot_edges

    photo = skimage.data.chelsea()
    estimate = BlurEstimator(preset or DEFAULT_PRESET).estimate(photo)
    edges = plot_edges(photo, estimate.points, estimate.is_depth_edge, point_radius=estimate.point_radius)
    panels = [photo, edges, plot_blur_map(estimate.radius)]
    height = photo.shape[0]
    scaled = [
        cv2.resize(panel, (round(panel.shape[1] * height / panel.shape[0]), height), interpolation=cv2.INTER_AREA)
        for panel in panels
    ]
    write_picture(out, np.hstack(scaled).astype(np.uint8))
